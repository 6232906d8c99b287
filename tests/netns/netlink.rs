//! Takes netlink away, as sandboxes and hardened services do.

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
use seccompiler::{SeccompFilter, SeccompRule};
use socket2::{Domain, Socket, Type};

/// From now on `socket(AF_NETLINK, ..)` fails with `errno` for this thread, the threads it starts and
/// the programs it runs.
pub(crate) fn refuse(errno: i32) {
    seccompiler::apply_filter(&filter(errno)).expect("a filter of this thread");
    let netlink = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, None);
    assert_eq!(netlink.unwrap_err().raw_os_error(), Some(errno));
}

fn filter(errno: i32) -> BpfProgram {
    let family = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        libc::AF_NETLINK as u64,
    )
    .unwrap();
    let rule = SeccompRule::new(vec![family]).unwrap();
    SeccompFilter::new(
        [(libc::SYS_socket, vec![rule])].into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap()
}
