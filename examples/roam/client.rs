//! The client's process: one stream, written to its end. It knows two networks, and nothing of cuts.
//!
//! A network here is a forwarder, and how to reach one is told by a transport of the example's own:
//! the library matches, dials, resumes and migrates over it as over its own.

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use mancom::transport::Tcp;
use mancom::{Endpoint, Label, Manager, Network, Scout};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::hex;
use super::show::mb;
use super::transport::Forwarded;

const LEAST: u64 = 64 << 20;

pub(crate) async fn run(wifi: &str, cellular: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let forwarder = |at: &str| format!("tcp://{at}").parse::<Endpoint>();
    let manager = Manager::builder()
        .scout(Scout::fixed([
            Network::wifi("wifi").rtt(Duration::from_millis(5)),
            Network::cellular("cellular").rtt(Duration::from_millis(50)),
        ]))
        .transport(Forwarded {
            tcp: Tcp::new(),
            wifi: forwarder(wifi)?,
            cellular: forwarder(cellular)?,
        })
        .build()
        .await?;
    let mut stream = manager
        .connect("mc+fwd://server")
        .label(Label::INTERACTIVE)
        .plaintext()
        .await?;
    let mut events = stream.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            println!("stream   {event}");
        }
    });

    let mut sum = Sha256::new();
    for _ in 0..repeats(Path::new(file))? {
        let mut file = tokio::fs::File::open(file).await?;
        let mut buffer = vec![0; 64 << 10];
        while let n @ 1.. = file.read(&mut buffer).await? {
            sum.update(&buffer[..n]);
            stream.write_all(&buffer[..n]).await?;
        }
    }
    stream.shutdown().await?;
    let stats = stream.stats();
    for network in &stats.networks {
        let name = network.name.as_deref().unwrap_or_default();
        let (once, again) = (
            mb(network.bytes.payload_sent),
            mb(network.bytes.payload_resent),
        );
        println!("stream   over {name}: {once} MB sent once, {again} MB sent again");
    }
    println!("sum {}", hex(&sum.finalize()));
    drop(stream);
    Ok(manager.shutdown(Duration::from_secs(5)).await?)
}

/// How often the file is to be sent so that it is at least 64 MiB.
pub(crate) fn repeats(file: &Path) -> io::Result<u64> {
    match std::fs::metadata(file)?.len() {
        0 => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the file is empty",
        )),
        size => Ok(LEAST.div_ceil(size)),
    }
}
