//! What public types are: fit for threads and tasks, and as small as promised.

use mancom::account::{Limit, NetworkTraffic, Period, Spending};
use mancom::deferral::Pending;
use mancom::endpoint::{AttributeError, Attributes};
use mancom::label::matching::{
    Admission, Assumption, Blocked, PathFacts, Policy, Reason, Refusal, Rule, RuleError, Shift,
    Standing, Traffic,
};
use mancom::manager::config::{Config, ConfigError, ConfigFault, Monitor, NamedLabel, Watch};
use mancom::scout::{Estimate, Sample};
use mancom::stream::{ConnectReport, Fate, MessageWriter, Phases, SendMessage, Try, WriteMessage};
use mancom::transport::{
    Characteristics, Credentials, Measured, PullSchedule, PullScheduleError, Registry,
};
use mancom::{
    AcceptError, BuildError, Connect, ConnectError, Endpoint, EndpointError, Error, Label,
    LabelError, Listen, ListenError, Listener, Manager, ManagerBuilder, MatchError, Matching,
    McStream, Message, MessageError, MessageId, Network, NetworkId, NetworkSpec, Op, Operation,
    OperationId, Prop, Scope, Scout, Session, SessionError, ShutdownError, Snapshot, Stop,
};
use static_assertions::{assert_impl_all, const_assert_eq};
use std::error::Error as StdError;
use std::io;

/// Handles, ids and values.
macro_rules! shared {
    ($($type:ty)*) => {$( assert_impl_all!($type: Send, Sync, Unpin); )*};
}
shared! {
    Manager Scout Network NetworkId NetworkSpec Snapshot Endpoint Label Prop Scope Operation
    Listener Session Config NamedLabel Monitor Watch Estimate Sample
    OperationId Pending Stop
    Message MessageId MessageWriter Fate
    Admission Assumption Blocked PathFacts Policy Reason Refusal Rule Shift Standing
    Measured ConnectReport Phases Try
    Attributes Characteristics Credentials PullSchedule Registry
    Limit NetworkTraffic Period Spending Traffic
}

mod datagrams {
    use super::*;
    use mancom::transport::{GroupLink, Multicast, Udp, UdpLink};

    shared! { Multicast Udp GroupLink }
    assert_impl_all!(UdpLink: Send, Unpin);
}

#[cfg(feature = "quic")]
mod quic {
    use super::*;
    use mancom::transport::{Quic, QuicLink};

    shared! { Quic }
    assert_impl_all!(Quic: Clone);
    assert_impl_all!(QuicLink: Send, Unpin);
}

#[cfg(feature = "airhook")]
mod airstream {
    use super::*;
    use mancom::proto::airstream::{Airstream, Fault, Figures, WriteError};
    use mancom::transport::{Airhook, AirhookLink};

    shared! { Airhook AirhookLink Airstream Figures }
    assert_impl_all!(Fault: StdError, Copy, Send, Sync);
    assert_impl_all!(WriteError: StdError, Copy, Send, Sync);
}

#[cfg(feature = "airhook")]
mod airhook {
    use super::*;
    use mancom::proto::airhook::{
        Airhook, BufferTooSmall, Event, MessageId, MessageStatus, ReceiveError, Received,
        SendError, Settings, State, Status,
    };

    shared! { Airhook Event MessageId MessageStatus Received Settings State Status }
    assert_impl_all!(MessageId: Copy, Ord, std::hash::Hash, std::fmt::Display);
    assert_impl_all!(Event: Clone, Eq);
    assert_impl_all!(SendError: StdError, Send, Sync);
    assert_impl_all!(ReceiveError: StdError, Send, Sync);
    assert_impl_all!(BufferTooSmall: StdError, Send, Sync);
}

#[cfg(all(unix, feature = "inspect"))]
mod inspect {
    use super::*;
    use mancom::manager::inspect::{Answered, InspectError, Operations, Process, Status, Waiting};

    shared! { Process Operations Waiting Status }
    assert_impl_all!(Answered<Operations>: Send, Sync);
    assert_impl_all!(Process: Clone);
    assert_impl_all!(InspectError: StdError, Send, Sync);
}

/// Errors, and what they turn into. behaviour: D9
macro_rules! errors {
    ($($type:ty)*) => {$(
        assert_impl_all!($type: StdError, Send, Sync, Unpin);
        assert_impl_all!(Error: From<$type>);
        assert_impl_all!(io::Error: From<$type>);
    )*};
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use mancom::tls::{Changed, Defaults, KeyError};
    use mancom::{Identity, PublicKey, TlsError};

    shared! { Identity PublicKey Defaults }
    errors! { TlsError KeyError }
    assert_impl_all!(Identity: Clone);
    assert_impl_all!(PublicKey: Copy, Ord, std::hash::Hash, std::fmt::Display, std::str::FromStr);
    assert_impl_all!(TlsError: Clone);
    assert_impl_all!(Changed: StdError, Clone, Send, Sync);
}

assert_impl_all!(Manager: Clone);
assert_impl_all!(Session: Clone);
assert_impl_all!(Network: Clone);
assert_impl_all!(Label: Copy);
assert_impl_all!(MessageId: Copy, Ord, std::hash::Hash, std::fmt::Display);
assert_impl_all!(Message: Clone, Eq);
assert_impl_all!(Fate: Copy, Eq);
assert_impl_all!(MessageError: Clone);
assert_impl_all!(MessageWriter: tokio::io::AsyncWrite);
assert_impl_all!(McStream: Send, Unpin);

/// Builders, and the futures they turn into.
macro_rules! builders {
    ($($type:ty)*) => {$( assert_impl_all!($type: Send, IntoFuture); )*};
}
builders! { Connect Listen Matching SendMessage WriteMessage }
assert_impl_all!(ManagerBuilder: Send);
assert_impl_all!(Op<Result<McStream, ConnectError>>: Future, Send, Unpin);
assert_impl_all!(Op<Result<Manager, BuildError>>: Future, Send, Unpin);

errors! {
    MatchError ConnectError ListenError AcceptError SessionError MessageError
    BuildError     ShutdownError LabelError EndpointError ConfigError
    AttributeError PullScheduleError
}
#[cfg(all(unix, feature = "daemon"))]
assert_impl_all!(mancom::scout::daemon::DaemonError: StdError, Send, Sync);
#[cfg(all(unix, feature = "daemon"))]
assert_impl_all!(Error: From<mancom::scout::daemon::DaemonError>);
#[cfg(all(unix, feature = "daemon"))]
shared! { mancom::scout::daemon::Server mancom::scout::daemon::Fallback }
#[cfg(unix)]
shared! { mancom::transport::UnixLink mancom::transport::SeqpacketLink }
#[cfg(target_os = "linux")]
shared! { mancom::transport::Received }
assert_impl_all!(ConfigFault: StdError, Send, Sync, Unpin);
assert_impl_all!(ConfigError: Clone);
assert_impl_all!(RuleError: StdError, Send, Sync, Unpin);
assert_impl_all!(Blocked: StdError);
assert_impl_all!(Error: StdError, Send, Sync, Unpin, From<io::Error>);
assert_impl_all!(io::Error: From<Error>);
const_assert_eq!(size_of::<Error>(), size_of::<usize>());
const_assert_eq!(size_of::<Manager>(), size_of::<usize>());
const_assert_eq!(size_of::<Label>(), 48);

/// What `run` and `main` are given may return any of these. behaviour: D9
#[test]
fn question_marks_convert_both_ways() {
    fn of_mancom() -> Result<(), Error> {
        Err(io::Error::from(io::ErrorKind::NotFound))?
    }
    fn of_io() -> io::Result<()> {
        Ok(of_mancom()?)
    }
    fn of_anything() -> Result<(), Box<dyn StdError + Send + Sync + 'static>> {
        Ok(of_mancom()?)
    }
    assert_eq!(of_io().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(of_anything().unwrap_err().is::<Error>());
}

/// Every builder of a label works in a `const`.
#[test]
fn labels_that_agree_are_made_at_compile_time() {
    const ALL: Label = Label::new()
        .background()
        .bytes(64 << 20)
        .scope(Scope::Internet)
        .require(Prop::Wifi)
        .require(Prop::Ethernet)
        .prefer(Prop::Ipv6)
        .avoid(Prop::Vpn)
        .prohibit(Prop::Metered)
        .interface("wlan0")
        .redundant()
        .ignore_cost()
        .bypass_vpn();
    const TRIED: Result<Label, LabelError> = ALL.try_require(Prop::Metered);
    assert!(TRIED.is_err());
}
