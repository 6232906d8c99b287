//! `mancom key`, and `mancom cat` with what it makes.

use crate::process::{Program, until};
use crate::{LIMIT, answer, command};
use std::net::TcpListener;
use std::path::Path;

fn made(file: &Path) -> String {
    let (code, stdout, stderr) = answer(&["key", "new", file.to_str().unwrap()]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    stdout.trim_end().to_owned()
}

#[test]
fn a_key_is_made_once_and_shown_as_often_as_one_likes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/key.pem");
    let key = made(&file);
    assert!(key.starts_with("ed25519:") && key.len() == 51, "{key}");
    let path = file.to_str().unwrap();
    assert_eq!(answer(&["key", "show", path]).1, format!("{key}\n"));
    let (code, stdout, _) = answer(&["--json", "key", "show", path]);
    let object: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 0);
    assert_eq!(object, serde_json::json!({ "file": path, "key": key }));
    let before = std::fs::read(&file).unwrap();
    let (code, stdout, stderr) = answer(&["key", "new", path]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("there is a file already"), "{stderr}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_key_that_cannot_be_made_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("deep/key.pem");
    let (code, stdout, stderr) = answer(&["key", "new", below.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let place = file.join("deep").display().to_string();
    assert!(stderr.contains(&place), "{stderr}");
}

#[test]
fn the_key_of_a_user_is_in_their_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("XDG_CONFIG_HOME", folder.path());
        Program::start(&mut command, Vec::new()).finish(LIMIT)
    };
    let new = run(&["key", "new"]);
    assert_eq!(new.status.code(), Some(0), "{}", new.stderr);
    assert_eq!(run(&["key", "show"]).stdout, new.stdout);
    assert!(folder.path().join("mancom/key.pem").is_file());
}

#[cfg(unix)]
#[test]
fn a_private_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    made(&file);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let path = file.to_str().unwrap();
    for arguments in [
        &["key", "show", path][..],
        &["cat", "mcs://127.0.0.1:9", "--identity", path],
    ] {
        let (code, _, stderr) = answer(arguments);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("others may read"), "{stderr}");
        assert!(
            stderr.contains("mode 640") && stderr.contains("chmod 600"),
            "{stderr}"
        );
    }
}

/// A port that nobody listened at a moment ago.
fn free() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// A listener with these keys' files, and what a connection to it comes to.
fn meet(listen: &[&str], connect: &[&str]) -> (crate::Finished, crate::Finished) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let at = format!("mcs://{address}");
    let listen = [&["cat", "--listen", &at], listen].concat();
    let mut server = Program::start(&mut command(&listen), b"from the listener".to_vec());
    until("the listener", LIMIT, || {
        assert!(server.is_running(), "the listener ended");
        TcpListener::bind(address).is_err()
    });
    let connect = [&["cat", &at], connect].concat();
    let client = Program::start(&mut command(&connect), b"from the dialler".to_vec());
    let client = client.finish(LIMIT);
    if client.status.code() != Some(0) {
        server.signal("TERM");
    }
    (client, server.finish(LIMIT))
}

// behaviour: K7
#[test]
fn cat_meets_whom_it_is_told_to_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let [alice, bob] = ["alice", "bob"].map(|name| (file(name), made(&file(name))));
    let (alice_file, bob_file) = (alice.0.to_str().unwrap(), bob.0.to_str().unwrap());

    let listen = ["--identity", alice_file, "--pin", &bob.1];
    let (client, server) = meet(&listen, &["--identity", bob_file, "--pin", &alice.1]);
    assert_eq!(client.status.code(), Some(0), "{}", client.stderr);
    assert_eq!(server.status.code(), Some(0), "{}", server.stderr);
    assert_eq!(client.stdout, b"from the listener");
    assert_eq!(server.stdout, b"from the dialler");
    assert!(
        client
            .stderr
            .contains(&format!("the other side is {}", alice.1))
    );
    assert!(
        server
            .stderr
            .contains(&format!("the other side is {}", bob.1))
    );

    let (client, _) = meet(&listen, &["--identity", bob_file, "--pin", &bob.1]);
    assert_eq!(client.status.code(), Some(1), "{}", client.stderr);
    let said = format!("shows the key {}, which is none of those pinned", alice.1);
    assert!(client.stderr.contains(&said), "{}", client.stderr);

    let (client, _) = meet(&listen, &["--pin", &alice.1]);
    assert!(
        client.stderr.contains("requires a certificate or key"),
        "{}",
        client.stderr
    );

    let (client, _) = meet(&listen, &["--identity", alice_file, "--pin", &alice.1]);
    assert!(
        client.stderr.contains("does not accept this side's"),
        "{}",
        client.stderr
    );

    let (client, _) = meet(&listen, &[]);
    assert!(
        client.stderr.contains("--pin") && client.stderr.contains("--ca"),
        "{}",
        client.stderr
    );

    let hosts = file("known");
    let first = ["--trust-first-use", hosts.to_str().unwrap()];
    let (client, _) = meet(&["--identity", alice_file], &first);
    assert_eq!(client.status.code(), Some(0), "{}", client.stderr);
    let known = std::fs::read_to_string(&hosts).unwrap();
    assert!(known.ends_with(&format!(" {}\n", alice.1)), "{known}");
}

// behaviour: K7
#[test]
fn who_is_refused_is_told_where_it_listens_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let names = ["alice", "bob", "eve"];
    let [alice, bob, eve] = names.map(|name| (file(name), made(&file(name))));
    let said = file("said");
    let at = format!("mcs://127.0.0.1:{}", free());
    let identity = alice.0.to_str().unwrap();
    let listen = [
        "cat",
        "--listen",
        &at,
        "--identity",
        identity,
        "--pin",
        &bob.1,
    ];
    let mut server = command(&listen);
    server.stdin(std::process::Stdio::null());
    server.stderr(std::fs::File::create(&said).unwrap());
    let mut server = server.spawn().unwrap();
    let told = |what: &str| {
        until(what, LIMIT, || {
            std::fs::read_to_string(&said).unwrap().contains(what)
        });
    };
    told("listening at");
    // Who only looks is not worth a word.
    drop(std::net::TcpStream::connect(at.trim_start_matches("mcs://")).unwrap());
    let eve_file = eve.0.to_str().unwrap();
    let (code, _, stderr) = answer(&["cat", &at, "--pin", &alice.1, "--identity", eve_file]);
    assert_eq!(code, 1, "{stderr}");
    told(&format!(
        "shows the key {}, which is none of those pinned",
        eve.1
    ));
    let (code, _, stderr) = answer(&["cat", &at, "--pin", &alice.1]);
    assert_eq!(code, 1, "{stderr}");
    told("shows neither a certificate nor a key");
    let all = std::fs::read_to_string(&said).unwrap();
    assert_eq!(all.matches(" refused ").count(), 2, "{all}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn keys_that_are_pinned_and_any_that_comes_first_do_not_go_together() {
    let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let pinned = format!("mcs://127.0.0.1:9?pin={key}");
    let plain = "mcs://127.0.0.1:9";
    for more in [
        &[plain, "--pin", key][..],
        &[plain, "--ca", "ca.pem"],
        &[&pinned],
    ] {
        let arguments = [&["cat", "--trust-first-use", "known"], more].concat();
        let (code, _, stderr) = answer(&arguments);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("--trust-first-use"), "{stderr}");
    }
}

#[test]
fn a_listener_in_tls_wants_an_identity_and_a_key_is_a_key() {
    let (code, _, stderr) = answer(&["cat", "--listen", "mcs://127.0.0.1:0"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("--identity") && stderr.contains("mancom key new"),
        "{stderr}"
    );
    let (code, _, stderr) = answer(&["cat", "mcs://127.0.0.1:9", "--pin", "ed25519:abc"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("32 bytes"), "{stderr}");
}

// behaviour: X7
#[test]
fn a_pin_in_a_place_that_is_no_key_is_a_fault_of_who_asks() {
    for scheme in ["mcs", "tls", "quic", "mc+quic"] {
        let at = format!("{scheme}://127.0.0.1:9?pin=ed25519:abc");
        for way in [&["cat", &at][..], &["cat", "--listen", &at]] {
            let (code, _, stderr) = answer(way);
            assert_eq!(code, 2, "{stderr}");
            let said =
                format!("{at}: `pin` has a key that cannot be read: a public key is 32 bytes");
            assert!(stderr.contains(&said), "{stderr}");
        }
    }
}

#[test]
fn the_configuration_may_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let [alice, bob] = ["alice", "bob"].map(|name| (file(name), made(&file(name))));
    let write = |name: &str, own: &Path, key: &str, other: &str| {
        let text = format!("[tls]\nidentity = {own:?}\n{key} = [{other:?}]\n");
        std::fs::write(file(name), text).unwrap();
        file(name).to_str().unwrap().to_owned()
    };
    let far = write("far.toml", &alice.0, "clients", &bob.1);
    let near = write("near.toml", &bob.0, "pins", &alice.1);
    let (client, server) = meet(&["--config", &far], &["--config", &near]);
    assert_eq!(client.status.code(), Some(0), "{}", client.stderr);
    assert_eq!(server.stdout, b"from the dialler", "{}", server.stderr);

    let absent = write("absent.toml", &file("gone"), "pins", &alice.1);
    let (code, _, stderr) = answer(&["cat", "mcs://127.0.0.1:9", "--config", &absent]);
    assert_eq!(code, 1, "{stderr}");
    let place = format!("{absent}:2:1: tls.identity: ");
    assert!(
        stderr.contains(&place) && stderr.contains("gone"),
        "{stderr}"
    );

    let text = "[tls]\npins = ['ed25519:abc']\npin = 1\nclients = []\nca = 'ca.pem'\n";
    std::fs::write(file("wrong.toml"), text).unwrap();
    let wrong = file("wrong.toml");
    let (code, _, stderr) = answer(&["config", "check", wrong.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("wrong.toml:2:9: tls.pins: a public key is 32 bytes"),
        "{stderr}"
    );
    assert!(
        stderr.contains("wrong.toml:3:1: tls.pin: unknown key `pin`"),
        "{stderr}"
    );
    assert!(
        stderr.contains("wrong.toml:4:11: tls.clients: there is no key"),
        "{stderr}"
    );
    assert!(
        stderr.contains("wrong.toml:5:6: tls.ca: an absolute path"),
        "{stderr}"
    );
}
