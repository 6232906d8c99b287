//! The lab: two hosts, two networks between them that can be slowed, lost and silenced, and mancom side by side with its peers.

fn main() {}
