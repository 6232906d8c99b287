//! What is read from files, and what is wrong with them.

use std::fs;
use std::future::IntoFuture;
use std::time::{Duration, Instant};

use mancom::{Identity, TlsError};

use super::{Authority, echoing, key, works};
use crate::raw::{manager, soon};

#[test]
fn a_key_is_read_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let made = Identity::create(&file).unwrap();
    let again = Identity::create(&file).unwrap_err();
    assert!(
        again.to_string().contains("there is a file already"),
        "{again}"
    );
    assert_eq!(
        Identity::from_file(&file).unwrap().public_key(),
        made.public_key()
    );
    let shown = format!("{made:?}");
    assert!(shown.contains(&made.public_key().to_string()), "{shown}");
    let secret = fs::read_to_string(&file).unwrap();
    assert!(!shown.contains(secret.lines().nth(1).unwrap()));
    let absent = Identity::from_file(folder.path().join("absent")).unwrap_err();
    assert!(matches!(absent, TlsError::File { .. }), "{absent}");
    assert!(absent.to_string().contains("absent"), "{absent}");
}

#[test]
fn what_is_no_identity_is_told_why() {
    let authority = Authority::new();
    let pem = authority.pem("a", |_| {});
    let (key, certificate) = pem.split_once("-----BEGIN CERT").unwrap();
    let certificate = format!("-----BEGIN CERT{certificate}");
    let fault = |text: &str| Identity::from_pem(text).unwrap_err().to_string();
    assert!(fault("").contains("no private key in PEM"), "{}", fault(""));
    assert!(fault(&certificate).contains("no private key in PEM"));
    let other = authority.pem("b", |_| {});
    let (other, _) = other.split_once("-----BEGIN CERT").unwrap();
    let mixed = format!("{other}{certificate}");
    assert!(
        fault(&mixed).contains("is for another key"),
        "{}",
        fault(&mixed)
    );
    let cut = &key[..key.len() / 2];
    assert!(
        fault(cut).contains("no private key in PEM"),
        "{}",
        fault(cut)
    );
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(
        fault(garbage).contains("neither Ed25519 nor"),
        "{}",
        fault(garbage)
    );
    for encrypted in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
         -----END RSA PRIVATE KEY-----\n",
    ] {
        for text in [encrypted.to_owned(), format!("{certificate}{encrypted}")] {
            let said = fault(&text);
            assert!(said.contains("the private key is encrypted"), "{said}");
        }
    }
    let long = format!("{key}{}", certificate.repeat(64_000 / 300));
    let said = fault(&long);
    assert!(
        said.contains("a far end takes no more than 30000"),
        "{said}"
    );
    let torn = format!("{key}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(fault(&torn).contains("cannot be read"), "{}", fault(&torn));
}

#[cfg(unix)]
#[test]
fn a_key_and_its_certificates_may_be_two_files() {
    use std::os::unix::fs::PermissionsExt;

    let authority = Authority::new();
    let pem = authority.pem("localhost", |_| {});
    let (key, _) = pem.split_once("-----BEGIN CERT").unwrap();
    let [key_file, chain, empty] =
        ["key.pem", "chain.pem", "empty.pem"].map(|name| authority.folder().join(name));
    fs::write(&key_file, key).unwrap();
    fs::write(&chain, &pem).unwrap();
    fs::write(&empty, "").unwrap();
    let open = Identity::from_files(&key_file, &chain).unwrap_err();
    assert!(matches!(open, TlsError::OthersMayRead { .. }), "{open}");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Identity::from_files(&key_file, &chain).is_ok());
    let none = Identity::from_files(&key_file, &empty).unwrap_err();
    assert!(
        none.to_string().contains("there is no certificate"),
        "{none}"
    );
}

#[tokio::test]
async fn an_authority_s_file_is_read_when_it_is_needed() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let absent = authority.folder().join("absent.pem");
    let connect = manager.connect("mcs://localhost:9").ca(&absent);
    let error = soon(connect.into_future()).await.unwrap_err().to_string();
    assert!(error.contains("absent.pem"), "{error}");
    fs::write(&absent, "nothing in PEM").unwrap();
    let listen = manager.listen("mcs://127.0.0.1:0").identity(&key());
    let error = soon(listen.ca(&absent).into_future()).await.unwrap_err();
    assert!(
        error.to_string().contains("no certificate in PEM"),
        "{error}"
    );
    let listen = manager.listen("mcs://127.0.0.1:0");
    let error = soon(listen.into_future()).await.unwrap_err();
    assert!(error.to_string().contains("give an identity"), "{error}");
}

#[tokio::test]
async fn the_first_key_is_believed_and_no_other_after_it() {
    let manager = manager(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("deep/known");
    let (one, two) = (key(), key());
    let at = echoing(&manager, &one).await;
    for _ in 0..2 {
        let connect = manager.connect(&at).trust_first_use(&known);
        works(&mut soon(connect.into_future()).await.unwrap()).await;
    }
    let place = at.trim_start_matches("mcs://");
    let text = format!("{place} {}\n", one.public_key());
    assert_eq!(fs::read_to_string(&known).unwrap(), text);

    // Another key answers there.
    let text = format!("# mine\n{place} {}", two.public_key());
    fs::write(&known, &text).unwrap();
    let connect = manager.connect(&at).trust_first_use(&known);
    let error = soon(connect.into_future()).await.unwrap_err().to_string();
    for part in [
        &*format!("known:2: {place} was known"),
        &one.public_key().to_string(),
        &two.public_key().to_string(),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(
        fs::read_to_string(&known).unwrap(),
        text,
        "it is left as it is"
    );

    // One more far end is added to what is there.
    let other = echoing(&manager, &two).await;
    let connect = manager.connect(&other).trust_first_use(&known);
    works(&mut soon(connect.into_future()).await.unwrap()).await;
    let other = other.trim_start_matches("mcs://");
    let both = format!("{text}\n{other} {}\n", two.public_key());
    assert_eq!(fs::read_to_string(&known).unwrap(), both);

    fs::write(&known, format!("{place} nonsense\n")).unwrap();
    let connect = manager.connect(&at).trust_first_use(&known);
    let error = soon(connect.into_future()).await.unwrap_err().to_string();
    assert!(
        error.contains("line 1: `nonsense` is no public key"),
        "{error}"
    );
}

#[tokio::test]
async fn those_who_meet_a_far_end_at_the_same_time_believe_the_same_key() {
    let manager = manager(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known");
    let mut all = Vec::new();
    for _ in 0..8 {
        let at = echoing(&manager, &key()).await;
        for _ in 0..4 {
            let connect = manager.connect(&at).trust_first_use(&known);
            all.push(tokio::spawn(connect.into_future()));
        }
    }
    for one in all {
        soon(one).await.unwrap().unwrap();
    }
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 8);
}

// A worker that waits for a lock would never hear of the time.
#[tokio::test]
async fn who_is_met_while_somebody_keeps_the_lock_can_be_given_up() {
    let manager = manager(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known");
    let server = key();
    let at = echoing(&manager, &server).await;
    let lock = fs::File::create(folder.path().join("known.lock")).unwrap();
    lock.lock().unwrap();
    let connect = || manager.connect(&at).trust_first_use(&known);
    let began = Instant::now();
    let late = connect().within(Duration::from_millis(100));
    let error = soon(late.into_future()).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{error}");
    assert!(!known.exists());
    // The next one waits, and has it once it is free.
    let waiting = tokio::spawn(connect().into_future());
    let more = connect().within(Duration::from_millis(100));
    assert!(soon(more.into_future()).await.is_err());
    drop(lock);
    works(&mut soon(waiting).await.unwrap().unwrap()).await;
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_list_of_those_known_stays_as_private_and_where_it_is() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let manager = manager(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let [list, link, deep, victim] =
        ["list", "link", "deep", "victim"].map(|name| folder.path().join(name));
    fs::create_dir(&deep).unwrap();
    // A link to a link, and the last of them to a file that is not there yet.
    symlink("deep/second", &link).unwrap();
    symlink("../list", deep.join("second")).unwrap();
    let meet = async || {
        let at = echoing(&manager, &key()).await;
        let connect = manager.connect(&at).trust_first_use(&link);
        soon(connect.into_future()).await.map(drop)
    };
    let lines = || fs::read_to_string(&list).unwrap().lines().count();
    meet().await.unwrap();
    assert_eq!(lines(), 1);
    for mode in [0o600, 0o640, 0o666] {
        fs::set_permissions(&list, fs::Permissions::from_mode(mode)).unwrap();
        // What is in the way of the new file is not written through.
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, folder.path().join("list.new")).unwrap();
        meet().await.unwrap();
        let now = fs::metadata(&list).unwrap().permissions().mode();
        assert_eq!(now & 0o7777, mode, "{now:o}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }
    assert_eq!(lines(), 4);
    for kept in [&link, &deep.join("second")] {
        assert!(fs::symlink_metadata(kept).unwrap().is_symlink());
    }
    let lock = folder.path().join("list.lock");
    let mode = fs::metadata(&lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    fs::remove_file(&lock).unwrap();
    symlink(&victim, &lock).unwrap();
    let error = meet().await.unwrap_err().to_string();
    assert!(error.contains("list.lock: "), "{error}");
    assert_eq!(lines(), 4);
}
