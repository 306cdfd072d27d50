//! Between two primaries during an upgrade: what comes to the old one's acceptor, or back to it, goes to the new one's.
//!
//! ```text
//!  the old primary                              the new primary
//!  workers ── given back, moved ──▶ Bridge ═══ SEQPACKET ═══▶ Source ──▶ its listener's line ──▶ workers
//!                                     ▲                          ║
//!                                     ╚══════ read back ═════════╝   if the new one dies in its probation
//! ```
//!
//! The packets are those of a connection queue. As with a worker's queue the sender keeps a duplicate of the receiving end: what the
//! other side has not received is nobody's, and can be read back.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::connection_queue::{self, Batch, Connection, MAX_BATCH};

/// The old primary's end.
pub struct Bridge {
    out: OwnedFd,
    /// The receiving end.
    back: OwnedFd,
    waiting: VecDeque<Connection>,
    crossed: u64,
}

impl Bridge {
    /// `back`: a duplicate of the end that the other primary has.
    pub fn new(out: OwnedFd, back: OwnedFd) -> Bridge {
        Bridge { out, back, waiting: VecDeque::new(), crossed: 0 }
    }

    /// How many have gone.
    pub fn crossed(&self) -> u64 {
        self.crossed
    }

    /// How many are still to go.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// These go over it.
    pub fn take(&mut self, connections: impl IntoIterator<Item = Connection>) {
        self.waiting.extend(connections);
    }

    /// Sends what waits, as far as there is room. Returns whether nothing waits any more.
    pub fn flush(&mut self) -> bool {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_BATCH);
            let batch = &self.waiting.make_contiguous()[..count];
            // Whatever it is that fails, there is nothing better to do than to try again: if the other one has died, what waits is read back.
            if connection_queue::send(self.out.as_fd(), batch).is_err() {
                return false;
            }
            self.waiting.drain(..count);
            self.crossed += count as u64;
        }
        true
    }

    /// All that has not been received on the other side, as that has died.
    pub fn read_back(self) -> Vec<Connection> {
        let mut all = Vec::new();
        while let Ok(Batch::Taken { .. }) = connection_queue::receive(self.back.as_fd(), &mut all) {}
        all.extend(self.waiting);
        all
    }
}

/// What [`Source::receive`] found.
pub enum Brought {
    /// Some, or none that fit anywhere.
    Some(Vec<Connection>),
    /// Nothing is there.
    Nothing,
    /// There is no room for more descriptors now, or the kernel refuses for another reason.
    Later,
    /// The other primary has ended.
    End,
}

/// The new primary's end.
pub struct Source {
    fd: OwnedFd,
    /// Which of the other's listeners is which of ours.
    listeners: HashMap<u32, u32>,
}

impl Source {
    /// `listeners`: of each listener its id in the other primary, and ours.
    pub fn new(fd: OwnedFd, listeners: HashMap<u32, u32>) -> Source {
        Source { fd, listeners }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// One packet. What belongs to no listener of ours is closed.
    pub fn receive(&self) -> Brought {
        let mut taken = Vec::new();
        match connection_queue::receive(self.fd.as_fd(), &mut taken) {
            Ok(Batch::Taken { .. }) => {
                let ours = taken.into_iter().filter_map(|connection| {
                    let listener = *self.listeners.get(&connection.listener)?;
                    Some(Connection { listener, ..connection })
                });
                Brought::Some(ours.collect())
            }
            Ok(Batch::Empty) => Brought::Nothing,
            Ok(Batch::Closed) => Brought::End,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Brought::End,
            Ok(Batch::NoRoom) | Err(_) => Brought::Later,
        }
    }
}
