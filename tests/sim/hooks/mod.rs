//! Plain servers: what a hook is asked and told, and what becomes of the stream.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mancom::hooks::{Carried, Connection, Hook, Resume};
use mancom::stream::PathEvent;
use mancom::testing::Networks;
use mancom::{Label, Manager, Network, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::line::{Exchange, accept, world};

mod answers;
mod ends;
mod labels;
mod setups;
mod told;

const LONG: Duration = Duration::from_secs(3600);
const SERVER: &str = "line://server";

/// What a hook does in `setup`.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answer(Resume),
    ReplayAcknowledged,
    Hang,
    Fail,
    Panic,
}

#[derive(Debug, Default)]
struct Seen {
    teardowns: Mutex<Vec<Carried>>,
    setups: Mutex<Vec<(Instant, Carried)>>,
    running: AtomicUsize,
    most: AtomicUsize,
    gone: AtomicUsize,
    does: Mutex<Option<Does>>,
}

impl Seen {
    fn doing(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new(Some(does)),
            ..Self::default()
        })
    }

    fn now_do(&self, does: Does) {
        *self.does.lock().unwrap() = Some(does);
    }

    fn teardowns(&self) -> Vec<Carried> {
        self.teardowns.lock().unwrap().clone()
    }

    fn setups(&self) -> usize {
        self.setups.lock().unwrap().len()
    }
}

/// Says HELLO on each new connection, and tells the test what it was told.
struct Greeter(Arc<Seen>);

impl Drop for Greeter {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, Ordering::SeqCst);
    }
}

struct Running<'a>(&'a Seen);

impl<'a> Running<'a> {
    fn enter(seen: &'a Seen) -> Self {
        let now = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(now, Ordering::SeqCst);
        Self(seen)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hook for Greeter {
    async fn teardown(&mut self, carried: Carried) {
        let _running = Running::enter(&self.0);
        self.0.teardowns.lock().unwrap().push(carried);
        tokio::task::yield_now().await;
    }

    async fn setup(&mut self, fresh: &mut dyn Connection, carried: Carried) -> io::Result<Resume> {
        let _running = Running::enter(&self.0);
        self.0
            .setups
            .lock()
            .unwrap()
            .push((Instant::now(), carried));
        let does = self
            .0
            .does
            .lock()
            .unwrap()
            .expect("the test said what to do");
        fresh.write_all(b"HELLO").await?;
        match does {
            Does::Answer(resume) => Ok(resume),
            Does::ReplayAcknowledged => Ok(Resume::ReplayFrom(carried.acknowledged.unwrap_or(0))),
            Does::Hang => std::future::pending().await,
            Does::Fail => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "wrong password",
            )),
            Does::Panic => panic!("no such user"),
        }
    }
}

async fn read(stream: &mut mancom::McStream, n: usize) -> String {
    let mut bytes = vec![0; n];
    timeout(LONG, stream.read_exact(&mut bytes))
        .await
        .expect("in time")
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Takes a network down, and lets everybody see it.
async fn cut(networks: &Networks, name: &str) {
    networks.down(name);
    sleep(Duration::from_millis(1)).await;
}

/// The mancom error inside an `io::Error` of a stream.
fn session_error(error: io::Error) -> String {
    mancom::Error::from(error).to_string()
}
