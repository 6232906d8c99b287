//! The handshakes that a listener has begun: how many, and of whom.

use std::collections::BTreeMap;
use std::net::IpAddr;
use tokio::task::AbortHandle;

/// Handshakes at a time.
pub(super) const MOST: usize = 1024;

/// The network that a source belongs to, as far as one dialler may have it: a /24, or a /56.
type Prefix = [u8; 8];

fn prefix(ip: IpAddr) -> Prefix {
    let mut prefix = [0; 8];
    match ip.to_canonical() {
        IpAddr::V4(ip) => prefix[..3].copy_from_slice(&ip.octets()[..3]),
        IpAddr::V6(ip) => {
            prefix[..7].copy_from_slice(&ip.octets()[..7]);
            // So that no IPv6 prefix is one of IPv4.
            prefix[7] = 1;
        }
    }
    prefix
}

/// Handshakes by number, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    begun: BTreeMap<u64, (Prefix, AbortHandle)>,
    by_source: BTreeMap<Prefix, usize>,
}

impl Crowd {
    pub(super) fn len(&self) -> usize {
        self.begun.len()
    }

    /// One more; what it is too many for is dropped.
    pub(super) fn enter(&mut self, number: u64, source: IpAddr, task: AbortHandle) {
        if self.begun.len() >= MOST {
            self.drop_one();
        }
        let prefix = prefix(source);
        *self.by_source.entry(prefix).or_default() += 1;
        self.begun.insert(number, (prefix, task));
    }

    pub(super) fn leave(&mut self, number: u64) -> Option<AbortHandle> {
        let (prefix, task) = self.begun.remove(&number)?;
        if let Some(count) = self.by_source.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&prefix);
            }
        }
        Some(task)
    }

    /// The oldest of the source with most.
    fn drop_one(&mut self) {
        let most = self.by_source.iter().max_by_key(|(_, count)| **count);
        let Some(most) = most.map(|(prefix, _)| *prefix) else {
            return;
        };
        let oldest = self.begun.iter().find(|(_, (prefix, _))| *prefix == most);
        if let Some(task) = oldest
            .map(|(number, _)| *number)
            .and_then(|number| self.leave(number))
        {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    // behaviour: K3
    #[tokio::test]
    async fn a_crowd_of_one_source_makes_room_for_another() {
        let mut crowd = Crowd::default();
        let mut tasks = Vec::new();
        let mut enter = |crowd: &mut Crowd, number: u64, last: [u8; 2]| {
            let task = tokio::spawn(std::future::pending::<()>());
            let ip = Ipv4Addr::new(10, 0, last[0], last[1]);
            crowd.enter(number, ip.into(), task.abort_handle());
            tasks.push(task);
        };
        enter(&mut crowd, 0, [1, 1]);
        for number in 1..MOST as u64 {
            enter(&mut crowd, number, [2, number as u8]);
        }
        enter(&mut crowd, MOST as u64, [3, 1]);
        assert_eq!(crowd.len(), MOST);
        assert!(crowd.leave(1).is_none(), "the crowd's oldest went");
        assert!(crowd.leave(0).is_some(), "who was alone stays");
        assert!(crowd.leave(MOST as u64).is_some());
        assert!(tasks.remove(1).await.unwrap_err().is_cancelled());
        for number in 2..MOST as u64 {
            assert!(crowd.leave(number).is_some());
        }
        assert!(crowd.by_source.is_empty() && crowd.len() == 0);
    }
}
