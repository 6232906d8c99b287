//! What quinn says went wrong, in the words and kinds of this library.

use super::fail;
use crate::tls::alerted;
use quinn::{ConnectionError, ReadError, StoppedError, TransportErrorCode, VarInt, WriteError};
use std::fmt::Display;
use std::io;
use std::io::ErrorKind::{
    BrokenPipe, ConnectionRefused, ConnectionReset, InvalidData, NotConnected, Other, TimedOut,
};

/// A link that read to the end. Not 0: with that quinn closes what is merely dropped, read or not.
pub(super) const DONE: VarInt = VarInt::from_u32(3);
/// One whose program panicked or aborted it, or that nobody accepted.
pub(super) const TORN: VarInt = VarInt::from_u32(1);
/// One that was dropped before the end.
pub(super) const GONE: VarInt = VarInt::from_u32(2);

/// So many letters of the far end's own words are told.
const TOLD: usize = 64;

/// The alert of TLS that a code of QUIC stands for (RFC 9001, section 4.8).
fn alert(code: TransportErrorCode) -> Option<u8> {
    let number = u64::from(code).checked_sub(0x100)?;
    u8::try_from(number).ok()
}

/// The far end closed the connection, with words of its own: nobody has proved who it is, so they are cut and
/// nothing in them is for a terminal.
fn reset(code: impl Display, reason: &[u8]) -> io::Error {
    let reason = String::from_utf8_lossy(reason);
    let told: String = reason.chars().take(TOLD).collect();
    let more = if told.len() < reason.len() { "..." } else { "" };
    let colon = if told.is_empty() { "" } else { ": " };
    let told = told.escape_debug();
    let text = format!("QUIC: the far end closed the connection ({code}){colon}{told}{more}");
    fail(ConnectionReset, text)
}

/// Why a handshake failed; `refusal` finds the words where it was refused here.
pub(super) fn of_handshake(
    error: &ConnectionError,
    refusal: impl FnOnce(&str) -> io::Error,
) -> io::Error {
    match error {
        ConnectionError::TransportError(fault) if alert(fault.code).is_some() => {
            refusal(&fault.reason)
        }
        error => of_connection(error),
    }
}

/// Why a connection ended.
pub(super) fn of_connection(error: &ConnectionError) -> io::Error {
    match error {
        ConnectionError::TransportError(fault) => fail(InvalidData, format_args!("QUIC: {fault}")),
        ConnectionError::ConnectionClosed(closed) => match alert(closed.error_code) {
            Some(alert) => alerted(alert),
            None if closed.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                fail(ConnectionRefused, "nobody accepts connections there")
            }
            None => reset(closed.error_code, &closed.reason),
        },
        ConnectionError::ApplicationClosed(closed) if [DONE, GONE].contains(&closed.error_code) => {
            fail(BrokenPipe, "the far end is gone")
        }
        ConnectionError::ApplicationClosed(closed) => {
            reset(format_args!("code {}", closed.error_code), &closed.reason)
        }
        ConnectionError::Reset => fail(ConnectionReset, format_args!("QUIC: {error}")),
        ConnectionError::TimedOut => fail(TimedOut, "nothing is heard of the far end"),
        ConnectionError::LocallyClosed => fail(NotConnected, "this end was closed"),
        ConnectionError::VersionMismatch => fail(
            InvalidData,
            "the far end speaks no version of QUIC known here",
        ),
        ConnectionError::CidsExhausted => fail(Other, format_args!("QUIC: {error}")),
    }
}

/// Why nothing can be read. What was finished at the far end has no such reason.
pub(super) fn of_read(error: &ReadError) -> io::Error {
    match error {
        ReadError::ConnectionLost(error) => match of_connection(error) {
            // It ended before its stream did.
            torn if torn.kind() == BrokenPipe => fail(ConnectionReset, torn),
            other => other,
        },
        ReadError::Reset(_) => fail(ConnectionReset, "the far end gave its stream up"),
        error => fail(NotConnected, format_args!("QUIC: {error}")),
    }
}

/// Why nothing can be written.
pub(super) fn of_write(error: &WriteError) -> io::Error {
    match error {
        WriteError::ConnectionLost(error) => of_connection(error),
        WriteError::Stopped(code) => stopped(*code),
        WriteError::ClosedStream => fail(NotConnected, "this direction was ended"),
        error => fail(NotConnected, format_args!("QUIC: {error}")),
    }
}

fn stopped(code: VarInt) -> io::Error {
    match code {
        GONE => fail(BrokenPipe, "the far end is gone"),
        _ => fail(ConnectionReset, "the far end reads no more"),
    }
}

/// Why nothing goes any more where the far end's program was killed.
pub(super) fn of_nobody() -> io::Error {
    let text = "the far end's system says that nobody listens there any more";
    fail(ConnectionReset, text)
}

/// Whether all of the stream arrived.
pub(super) fn of_end(ended: Result<Option<VarInt>, StoppedError>) -> io::Result<()> {
    match ended {
        Ok(None) => Ok(()),
        Ok(Some(code)) => Err(stopped(code)),
        // It read everything before it went.
        Err(StoppedError::ConnectionLost(ConnectionError::ApplicationClosed(closed)))
            if closed.error_code == DONE =>
        {
            Ok(())
        }
        Err(StoppedError::ConnectionLost(error)) => Err(of_connection(&error)),
        Err(error) => Err(fail(NotConnected, format_args!("QUIC: {error}"))),
    }
}
