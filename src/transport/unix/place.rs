//! Where a Unix socket is, of which type, and who may use it.

use super::{Held, SeqpacketLink, UnixLink};
use crate::endpoint::{AttributeError, Attributes, Endpoint};
use crate::socket_file;
use crate::transport::Link;
use crate::transport::error::{advise, explain, fail, misread};
use socket2::{SockAddr, Type};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use tokio::net::UnixStream;

/// The place of an endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    File(&'a Path),
    /// Without the `@` before it.
    Abstract(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn of(endpoint: &'a Endpoint) -> io::Result<Self> {
        let invalid = |text| {
            fail(
                io::ErrorKind::InvalidInput,
                format_args!("{endpoint}: {text}"),
            )
        };
        let path = endpoint
            .path()
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or_else(|| invalid("name a path, as in unix:/run/x.sock"))?;
        let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) else {
            return Ok(Self::File(path));
        };
        if cfg!(not(target_os = "linux")) {
            return Err(invalid(
                "only Linux has sockets without a file; write ./@ for a file",
            ));
        }
        if name.is_empty() {
            return Err(invalid("a name follows the @"));
        }
        Ok(Self::Abstract(name))
    }

    pub(super) fn address(self) -> io::Result<SockAddr> {
        match self {
            Self::File(path) => SockAddr::unix(path),
            Self::Abstract(name) => {
                let bytes = [b"\0", name.as_bytes()].concat();
                SockAddr::unix(OsString::from_vec(bytes))
            }
        }
    }

    /// What it leads to, however it is written.
    pub(super) fn held(self) -> Option<Held> {
        match self {
            Self::File(path) => {
                let file = fs::metadata(path).ok()?;
                Some(Held::File(socket_file::id(&file)))
            }
            Self::Abstract(name) => Some(Held::Abstract(name.into())),
        }
    }

    /// The user whose socket file it is.
    pub(super) fn owner(self) -> Option<u32> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        match self {
            Self::File(path) => {
                let file = fs::metadata(path).ok()?;
                file.file_type().is_socket().then(|| file.uid())
            }
            Self::Abstract(_) => None,
        }
    }

    /// The same place as a process in another directory would write it.
    pub(super) fn contact(self, at: &Endpoint) -> io::Result<Endpoint> {
        let Self::File(path) = self else {
            return Ok(at.clone());
        };
        if path.is_absolute() {
            return Ok(at.clone());
        }
        let refused = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
        let mut all =
            Endpoint::at_path(at.scheme(), &std::path::absolute(path)?).map_err(refused)?;
        for (name, value) in at.attributes() {
            all = all.with_attribute(name, value).map_err(refused)?;
        }
        Ok(all)
    }

    /// Who may be at the other end.
    pub(super) fn access(self, endpoint: &Endpoint) -> io::Result<Access> {
        let mode = mode_of(endpoint.typed()).map_err(misread(endpoint))?;
        match (self, mode) {
            // The file's permissions see to it.
            (Self::File(_), _) | (Self::Abstract(_), 0o666) => Ok(Access::Anybody),
            (Self::Abstract(_), 0o600) => Ok(Access::ThisUser),
            (Self::Abstract(_), _) => Err(fail(
                io::ErrorKind::InvalidInput,
                format_args!(
                    "{endpoint}: a name without a file is for this user alone (mode=0600) or for all (mode=0666)"
                ),
            )),
        }
    }
}

/// Who may be at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Anybody,
    /// Or root.
    ThisUser,
}

impl Access {
    pub(super) fn check(self, stream: &UnixStream) -> io::Result<()> {
        if self == Self::Anybody {
            return Ok(());
        }
        let other = stream.peer_cred()?.uid();
        let own = rustix::process::geteuid().as_raw();
        if other == own || other == 0 {
            return Ok(());
        }
        let text = format_args!("it is user {other}'s; mode=0666 at both ends allows that");
        Err(fail(io::ErrorKind::PermissionDenied, text))
    }
}

/// Bytes or messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Seqpacket,
}

impl Kind {
    pub(super) fn of(attributes: &Attributes) -> Result<Self, AttributeError> {
        let kind = |text: &str| match text {
            "stream" => Some(Self::Stream),
            "seqpacket" => Some(Self::Seqpacket),
            _ => None,
        };
        let kind = attributes.read("type", "stream or seqpacket", kind)?;
        Ok(kind.unwrap_or(Self::Stream))
    }

    pub(super) fn socket_type(self) -> Type {
        match self {
            Self::Stream => Type::STREAM,
            Self::Seqpacket => Type::SEQPACKET,
        }
    }

    pub(super) fn link(
        self,
        stream: UnixStream,
        peer: &Endpoint,
        leads_to: Option<Option<Held>>,
    ) -> Link {
        let leads_to = leads_to.flatten();
        match self {
            Self::Stream => Link::Bytes(Box::new(UnixLink::new(stream, peer.clone(), leads_to))),
            Self::Seqpacket => {
                Link::Datagrams(Box::new(SeqpacketLink::new(stream, peer.clone(), leads_to)))
            }
        }
    }
}

pub(super) fn mode_of(attributes: &Attributes) -> Result<u32, AttributeError> {
    let mode = |text: &str| {
        let mode = u32::from_str_radix(text, 8).ok()?;
        (mode <= 0o777).then_some(mode)
    };
    let mode = attributes.read("mode", "three octal digits, as in mode=0660", mode)?;
    Ok(mode.unwrap_or(0o600))
}

/// Why nobody could be dialled there.
pub(super) fn unreachable(error: io::Error, to: &Endpoint) -> io::Error {
    let wrong_type = rustix::io::Errno::PROTOTYPE.raw_os_error();
    if error.raw_os_error() == Some(wrong_type) {
        let advice = "the socket there is of the other type: say type=stream or type=seqpacket";
        return advise(error, to, advice);
    }
    explain(error, to)
}

/// Why nobody can listen there.
pub(super) fn refused(error: io::Error, at: &Endpoint, path: &Path) -> io::Error {
    let what = format_args!("listening at {at}").to_string();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let advice = format!(
                "{} exists and is in use, or is no socket, and is not stolen: stop its program, or name another path",
                path.display()
            );
            advise(error, what, &advice)
        }
        io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new(".")).display();
            advise(error, what, &format!("make the directory {parent} first"))
        }
        io::ErrorKind::PermissionDenied => {
            let parent = path.parent().unwrap_or(Path::new(".")).display();
            advise(
                error,
                what,
                &format!("this user may not make files in {parent}"),
            )
        }
        io::ErrorKind::InvalidInput => {
            advise(error, what, "a socket's path has about 100 bytes at most")
        }
        _ => explain(error, what),
    }
}
