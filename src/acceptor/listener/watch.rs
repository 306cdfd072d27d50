//! Whether the acceptor waits for connections at a listener. Nobody else decides.

use std::time::Duration;

use super::Listener;
use crate::acceptor::sockets::Socket;
use crate::acceptor::times::{RETRY, RETRY_SOON};
use crate::acceptor::workers::Workers;

/// While somebody waits for room: how long until we look by ourselves, in case a worker does not tell.
const LOOK: Duration = Duration::from_millis(50);

/// Whether the acceptor waits for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// The poller reports new connections.
    Accepting,
    /// Nobody can take one; the kernel's backlog holds them until somebody can.
    Waiting,
    /// Descriptors have run out, or the kernel refuses for another reason; tried again at this time (ns).
    Paused(u64),
}

impl Listener {
    /// Another primary accepts from its sockets from now on, or does not any more.
    pub fn set_handed_over(&mut self, handed_over: bool) {
        self.handed_over = handed_over;
        self.watch = Watch::Waiting;
    }

    pub fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    pub fn accepts(&self) -> bool {
        self.watch == Watch::Accepting
    }

    /// Descriptors have run out.
    pub fn pause(&mut self, now: u64) {
        self.pause_for(RETRY, now);
    }

    /// The kernel refuses for another reason.
    pub fn pause_shortly(&mut self, now: u64) {
        self.pause_for(RETRY_SOON, now);
    }

    fn pause_for(&mut self, time: Duration, now: u64) {
        self.watch = Watch::Paused(now + time.as_nanos() as u64);
    }

    /// Those who waited have been served, as far as somebody can take them.
    pub fn decide(&mut self, workers: &Workers, now: u64) {
        self.watch = match self.watch {
            Watch::Paused(at) if now < at => return,
            _ if self.may_accept(workers, now) => Watch::Accepting,
            _ => Watch::Waiting,
        };
    }

    /// Something has been sent. Ours of that are closed: there is room again.
    pub fn has_room_again(&mut self) {
        if matches!(self.watch, Watch::Paused(_)) {
            self.watch = Watch::Accepting;
        }
    }

    /// Whether it is about to be closed, but what has come could not all be accepted yet.
    pub fn is_to_drain(&self, now: u64) -> bool {
        let paused = matches!(self.watch, Watch::Paused(at) if now < at);
        self.finished && !self.sockets.is_empty() && !paused
    }

    /// Whether there is nothing to be done for it until something happens.
    pub fn is_settled(&self) -> bool {
        !self.holds_any()
            && (self.handed_over || self.watch == Watch::Accepting || !self.sockets.iter().any(Socket::is_ours))
    }

    /// How long nothing needs to be done for it, unless something happens.
    pub fn patience(&self, now: u64) -> Option<Duration> {
        match self.watch {
            _ if self.members.is_empty() || self.is_settled() => None,
            Watch::Paused(at) => Some(Duration::from_nanos(at.saturating_sub(now).max(1))),
            Watch::Accepting | Watch::Waiting => Some(LOOK),
        }
    }
}
