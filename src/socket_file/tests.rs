use super::*;
use std::sync::Barrier;

type Listening = Result<(UnixListener, SocketFile), Refusal>;

/// As many threads as this ask for the same path at the same moment.
const RIVALS: usize = 8;

fn race(path: &Path) -> Vec<(tokio::runtime::Runtime, Listening)> {
    let start = Barrier::new(RIVALS);
    let rival = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        start.wait();
        let listening = runtime.block_on(listen(path, 0o600, None));
        (runtime, listening)
    };
    std::thread::scope(|scope| {
        let rivals: Vec<_> = (0..RIVALS).map(|_| scope.spawn(rival)).collect();
        let all = rivals.into_iter().map(|rival| rival.join());
        all.map(|listening| listening.expect("no panic")).collect()
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("text"))
        .collect()
}

// behaviour: K10
#[test]
fn of_many_who_find_a_stale_socket_one_has_it_and_its_end_frees_the_path() {
    for round in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a free path"));
        let mut winners = Vec::new();
        for (runtime, listening) in race(&path) {
            match listening {
                Ok(listening) => winners.push((runtime, listening)),
                Err(Refusal::InUse) => {}
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "in round {round}");
        std::os::unix::net::UnixStream::connect(&path).expect("the losers took nothing along");
        drop(winners);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

// behaviour: K10
#[tokio::test]
async fn who_sweeps_out_takes_nothing_from_a_living_listener() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sock");
    let living = listen(&path, 0o600, None).await.expect("a free path");
    let swept = remove_stale(&path, None).await;
    assert!(matches!(swept, Err(Refusal::InUse)), "{swept:?}");
    // Nobody can connect now, but its lock shows that it lives.
    fs::remove_file(&path).expect("its file");
    let second = listen(&path, 0o600, None).await;
    assert!(matches!(second, Err(Refusal::InUse)), "{second:?}");
    drop(living);
    drop(listen(&path, 0o600, None).await.expect("a free path"));
}

#[tokio::test]
async fn a_file_or_link_in_the_place_of_the_lock_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sock");
    let lock = folder.path().join("x.sock.lock");
    fs::write(&lock, "a letter").expect("a file");
    for _ in 0..2 {
        let first = listen(&path, 0o600, None).await.expect("a free path");
        let second = listen(&path, 0o600, None).await;
        assert!(matches!(second, Err(Refusal::InUse)), "{second:?}");
        drop(first);
        assert!(!path.exists());
        fs::symlink_metadata(&lock).expect("it stays");
        if lock.is_symlink() {
            break;
        }
        fs::remove_file(&lock).expect("the letter");
        std::os::unix::fs::symlink(folder.path().join("far"), &lock).expect("a link");
    }
    assert!(!folder.path().join("far").exists(), "no link is followed");
}
