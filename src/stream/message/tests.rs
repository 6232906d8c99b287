//! Lifetimes while the machine sleeps.

use std::time::Duration;

use futures_util::poll;
use tokio::time::Instant;

use super::MessageError;
use crate::clock::Clock;
use crate::label::{Label, Prop};
use crate::manager::Manager;
use crate::network::Network;
use crate::stream::Session;

const HOUR: Duration = Duration::from_secs(3600);

async fn joined() -> (Session, Session) {
    let (scout, networks) = crate::scout::scripted();
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    networks.up(Network::cellular("wwan0"));
    let listener = manager.listen("mem://asleep").await.unwrap();
    let near = manager.connect("mem://asleep").await.unwrap();
    let far = listener.accept().await.unwrap();
    (near.session(), far.session())
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// behaviour: D6 D7
#[tokio::test(start_paused = true)]
async fn a_lifetime_counts_the_time_asleep() {
    let (here, _there) = joined().await;
    let wifi = Label::new().require(Prop::Wifi);
    let began = Instant::now();
    let id = here.send(wifi, &b"x"[..]).lifetime(HOUR).await.unwrap();
    let mut told = here.delivered(id);
    Clock::jump(HOUR - Duration::from_secs(1));
    settle().await;
    assert!(poll!(&mut told).is_pending());
    Clock::jump(Duration::from_secs(1));
    settle().await;
    let told = poll!(&mut told);
    assert!(
        matches!(told, std::task::Poll::Ready(Err(MessageError::Expired))),
        "{told:?}"
    );
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody was awake");
}

// behaviour: D6 D7
#[tokio::test(start_paused = true)]
async fn so_it_does_in_line() {
    let (here, _there) = joined().await;
    let waiting = loop {
        let send = here.send(Label::ANY, vec![1; 1 << 20]).lifetime(HOUR);
        let mut send = send.into_future();
        tokio::select! {
            biased;
            taken = &mut send => drop(taken.unwrap()),
            () = tokio::time::sleep(Duration::from_secs(5)) => break send,
        }
    };
    let waiting = tokio::spawn(waiting);
    settle().await;
    Clock::jump(HOUR - Duration::from_secs(10));
    settle().await;
    assert!(!waiting.is_finished());
    Clock::jump(Duration::from_secs(10));
    settle().await;
    assert!(waiting.is_finished());
    let told = waiting.await.unwrap();
    assert!(matches!(told, Err(MessageError::Expired)), "{told:?}");
}
