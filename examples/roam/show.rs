//! Lines with the time since the start.

use std::time::Instant;

pub(crate) const MB: f64 = 1e6;

#[derive(Clone, Copy)]
pub(crate) struct Show(Instant);

impl Show {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn say(self, what: impl AsRef<str>) {
        println!("{:6.2} s  {}", self.0.elapsed().as_secs_f64(), what.as_ref());
    }
}

pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}
