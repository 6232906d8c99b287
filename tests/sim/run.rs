//! Work under `mancom::run`, whose match comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mancom::{Error, Label, Network, Prop, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{Outcome, cellular, secs, settle, soon, wifi};

const UNMETERED: Label = Label::new().require(Prop::Wifi).prohibit(Prop::Metered);

#[mancom::test]
async fn work_that_may_finish_does_so_over_its_own_stream(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let listener = mancom::listen("mem://report").await?;
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let run = mancom::run(UNMETERED, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            // Any network may carry it: only when it begins is a matter of the label.
            let mut stream = mancom::connect("mem://report").await?;
            sleep(secs(10)).await;
            stream.write_all(b"done").await?;
            stream.shutdown().await?;
            Ok::<_, Error>(())
        }
    });
    let running = tokio::spawn(run.stop(Stop::Finish(secs(20))).into_future());
    let mut far = soon(secs(1), "the stream", listener.accept()).await?;
    networks.down("wlan0");
    let mut said = String::new();
    soon(secs(30), "the report", far.read_to_string(&mut said)).await?;
    assert_eq!(said, "done");
    drop(far);
    soon(secs(30), "the run", running).await.unwrap()?;
    assert_eq!(starts.load(Ordering::SeqCst), 1);
    Ok(())
}

#[mancom::test]
async fn metered_for_a_moment_stops_work_or_lets_it_finish(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let count = |stop| {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        let run = mancom::run(UNMETERED, move |_: Network| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {
                sleep(secs(10)).await;
                Ok::<_, Error>(Instant::now())
            }
        });
        (starts, tokio::spawn(run.stop(stop).into_future()))
    };
    let began = Instant::now();
    let (dropped, again) = count(Stop::Drop);
    let (kept, once) = count(Stop::Finish(secs(5)));
    settle().await;
    sleep(secs(4)).await;
    networks.change("wlan0", |network| network.metered(true));
    sleep(secs(4)).await;
    networks.change("wlan0", |network| network.metered(false));
    assert_eq!((once.await.unwrap()? - began).as_secs(), 10);
    assert_eq!((again.await.unwrap()? - began).as_secs(), 18);
    assert_eq!(kept.load(Ordering::SeqCst), 1);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    Ok(())
}
