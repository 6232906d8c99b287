//! Unix sockets.

use super::*;

fn at(scheme: &str, dir: &tempfile::TempDir, name: &str) -> String {
    format!("{scheme}:{}", dir.path().join(name).display())
}

// behaviour: K6, LW-14
#[mancom::test(real)]
async fn unix_sockets_carry_sessions_and_plain_streams() {
    let dir = tempfile::tempdir().unwrap();
    for scheme in ["unix", "mc+unix"] {
        let place = at(scheme, &dir, scheme);
        echo(mancom::listen(&place).await.unwrap());
        round_trip(&place).await;
    }
}

// behaviour: LW-15, D9
#[mancom::test(real)]
async fn a_socket_that_cannot_be_is_told_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let place = at("unix", &dir, "missing/x.sock");
    let told = format!("{:?}", Error::from(unheard(&place).await));
    assert!(
        told.contains("make the directory") && told.contains("missing"),
        "{told}"
    );
    assert_eq!(
        io::Error::from(unheard(&place).await).kind(),
        io::ErrorKind::NotFound
    );

    let error = refused(&place).await;
    assert!(error.to_string().contains("No such file"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);

    let long = at("unix", &dir, &"x".repeat(200));
    let start = Instant::now();
    assert_eq!(
        io::Error::from(refused(&long).await).kind(),
        io::ErrorKind::InvalidInput
    );
    assert!(start.elapsed() < Duration::from_millis(300));
}

// behaviour: K10
#[mancom::test(real)]
async fn a_live_listener_is_not_stolen_and_a_dead_ones_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let place = at("mc+unix", &dir, "x.sock");
    let live = mancom::listen(&place).await.unwrap();
    let told = format!("{:?}", Error::from(unheard(&place).await));
    assert!(
        told.contains("in use") && told.contains("not stolen"),
        "{told}"
    );
    echo(live);
    round_trip(&place).await;

    let stale = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let place = at("mc+unix", &dir, "stale.sock");
    echo(mancom::listen(&place).await.unwrap());
    round_trip(&place).await;
}
