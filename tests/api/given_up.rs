//! What is left of a dial that nobody answered: no descriptor and no task.

use crate::raw::{descriptors, in_a_process_of_its_own, manager, soon, until};
use mancom::Endpoint;
use mancom::transport::{Tcp, Transport};
use socket2::{Domain, SockAddr, Socket, Type};
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A listener whose queue is full: the kernel drops what knocks.
fn silent() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let at = listener.local_addr().unwrap().as_socket().unwrap();
    let mut kept = vec![listener];
    for _ in 0..4 {
        let filler = socket();
        filler.set_nonblocking(true).unwrap();
        // In progress, or in the queue: either fills it.
        let _ = filler.connect(&at.into());
        kept.push(filler);
    }
    (at, kept)
}

fn held() -> (usize, usize) {
    let tasks = Handle::current().metrics().num_alive_tasks();
    (descriptors(), tasks)
}

/// Until it has opened something.
async fn under_way<F: Future + Unpin>(dial: &mut F, before: (usize, usize)) {
    let opened = poll_fn(|cx| {
        assert!(Pin::new(&mut *dial).poll(cx).is_pending());
        if descriptors() > before.0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    soon(opened).await;
}

/// Dials a place that never answers, until that is told, and until the dial is dropped.
async fn leaves_nothing(transport: &dyn Transport, to: &str) {
    let to: Endpoint = to.parse().unwrap();
    let before = held();
    let began = Instant::now();
    let error = transport.connect(&to, None).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    let took = began.elapsed().as_secs();
    assert!(took == 5, "{to}: {took} s");
    assert_eq!(held(), before, "{to}: descriptors, tasks");

    let mut dial = transport.connect(&to, None);
    under_way(&mut dial, before).await;
    drop(dial);
    assert_eq!(held(), before, "{to}: descriptors, tasks");
}

// behaviour: EV-18
#[tokio::test(start_paused = true)]
async fn a_dial_that_is_given_up_leaves_no_task_and_no_descriptor() {
    if !in_a_process_of_its_own(
        "given_up::a_dial_that_is_given_up_leaves_no_task_and_no_descriptor",
    ) {
        return;
    }
    let (at, _kept) = silent();
    leaves_nothing(&Tcp::new(), &format!("tcp://{at}")).await;
    #[cfg(feature = "airhook")]
    {
        let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = format!("airhook://{}", mute.local_addr().unwrap());
        leaves_nothing(&mancom::transport::Airhook::new(), &to).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    full.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    full.listen(0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let to = format!("unix:{}", path.display());
    leaves_nothing(&mancom::transport::Unix::new(), &to).await;
}

// behaviour: EV-18
#[tokio::test(start_paused = true)]
async fn a_session_that_is_given_up_leaves_no_task_and_no_descriptor() {
    if !in_a_process_of_its_own(
        "given_up::a_session_that_is_given_up_leaves_no_task_and_no_descriptor",
    ) {
        return;
    }
    let (at, _kept) = silent();
    leaves_nothing_of_a_session(&format!("mc://{at}")).await;
    #[cfg(feature = "tls")]
    {
        // The kernel takes the connection, and nobody the handshake.
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        leaves_nothing_of_a_session(&format!("mcs://{}", mute.local_addr().unwrap())).await;
    }
}

async fn leaves_nothing_of_a_session(at: &str) {
    let manager = manager(|settings| settings.connect_rounds = 1).await;
    let to = || manager.connect(at);
    // What a manager begins with its first session, and keeps.
    assert!(to().await.is_err());
    let before = held();
    assert!(to().await.is_err());
    until(|| held() == before).await;
    assert!(to().within(Duration::from_secs(1)).await.is_err());
    until(|| held() == before).await;
    let mut dropped = Box::pin(to().into_future());
    under_way(&mut dropped, before).await;
    drop(dropped);
    until(|| held() == before).await;
}
