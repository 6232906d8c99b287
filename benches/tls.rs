//! Streams in TLS over loopback against tokio-rustls over a plain `TcpStream`, in paired rounds, and what
//! one more path of a session costs.
//!
//! `cargo bench --bench tls` prints, as medians of the rounds, how fast tokio-rustls, `tls://` and `mcs://`
//! are, the two as parts of the first in the same round, and the processor seconds a gigabyte of each, both
//! ends together. Then the round trips of a third path's attach, counted in virtual time over a simulated
//! network: from the connection on until it carries at the listener and at the dialler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mancom::stream::PathEvent;
use mancom::{Identity, Label, Listener, Manager, McStream, Network, Scout};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

const ROUNDS: usize = 9;
const BUFFER: usize = 64 * 1024;
const BULK: usize = 512 << 20;
const RTT: Duration = Duration::from_millis(100);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let certified = Certified::new();
    let round = || {
        runtime.block_on(async {
            let Ends(near, far) = certified.plainly().await;
            let theirs = measured(near, far, None).await;
            let (near, far, listener) = certified.connect("tls").await;
            let plain = measured(near, far, Some(listener)).await;
            let (near, far, listener) = certified.connect("mcs").await;
            let session = measured(near, far, Some(listener)).await;
            [theirs, plain, session]
        })
    };
    // The first round warms up.
    let _ = round();
    let rounds: Vec<[Took; 3]> = (0..ROUNDS).map(|_| round()).collect();
    let column = |of: &dyn Fn(&[Took; 3]) -> f64| median(rounds.iter().map(of).collect());
    println!(
        "{:<16}{:>10}{:>20}{:>10}",
        "64 KiB writes", "Gbit/s", "of tokio-rustls", "CPU s/GB"
    );
    for (which, name) in ["tokio-rustls", "tls://", "mcs://"].into_iter().enumerate() {
        let speed = column(&|round| BULK as f64 * 8.0 / round[which].time.as_secs_f64() / 1e9);
        let part = column(&|round| round[0].time.as_secs_f64() / round[which].time.as_secs_f64());
        let cost = column(&|round| round[which].cpu.as_secs_f64() * 1e9 / BULK as f64);
        println!("{name:<16}{speed:>10.2}{part:>20.2}{cost:>10.2}");
    }
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    println!(
        "{:<16}{:>10}{:>20}",
        "a third path", "listener", "dialler, in RTT"
    );
    for scheme in ["mem", "mcs+mem"] {
        let [listener, dialler] = paused.block_on(third(scheme));
        println!("{scheme:<16}{listener:>10.2}{dialler:>20.2}");
    }
}

struct Took {
    time: Duration,
    cpu: Duration,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of this process so far; none where the system is not asked for it here.
fn cpu() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}

/// How long the bytes take from one end to the other; the listener stays open meanwhile.
async fn measured<S>(mut near: S, mut far: S, listener: Option<Listener>) -> Took
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let work = async move {
        let draining = tokio::spawn(async move {
            let mut buffer = vec![0; BUFFER];
            let mut total = 0;
            loop {
                match far.read(&mut buffer).await.expect("read") {
                    0 => break,
                    n => total += n,
                }
            }
            assert_eq!(total, BULK);
        });
        let buffer = vec![7; BUFFER];
        let (start, before) = (Instant::now(), cpu());
        for _ in 0..BULK / BUFFER {
            near.write_all(&buffer).await.expect("written");
        }
        near.shutdown().await.expect("shut down");
        draining.await.expect("drained");
        let took = Took {
            time: start.elapsed(),
            cpu: cpu().saturating_sub(before),
        };
        drop(listener);
        took
    };
    tokio::spawn(work).await.expect("the work ended")
}

/// One certificate for every row.
struct Certified {
    pem: String,
    identity: Identity,
    manager: tokio::sync::OnceCell<Manager>,
}

struct Ends(TlsStream<TcpStream>, TlsStream<TcpStream>);

impl Certified {
    fn new() -> Self {
        let key = KeyPair::generate().expect("entropy");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        Self {
            identity: Identity::from_pem(&pem).expect("a key and its certificate"),
            pem,
            manager: tokio::sync::OnceCell::new(),
        }
    }

    /// As somebody would do without mancom.
    async fn plainly(&self) -> Ends {
        let provider = Arc::new(default_provider());
        let chain = CertificateDer::pem_slice_iter(self.pem.as_bytes());
        let chain: Vec<_> = chain.map(|one| one.expect("in PEM")).collect();
        let key = PrivateKeyDer::from_pem_slice(self.pem.as_bytes()).expect("in PEM");
        let mut roots = RootCertStore::empty();
        roots.add(chain[0].clone()).expect("a certificate");
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key and its certificate");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (near, far) = (near.expect("connected"), far.expect("accepted").0);
        near.set_nodelay(true).expect("nodelay");
        far.set_nodelay(true).expect("nodelay");
        let name = ServerName::try_from("localhost").expect("a name");
        let connecting = TlsConnector::from(Arc::new(client)).connect(name, near);
        let accepting = TlsAcceptor::from(Arc::new(server)).accept(far);
        let (near, far) = tokio::join!(connecting, accepting);
        Ends(
            near.expect("connected").into(),
            far.expect("accepted").into(),
        )
    }

    async fn connect(&self, scheme: &str) -> (McStream, McStream, Listener) {
        let manager = self.manager.get_or_init(|| async {
            let builder = Manager::builder().scout(Scout::fixed([]));
            builder.build().await.expect("a manager")
        });
        let manager = manager.await;
        let listen = manager.listen(format!("{scheme}://127.0.0.1:0"));
        let listener = listen.identity(&self.identity).await.expect("a listener");
        let connect = manager.connect(listener.contact());
        let connect = connect.pin(self.identity.public_key());
        let (near, far) = tokio::join!(connect.into_future(), listener.accept());
        (near.expect("connected"), far.expect("accepted"), listener)
    }
}

/// The round trips of a third path, from the connection on, at the listener and at the dialler.
async fn third(scheme: &str) -> [f64; 2] {
    let network = |name: &str| Network::ethernet(name).rtt(RTT);
    let mut took = [0.0; 2];
    for (which, took) in took.iter_mut().enumerate() {
        let (scout, networks) = mancom::testing::scripted();
        let manager = Manager::builder().scout(scout).build().await;
        let manager = manager.expect("a manager");
        networks.up(network("eth0"));
        networks.up(network("eth1"));
        let at = format!("{scheme}://far");
        let key = Identity::generate().expect("entropy");
        let listener = manager
            .listen(&at)
            .identity(&key)
            .await
            .expect("a listener");
        let connect = manager.connect(&at).label(Label::INTERACTIVE);
        let near = connect.pin(key.public_key()).await.expect("connected");
        let far = listener.accept().await.expect("accepted");
        // Until what comes with two networks is there.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let end = [&far, &near][which];
        let known = end.session().paths().len();
        let mut events = end.events();
        for _ in 0..known {
            events.next().await;
        }
        let begin = tokio::time::Instant::now();
        networks.up(network("eth2"));
        while !matches!(events.next().await, Some(PathEvent::Up(_))) {}
        // Connecting itself takes one.
        *took = begin.elapsed().as_secs_f64() / RTT.as_secs_f64() - 1.0;
    }
    took
}
