//! What happens to a manager when its files change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::Label;
use crate::label::matching::Policy;
use crate::scout::Scout;

/// Longer than anything takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A label that differs with `n`.
fn label(n: u32) -> Label {
    Label::new().bytes(n.into())
}

/// A configuration that calls it `photos`.
fn text(n: u32) -> String {
    format!("[labels.photos]\nlabel = '{}'\n", label(n))
}

/// Puts a file in the place of another at once, as editors and `install` do.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, text).expect("written");
    fs::rename(&fresh, path).expect("renamed");
}

/// Over this file, with no networks.
async fn over(path: &Path) -> Manager {
    let builder = Manager::builder().scout(Scout::fixed([]));
    builder
        .config_file(path)
        .build()
        .await
        .expect("a right file")
}

/// Over layers of which none has to exist.
fn watching(paths: &[PathBuf]) -> Changes {
    Changes::of(paths.iter().map(PathBuf::as_path))
}

/// Waits until the name means this.
async fn means(manager: &Manager, n: u32) {
    until(|| manager.label("photos").ok() == Some(label(n))).await;
}

async fn until(is: impl Fn() -> bool) {
    let late = Instant::now() + LIMIT;
    while !is() {
        assert!(Instant::now() < late, "not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for a change that must come.
async fn told(changes: &mut Changes) {
    let told = tokio::time::timeout(LIMIT, changes.wait());
    told.await.expect("the change is seen");
}

#[tokio::test]
async fn a_file_that_is_written_or_replaced_is_read_again() {
    let folder = folder();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, text(1)).unwrap();
    let manager = over(&path).await;
    means(&manager, 1).await;
    replace(&path, &text(2));
    means(&manager, 2).await;
    fs::write(&path, text(3)).unwrap();
    means(&manager, 3).await;
    fs::remove_file(&path).unwrap();
    until(|| manager.config_error().is_some()).await;
    means(&manager, 3).await;
    fs::write(&path, text(4)).unwrap();
    means(&manager, 4).await;
    assert!(manager.config_error().is_none());
}

// behaviour: MC-08
#[tokio::test]
async fn a_wrong_file_is_told_and_the_old_configuration_stays() {
    let folder = folder();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, text(1)).unwrap();
    let manager = over(&path).await;
    assert!(!manager.reload().unwrap());
    replace(
        &path,
        "[labels.photos]\nlabel = 'any'\n[networks.a]\nkind = 'wfi'\nx = 1",
    );
    let error = manager.reload().unwrap_err();
    assert_eq!(error.faults().len(), 2, "{error}");
    let remembered = manager.config_error().expect("it is remembered");
    assert_eq!(remembered.to_string(), error.to_string());
    assert_eq!(manager.label("photos").unwrap(), label(1));
    replace(&path, &text(2));
    // Who of the two reads it first, this call or the watching task, is open.
    manager.reload().unwrap();
    assert!(manager.config_error().is_none());
    assert_eq!(manager.label("photos").unwrap(), label(2));
}

#[tokio::test]
async fn what_was_given_in_code_has_nothing_to_reload_and_is_not_overruled() {
    let config = Config::parse(&text(1), "mancom.toml").unwrap();
    let builder = Manager::builder().scout(Scout::fixed([])).config(config);
    let manager = builder.build().await.unwrap();
    assert!(!manager.reload().unwrap());
    assert!(manager.0.reload.watching.get().is_none());

    let folder = folder();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, text(1)).unwrap();
    let own = Policy::default();
    let builder = Manager::builder()
        .scout(Scout::fixed([]))
        .policy(own.clone());
    let manager = builder.config_file(&path).build().await.unwrap();
    replace(&path, &(String::from("unknown = 'deny'\n") + &text(2)));
    means(&manager, 2).await;
    assert_eq!(manager.0.registry.policy(), own);
}

#[tokio::test]
async fn policy_and_names_take_effect() {
    let folder = folder();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, text(1)).unwrap();
    let manager = over(&path).await;
    let registry = &manager.0.registry;
    assert_eq!(registry.name(&label(1)).as_deref(), Some("photos"));
    let rule = "unknown = 'deny'\n[[policy]]\nforbid = 'any'\non = 'metered'\n";
    replace(&path, &(rule.to_owned() + &text(2)));
    means(&manager, 2).await;
    until(|| registry.policy().unknown_denied).await;
    assert_eq!(registry.policy().rules[0].line(), 2);
    until(|| registry.name(&label(2)).is_some()).await;
    assert_eq!(registry.name(&label(1)), None);
}

#[tokio::test]
async fn a_file_that_comes_with_its_folders_is_seen() {
    let folder = folder();
    let path = folder.path().join("a/b/mancom.toml");
    let mut changes = watching(std::slice::from_ref(&path));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    told(&mut changes).await;
    fs::write(&path, "").unwrap();
    told(&mut changes).await;
    // The folder's place is taken by another.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::rename(folder.path().join("a/b"), folder.path().join("a/old")).unwrap();
    told(&mut changes).await;
    fs::rename(&other, folder.path().join("a/b")).unwrap();
    told(&mut changes).await;
    fs::write(&path, "").unwrap();
    told(&mut changes).await;
}

#[tokio::test]
async fn a_link_that_is_turned_is_seen_however_deep_it_is() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for (version, n) in [("v1", 1), ("v2", 2), ("v3", 3)] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("mancom.toml"), text(n)).unwrap();
    }
    // As a mounted Kubernetes map is: the file is a link into a folder that is a link.
    symlink("v1", at("data")).unwrap();
    symlink("data/mancom.toml", at("mancom.toml")).unwrap();
    let manager = over(&at("mancom.toml")).await;
    for (version, n) in [("v2", 2), ("v3", 3)] {
        symlink(version, at("fresh")).unwrap();
        fs::rename(at("fresh"), at("data")).unwrap();
        means(&manager, n).await;
    }
    fs::write(at("v3/mancom.toml"), text(4)).unwrap();
    means(&manager, 4).await;
    replace(&at("v3/mancom.toml"), &text(5));
    means(&manager, 5).await;
}

#[tokio::test]
async fn a_file_that_is_never_quiet_is_read_all_the_same() {
    let folder = folder();
    let path = folder.path().join("mancom.toml");
    let mut changes = watching(std::slice::from_ref(&path));
    let writing = async {
        loop {
            fs::write(&path, "x").unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = told(&mut changes) => {}
        () = writing => {}
    }
}

// behaviour: R4
#[tokio::test]
async fn the_watch_ends_with_its_manager() {
    let folder = folder();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, text(1)).unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let manager = over(&path).await;
    let left = Arc::downgrade(&manager.0);
    replace(&path, &text(2));
    means(&manager, 2).await;
    drop(manager);
    until(|| left.strong_count() == 0 && tasks() <= before).await;
    let watches = || {
        let fds = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
        let infos = fds.filter_map(|fd| fs::read_to_string(fd.path()).ok());
        let inode = inode_of(folder.path());
        infos.filter(|info| info.contains(&inode)).count()
    };
    until(|| watches() == 0).await;
}

/// As `fdinfo` names what an inotify socket watches.
fn inode_of(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("ino:{:x} ", fs::metadata(path).expect("it is there").ino())
}

#[tokio::test]
async fn a_changed_limit_keeps_what_was_spent() {
    use crate::network::Network;

    let folder = folder();
    let path = folder.path().join("mancom.toml");
    let limit = |bytes: &str| format!("[[limit]]\nbytes = '{bytes}'\nper = '10000d'\n");
    fs::write(&path, limit("1 MB")).unwrap();
    let scout = Scout::fixed([Network::wifi("wlan0")]);
    let builder = Manager::builder().scout(scout).config_file(&path);
    let manager = builder.build().await.unwrap();
    let network = manager.snapshot().networks()[0].clone();
    let spend = |bytes| {
        let (limits, policy) = (manager.limits(), manager.policy());
        let who = (0, crate::clock::Clock::wall());
        let gates = manager.0.accounts.gates(&limits, &network, &policy, who);
        assert_eq!(gates.len(), 1);
        gates[0].charge(Instant::now(), bytes);
    };
    let admits = || !manager.policy().rules.iter().any(|rule| rule.line() == 1);
    spend(600_000);
    assert!(admits());
    replace(&path, &limit("500 kB"));
    until(|| !admits()).await;
    assert_eq!(manager.spending()[0].used, 600_000);
    replace(&path, &limit("2 MB"));
    until(admits).await;
    assert_eq!(manager.spending()[0].used, 600_000);
    // Twice the same, to be told by their lines: it is spent once.
    replace(&path, &(limit("2 MB") + &limit("3 MB")));
    until(|| manager.limits().len() == 2).await;
    spend(1_500_000);
    assert_eq!(manager.spending()[1].used, 2_100_000);
    until(|| !admits()).await;
    // Without the limit nothing of it is left.
    replace(&path, "");
    until(admits).await;
    assert!(manager.spending().is_empty());
}
