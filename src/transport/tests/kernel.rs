//! What the kernel tells of a connection, and is told.

use super::*;

/// Both ends of a connection over loopback.
async fn tcp_pair() -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let tcp = Tcp::new();
    let at = endpoint("tcp://127.0.0.1:0");
    let mut acceptor = tcp.listen(&at, None).await.expect("a port");
    let dialled = tcp.connect(&acceptor.contact(), None).await;
    let far = byte_link(accepted(&mut *acceptor).await.expect("a link"));
    (byte_link(dialled.expect("loopback")), far)
}

#[tokio::test]
async fn tells_what_the_kernel_measured() {
    let (mut near, mut far) = tcp_pair().await;
    let before = near.measure().expect("known on Linux");
    let exchange = async {
        for _ in 0..20 {
            near.write_all(&[7; 1_000]).await.unwrap();
            far.read_exact(&mut [0; 1_000]).await.unwrap();
        }
    };
    exchange.await;
    let after = near.measure().expect("known on Linux");
    assert!(after.rtt.is_some_and(|rtt| !rtt.is_zero()), "{after:?}");
    assert!(after.least_rtt <= after.rtt, "{after:?}");
    assert!(after.acknowledged >= 19_000, "{after:?}");
    assert!(after.outstanding.is_some_and(|n| n <= 1_000), "{after:?}");
    assert_eq!(after.unsent, Some(0), "{after:?}");
    assert!(after.delivery_rate.is_some(), "{after:?}");
    assert!(after.segments - before.segments >= 20, "{after:?}");
    assert!(
        after.app_limited,
        "there was nothing more to send: {after:?}"
    );
}

#[tokio::test]
async fn little_waits_unsent_where_that_is_asked() {
    const LIMIT: u32 = 16 << 10;
    let unsent = |link: &dyn ByteLink| link.measure().and_then(|m| m.unsent).expect("known");
    let fill = async |link: &mut Box<dyn ByteLink>| {
        let piece = [7; 4 << 10];
        let full = poll_fn(|cx| {
            while Pin::new(&mut **link).poll_write(cx, &piece)?.is_ready() {}
            Poll::Ready(Ok::<_, std::io::Error>(()))
        });
        full.await.expect("a connection");
    };
    // The buffers of both ends grow with what goes over the connection.
    let grown = async || {
        let (mut near, mut far) = tcp_pair().await;
        let bytes = vec![7; 8 << 20];
        let mut read = vec![0; bytes.len()];
        let (wrote, _) = tokio::join!(near.write_all(&bytes), far.read_exact(&mut read));
        wrote.expect("a connection");
        (near, far)
    };
    // The far ends do not read: what their kernels do not take is not sent.
    let (mut near, _far) = grown().await;
    fill(&mut near).await;
    let free = unsent(&*near);
    let (mut near, _far) = grown().await;
    near.limit_unsent(LIMIT);
    fill(&mut near).await;
    let measured = near.measure().expect("known on Linux");
    let held = unsent(&*near);
    // What is below the limit may begin one more segment, which loopback has in 64 KiB.
    assert!(held <= u64::from(LIMIT) + (64 << 10), "{measured:?}");
    assert!(free > 2 * held, "{free} without a limit: {measured:?}");
    assert!(measured.outstanding >= measured.unsent, "{measured:?}");
}

#[tokio::test]
async fn tells_what_the_peers_kernel_acknowledged() {
    let (mut near, mut far) = tcp_pair().await;
    assert_eq!(near.acknowledged(), Some(0));
    near.write_all(&[1; 10_000]).await.expect("a connection");
    far.read_exact(&mut [0; 10_000])
        .await
        .expect("a connection");
    far.write_all(&[2; 1]).await.expect("a connection");
    near.read_exact(&mut [0; 1]).await.expect("a connection");
    // What came back carried the acknowledgement of all that was read before.
    assert_eq!(near.acknowledged(), Some(10_000));
    // Until the peer's buffers are full: then less than was written.
    let mut written = 10_000;
    let full = poll_fn(|cx| {
        while let Poll::Ready(n) = Pin::new(&mut *near).poll_write(cx, &[3; 65_536])? {
            written += n as u64;
        }
        Poll::Ready(io::Result::Ok(()))
    });
    full.await.expect("a connection");
    assert!(near.acknowledged().expect("known on Linux") < written);
}
