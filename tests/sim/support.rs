//! What the tests of this room share: seeded chance, two ends of a session, traffic that is checked.

use std::time::Duration;

use mancom::stream::{Events, PathEvent, Settings};
use mancom::testing::Networks;
use mancom::transport::{Faults, Memory};
use mancom::{Label, Manager, McStream, Network, NetworkSpec};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

pub(crate) type Outcome = Result<(), mancom::Error>;

/// Chance that is the same each time (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// A wifi and a cellular network like those of a phone: 20 ms and 60 ms, 20 and 8 Mbit/s.
pub(crate) fn wifi() -> NetworkSpec {
    Network::wifi("wlan0")
        .rtt(Duration::from_millis(20))
        .up(20_000_000)
        .down(20_000_000)
}

pub(crate) fn cellular() -> NetworkSpec {
    Network::cellular("wwan0")
        .rtt(Duration::from_millis(60))
        .up(8_000_000)
        .down(8_000_000)
}

/// A manager with networks of its own whose connections can be cut.
pub(crate) async fn world() -> (Manager, Networks, Faults) {
    let (scout, networks) = mancom::testing::scripted();
    let faults = Memory::new(&scout).faults();
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    (manager, networks, faults)
}

/// Both ends of a session: dialled, accepted. Some network must be up.
pub(crate) async fn joined(at: &str, label: Label) -> Result<(McStream, McStream), mancom::Error> {
    let listener = mancom::listen(at).await?;
    let near = mancom::connect(at).label(label).await?;
    let far = listener.accept().await?;
    Ok((near, far))
}

/// A manager with networks of its own and these settings.
pub(crate) async fn with(settings: Settings) -> (Manager, Networks) {
    let (scout, networks) = mancom::testing::scripted();
    let builder = Manager::builder().scout(scout).settings(settings);
    (builder.build().await.unwrap(), networks)
}

/// A manager whose sessions use at most so many networks at once; 1 hands over from one to the next.
pub(crate) async fn at_most(most: usize) -> (Manager, Networks) {
    let mut settings = Settings::default();
    settings.networks = most;
    with(settings).await
}

/// Both ends of a session of this manager: dialled, accepted. Some network must be up.
pub(crate) async fn joined_by(
    manager: &Manager,
    at: &str,
    label: Label,
) -> Result<(McStream, McStream), mancom::Error> {
    let listener = manager.listen(at).await?;
    let near = manager.connect(at).label(label).await?;
    let far = listener.accept().await?;
    Ok((near, far))
}

/// Sends `total` seeded bytes in pieces of all sizes and ends; the digest of what was sent.
pub(crate) async fn send(mut to: impl AsyncWrite + Unpin, seed: u64, total: usize) -> Vec<u8> {
    let mut chance = Chance(seed);
    let mut digest = Sha256::new();
    let mut left = total;
    while left > 0 {
        let most = if chance.below(4) == 0 { 60_000 } else { 3_000 };
        let piece = (1 + chance.below(most) as usize).min(left);
        let bytes = chance.bytes(piece);
        digest.update(&bytes);
        to.write_all(&bytes)
            .await
            .expect("a session in its grace takes bytes");
        left -= piece;
    }
    to.shutdown().await.expect("the end is acknowledged");
    digest.finalize().to_vec()
}

/// Reads to the end; how many bytes, and their digest.
pub(crate) async fn receive(mut from: impl AsyncRead + Unpin) -> (usize, Vec<u8>) {
    let mut digest = Sha256::new();
    let mut total = 0;
    let mut buf = vec![0; 32 << 10];
    loop {
        match from
            .read(&mut buf)
            .await
            .expect("a session in its grace is no error")
        {
            0 => return (total, digest.finalize().to_vec()),
            n => {
                digest.update(&buf[..n]);
                total += n;
            }
        }
    }
}

/// Sends both ways at once and checks that every byte arrived in order, once.
pub(crate) async fn exchange(near: McStream, far: McStream, seed: u64, total: usize) {
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let up = tokio::spawn(send(near_write, seed, total));
    let down = tokio::spawn(send(far_write, !seed, total));
    let at_far = tokio::spawn(receive(far_read));
    let at_near = tokio::spawn(receive(near_read));
    assert_eq!(at_far.await.unwrap(), (total, up.await.unwrap()), "upwards");
    assert_eq!(
        at_near.await.unwrap(),
        (total, down.await.unwrap()),
        "downwards"
    );
}

/// Runs until every other task waits for time or for one another; takes no time itself.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// What stands in the queue of events now.
pub(crate) async fn drain(events: &mut Events) -> Vec<PathEvent> {
    let mut seen = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        seen.push(event);
    }
    seen
}

/// The network names of the paths that came up, in order.
pub(crate) fn ups(events: &[PathEvent]) -> Vec<String> {
    let name = |event: &PathEvent| match event {
        PathEvent::Up(path) => path.name.as_deref().map(str::to_owned),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

/// The networks the session's paths are on now, by name; lanes not counted.
pub(crate) fn on(stream: &McStream) -> Vec<String> {
    let mut paths = stream.session().paths();
    paths.retain(|path| !path.lane);
    let names = paths.iter().filter_map(|path| path.name.as_deref());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Payload bytes, first and again, that this end sent over the network of that name.
pub(crate) fn sent_over(stream: &McStream, name: &str) -> u64 {
    let of = |bytes: &mancom::stream::NetworkBytes| bytes.name.as_deref() == Some(name);
    let stats = stream.stats();
    let networks = stats.networks.iter().filter(|bytes| of(bytes));
    networks
        .map(|n| n.bytes.payload_sent + n.bytes.payload_resent)
        .sum()
}

/// Fails the test when the future takes longer than that, in the test's time.
pub(crate) async fn soon<T>(limit: Duration, what: &str, future: impl IntoFuture<Output = T>) -> T {
    let began = Instant::now();
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: still pending after {:?}", began.elapsed()),
    }
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
