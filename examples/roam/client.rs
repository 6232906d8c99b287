//! The client's process: one stream, written to its end. It knows two networks, and nothing of cuts.
//!
//! A network here is a forwarder, and how to reach one is told by a transport of the example's own:
//! the library matches, dials, resumes and migrates over it as over its own.

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use mancom::transport::{Acceptor, Bind, BoxFuture, Characteristics, Link, Tcp, Transport};
use mancom::{Endpoint, Label, Manager, Network, Scout};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::hex;
use super::show::MB;

const LEAST: u64 = 64 << 20;

/// `fwd`: TCP to the forwarder of the network it is to go by.
#[derive(Debug)]
struct Forwarded {
    tcp: Tcp,
    wifi: Endpoint,
    cellular: Endpoint,
}

impl Transport for Forwarded {
    fn scheme(&self) -> &'static str {
        "fwd"
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::stream()
    }

    fn connect<'a>(&'a self, _: &'a Endpoint, on: Option<&'a Bind>) -> BoxFuture<'a, io::Result<Link>> {
        match on.map(|bind| bind.network.name()) {
            Some("wifi") => self.tcp.connect(&self.wifi, None),
            Some("cellular") => self.tcp.connect(&self.cellular, None),
            _ => Box::pin(async { Err(io::ErrorKind::NetworkUnreachable.into()) }),
        }
    }

    fn listen<'a>(&'a self, _: &'a Endpoint, _: Option<&'a Bind>) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn is_self(&self, _: &Endpoint) -> bool {
        false
    }

    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}

pub(crate) async fn run(wifi: &str, cellular: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let forwarder = |at: &str| format!("tcp://{at}").parse::<Endpoint>();
    let manager = Manager::builder()
        .scout(Scout::fixed([
            Network::wifi("wifi").rtt(Duration::from_millis(5)),
            Network::cellular("cellular").rtt(Duration::from_millis(50)),
        ]))
        .transport(Forwarded { tcp: Tcp::new(), wifi: forwarder(wifi)?, cellular: forwarder(cellular)? })
        .build()
        .await?;
    let mut stream = manager.connect("mc+fwd://server").label(Label::INTERACTIVE).plaintext().await?;
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
        let (name, bytes) = (network.name.as_deref().unwrap_or_default(), network.bytes);
        let (sent, resent) = (bytes.payload_sent as f64 / MB, bytes.payload_resent as f64 / MB);
        println!("stream   over {name}: {sent:.1} MB sent once, {resent:.2} MB sent again");
    }
    println!("sum {}", hex(&sum.finalize()));
    drop(stream);
    Ok(manager.shutdown(Duration::from_secs(5)).await?)
}

/// How often the file is to be sent so that it is at least 64 MiB.
pub(crate) fn repeats(file: &Path) -> io::Result<u64> {
    match std::fs::metadata(file)?.len() {
        0 => Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is empty")),
        size => Ok(LEAST.div_ceil(size)),
    }
}
