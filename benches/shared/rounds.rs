//! What several benches measure with.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How long some work took, and the processor time of this process meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
}

impl Took {
    pub(crate) fn gbit(&self, bytes: usize) -> f64 {
        bytes as f64 * 8.0 / self.time.as_secs_f64() / 1e9
    }

    /// Processor seconds a gigabyte.
    pub(crate) fn cost(&self, bytes: usize) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / bytes as f64
    }
}

/// Processor time of this process so far; none where the system is not asked for it here.
pub(crate) fn cpu() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Both ends of a plain connection over loopback.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted").0);
    near.set_nodelay(true).expect("nodelay");
    far.set_nodelay(true).expect("nodelay");
    (near, far)
}
