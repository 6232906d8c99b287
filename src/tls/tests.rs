//! Two ends over a pipe.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::wish::{Defaults, Wish};
use super::{Channel, Dialling, Identity, Listening, Trust, channel_of};
use crate::endpoint::Endpoint;
use crate::proto::session::handshake::Security;
use crate::transport::{ByteLink, Credentials};

/// One end of a pipe; so many bytes of those written to it are acknowledged.
struct Pipe(DuplexStream, Arc<AtomicU64>);

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl ByteLink for Pipe {
    fn peer(&self) -> Endpoint {
        "tcp://192.0.2.1:7".parse().expect("an endpoint")
    }

    fn local(&self) -> Option<IpAddr> {
        None
    }

    fn named(&mut self, contact: &Endpoint) -> bool {
        *contact == self.peer()
    }

    fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            user: 7,
            group: 7,
            process: None,
        })
    }

    fn acknowledged(&self) -> Option<u64> {
        Some(self.1.load(Ordering::Relaxed))
    }
}

/// What both ends are made with: a listener and a dialler with bare keys that know each other.
struct Ends {
    listening: Listening,
    dialling: Dialling,
    acknowledged: Arc<AtomicU64>,
}

type Linked = Box<dyn ByteLink>;

impl Ends {
    fn new() -> Self {
        let endpoint: Endpoint = "mcs://192.0.2.1:7".parse().expect("an endpoint");
        let [server, client] = [(); 2].map(|()| Identity::generate().expect("entropy"));
        let wish = |own: &Identity, other: &Identity| Wish {
            identity: Some(own.clone()),
            trust: Trust {
                pins: vec![other.public_key()],
                ..Trust::default()
            },
        };
        let defaults = Defaults::default();
        let listening = Listening::new(&endpoint, wish(&server, &client), &defaults);
        let dialling = Dialling::new(&endpoint, wish(&client, &server), &defaults);
        Self {
            listening: listening.expect("an identity"),
            dialling: dialling.expect("a name"),
            acknowledged: Arc::default(),
        }
    }

    /// Both ends of one more connection, over a pipe of this size.
    async fn linked(&self, size: usize) -> (Linked, Linked) {
        let (near, far) = tokio::io::duplex(size);
        let near = Box::new(Pipe(near, Arc::clone(&self.acknowledged)));
        let far = Box::new(Pipe(far, Arc::default()));
        let dialled = self.dialling.secure(near);
        let accepted = self.listening.secure(far);
        let (near, far) = tokio::join!(dialled, accepted);
        (near.expect("they know each other"), far.expect("both"))
    }
}

fn resumed(link: &Linked) -> bool {
    let link: &dyn std::any::Any = &**link;
    let link = link.downcast_ref::<super::link::TlsLink>();
    link.expect("it is in TLS").is_resumed()
}

/// A record that nobody with the keys has made.
async fn forge(link: &mut Linked) {
    let link: &mut dyn std::any::Any = &mut **link;
    let link = link.downcast_mut::<super::link::TlsLink>();
    let mut record = [0; 5 + 30];
    record[..5].copy_from_slice(&[0x17, 3, 3, 0, 30]);
    let below = &mut link.expect("it is in TLS").below;
    below.write_all(&record).await.expect("written");
}

// behaviour: K8
#[tokio::test]
async fn both_ends_have_one_exporter_and_each_connection_another() {
    let ends = Ends::new();
    let mut exporters = Vec::new();
    for _ in 0..4 {
        let (mut near, mut far) = ends.linked(64 << 10).await;
        let [one, other] = [&near, &far].map(|link| channel_of(&**link));
        let Channel { security, .. } = one;
        assert_eq!(security, Some(Security::TlsMutual));
        assert_eq!(other.security, Some(Security::TlsMutual));
        assert_eq!(one.exporter, other.exporter);
        assert!(one.peer.is_some() && one.peer != other.peer);
        exporters.push(one.exporter);
        // The tickets come with what is read.
        far.write_all(b"x").await.expect("written");
        far.flush().await.expect("flushed");
        near.read_u8().await.expect("read");
    }
    exporters.sort();
    exporters.dedup();
    assert_eq!(exporters.len(), 4);
}

#[tokio::test]
async fn further_connections_are_resumed_and_still_say_who_is_there() {
    let ends = Ends::new();
    let mut peers = Vec::new();
    for at in 0..5 {
        let (mut near, mut far) = ends.linked(64 << 10).await;
        assert_eq!(
            [resumed(&near), resumed(&far)],
            [at > 0; 2],
            "connection {at}"
        );
        peers.push([&near, &far].map(|link| channel_of(&**link).peer));
        far.write_all(b"x").await.expect("written");
        far.flush().await.expect("flushed");
        near.read_u8().await.expect("read");
    }
    assert!(peers.windows(2).all(|two| two[0] == two[1]));
    assert!(peers[0].iter().all(Option::is_some));
}

#[tokio::test]
async fn what_waits_in_it_goes_on_without_a_flush_when_it_is_read() {
    let ends = Ends::new();
    // It holds a part of what is written; the rest waits in TLS.
    let (mut near, far) = ends.linked(1 << 10).await;
    near.write_all(&[7; 20_000]).await.expect("written");
    let (mut read, mut write) = tokio::io::split(far);
    let answering = tokio::spawn(async move {
        let mut all = vec![0; 20_000];
        read.read_exact(&mut all).await.expect("all of it");
        write.write_all(b"done").await.expect("written");
        write.flush().await.expect("flushed");
        (read, write)
    });
    let mut answer = [0; 4];
    near.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"done");
    answering.await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_its_own_sends_the_rest_of_what_was_written_after_it_began_to_wait() {
    let ends = Ends::new();
    let (near, mut far) = ends.linked(1 << 10).await;
    let (mut read, mut write) = tokio::io::split(near);
    let reading = tokio::spawn(async move { read.read_u8().await });
    tokio::task::yield_now().await;
    write.write_all(&[7; 20_000]).await.expect("written");
    // The writer waits for the answer, which comes once all of it has arrived.
    let answering = async {
        let mut all = vec![0; 20_000];
        far.read_exact(&mut all).await.expect("all of it");
        far.write_all(b"x").await.expect("written");
        far.flush().await.expect("flushed");
        reading.await.expect("read")
    };
    let answered = tokio::time::timeout(Duration::from_secs(60), answering).await;
    assert_eq!(answered.expect("nothing is stuck").expect("read"), b'x');
}

#[tokio::test]
async fn one_read_fills_its_buffers_with_all_records_there_are() {
    let ends = Ends::new();
    let (mut near, mut far) = ends.linked(1 << 20).await;
    let sent: Vec<u8> = (0..100_000_u32).map(|n| (n >> 5) as u8).collect();
    near.write_all(&sent).await.expect("written");
    near.flush().await.expect("flushed");
    let (mut payload, mut header) = (vec![0; 65_536], [0; 16]);
    let read = std::future::poll_fn(|cx| {
        let mut bufs = [
            std::io::IoSliceMut::new(&mut payload),
            std::io::IoSliceMut::new(&mut header),
        ];
        Pin::new(&mut *far).poll_read_vectored(cx, &mut bufs)
    });
    assert_eq!(read.await.expect("read"), 65_552);
    assert!(payload == sent[..65_536] && header == sent[65_536..65_552]);
    let mut rest = vec![0; 65_536];
    let n = far.read(&mut rest).await.expect("read");
    assert_eq!(n, 100_000 - 65_552, "and no more is waited for");
    assert!(rest[..n] == sent[65_552..]);
}

#[tokio::test]
async fn what_came_before_a_forged_record_is_read_and_then_it_is_told_whenever_it_is_asked_for() {
    let ends = Ends::new();
    // In one read of what is below, and in two: it reads 4 KiB, and a record has 22 bytes of its own.
    for before in [100, 4096 - 22, 4096] {
        let (mut near, mut far) = ends.linked(1 << 20).await;
        // The tickets come with what is read.
        far.write_all(b"x").await.expect("written");
        near.read_u8().await.expect("read");
        far.write_all(&vec![7; before]).await.expect("written");
        forge(&mut far).await;
        let (mut got, mut told) = (0, 0);
        let mut buf = [0; 64 << 10];
        while told < 3 {
            let read = futures_util::FutureExt::now_or_never(near.read(&mut buf));
            // The far end is silent from here on.
            match read.expect("it is not waited for") {
                Ok(n) => {
                    assert!(n > 0 && told == 0, "{n} bytes, no end of {before}");
                    got += n;
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                    told += 1;
                }
            }
        }
        assert_eq!(got, before);
    }
}

#[tokio::test]
async fn nothing_more_is_encrypted_while_what_was_waits() {
    let ends = Ends::new();
    let (mut near, mut far) = ends.linked(1 << 10).await;
    let more = vec![7; 1 << 20];
    let mut took = Vec::new();
    for limit in [0, 4 << 10] {
        near.limit_unsent(limit);
        let now = futures_util::FutureExt::now_or_never(near.write(&more));
        took.push(now.expect("nothing waited").expect("written"));
        let again = futures_util::FutureExt::now_or_never(near.write(&more));
        assert!(again.is_none(), "the pipe is full");
        let mut read = vec![0; took[took.len() - 1]];
        let ((), flushed) = tokio::join!(
            async {
                far.read_exact(&mut read).await.expect("read");
            },
            near.flush()
        );
        flushed.expect("flushed");
    }
    assert_eq!(took, [48 << 10, 16 << 10]);
}

#[tokio::test]
async fn who_is_below_is_asked_for_the_far_end() {
    let ends = Ends::new();
    let (mut near, far) = ends.linked(64 << 10).await;
    let other: Endpoint = "tcp://192.0.2.9:7".parse().expect("an endpoint");
    assert!(!near.named(&other), "a pipe takes note of one place alone");
    assert!(near.named(&near.peer()));
    assert_eq!(far.credentials().map(|known| known.user), Some(7));
}

#[tokio::test]
async fn what_is_acknowledged_is_never_more_than_arrived() {
    let ends = Ends::new();
    let (mut near, mut far) = ends.linked(1 << 20).await;
    assert_eq!(near.acknowledged(), Some(0));
    let draining = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = far.read_to_end(&mut all).await;
        all.len()
    });
    for _ in 0..500 {
        near.write_all(&[7; 1000]).await.expect("written");
        near.flush().await.expect("flushed");
    }
    assert_eq!(near.acknowledged(), Some(0), "nothing was acknowledged");
    // Each write is a record of 1,000 bytes and 22 more, behind the handshake.
    for below in [100_000, 300_000, 400_000] {
        ends.acknowledged.store(below, Ordering::Relaxed);
        let known = near.acknowledged().expect("known");
        assert!(known <= below * 1000 / 1022, "{known} of {below}");
    }
    ends.acknowledged.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(near.acknowledged(), Some(500_000));
    near.shutdown().await.expect("shut down");
    drop(near);
    assert_eq!(draining.await.expect("drained"), 500_000);
}

// behaviour: K4, K5
#[tokio::test]
async fn a_first_message_that_never_ends_is_cut_off() {
    let ends = Ends::new();
    let (mut near, far) = tokio::io::duplex(64 << 10);
    let far = ends.listening.secure(Box::new(Pipe(far, Arc::default())));
    let endless = async {
        // A ClientHello that claims 16 MiB, in records that go on.
        let mut record = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
        record.resize(5 + 0x4000, 0);
        let mut sent = 0;
        while near.write_all(&record).await.is_ok() && sent < 4 << 20 {
            sent += record.len();
            record[5..9].fill(0);
        }
        sent
    };
    let (refused, sent) = tokio::join!(far, endless);
    assert!(refused.is_err());
    assert!(sent < 1 << 20, "{sent} bytes were taken");
}

/// An identity with so many certificates above its own, which nobody looks at where keys are pinned.
fn chained(more: usize) -> Identity {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    let own = params.self_signed(&key).expect("signed").der().clone();
    let der = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8");
    Identity::of(&der, vec![own; more + 1]).expect("an identity")
}

/// How it ends where these meet, at the dialler and at the listener.
async fn meet(server: &Identity, client: &Identity) -> [Option<String>; 2] {
    let endpoint: Endpoint = "mcs://192.0.2.1:7?name=localhost"
        .parse()
        .expect("an endpoint");
    let at = endpoint.clone().without_attributes();
    let wish = |identity: &Identity, pins| Wish {
        identity: Some(identity.clone()),
        trust: Trust {
            pins,
            ..Trust::default()
        },
    };
    // With an authority of its own a dialler asks for certificates.
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::default();
    let pem = params.self_signed(&key).expect("signed").pem();
    std::fs::write(&ca, pem).expect("written");
    let mut asked = wish(client, vec![server.public_key()]);
    asked.trust.authorities = vec![ca];
    let defaults = Defaults::default();
    let listening = Listening::new(&at, wish(server, vec![client.public_key()]), &defaults);
    let dialling = Dialling::new(&endpoint, asked, &defaults).expect("a name");
    let listening = listening.expect("an identity");
    let (near, far) = tokio::io::duplex(1 << 20);
    let dialled = async {
        let mut link = dialling
            .secure(Box::new(Pipe(near, Arc::default())))
            .await?;
        // A listener's refusal comes after the dialler is done.
        link.read_u8().await
    };
    let accepted = async {
        let mut link = listening
            .secure(Box::new(Pipe(far, Arc::default())))
            .await?;
        link.write_all(b"x").await?;
        link.flush().await?;
        Ok::<_, io::Error>(link)
    };
    let (near, far) = tokio::join!(dialled, accepted);
    [near.err(), far.err()].map(|error| error.map(|error| error.to_string()))
}

#[tokio::test]
async fn a_long_chain_of_certificates_is_taken_and_one_too_long_is_told_as_that() {
    let one = chained(0);
    let each = 5 + one.certified().cert[0].len();
    let most = chained(30_000 / each - 1);
    assert_eq!(meet(&most, &most).await, [None, None]);
    let over = chained(70_000 / each);
    let long = "longer than 64 KiB, most likely its chain of certificates";
    let [near, _] = meet(&over, &one).await;
    let near = near.expect("the listener's is too long");
    assert!(near.contains(long), "{near}");
    let [_, far] = meet(&one, &over).await;
    let far = far.expect("the dialler's is too long");
    assert!(far.contains(long), "{far}");
}
