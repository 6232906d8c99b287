//! Sessions over Airhook where the air is dark for a while: datagrams in memory, in paused time.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use mancom::proto::pair::Seeded;
use mancom::transport::{
    Acceptor, Airhook, Bind, BoxFuture, Characteristics, DatagramLink, Link, Transport,
};
use mancom::{Endpoint, Manager, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use crate::line;

const SERVER: &str = "mc+air://server";
const DELAY: Duration = Duration::from_millis(10);
/// Of a hundred datagrams.
const LOST: u64 = 20;
const TWICE: u64 = 5;
const DARK: Duration = Duration::from_secs(10);
const LENGTH: usize = 100_000;

/// What the tests say of the air, and what waits in it.
#[derive(Debug)]
struct Weather {
    chance: Seeded,
    /// From when until when nothing arrives.
    dark: (Instant, Instant),
    /// The listener's process has ended: it says nothing more.
    gone: bool,
    /// Links that were heard of and not accepted.
    heard: VecDeque<AirLink>,
    waker: Option<Waker>,
}

#[derive(Debug, Clone)]
struct Air(Arc<Mutex<Weather>>);

impl Air {
    /// How many copies of a datagram arrive.
    fn copies(&self, from_listener: bool) -> usize {
        let mut weather = self.0.lock().unwrap();
        let (from, until) = weather.dark;
        let is_dark = (from..until).contains(&Instant::now());
        let (lost, twice) = (weather.chance.below(100), weather.chance.below(100));
        let is_gone = from_listener && weather.gone;
        match is_gone || is_dark || lost < LOST {
            true => 0,
            false => 1 + usize::from(twice < TWICE),
        }
    }

    fn is_heard(&self, link: AirLink) {
        let mut weather = self.0.lock().unwrap();
        weather.heard.push_back(link);
        if let Some(waker) = weather.waker.take() {
            waker.wake();
        }
    }
}

#[derive(Debug)]
struct AirLink {
    air: Air,
    peer: Endpoint,
    to: UnboundedSender<Vec<u8>>,
    from: UnboundedReceiver<Vec<u8>>,
    /// The other end, until the first datagram gets there.
    other: Arc<Mutex<Option<AirLink>>>,
    listens: bool,
}

impl DatagramLink for AirLink {
    fn poll_send(&mut self, _: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        for _ in 0..self.air.copies(self.listens) {
            let (air, to, other) = (self.air.clone(), self.to.clone(), self.other.clone());
            let datagram = datagram.to_vec();
            tokio::spawn(async move {
                sleep(DELAY).await;
                let _ = to.send(datagram);
                let first = other.lock().unwrap().take();
                if let Some(link) = first {
                    air.is_heard(link);
                }
            });
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(self.from.poll_recv(cx)) {
            Some(datagram) => {
                buf.put_slice(&datagram);
                Poll::Ready(Ok(()))
            }
            // Who is gone is not heard of.
            None => Poll::Pending,
        }
    }

    fn peer(&self) -> Option<Endpoint> {
        Some(self.peer.clone())
    }

    fn max_datagram(&self) -> usize {
        1_400
    }
}

impl Transport for Air {
    fn scheme(&self) -> &'static str {
        "air"
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::datagrams(1_400)
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        _: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let (there, at_listener) = unbounded_channel();
            let (back, at_dialler) = unbounded_channel();
            let far = AirLink {
                air: self.clone(),
                peer: "air://client".parse().unwrap(),
                to: back,
                from: at_listener,
                other: Arc::default(),
                listens: true,
            };
            Ok(Link::Datagrams(Box::new(AirLink {
                air: self.clone(),
                peer: to.clone(),
                to: there,
                from: at_dialler,
                other: Arc::new(Mutex::new(Some(far))),
                listens: false,
            })))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        _: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        let acceptor = AirAcceptor(self.clone(), at.clone());
        Box::pin(async move { Ok(Box::new(acceptor) as Box<dyn Acceptor>) })
    }

    fn is_self(&self, _: &Endpoint) -> bool {
        false
    }

    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}

struct AirAcceptor(Air, Endpoint);

impl Acceptor for AirAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let mut weather = self.0.0.lock().unwrap();
        match weather.heard.pop_front() {
            Some(link) => Poll::Ready(Ok(Link::Datagrams(Box::new(link)))),
            None => {
                weather.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.1.clone()
    }
}

/// A manager whose air is dark from so long after now on, for so long.
async fn dark(seed: u64, from: Duration, lasts: Duration) -> Manager {
    in_air(&air(seed, from, lasts)).await
}

fn air(seed: u64, from: Duration, lasts: Duration) -> Air {
    let from = Instant::now() + from;
    Air(Arc::new(Mutex::new(Weather {
        chance: Seeded::new(seed),
        dark: (from, from + lasts),
        gone: false,
        heard: VecDeque::new(),
        waker: None,
    })))
}

async fn in_air(air: &Air) -> Manager {
    let (scout, networks) = mancom::testing::scripted();
    let builder = Manager::builder().scout(scout);
    let manager = builder.transport(Airhook::over("air", Arc::new(air.clone())));
    networks.up(Network::wifi("wlan0"));
    manager.build().await.unwrap()
}

/// A listener answers, says goodbye as a program does at its end, and is gone, while the air is dark for so
/// long from so long after the beginning on, or from its answer on; how long the dialler took until it had
/// said goodbye, too.
async fn parted(at: &str, seed: u64, from: Option<Duration>, lasts: Duration) -> Duration {
    let begin = Instant::now();
    let never = Duration::from_secs(1_000);
    let air = air(seed, from.unwrap_or(never), lasts);
    let (here, there) = (in_air(&air).await, in_air(&air).await);
    let listen = there.listen(at).plaintext();
    let connect = here.connect(at).plaintext();
    #[cfg(feature = "tls")]
    let (listen, connect) = match at.starts_with("mcs") {
        true => {
            let key = mancom::Identity::generate().unwrap();
            (listen.identity(&key), connect.pin(key.public_key()))
        }
        false => (listen, connect),
    };
    let listener = listen.await.unwrap();
    let listening = async {
        let mut far = listener.accept().await.unwrap();
        let mut came = Vec::new();
        far.read_to_end(&mut came).await.unwrap();
        if from.is_none() {
            let now = Instant::now();
            air.0.lock().unwrap().dark = (now, now + lasts);
        }
        far.write_all(b"thanks").await.unwrap();
        far.shutdown().await.unwrap();
        drop((far, listener));
        there.shutdown(Duration::from_secs(35)).await.unwrap();
        air.0.lock().unwrap().gone = true;
        came
    };
    let dialling = async {
        let mut near = connect.within(Duration::from_secs(60)).await.unwrap();
        near.write_all(b"a question").await.unwrap();
        near.shutdown().await.unwrap();
        let mut thanks = Vec::new();
        near.read_to_end(&mut thanks).await.unwrap();
        assert_eq!(thanks, b"thanks");
        drop(near);
        here.shutdown(Duration::from_secs(120)).await.unwrap();
        begin.elapsed()
    };
    let (came, took) = tokio::join!(listening, dialling);
    assert_eq!(came, b"a question");
    took
}

/// What is written last is the link's to bring while its program waits: dark for 25 s at any time of an
/// exchange, it is brought, and nobody waits for a grace of ten minutes.
// behaviour: AH-29
#[tokio::test(start_paused = true)]
async fn who_says_goodbye_in_the_dark_is_heard_before_it_goes() {
    let lasts = Duration::from_secs(25);
    let most = Duration::from_secs(70);
    for seed in 0..40 {
        let from = Duration::from_millis(30 + seed * 30);
        for (at, from) in [
            ("mc+air://server", Some(from)),
            ("mc+air://server", None),
            ("air://server", None),
            #[cfg(feature = "tls")]
            ("mcs+air://server", Some(from)),
            #[cfg(feature = "tls")]
            ("mcs+air://server", None),
        ] {
            let took = parted(at, seed, from, lasts).await;
            assert!(took < most, "{at}, {seed}, dark from {from:?}: {took:?}");
        }
    }
}

// behaviour: AH-29
#[tokio::test(start_paused = true)]
async fn a_session_begins_and_carries_whenever_ten_dark_seconds_begin() {
    let sent = crate::support::Chance(1).bytes(LENGTH);
    // `MANCOM_CASES` asks for more.
    let cases = std::env::var("MANCOM_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(1);
    for (seed, tenth) in (0..cases).flat_map(|seed| (0..=30).map(move |tenth| (seed, tenth))) {
        let from = Duration::from_millis(tenth * 100);
        let manager = dark(seed * 31 + tenth, from, DARK).await;
        let listener = manager.listen(SERVER).plaintext().await.unwrap();
        let listening = async {
            let mut far = listener.accept().await.unwrap();
            let mut came = Vec::new();
            far.read_to_end(&mut came).await.unwrap();
            far.write_all(b"thanks").await.unwrap();
            far.shutdown().await.unwrap();
            came
        };
        let dialling = async {
            let mut near = manager.connect(SERVER).plaintext().await.unwrap();
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
            let mut thanks = Vec::new();
            near.read_to_end(&mut thanks).await.unwrap();
            thanks
        };
        let both = async { tokio::join!(listening, dialling) };
        let ended = timeout(Duration::from_secs(60), both).await;
        let (came, thanks) =
            ended.unwrap_or_else(|_| panic!("seed {seed}, dark from {from:?}: it hangs"));
        assert!(
            came == sent && thanks == b"thanks",
            "seed {seed}, dark from {from:?}"
        );
    }
}

// behaviour: D2, D4
#[tokio::test(start_paused = true)]
async fn silence_is_borne_until_the_deadline_and_without_one_for_three_attempts() {
    let begin = Instant::now();
    let manager = dark(1, Duration::ZERO, Duration::from_secs(45)).await;
    let listener = manager.listen(SERVER).plaintext().await.unwrap();
    let refused = manager.connect(SERVER).plaintext().await.unwrap_err();
    let silent_for = begin.elapsed();
    assert!((15..18).contains(&silent_for.as_secs()), "{silent_for:?}");
    let text = refused.to_string();
    assert!(
        text.contains("no answer within 5s") && text.contains("(3 times)"),
        "{text}"
    );
    // It is borne as long on a network that carries bytes in order.
    let (other, networks, exchange) = line::world().await;
    networks.up(Network::wifi("wlan0"));
    exchange.silent.lock().unwrap().insert("wlan0".into());
    let begin_there = Instant::now();
    let there = other.connect("line://server").await.unwrap_err();
    assert!(
        there.to_string().contains("no answer within 5s (3 times)"),
        "{there}"
    );
    assert!(begin_there.elapsed().abs_diff(silent_for) < Duration::from_secs(1));

    let patient = manager.connect(SERVER).plaintext();
    let patient = patient.within(Duration::from_secs(60));
    let mut near = patient.await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(45), "it was dark");
    near.write_all(b"at last").await.unwrap();
    let mut far = listener.accept().await.unwrap();
    let mut heard = [0; 7];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"at last");
}
