//! Takes netlink or the binding to devices away, as sandboxes and hardened services do.

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
use seccompiler::{SeccompFilter, SeccompRule};
use socket2::{Domain, Socket, Type};

/// From now on `socket(AF_NETLINK, ..)` fails with `errno` for this thread, the threads it starts and
/// the programs it runs.
pub(crate) fn refuse(errno: i32) {
    let family = (0, libc::AF_NETLINK);
    let filter = filter(libc::SYS_socket, &[family], errno);
    seccompiler::apply_filter(&filter).expect("a filter of this thread");
    let netlink = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, None);
    assert_eq!(netlink.unwrap_err().raw_os_error(), Some(errno));
}

/// From now on `setsockopt(SO_BINDTODEVICE)` fails with EPERM, likewise: as before Linux 5.7.
pub(crate) fn refuse_devices() {
    let option = [(1, libc::SOL_SOCKET), (2, libc::SO_BINDTODEVICE)];
    let filter = filter(libc::SYS_setsockopt, &option, libc::EPERM);
    seccompiler::apply_filter(&filter).expect("a filter of this thread");
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    let refused = socket.bind_device(Some(b"lo")).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
}

/// Fails this system call where its arguments, by place, have these values.
fn filter(call: i64, arguments: &[(u8, i32)], errno: i32) -> BpfProgram {
    let equal = |(place, value): &(u8, i32)| {
        let (length, value) = (SeccompCmpArgLen::Dword, *value as u64);
        SeccompCondition::new(*place, length, SeccompCmpOp::Eq, value).unwrap()
    };
    let rule = SeccompRule::new(arguments.iter().map(equal).collect()).unwrap();
    SeccompFilter::new(
        [(call, vec![rule])].into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap()
}
