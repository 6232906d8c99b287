//! Streams in TLS over loopback against tokio-rustls over a plain `TcpStream`, in paired rounds, and what
//! one more path of a session costs.
//!
//! `cargo bench --bench tls` prints, as medians of the rounds, how fast plain TCP and `mc://`, tokio-rustls,
//! `tls://` and `mcs://` are, each as a part of its peer without mancom in the same round, and the processor
//! seconds a gigabyte of each, both ends together. Then the round trips of a third path's attach, counted in
//! virtual time over a simulated network: from the connection on until it carries at the listener and at the
//! dialler.
//! `cargo bench --bench tls -- mcs` runs the rows whose name contains the word.

use std::sync::Arc;
use std::time::Duration;

use mancom::stream::PathEvent;
use mancom::{Identity, Label, Listener, Manager, McStream, Network, Scout};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

#[path = "shared/bulk.rs"]
mod bulk;
#[path = "shared/rounds.rs"]
mod rounds;

use bulk::{BUFFER, one_way};
use rounds::{Took, cpu, median, tcp};

const ROUNDS: usize = 9;
const BULK: usize = 512 << 20;
const RTT: Duration = Duration::from_millis(100);
/// Each, and the row that it is measured against.
const ROWS: [(&str, usize); 5] = [
    ("TCP", 0),
    ("mc://", 0),
    ("tokio-rustls", 2),
    ("tls://", 2),
    ("mcs://", 2),
];

fn main() {
    let arguments = std::env::args().skip(1);
    let wanted: Vec<String> = arguments.filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.iter().all(|wanted| name.contains(wanted));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let certified = Certified::new();
    let round =
        || ROWS.map(|(name, _)| is_wanted(name).then(|| runtime.block_on(certified.measure(name))));
    // The first round warms up.
    let _ = round();
    let rounds: Vec<[Option<Took>; 5]> = (0..ROUNDS).map(|_| round()).collect();
    let column = |of: &dyn Fn(&[Option<Took>; 5]) -> Option<f64>| {
        let value = median(rounds.iter().filter_map(of).collect());
        value.map_or_else(String::new, |value| format!("{value:.2}"))
    };
    println!(
        "{:<16}{:>10}{:>20}{:>10}",
        "64 KiB writes", "Gbit/s", "of TCP, rustls", "CPU s/GB"
    );
    for (which, (name, peer)) in ROWS.into_iter().enumerate() {
        let speed = column(&|round| Some(round[which]?.gbit(BULK)));
        let part = column(&|round| Some(round[which]?.gbit(BULK) / round[peer]?.gbit(BULK)));
        let cost = column(&|round| Some(round[which]?.cost(BULK)));
        if is_wanted(name) {
            println!("{name:<16}{speed:>10}{part:>20}{cost:>10}");
        }
    }
    if is_wanted("third") {
        thirds();
    }
}

fn thirds() {
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

/// How long the bytes take from one end to the other; the listener stays open meanwhile.
async fn measured<S>((near, far, listener): (S, S, Option<Listener>)) -> Took
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let work = async move {
        let before = cpu();
        let time = one_way(near, far, BULK, BUFFER).await;
        let cpu = cpu().saturating_sub(before);
        drop(listener);
        Took { time, cpu }
    };
    tokio::spawn(work).await.expect("the work ended")
}

/// One certificate for every row.
struct Certified {
    pem: String,
    identity: Identity,
    manager: tokio::sync::OnceCell<Manager>,
}

type Ends<S> = (S, S, Option<Listener>);

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

    async fn measure(&self, name: &str) -> Took {
        match name {
            "TCP" => {
                let (near, far) = tcp().await;
                measured((near, far, None)).await
            }
            "tokio-rustls" => measured(self.plainly().await).await,
            name => measured(self.connect(name).await).await,
        }
    }

    /// As somebody would do without mancom.
    async fn plainly(&self) -> Ends<TlsStream<TcpStream>> {
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
        let (near, far) = tcp().await;
        let name = ServerName::try_from("localhost").expect("a name");
        let connecting = TlsConnector::from(Arc::new(client)).connect(name, near);
        let accepting = TlsAcceptor::from(Arc::new(server)).accept(far);
        let (near, far) = tokio::join!(connecting, accepting);
        (
            near.expect("connected").into(),
            far.expect("accepted").into(),
            None,
        )
    }

    async fn connect(&self, scheme: &str) -> Ends<McStream> {
        let manager = self.manager.get_or_init(|| async {
            let builder = Manager::builder().scout(Scout::fixed([]));
            builder.build().await.expect("a manager")
        });
        let manager = manager.await;
        let mut listen = manager.listen(format!("{scheme}127.0.0.1:0"));
        let is_secure = scheme != "mc://";
        if is_secure {
            listen = listen.identity(&self.identity);
        }
        let listener = listen.await.expect("a listener");
        let mut connect = manager.connect(listener.contact());
        if is_secure {
            connect = connect.pin(self.identity.public_key());
        }
        let (near, far) = tokio::join!(connect.into_future(), listener.accept());
        let (near, far) = (near.expect("connected"), far.expect("accepted"));
        (near, far, Some(listener))
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
