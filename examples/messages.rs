//! What do messages do that bytes of a stream do not?
//!
//! Somebody shares an album over one cellular network of 8 Mbit/s, in memory, that is gone for a second.
//! You will see, with the time, that a short word overtakes the photos, that the album's index arrives
//! after the photos that it names, that a photo taken back does not arrive, nor what expired meanwhile,
//! and what the sender is told of each.

use std::time::{Duration, Instant};

use mancom::testing::scripted;
use mancom::{Label, Manager, Network, Prop, Session};
use tokio::io::AsyncWriteExt;

const PHOTO: Label = Label::BACKGROUND.large();

#[tokio::main]
async fn main() -> Result<(), mancom::Error> {
    let (scout, networks) = scripted();
    let rtt = Duration::from_millis(60);
    let cellular = || Network::cellular("cellular").rtt(rtt).up(8_000_000);
    networks.up(cellular());
    let manager = Manager::builder().scout(scout).build().await?;
    let listener = manager.listen("mem://album").await?;
    let began = Instant::now();
    let session = manager.connect("mem://album").await?.session();
    let there = listener.accept().await?.session();
    let receiver = tokio::spawn(receive(there, began));

    // After nothing: one that is taken back takes no other with it.
    let photo = |number| session.send(PHOTO, vec![number; 200_000]).after([]);
    let first = photo(b'1').await?;
    let second = photo(b'2').await?;
    let third = photo(b'3').await?;
    // Written piece by piece: it takes its place when it is finished.
    let mut index = session.message(PHOTO).after([first, third]).await?;
    index.write_all(b"photos 1 ").await?;
    index.write_all(b"and 3").await?;
    let index = index.finish().await?;

    tokio::time::sleep(Duration::from_millis(100)).await;
    session.send(Label::INTERACTIVE, "look at this").await?;
    let fate = session.cancel(second).await?;
    say(began, &format!("sender: photo 2 is {fate:?}"));
    // There is no wifi, and there will be none.
    let wifi = Label::new().require(Prop::Wifi);
    let hurry = session.send(wifi, "only over wifi, and soon");
    let hurry = hurry.lifetime(Duration::from_millis(500)).await?;

    tokio::time::sleep(Duration::from_millis(200)).await;
    networks.down("cellular");
    say(began, "no network");
    if let Err(error) = session.delivered(hurry).await {
        say(began, &format!("sender: {hurry}: {error}"));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    networks.up(cellular());
    say(began, "the network is back");
    session.delivered(index).await?;
    say(began, "sender: the peer has the index, and what it names");

    session.close().await?;
    Ok(receiver.await.map_err(std::io::Error::other)?)
}

/// Receives until the session is closed.
async fn receive(session: Session, began: Instant) {
    while let Ok(message) = session.recv().await {
        let bytes = &message.bytes;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]);
        let text = format!("receiver: {}: {} bytes, {shown}", message.id, bytes.len());
        say(began, &text);
    }
}

fn say(began: Instant, what: &str) {
    println!("{:5} ms  {what}", began.elapsed().as_millis());
}
