//! Lines with the time since the start.

use std::time::Instant;

#[derive(Clone, Copy)]
pub(crate) struct Show(Instant);

impl Show {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn say(self, what: impl AsRef<str>) {
        let seconds = self.0.elapsed().as_secs_f64();
        println!("{seconds:6.2} s  {}", what.as_ref());
    }
}

/// Millions of bytes.
pub(crate) fn mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
