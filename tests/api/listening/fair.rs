//! A busy session and a quiet one of the same listener.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Messages of the busy one that are taken while the quiet one asks and is answered, at the most; measured
/// are 64, a few turns of those who pass them on.
const BETWEEN: usize = 256;

/// One thread does everything, and looks for what is ready after every turn, so that what a session is
/// given at once is all that another one waits for.
// behaviour: EV-23
#[test]
fn a_busy_session_starves_no_other() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().event_interval(1).build().unwrap();
    runtime.block_on(async {
        let (near, far) = (manager(|_| ()).await, manager(|_| ()).await);
        let (listener, at) = listen(&near).await;
        let mut busy = far.connect(format!("mc://{at}")).await.unwrap();
        busy.write_all(b"!").await.unwrap();
        let sink = soon(listener.accept()).await.unwrap();
        echo(listener);
        let mut quiet = far.connect(format!("mc://{at}")).await.unwrap();
        ask(&mut quiet, b"before").await;

        let flood = tokio::spawn(async move {
            loop {
                let sent = busy.session().send(Label::ANY, vec![7; 64]).await;
                sent.expect("a session");
            }
        });
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let drain = tokio::spawn(async move {
            loop {
                let message = sink.session().recv().await;
                assert_eq!(message.expect("a session").bytes.len(), 64);
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let count = || taken.load(Ordering::Relaxed);
        until(|| count() > 1000).await;
        let mut rounds = Vec::new();
        for round in 0..50 {
            let before = count();
            ask(&mut quiet, &[round; 24]).await;
            rounds.push(count() - before);
        }
        rounds.sort_unstable();
        println!("messages beside a round: {rounds:?}");
        assert!(rounds[25] > 0, "nothing was busy: {rounds:?}");
        assert!(rounds[49] <= BETWEEN, "{rounds:?}");
        assert!(!flood.is_finished() && !drain.is_finished());
        flood.abort();
        drain.abort();
    });
}
