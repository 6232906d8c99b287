//! Messages over this host's real sockets, from many threads at once.

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::time::Duration;

use mancom::stream::Fate;
use mancom::{Label, MessageError, MessageId, Session};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Real time, on a machine that may have much else to do.
const SOON: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let late = |_| panic!("{what}: still pending");
    timeout(SOON, future.into_future())
        .await
        .unwrap_or_else(late)
}

/// Both ends of a session over a loopback connection.
async fn two() -> (Session, Session) {
    let listener = mancom::listen("mc://127.0.0.1:0").await.unwrap();
    let near = mancom::connect(listener.contact()).await.unwrap();
    let far = listener.accept().await.unwrap();
    (near.session(), far.session())
}

// behaviour: I1 I4
#[mancom::test(real)]
async fn messages_of_every_size_cross_a_real_socket_both_ways() {
    let (here, there) = two().await;
    for (from, to) in [(&here, &there), (&there, &here)] {
        for size in [0, 1, 4_096, 100_000, 4 << 20] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 7 + size) as u8).collect();
            let id = from.send(Label::ANY, bytes.clone()).await.unwrap();
            let message = soon("the message", to.recv()).await.unwrap();
            assert_eq!((message.id, message.label), (id, Label::ANY));
            assert!(message.bytes == bytes, "{size} bytes");
            soon("its delivery", from.delivered(id)).await.unwrap();
        }
        let mut writer = from.message(Label::BACKGROUND).await.unwrap();
        for piece in 0..100_u8 {
            writer.write_all(&vec![piece; 10_000]).await.unwrap();
        }
        writer.finish().await.unwrap();
        let message = soon("the pieces", to.recv()).await.unwrap();
        let pieces: Vec<u8> = message.bytes.chunks(10_000).map(|piece| piece[9]).collect();
        assert_eq!(pieces, (0..100).collect::<Vec<u8>>());
    }
}

/// Waits for each message in a task of its own, gives some up, and tells what was delivered.
async fn send_many(session: Session, seed: u64) -> BTreeSet<MessageId> {
    let labels = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];
    let mut outcomes = JoinSet::new();
    for turn in 0..500_u64 {
        let label = labels[((seed + turn) % 3) as usize];
        let size = (turn * 7_919 + seed * 104_729) % 30_000;
        let send = session.send(label, vec![turn as u8; size as usize]);
        // Those that are given up take no other with them.
        let id = soon("room", send.after([])).await.unwrap();
        let session = session.clone();
        outcomes.spawn(async move {
            if turn % 5 != 0 {
                session.delivered(id).await.unwrap();
                return Some(id);
            }
            match session.cancel(id).await.unwrap() {
                Fate::Delivered => Some(id),
                _ => {
                    let told = session.delivered(id).await;
                    assert!(matches!(told, Err(MessageError::Cancelled)), "{told:?}");
                    None
                }
            }
        });
    }
    let outcomes = soon("every fate", outcomes.join_all()).await;
    outcomes.into_iter().flatten().collect()
}

// behaviour: I4 I10 R6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_lose_no_message_and_no_wake_up() {
    let (here, there) = two().await;
    let mut receiving = JoinSet::new();
    for _ in 0..4 {
        let there = there.clone();
        receiving.spawn(async move {
            let mut received = Vec::new();
            loop {
                match there.recv().await {
                    Ok(message) => received.push(message.id),
                    Err(end) if end.is_closed() => return received,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let mut sending = JoinSet::new();
    for seed in 0..4 {
        sending.spawn(send_many(here.clone(), seed));
    }
    let delivered = soon("all of them", sending.join_all()).await;
    let delivered: BTreeSet<MessageId> = delivered.into_iter().flatten().collect();
    soon("the close", here.close()).await.unwrap();
    let received = soon("the receivers", receiving.join_all()).await;
    let received: Vec<MessageId> = received.into_iter().flatten().collect();
    let once: BTreeSet<MessageId> = received.iter().copied().collect();
    assert_eq!(once.len(), received.len(), "each at most once");
    assert!(
        once == delivered,
        "those that were said to be, and no others"
    );
    assert!(delivered.len() >= 4 * 400);
}
