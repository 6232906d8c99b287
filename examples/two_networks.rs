//! Can a backup and a conversation share two networks?
//!
//! One session over a wifi of 20 Mbit/s and a cellular of 4 Mbit/s, both in memory. A backup uses what
//! there is, while somebody asks a question five times a second. You will see a line a second for each:
//! what the backup moves over which network, and how long the answers take; also while the wifi is
//! gone from the third second to the sixth. At the end, what the answers took in all.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};

use mancom::testing::scripted;
use mancom::{Label, Listener, Manager, McStream, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), mancom::Error> {
    let (scout, networks) = scripted();
    let ms = Duration::from_millis;
    let wifi = || Network::wifi("wifi").rtt(ms(20)).up(20_000_000);
    let cellular = Network::cellular("cellular").metered(false);
    networks.up(wifi());
    networks.up(cellular.rtt(ms(80)).up(4_000_000));

    let manager = Manager::builder().scout(scout).build().await?;
    let listener = manager.listen("mem://backup").await?;
    tokio::spawn(serve(listener));
    let backup = manager.connect("mem://backup").label(Label::BACKGROUND);
    let mut backup = backup.await?;
    let questions = backup.session().open(Label::INTERACTIVE).await?;

    let (told, mut answers) = mpsc::channel(64);
    tokio::spawn(ask(questions, told));
    let stats = backup.session();
    tokio::spawn(async move { tokio::io::copy(&mut tokio::io::repeat(7), &mut backup).await });
    let (mut before, mut all) = (HashMap::new(), Vec::new());
    for second in 1..=9 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut took: Vec<_> = std::iter::from_fn(|| answers.try_recv().ok()).collect();
        println!("{second} s  backup       {}", moved(&stats, &mut before));
        println!("     conversation {}", spread(&mut took));
        all.append(&mut took);
        match second {
            3 => networks.down("wifi"),
            6 => drop(networks.up(wifi())),
            _ => {}
        }
    }
    println!("in all, the answers took {}", spread(&mut all));
    Ok(())
}

/// Answers each question, and takes the backup.
async fn serve(listener: Listener) -> Result<(), mancom::Error> {
    let mut backup = listener.accept().await?;
    let session = backup.session();
    let mut questions = session.accept().await?;
    tokio::spawn(async move { tokio::io::copy(&mut backup, &mut tokio::io::sink()).await });
    let mut question = [0; 32];
    loop {
        questions.read_exact(&mut question).await?;
        questions.write_all(&question).await?;
    }
}

async fn ask(mut stream: McStream, told: mpsc::Sender<Duration>) -> io::Result<()> {
    let mut answer = [0; 32];
    loop {
        let began = Instant::now();
        stream.write_all(&[1; 32]).await?;
        stream.read_exact(&mut answer).await?;
        // Nobody is left to tell once the show is over.
        let _ = told.try_send(began.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What each network carried since the last time, over all its paths: interactive traffic has a lane of its own.
fn moved(session: &mancom::Session, before: &mut HashMap<(u8, u32), u64>) -> String {
    let mut networks = BTreeMap::<_, u64>::new();
    for path in session.paths() {
        let sent = path.stats.payload_sent + path.stats.payload_resent;
        let last = before.insert(path.path, sent).unwrap_or_default();
        *networks.entry(path.name.unwrap_or_default()).or_default() += sent - last;
    }
    let rate = |(name, sent)| format!("{name} {:.1} Mbit/s", sent as f64 * 8e-6);
    let words: Vec<_> = networks.into_iter().map(rate).collect();
    words.join(", ")
}

fn spread(took: &mut [Duration]) -> String {
    took.sort_unstable();
    match (took.get(took.len() / 2), took.last()) {
        (Some(median), Some(worst)) => format!("{median:.0?} at the median, {worst:.0?} at worst"),
        _ => "no answer".into(),
    }
}
