//! Unix sockets that keep messages, pass descriptors, or have no file. Linux.

use super::*;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

fn at(dir: &Path, name: &str) -> Endpoint {
    endpoint(&format!("unix:{}", dir.join(name).display()))
}

fn abstract_name(name: &str) -> String {
    format!("unix:@mancom-{}-{name}", std::process::id())
}

/// Both ends of one connection at this place.
async fn ends(at: &Endpoint) -> (Link, Link) {
    let unix = Unix::new();
    let mut acceptor = unix.listen(at, None).await.expect("a free place");
    let near = unix.connect(&acceptor.contact(), None).await;
    let far = accepted(&mut *acceptor).await.expect("a link");
    (near.expect("a connection"), far)
}

async fn messages(dir: &Path) -> (Link, Link) {
    ends(&at(dir, "x?type=seqpacket")).await
}

async fn received(link: &mut Link) -> io::Result<Vec<u8>> {
    let Link::Datagrams(link) = link else {
        unreachable!("it keeps messages");
    };
    let mut bytes = [0; 64];
    let n = poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut bytes);
        link.poll_recv(cx, &mut buf).map_ok(|()| buf.filled().len())
    });
    let n = n.await?;
    Ok(bytes[..n].to_vec())
}

/// A pipe, whose reader sees the end when the last copy of its writer is closed.
fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().expect("a pipe")
}

fn is_ended(mut pipe: std::io::PipeReader) -> bool {
    // It would hang, and the test with it, if a copy were left.
    matches!(pipe.read(&mut [0; 1]), Ok(0))
}

#[tokio::test]
async fn messages_conform_with_and_without_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    for text in [
        format!("unix:{}/NAME?type=seqpacket", dir.path().display()),
        format!("{}?type=seqpacket", abstract_name("NAME")),
        abstract_name("NAME"),
    ] {
        let place = |name| endpoint(&text.replace("NAME", name));
        conformance::all(&Subject {
            dialler: Arc::new(Unix::new()),
            listener: Arc::new(Unix::new()),
            here: place("here"),
            there: place("there"),
            nobody: place("nobody"),
            knows_dialler: false,
            unnamed: text
                .contains("unix:@")
                .then_some("nobody owns a name without a file"),
        })
        .await;
    }
    let left = std::fs::read_dir(dir.path()).expect("the directory");
    assert_eq!(left.count(), 0, "no socket file stays");
}

#[tokio::test]
async fn the_wrong_type_of_socket_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let unix = Unix::new();
    let place = at(dir.path(), "x?type=seqpacket");
    let _acceptor = unix.listen(&place, None).await.expect("a free path");
    let bytes = at(dir.path(), "x");
    let error = unix.connect(&bytes, None).await.expect_err("messages");
    assert!(error.to_string().contains("type=seqpacket"), "{error}");
    let error = unix.listen(&bytes, None).await.map(drop);
    let error = error.expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let error = unix.connect(&at(dir.path(), "x?type=dgram"), None).await;
    let kind = error.expect_err("no such type").kind();
    assert_eq!(kind, io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_empty_message_is_the_end_whatever_follows() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut near, mut far) = messages(dir.path()).await;
    let link = far.downcast_ref::<SeqpacketLink>().expect("of this type");
    let refused = link.send_descriptors(b"", &[]).await.expect_err("empty");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    // A peer that does not know better.
    let raw = near.downcast_ref::<SeqpacketLink>().expect("of this type");
    let raw = raw.as_fd();
    for message in [b"one".as_slice(), b"", b"two"] {
        rustix::net::send(raw, message, SendFlags::empty()).expect("room");
    }
    assert_eq!(received(&mut far).await.expect("a message"), b"one");
    for _ in 0..3 {
        let end = received(&mut far).await.expect_err("the end");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }
    let Link::Datagrams(near) = &mut near else {
        unreachable!("it keeps messages");
    };
    let long = vec![0; near.max_datagram() + 1];
    let refused = poll_fn(|cx| near.poll_send(cx, &long)).await;
    assert_eq!(
        refused.expect_err("too long").kind(),
        io::ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn an_open_pipe_travels_with_bytes_and_with_messages() {
    let dir = tempfile::tempdir().expect("a directory");
    for place in ["a", "b?type=seqpacket"] {
        let (near, far) = ends(&at(dir.path(), place)).await;
        assert!(Unix::new().characteristics().passes_descriptors);
        let (mut reader, writer) = pipe();
        let mut buf = [0; 16];
        let got = match (near.downcast_ref(), far.downcast_ref()) {
            (Some::<&UnixLink>(near), Some::<&UnixLink>(far)) => {
                let sent = near.send_descriptors(b"take", &[writer.as_fd()]).await;
                assert_eq!(sent.expect("room"), 4);
                far.receive_descriptors(&mut buf, 1).await
            }
            _ => {
                let near = near
                    .downcast_ref::<SeqpacketLink>()
                    .expect("the other type");
                let far = far.downcast_ref::<SeqpacketLink>().expect("the other type");
                let sent = near.send_descriptors(b"take", &[writer.as_fd()]).await;
                sent.expect("room");
                far.receive_descriptors(&mut buf, 1).await
            }
        };
        let got = got.expect("a connection");
        assert_eq!(
            (&buf[..got.bytes], got.more_were_closed),
            (&b"take"[..], false)
        );
        let [passed] = <[_; 1]>::try_from(got.descriptors).expect("one came");
        let flags = rustix::io::fcntl_getfd(&passed).expect("open");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "{flags:?}");
        drop(writer);
        let mut passed = std::fs::File::from(passed);
        passed.write_all(b"through it").expect("a reader");
        drop(passed);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "through it");
    }
}

#[tokio::test]
async fn descriptors_that_nobody_asked_for_are_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    // Read as bytes, received as messages, or asked for fewer than come: one of two, of three, none.
    let (near, far) = ends(&at(dir.path(), "a")).await;
    let (reader, writer) = pipe();
    let link = near.downcast_ref::<UnixLink>().expect("of this type");
    let sent = link.send_descriptors(b"!", &[writer.as_fd(); 3]).await;
    assert_eq!(sent.expect("room"), 1);
    drop(writer);
    byte_link(far)
        .read_exact(&mut [0; 1])
        .await
        .expect("the byte");
    assert!(is_ended(reader), "read as bytes");

    let (near, mut far) = messages(dir.path()).await;
    let link = near.downcast_ref::<SeqpacketLink>().expect("of this type");
    let (reader, writer) = pipe();
    link.send_descriptors(b"!", &[writer.as_fd(); 3])
        .await
        .expect("room");
    drop(writer);
    assert_eq!(received(&mut far).await.expect("the message"), b"!");
    assert!(is_ended(reader), "received as messages");

    let far = far.downcast_ref::<SeqpacketLink>().expect("of this type");
    for (sent, asked) in [(2, 1), (3, 1), (4, 3), (1, 0), (64, 63)] {
        let (reader, writer) = pipe();
        let all = vec![writer.as_fd(); sent];
        link.send_descriptors(b"!", &all).await.expect("room");
        drop(writer);
        let got = far
            .receive_descriptors(&mut [0; 8], asked)
            .await
            .expect("a message");
        assert_eq!(got.descriptors.len(), asked, "{asked} of {sent}");
        assert!(got.more_were_closed, "{asked} of {sent}");
        drop(got);
        assert!(is_ended(reader), "{asked} of {sent}");
    }
}

#[tokio::test]
async fn too_many_descriptors_are_refused_here_and_closed_from_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let (near, far) = ends(&at(dir.path(), "a")).await;
    let near = near.downcast_ref::<UnixLink>().expect("of this type");
    let far = far.downcast_ref::<UnixLink>().expect("of this type");
    let (reader, writer) = pipe();
    let many: Vec<BorrowedFd<'_>> = vec![writer.as_fd(); MAX_DESCRIPTORS + 1];
    for refused in [
        near.send_descriptors(b"!", &many).await.map(drop),
        near.send_descriptors(b"", &many[..1]).await.map(drop),
        far.receive_descriptors(&mut [0; 1], MAX_DESCRIPTORS + 1)
            .await
            .map(drop),
        far.receive_descriptors(&mut [], 1).await.map(drop),
    ] {
        let kind = refused.expect_err("refused").kind();
        assert_eq!(kind, io::ErrorKind::InvalidInput);
    }
    // As many as the system passes at once, from a peer with other bounds.
    let all = vec![writer.as_fd(); 253];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&all)));
    sendmsg(
        near.as_fd(),
        &[IoSlice::new(b"!")],
        &mut control,
        SendFlags::empty(),
    )
    .expect("room");
    drop((many, all));
    drop(writer);
    let got = far
        .receive_descriptors(&mut [0; 8], MAX_DESCRIPTORS)
        .await
        .expect("a byte");
    assert_eq!(got.descriptors.len(), MAX_DESCRIPTORS);
    assert!(got.more_were_closed);
    drop(got);
    assert!(is_ended(reader));
}

#[tokio::test]
async fn a_name_without_a_file_is_for_this_user_unless_both_say_otherwise() {
    let unix = Unix::new();
    let place = endpoint(&abstract_name("mine"));
    let mut acceptor = unix.listen(&place, None).await.expect("a free name");
    assert!(unix.is_self(&acceptor.contact()));
    let taken = Unix::new().listen(&place, None).await.map(drop);
    let kind = taken.expect_err("in use").kind();
    assert_eq!(kind, io::ErrorKind::AddrInUse);
    for text in ["mine?mode=0660", "mine?mode=9", ""] {
        let refused = unix
            .connect(&endpoint(&format!("unix:@{text}")), None)
            .await;
        let kind = refused.expect_err(text).kind();
        assert_eq!(kind, io::ErrorKind::InvalidInput, "{text}");
    }
    let long = endpoint(&format!("unix:@{}", "x".repeat(108)));
    let error = unix.connect(&long, None).await.expect_err("too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    // A file whose name begins so is written with its directory.
    let file = unix.connect(&endpoint("unix:./@mine"), None).await;
    assert_eq!(
        file.expect_err("no such file").kind(),
        io::ErrorKind::NotFound
    );

    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: nobody else can be tried");
        return;
    }
    let open = endpoint(&format!("{}?mode=0666", abstract_name("open")));
    let mut public = unix.listen(&open, None).await.expect("a free name");
    let names = [place.clone(), open.clone()].map(|place| {
        let name = place.path().and_then(Path::to_str).expect("a name");
        name[1..].to_owned()
    });
    // Another user, in a thread of its own: this thread's user is the process's.
    let other = std::thread::spawn(move || {
        use std::os::linux::net::SocketAddrExt;
        let nobody = rustix::process::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
        names.map(|name| {
            let name = std::os::unix::net::SocketAddr::from_abstract_name(name);
            let name = name.expect("a name");
            std::os::unix::net::UnixStream::connect_addr(&name).expect("a listener")
        })
    });
    let [mut refused, _welcome] = other.join().expect("no panic");
    let near = unix.connect(&place, None).await.expect("this user's");
    let far = accepted(&mut *acceptor).await.expect("this user's alone");
    assert_eq!(refused.read(&mut [0; 1]).expect("closed"), 0);
    assert_eq!(
        near.credentials().map(|c| c.user),
        far.credentials().map(|c| c.user)
    );
    let theirs = accepted(&mut *public).await.expect("anybody's");
    assert_eq!(theirs.credentials().map(|c| c.user), Some(65_534));
}

#[tokio::test]
async fn a_peer_is_believed_what_its_user_could_have_done() {
    // behaviour: EV-12
    let dir = tempfile::tempdir().expect("a directory");
    let unix = Unix::new();
    let mine = unix
        .listen(&at(dir.path(), "mine"), None)
        .await
        .expect("a path");
    std::fs::write(dir.path().join("file"), "").expect("a file");
    for place in ["a", "b?type=seqpacket"] {
        let (_near, mut far) = ends(&at(dir.path(), place)).await;
        for unbelievable in ["file", "nothing"] {
            assert!(!far.named(&at(dir.path(), unbelievable)), "{unbelievable}");
        }
        assert!(!far.named(&endpoint("unix:@somebody")));
        assert!(!unix.same_peer(&mine.contact(), &far));
        assert!(far.named(&mine.contact()));
        assert!(unix.same_peer(&mine.contact(), &far));
        if rustix::process::geteuid().is_root() {
            let foreign = dir.path().join("foreign");
            let _listener = std::os::unix::net::UnixListener::bind(&foreign).expect("a path");
            let nobody = rustix::process::Uid::from_raw(65_534);
            rustix::fs::chown(&foreign, Some(nobody), None).expect("root may");
            assert!(!far.named(&at(dir.path(), "foreign")), "another user's");
            std::fs::remove_file(&foreign).expect("its file");
        }
    }
}
