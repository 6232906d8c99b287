//! Every future of the public interface may be spawned, and every stream moved into a task.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use bytes::Bytes;
use mancom::stream::{Events, MessageWriter, OpenStream, ReadHalf, ReadLabelled, WriteHalf};
use mancom::{
    AcceptError, Label, Listener, Manager, McStream, Message, MessageError, MessageId, Network, Op,
    Session, SessionError,
};
use static_assertions::assert_impl_all;

// behaviour: R7
assert_impl_all!(McStream: Send, Sync, Unpin);
assert_impl_all!(ReadHalf: Send, Sync, Unpin);
assert_impl_all!(WriteHalf: Send, Sync, Unpin);
assert_impl_all!(Events: Send, Sync, Unpin, futures::Stream);
assert_impl_all!(OpenStream: Send, IntoFuture);
assert_impl_all!(ReadLabelled<'static>: Send, IntoFuture);
assert_impl_all!(Op<Result<McStream, AcceptError>>: Future, Send, Unpin);
assert_impl_all!(Op<Result<McStream, SessionError>>: Future, Send, Unpin);
assert_impl_all!(Op<Result<Message, SessionError>>: Future, Send, Unpin);
assert_impl_all!(Op<Result<MessageId, MessageError>>: Future, Send, Unpin);

fn spawns<F: Future + Send>(_: F) {}

/// Compiled, and never run.
#[cfg(all(unix, feature = "daemon"))]
#[expect(dead_code, reason = "it is the compiler's test")]
fn of_daemons(server: mancom::scout::daemon::Server) {
    spawns(mancom::scout::daemon::Server::bind("/"));
    spawns(server.serve(mancom::Scout::fixed([])));
}

/// Compiled, and never run: the suite, and each of its checks.
#[cfg(feature = "test-util")]
#[expect(dead_code, reason = "it is the compiler's test")]
fn of_conformance(subject: &mancom::testing::conformance::Subject) {
    use mancom::testing::conformance::*;
    spawns(all(subject));
    spawns(column(subject));
    spawns(a_busy_link_starves_no_other(subject));
    spawns(a_silent_client_delays_nobody(subject));
    spawns(carries_a_megabyte_bit_by_bit(subject));
    spawns(carries_messages_whole_and_in_order(subject));
    spawns(echoes(subject));
    spawns(fails_to_reach_nobody(subject));
    spawns(frees_the_buffers_of_both(subject));
    spawns(holds_back_what_has_no_room(subject));
    spawns(knows_its_peer(subject));
    spawns(knows_itself(subject));
    spawns(leaves_nothing_when_dropped_pending(subject));
    spawns(reads_into_several_buffers(subject));
    spawns(sees_a_half_close(subject));
    spawns(sees_the_peer_close_once(subject));
    spawns(wakes_a_reader_and_a_writer_apart(subject));
    spawns(writes_from_several_buffers(subject));
}

fn outlives<F: IntoFuture<IntoFuture: Send + 'static>>(_: F) {}

/// Compiled, and never run: what is asked is whether the futures are `Send`.
#[expect(dead_code, reason = "it is the compiler's test")]
fn of_methods(
    (mut stream, mut read, mut write): (McStream, ReadHalf, WriteHalf),
    (session, listener, manager): (&Session, &Listener, &Manager),
    (mut events, message, id): (Events, MessageWriter, MessageId),
) {
    let mut buf = [0; 8];
    spawns(stream.write_labelled(Label::ANY, b"x"));
    spawns(stream.write_bytes(Bytes::new()));
    spawns(stream.read_labelled(&mut buf).into_future());
    spawns(read.read_labelled(&mut buf).label(Label::ANY).into_future());
    spawns(write.write_labelled(Label::ANY, b"x"));
    spawns(write.write_bytes(Bytes::new()));
    spawns(events.next());
    // Also where they come from `&self`, these own what they need.
    outlives(session.open(Label::ANY));
    outlives(session.accept());
    outlives(session.close());
    outlives(session.send(Label::ANY, &b"x"[..]).after([id]).after_all());
    outlives(session.message(Label::ANY).lifetime(Duration::ZERO));
    outlives(session.recv());
    outlives(session.delivered(id));
    outlives(session.cancel(id));
    outlives(session.relabel(id, Label::ANY));
    spawns(message.finish());
    outlives(listener.accept());
    outlives(manager.connect("mem://x"));
    outlives(manager.listen("mem://x"));
    outlives(manager.matching(Label::ANY));
    outlives(manager.shutdown(Duration::ZERO));
    outlives(manager.run(Label::ANY, work));
}

#[cfg(all(unix, feature = "inspect"))]
#[expect(dead_code, reason = "it is the compiler's test")]
fn of_processes(process: &mancom::manager::inspect::Process, id: mancom::OperationId) {
    spawns(mancom::manager::inspect::processes("/".as_ref()));
    spawns(mancom::manager::inspect::ops("/".as_ref(), None));
    spawns(mancom::manager::inspect::statuses("/".as_ref(), None));
    spawns(mancom::manager::inspect::nudge_all("/".as_ref(), None));
    spawns(process.ops());
    spawns(process.nudge(id));
    spawns(process.nudge_all());
    spawns(process.cancel(id));
    spawns(process.status());
}

async fn work(network: Network) -> Result<(), mancom::Error> {
    drop(network);
    Ok(())
}
