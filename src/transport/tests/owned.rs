//! Buffers that are sent without a copy.

use super::super::memory::tests::unsimulated;
use super::*;
use bytes::Bytes;

async fn ends(buffer: usize) -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let memory = unsimulated().0.with_shape(Shape::default().buffer(buffer));
    let at = endpoint("mem://owned");
    let mut acceptor = memory.listen(&at, None).await.expect("a free name");
    let near = memory.connect(&at, None).await.expect("a listener");
    let far = accepted(&mut *acceptor).await.expect("a link");
    (byte_link(near), byte_link(far))
}

fn sending(link: &mut Box<dyn ByteLink>, bytes: &Bytes) -> BoxFuture<'static, io::Result<()>> {
    let sending = Pin::new(&mut **link).send_owned(bytes.clone());
    sending.expect("memory has it")
}

#[tokio::test(start_paused = true)]
async fn an_owned_buffer_is_free_when_it_was_read_and_never_interleaved() {
    // behaviour: EV-05, EV-08
    let (mut near, mut far) = ends(1000).await;
    near.write_all(&[1; 999]).await.expect("room");
    let buffer = Bytes::from(vec![2; 50_000]);
    let mut owned = tokio::spawn(sending(&mut near, &buffer));
    tokio::task::yield_now().await;
    // There was room for one byte; it went in whole, and the next write waits behind it.
    let written = tokio::spawn(async move { near.write_all(&[3; 10]).await.map(|()| near) });
    tokio::task::yield_now().await;
    let mut got = vec![0; 50_998];
    far.read_exact(&mut got).await.expect("a connection");
    assert!(got[..999] == [1; 999] && got[999..].iter().all(|b| *b == 2));
    tokio::task::yield_now().await;
    assert!(
        !owned.is_finished() && !buffer.is_unique(),
        "a byte is left"
    );
    assert_eq!(far.read_u8().await.expect("the last"), 2);
    let done = (&mut owned).await.expect("no panic");
    done.expect("a connection");
    assert!(buffer.is_unique());
    let _near = written.await.expect("no panic").expect("room");
    far.read_exact(&mut got[..10]).await.expect("a connection");
    assert_eq!(&got[..10], [3; 10]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_with_a_buffer_is_told_that_nobody_reads() {
    // behaviour: EV-15
    let (mut near, far) = ends(1000).await;
    let buffers = [Bytes::from(vec![1; 5000]), Bytes::from(vec![2; 5000])];
    let sent = tokio::spawn(sending(&mut near, &buffers[0]));
    tokio::task::yield_now().await;
    let waits = tokio::spawn(sending(&mut near, &buffers[1]));
    // One that is given up before it had room was never sent.
    drop(sending(&mut near, &buffers[1]));
    tokio::task::yield_now().await;
    assert!(!sent.is_finished() && !waits.is_finished());
    drop(far);
    for task in [sent, waits] {
        let error = task.await.expect("no panic").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
    assert!(buffers.iter().all(Bytes::is_unique));
    let late = sending(&mut near, &buffers[0]).await;
    assert_eq!(
        late.expect_err("too late").kind(),
        io::ErrorKind::BrokenPipe
    );
}
