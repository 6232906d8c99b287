//! How often the kernel is asked, and what it is asked to hold.

use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::Gauge;
use crate::endpoint::Endpoint;
use crate::transport::{ByteLink, Measured};

/// A link that says what it is told to say.
#[derive(Default)]
struct Told {
    says: Option<Measured>,
    asked: Mutex<usize>,
    limits: Vec<u32>,
}

impl AsyncRead for Told {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Told {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl ByteLink for Told {
    fn peer(&self) -> Endpoint {
        "tcp://192.0.2.1:1".parse().unwrap()
    }

    fn measure(&self) -> Option<Measured> {
        *self.asked.lock().unwrap() += 1;
        self.says
    }

    fn limit_unsent(&mut self, bytes: u32) {
        self.limits.push(bytes);
    }
}

impl Told {
    /// Bulk at so many bytes a second, so long after its beginning.
    fn bulk(rate: u64, at: Duration) -> Measured {
        Measured {
            rtt: Some(Duration::from_millis(20)),
            least_rtt: Some(Duration::from_millis(20)),
            acknowledged: rate * at.as_micros() as u64 / 1_000_000,
            outstanding: Some(1 << 20),
            unsent: Some(1 << 19),
            ..Measured::default()
        }
    }
}

#[test]
fn the_kernel_is_asked_every_millisecond_or_64_kib() {
    let (mut gauge, began, mut link) = (Gauge::default(), Instant::now(), Told::default());
    link.says = Some(Measured::default());
    for micros in (0..10_000).step_by(100) {
        gauge.measure(began + Duration::from_micros(micros), &mut link);
    }
    assert_eq!(*link.asked.lock().unwrap(), 10);
    for _ in 0..10 {
        gauge.wrote(32 << 10);
        gauge.measure(began + Duration::from_micros(9_900), &mut link);
    }
    assert_eq!(*link.asked.lock().unwrap(), 15, "every second time");
    let mut blind = Told::default();
    let none = Gauge::default().measure(began, &mut blind);
    assert_eq!((none, blind.limits.len()), (None, 0));
}

#[test]
fn a_hundredth_of_a_second_waits_in_the_kernel_and_all_once_nobody_asks() {
    let (mut gauge, began, mut link) = (Gauge::default(), Instant::now(), Told::default());
    let mut run = |link: &mut Told, rate, from: u64| {
        for millis in from..from + 2_000 {
            let at = Duration::from_millis(millis);
            link.says = Some(Told::bulk(rate, at));
            gauge.measure(began + at, link);
        }
        link.limits.last().copied()
    };
    assert_eq!(run(&mut link, 10_000_000, 0), Some(100_000));
    assert_eq!(link.limits[0], 64 << 10, "nothing was known");
    assert!(link.limits.len() < 6, "{:?}", link.limits);
    assert_eq!(run(&mut link, 1_000_000_000, 2_000), Some(1 << 20));
    let mut slow = Told::default();
    let mut gauge = Gauge::default();
    for millis in 0..2_000 {
        let at = Duration::from_millis(millis);
        slow.says = Some(Told::bulk(100_000, at));
        gauge.measure(began + at, &mut slow);
    }
    assert_eq!(slow.limits.last(), Some(&(16 << 10)));
    gauge.rest(&mut slow);
    gauge.rest(&mut slow);
    let lifted = slow.limits.iter().filter(|bytes| **bytes == 0).count();
    assert_eq!((lifted, slow.limits.last()), (1, Some(&0)));
    let before = slow.limits.len();
    gauge.measure(began + Duration::from_secs(9), &mut slow);
    assert_eq!(slow.limits.len(), before + 1, "and short again");
}
