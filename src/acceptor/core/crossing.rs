//! An upgrade of the primary: to the other acceptor, and from it.

use std::mem;
use std::os::fd::OwnedFd;
use std::time::Duration;
use std::{collections::HashMap, io};

use crate::sys::poll::Interest;

use super::super::bridge::{Bridge, Brought, Source};
use super::super::times::RETRY_SOON;
use super::{Core, Homeless, OF_BRIDGE};

/// Packets read from the bridge before others have their turn.
const PACKETS: usize = 16;

/// So many connections may wait here for room in workers before no more is read.
const MOST_WAITING: usize = 1024;

impl Core {
    /// Another primary accepts from all our sockets from now on. What is not given to a worker yet, and what comes back, goes over the bridge.
    pub fn hand_over(&mut self, out: OwnedFd, back: OwnedFd) {
        self.bridge = Some(Bridge::new(out, back));
        for listener in self.listeners.values_mut() {
            listener.set_handed_over(true);
        }
        self.settle();
    }

    /// The other primary has died: we accept again, and have what it had not received.
    pub fn hand_back(&mut self) {
        let Some(bridge) = self.bridge.take() else { return };
        for listener in self.listeners.values_mut() {
            listener.set_handed_over(false);
        }
        self.homeless.extend(bridge.read_back().into_iter().map(|connection| Homeless { connection, heir: None }));
        self.settle();
    }

    /// How many have crossed the bridge, and how many are still to. One that is gone and has left something counts as one.
    pub fn crossing(&self) -> (u64, usize) {
        let bridge = self.bridge.as_ref().map_or((0, 0), |bridge| (bridge.crossed(), bridge.waiting()));
        (bridge.0, bridge.1 + self.homeless.len() + self.departed.len())
    }

    /// What comes over a bridge goes to workers of ours. `listeners`: the other primary's ids of its listeners, and ours.
    pub fn add_source(&mut self, fd: OwnedFd, listeners: HashMap<u32, u32>) -> io::Result<()> {
        let source = Source::new(fd, listeners);
        self.poller.add(source.fd(), OF_BRIDGE, Interest::Each)?;
        self.source = Some(source);
        self.settle();
        Ok(())
    }

    /// Sends over the bridge what nobody here is to have. Returns when to try again.
    pub(super) fn cross(&mut self) -> Option<Duration> {
        let bridge = self.bridge.as_mut()?;
        for listener in self.listeners.values_mut().filter(|listener| listener.is_handed_over()) {
            bridge.take(listener.take_parked());
        }
        (!bridge.flush()).then_some(RETRY_SOON)
    }

    /// Reads what comes over the bridge, as far as workers can take it.
    pub(super) fn read_source(&mut self, now: u64) {
        for _ in 0..PACKETS {
            let Some(source) = &self.source else { return };
            let waiting: usize = self.listeners.values().map(super::Listener::waiting).sum();
            if waiting + self.homeless.len() >= MOST_WAITING {
                return self.read_source_later(now);
            }
            match source.receive() {
                Brought::Some(connections) => {
                    self.homeless.extend(connections.into_iter().map(|connection| Homeless { connection, heir: None }));
                }
                Brought::Nothing => return,
                Brought::Later => return self.read_source_later(now),
                Brought::End => {
                    if let Some(source) = mem::take(&mut self.source) {
                        let _ = self.poller.remove(source.fd());
                    }
                    return;
                }
            }
        }
    }

    fn read_source_later(&mut self, now: u64) {
        if let Some(source) = &self.source {
            let _ = self.poller.set_interest(source.fd(), OF_BRIDGE, Interest::None);
            self.source_rests_until = Some(now + RETRY_SOON.as_nanos() as u64);
        }
    }

    /// What had to wait is reported again by the poller. Returns when to try again.
    pub(super) fn read_source_again(&mut self, now: u64) -> Option<u64> {
        let at = self.source_rests_until?;
        if now < at {
            return Some(at);
        }
        self.source_rests_until = None;
        if let Some(source) = &self.source
            && self.poller.set_interest(source.fd(), OF_BRIDGE, Interest::Each).is_err()
        {
            self.source_rests_until = Some(now + RETRY_SOON.as_nanos() as u64);
        }
        self.source_rests_until
    }
}
