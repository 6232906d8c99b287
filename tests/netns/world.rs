//! The world most tests live in: a client with two networks, and a server that both reach.

use crate::lab::{Host, Lab, Link};
use mancom::{Listener, Manager, McStream};
use std::future::Future;
use std::io::Write;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Where the server listens, over whichever network.
pub(crate) const SERVER: &str = "mc://10.9.0.1:7000";
/// What must happen, but may take its time on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `wlan0` and `wwan0` of the client, each with a default route, lead to the server.
pub(crate) struct World {
    pub(crate) client: Host,
    pub(crate) server: Host,
    pub(crate) wifi: Link,
    pub(crate) cellular: Link,
    pub(crate) facts: Facts,
}

impl World {
    /// `rate` limits each network in each direction; cellular is metered.
    pub(crate) fn new(lab: &Lab, rate: &str) -> Self {
        Self::of(lab, METERED, [rate, rate])
    }

    /// Neither network is metered; wifi and cellular have these rates.
    pub(crate) fn free(lab: &Lab, rates: [&str; 2]) -> Self {
        Self::of(lab, FREE, rates)
    }

    fn of(lab: &Lab, facts: &str, [fast, slow]: [&str; 2]) -> Self {
        let (client, server) = (lab.host("client"), lab.host("server"));
        let wifi = lab.link(
            &client,
            "wlan0",
            "10.1.0.2/24",
            &server,
            "s0",
            "10.1.0.1/24",
        );
        let cellular = lab.link(
            &client,
            "wwan0",
            "10.2.0.2/24",
            &server,
            "s1",
            "10.2.0.1/24",
        );
        wifi.default_route(100);
        cellular.default_route(200);
        wifi.limit(fast);
        cellular.limit(slow);
        server.reachable_at("10.9.0.1/32");
        World {
            client,
            server,
            wifi,
            cellular,
            facts: Facts::new(facts),
        }
    }
}

/// A configuration file that says which veth plays which network.
pub(crate) struct Facts(tempfile::NamedTempFile);

const METERED: &str = "[networks.\"wlan*\"]\nkind = \"wifi\"\n\
                       [networks.\"wwan*\"]\nkind = \"cellular\"\nmetered = true\n";
const FREE: &str = "[networks.\"wlan*\"]\nkind = \"wifi\"\n\
                    [networks.\"wwan*\"]\nkind = \"cellular\"\nmetered = false\n";

impl Facts {
    pub(crate) fn new(text: &str) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Facts(file)
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.0.path().to_owned()
    }
}

/// Listens on a host and, once it does, runs `serve` there with the listener.
pub(crate) fn serve<T, F>(
    host: &Host,
    at: &'static str,
    serve: impl FnOnce(Listener) -> F + Send + 'static,
) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (listening, ready) = mpsc::channel();
    let server = host.spawn_async(move || async move {
        let manager = Manager::builder().build().await.unwrap();
        let listener = manager.listen(at).plaintext().await.unwrap();
        listening.send(()).unwrap();
        let result = serve(listener).await;
        manager.shutdown(PATIENCE).await.unwrap();
        result
    });
    // An error means that the server panicked; joining it tells.
    let _ = ready.recv();
    server
}

/// Sends back what it reads on every stream, for as long as the test lasts.
pub(crate) fn serve_echo(host: &Host, at: &'static str) {
    serve(host, at, |listener| async move {
        while let Ok(stream) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
}

/// Proves a stream by an echo of `bytes`.
pub(crate) async fn echo(mut stream: McStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, bytes);
}
