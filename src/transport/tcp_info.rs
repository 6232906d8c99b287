//! TCP_INFO: what the kernel measured of one connection.
//!
//! nix and libc give the kernel's structure as the headers they were made from have it; nix takes no
//! shorter one, which older kernels give, and libc leaves out the flag of limited rates. So the bytes
//! are read here, at the offsets of Linux's `include/uapi/linux/tcp.h`, as far as the kernel wrote them.
#![allow(unsafe_code)]

use super::Measured;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Up to and with `tcpi_sndbuf_limited` (Linux 4.10); later fields are of no use here.
const SIZE: usize = 192;

const FLAGS: usize = 7;
const RTT: usize = 68;
const RTT_VAR: usize = 72;
const TOTAL_RETRANS: usize = 100;
const BYTES_ACKED: usize = 120;
const NOTSENT_BYTES: usize = 144;
const MIN_RTT: usize = 148;
const DATA_SEGS_OUT: usize = 156;
const DELIVERY_RATE: usize = 160;
const BUSY_TIME: usize = 168;
const RWND_LIMITED: usize = 176;
const SNDBUF_LIMITED: usize = 184;

/// The first bit of a bit field.
const APP_LIMITED: u8 = if cfg!(target_endian = "little") {
    0x01
} else {
    0x80
};

/// What is known of the connection of this socket now. See tcp(7), TCP_INFO.
pub(super) fn measure(socket: &impl AsFd) -> io::Result<Measured> {
    let mut bytes = [0; SIZE];
    let mut length = SIZE as libc::socklen_t;
    // SAFETY: the descriptor is borrowed and thus open; the kernel writes at most `length` bytes to
    // `bytes`, which has as many, and how many it wrote to `length`.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    let written = usize::try_from(length).unwrap_or(0).min(SIZE);
    Ok(parse(&bytes[..written]))
}

fn parse(info: &[u8]) -> Measured {
    let micros = |at| {
        let told = u32_at(info, at).filter(|micros| ![0, u32::MAX].contains(micros));
        told.map(|micros| Duration::from_micros(micros.into()))
    };
    let span = |at| Duration::from_micros(u64_at(info, at).unwrap_or(0));
    Measured {
        rtt: micros(RTT),
        deviation: micros(RTT_VAR),
        least_rtt: micros(MIN_RTT),
        app_limited: info.get(FLAGS).is_none_or(|flags| flags & APP_LIMITED != 0),
        acknowledged: u64_at(info, BYTES_ACKED).unwrap_or(0),
        busy: span(BUSY_TIME),
        held_back: span(RWND_LIMITED).saturating_add(span(SNDBUF_LIMITED)),
        segments: u32_at(info, DATA_SEGS_OUT).unwrap_or(0),
        resent: u32_at(info, TOTAL_RETRANS).unwrap_or(0),
        outstanding: None,
        unsent: u32_at(info, NOTSENT_BYTES).map(u64::from),
        delivery_rate: u64_at(info, DELIVERY_RATE).filter(|rate| *rate > 0),
    }
}

fn u32_at(info: &[u8], at: usize) -> Option<u32> {
    let bytes = info.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn u64_at(info: &[u8], at: usize) -> Option<u64> {
    let bytes = info.get(at..at + 8)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(fields: &[(usize, u32)]) -> Vec<u8> {
        let mut info = vec![0; SIZE];
        for (at, value) in fields {
            info[*at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        info
    }

    fn some() -> Vec<u8> {
        let mut bytes = info(&[
            (RTT, 25_000),
            (RTT_VAR, 1_500),
            (NOTSENT_BYTES, 4_000),
            (TOTAL_RETRANS, 3),
            (MIN_RTT, 20_000),
            (DATA_SEGS_OUT, 900),
        ]);
        let spans = [
            (BUSY_TIME, 800_000),
            (RWND_LIMITED, 50_000),
            (SNDBUF_LIMITED, 7_000),
            (DELIVERY_RATE, 2_500_000),
        ];
        for (at, value) in spans.into_iter().chain([(BYTES_ACKED, 1 << 40)]) {
            bytes[at..at + 8].copy_from_slice(&u64::to_ne_bytes(value));
        }
        bytes
    }

    #[test]
    fn fields_stand_where_the_kernel_writes_them() {
        let mut bytes = some();
        let expected = Measured {
            rtt: Some(Duration::from_millis(25)),
            deviation: Some(Duration::from_micros(1_500)),
            least_rtt: Some(Duration::from_millis(20)),
            app_limited: false,
            acknowledged: 1 << 40,
            busy: Duration::from_millis(800),
            held_back: Duration::from_millis(57),
            segments: 900,
            resent: 3,
            outstanding: None,
            unsent: Some(4_000),
            delivery_rate: Some(2_500_000),
        };
        assert_eq!(parse(&bytes), expected);
        bytes[FLAGS] = APP_LIMITED;
        assert!(parse(&bytes).app_limited);
    }

    #[test]
    fn what_an_older_kernel_does_not_write_is_not_known() {
        let old = parse(&some()[..104]);
        let rtt = Some(Duration::from_millis(25));
        assert_eq!((old.rtt, old.least_rtt, old.resent), (rtt, None, 3));
        assert_eq!((old.busy, old.acknowledged), (Duration::ZERO, 0));
        assert_eq!((old.unsent, old.delivery_rate), (None, None));
        let none = parse(&[]);
        assert_eq!((none.rtt, none.segments, none.app_limited), (None, 0, true));
        // Nothing measured yet.
        assert_eq!(parse(&info(&[(MIN_RTT, u32::MAX)])).least_rtt, None);
    }
}
