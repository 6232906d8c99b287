use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn at(dir: &Path, name: &str) -> Endpoint {
    endpoint(&format!("unix:{}", dir.join(name).display()))
}

#[tokio::test]
async fn unix_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let subject = Subject {
        dialler: Arc::new(Unix::new()),
        listener: Arc::new(Unix::new()),
        here: at(dir.path(), "here"),
        there: at(dir.path(), "there"),
        nobody: at(dir.path(), "nobody"),
        knows_dialler: false,
        unnamed: None,
    };
    conformance::all(&subject).await;
    let left = std::fs::read_dir(dir.path())
        .expect("the directory")
        .count();
    assert_eq!(left, 0, "no socket file stays");
}

#[tokio::test]
async fn a_contact_is_dialled_from_any_directory() {
    // behaviour: EV-13
    let name = format!("target-{}.sock", std::process::id());
    let unix = Unix::new();
    let at = endpoint(&format!("unix:{name}?mode=0600"));
    let acceptor = unix.listen(&at, None).await.expect("a free path");
    let contact = acceptor.contact();
    assert!(contact.path().expect("a path").is_absolute(), "{contact}");
    assert_eq!(contact.attribute("mode"), Some("0600"));
    assert!(unix.is_self(&contact) && unix.is_self(&at));
    unix.connect(&contact, None).await.expect("a connection");
}

#[tokio::test]
async fn a_path_in_use_is_not_stolen() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, second) = (Unix::new(), Unix::new());
    let place = at(dir.path(), "x.sock");
    let mut acceptor = first.listen(&place, None).await.expect("a free path");
    let error = second
        .listen(&place, None)
        .await
        .map(drop)
        .expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let path = dir.path().join("x.sock");
    assert!(
        error.to_string().contains(&*path.to_string_lossy()),
        "{error}"
    );
    // The attempt was seen as a connection that ended; the next one is whole.
    drop(accepted(&mut *acceptor).await.expect("the attempt"));
    let _near = second
        .connect(&place, None)
        .await
        .expect("it still listens");
    accepted(&mut *acceptor).await.expect("a link");
}

#[tokio::test(start_paused = true)]
async fn a_file_left_behind_is_replaced_and_any_other_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let stale = dir.path().join("x.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("a free path"));
    assert!(stale.exists());
    let unix = Unix::new();
    let acceptor = unix
        .listen(&at(dir.path(), "x.sock"), None)
        .await
        .expect("replaced");
    drop(acceptor);
    assert!(!stale.exists());
    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "mine").expect("a file");
    let error = unix
        .listen(&at(dir.path(), "notes.txt"), None)
        .await
        .map(drop);
    assert_eq!(
        error.expect_err("no socket").kind(),
        io::ErrorKind::AddrInUse
    );
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "mine");
}

#[tokio::test]
async fn an_acceptor_leaves_a_file_that_took_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.sock");
    let unix = Unix::new();
    let acceptor = unix
        .listen(&at(dir.path(), "x.sock"), None)
        .await
        .expect("a free path");
    std::fs::remove_file(&path).expect("its file");
    std::fs::write(&path, "another's").expect("a file");
    assert!(
        !unix.is_self(&acceptor.contact()),
        "the path leads elsewhere now"
    );
    drop(acceptor);
    assert!(path.exists());
}

#[tokio::test]
async fn only_this_user_may_connect_unless_told_otherwise() {
    let dir = tempfile::tempdir().expect("a directory");
    let unix = Unix::new();
    for (text, mode) in [("a", 0o600), ("b?mode=0660", 0o660), ("c?mode=777", 0o777)] {
        let place = at(dir.path(), text);
        let _acceptor = unix.listen(&place, None).await.expect("a free path");
        let found = std::fs::metadata(place.path().expect("a path")).expect("its file");
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{text}");
    }
    for text in ["d?mode=0999", "d?mode=07777", "d?mode="] {
        let error = unix.listen(&at(dir.path(), text), None).await.map(drop);
        assert_eq!(
            error.expect_err("no mode").kind(),
            io::ErrorKind::InvalidInput,
            "{text}"
        );
    }
    assert!(!dir.path().join("d").exists());
}

#[tokio::test]
async fn a_missing_directory_or_a_path_too_long_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let unix = Unix::new();
    let error = unix
        .listen(&at(dir.path(), "no/x.sock"), None)
        .await
        .map(drop);
    let error = error.expect_err("no directory");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("make the directory"), "{error}");
    let long = at(dir.path(), &"x".repeat(120));
    let error = unix
        .listen(&long, None)
        .await
        .map(drop)
        .expect_err("too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let error = unix.connect(&long, None).await.expect_err("too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for_five_seconds() {
    // behaviour: EV-18
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.sock");
    let socket =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(&socket2::SockAddr::unix(&path).expect("an address"))
        .expect("a free path");
    socket.listen(0).expect("listening");
    let unix = Unix::new();
    let place = at(dir.path(), "x.sock");
    let _first = unix.connect(&place, None).await.expect("room for one");
    let began = Instant::now();
    let error = unix.connect(&place, None).await.expect_err("no room");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= Duration::from_secs(5));
    assert!(error.to_string().contains("queue"), "{error}");
}

#[tokio::test]
async fn credentials_and_links_in_the_path_are_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let unix = Unix::new();
    assert!(unix.characteristics().peer_credentials);
    let mut acceptor = unix
        .listen(&at(dir.path(), "x.sock"), None)
        .await
        .expect("a path");
    std::os::unix::fs::symlink(dir.path().join("x.sock"), dir.path().join("link")).expect("a link");
    let other = at(dir.path(), "link");
    assert!(unix.is_self(&other));
    let near = unix.connect(&other, None).await.expect("a connection");
    assert!(unix.same_peer(&acceptor.contact(), &near));
    let far = accepted(&mut *acceptor).await.expect("a link");
    let far = far.downcast_ref::<UnixLink>().expect("of this transport");
    let cred = far.peer_cred().expect("credentials");
    assert_eq!(cred.pid().map(i32::cast_unsigned), Some(std::process::id()));
}
