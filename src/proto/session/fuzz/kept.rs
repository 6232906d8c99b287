//! What a session keeps, against what it says it may.

use crate::proto::session::Session;
use crate::proto::session::messages::MAX_UNSETTLED;

impl Session {
    /// Bytes kept of what came, and the lists that grow with it.
    ///
    /// # Panics
    /// If one is beyond its bound.
    pub(in crate::proto::session) fn check_kept(&self) {
        let streams: usize = (self.streams.values())
            .map(|stream| stream.receive.capacity() + stream.send.rope.len())
            .sum();
        let paths: usize = (self.paths.iter().flatten())
            .map(|path| path.decoder.kept() + path.outbox.control.capacity())
            .sum();
        let kept = streams + paths + self.messages.buffered();
        assert!(kept <= self.config.worst_case_memory(), "{kept} bytes");
        let most = 2 * usize::from(self.max_streams);
        // One that is over does not count; what of those the program took it may let go.
        let counted = self.streams.values().filter(|stream| stream.counted);
        let counted = counted.count();
        assert!(counted <= most, "{counted} streams");
        assert!(self.peer_gaps.len() <= most && self.gone.len() <= most);
        let waiting = self.incoming.len();
        assert!(waiting <= most, "{waiting} streams that nobody took");
        let events = 3 * most + 3 * MAX_UNSETTLED + 128;
        assert!(self.events.len() <= events, "{} events", self.events.len());
    }
}
