//! A listening socket, and who accepts from it.
//!
//! ```text
//!                  lost its worker                       looked at after its patience:
//!   ┌──────────┐ ◀─────────────── ┌────────┐  a connection  ┌─────────┐  still there, and      ┌──────┐
//!   │ Acceptor │                  │ Worker │ ─────────────▶ │ Arrived │ ─────────────────────▶ │ Lent │
//!   └──────────┘ ───────────────▶ └────────┘  has come      └─────────┘  the worker cannot     └──────┘
//!                  given to one     ▲    ▲                       │ gone        it can again       │
//!                                   │    └───────────────────────┘                                │
//!                                   └─────────────────────────────────────────────────────────────┘
//! ```
//!
//! In the states `Acceptor` and `Lent` the acceptor accepts. The others cost it nothing while nothing comes, and a few
//! system calls per [`Worker::patience`] while something does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::descriptors;
use crate::sys::foreign::ListeningFd;
use crate::sys::poll::{self, Interest, Poller};
use crate::sys::socket::{self, Accepted};

use super::worker::Worker;
use super::workers::Workers;

/// Who accepts from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// The acceptor.
    Acceptor,
    /// The worker that has the socket as its own.
    Worker(usize),
    /// The same. A connection had come while the worker was in this turn of its loop; to be looked at then (ns).
    Arrived { worker: usize, turn: u64, look_at: u64 },
    /// The acceptor, for a worker that cannot for now.
    Lent { worker: usize, why: Why },
    /// Nobody can: the socket does not listen any more.
    Nobody,
}

/// Why a worker cannot accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It is stuck in this turn of its loop.
    Stuck(u64),
    /// Its server has as many connections as it may have.
    Full,
    /// It has no descriptors for what might come.
    Paused,
}

/// A listening socket.
pub struct Socket {
    fd: ListeningFd,
    /// Whether other processes have it, which can change whatever belongs to a socket.
    shared: bool,
    keeper: Keeper,
    /// What the poller has been told.
    interest: Interest,
}

impl Socket {
    /// A socket from which the acceptor accepts; `shared`: other processes may have it. The poller must know it, with [`Interest::None`].
    pub fn new(fd: OwnedFd, shared: bool) -> Socket {
        Socket { fd: fd.into(), shared, keeper: Keeper::Acceptor, interest: Interest::None }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next connection.
    pub fn accept(&self) -> Accepted {
        socket::accept(self.fd(), self.shared)
    }

    /// Whether the acceptor accepts from it.
    pub fn is_ours(&self) -> bool {
        matches!(self.keeper, Keeper::Acceptor | Keeper::Lent { .. })
    }

    /// Whether it can be given to a worker.
    pub fn is_free(&self) -> bool {
        self.keeper == Keeper::Acceptor
    }

    /// The worker that has it as its own.
    pub fn owner(&self) -> Option<usize> {
        match self.keeper {
            Keeper::Worker(worker) | Keeper::Arrived { worker, .. } | Keeper::Lent { worker, .. } => Some(worker),
            Keeper::Acceptor | Keeper::Nobody => None,
        }
    }

    /// Gives it to a worker: a duplicate of the descriptor.
    pub fn give(&mut self, worker: usize) -> io::Result<OwnedFd> {
        let copy = descriptors::duplicate(self.fd())?;
        self.keeper = Keeper::Worker(worker);
        self.shared = true;
        Ok(copy)
    }

    /// Whether it does not listen any more.
    pub fn is_useless(&self) -> bool {
        self.keeper == Keeper::Nobody
    }

    /// Its worker has it no longer.
    pub fn release(&mut self) {
        self.keeper = Keeper::Acceptor;
    }

    /// Its owner's server has as many connections as it may have, or has room again.
    pub fn set_full(&mut self, full: bool) {
        match (self.keeper, full) {
            (Keeper::Worker(worker) | Keeper::Arrived { worker, .. }, true) => {
                self.keeper = Keeper::Lent { worker, why: Why::Full };
            }
            (Keeper::Lent { worker, why: Why::Full }, false) => self.keeper = Keeper::Worker(worker),
            _ => {}
        }
    }

    /// It does not listen any more.
    pub fn set_useless(&mut self) {
        self.keeper = Keeper::Nobody;
    }

    /// A connection has come for its owner.
    pub fn arrived(&mut self, owner: &Worker, now: u64) {
        // The poller has told it once.
        self.interest = Interest::None;
        if let Keeper::Worker(worker) = self.keeper {
            self.keeper = Keeper::Arrived { worker, turn: owner.turn(), look_at: now + owner.patience() };
        }
    }

    /// Looks whether its owner accepts. Returns when (ns) it wants to be looked at again.
    pub fn look(&mut self, workers: &mut Workers, now: u64) -> Option<u64> {
        let owner = workers.get_mut(self.owner()?)?;
        let later = now + owner.patience();
        match self.keeper {
            Keeper::Arrived { look_at, .. } if now < look_at => Some(look_at),
            Keeper::Arrived { worker, .. } if !poll::is_readable(self.fd()) => {
                self.keeper = Keeper::Worker(worker);
                None
            }
            Keeper::Arrived { worker, .. } if owner.is_paused() => {
                self.keeper = Keeper::Lent { worker, why: Why::Paused };
                Some(later)
            }
            Keeper::Arrived { worker, turn, .. } if owner.turn() == turn => {
                owner.set_stuck(turn);
                self.keeper = Keeper::Lent { worker, why: Why::Stuck(turn) };
                Some(later)
            }
            Keeper::Arrived { worker, .. } => {
                self.keeper = Keeper::Arrived { worker, turn: owner.turn(), look_at: later };
                Some(later)
            }
            Keeper::Lent { why: Why::Full, .. } => None,
            Keeper::Lent { why: Why::Stuck(turn), .. } if owner.turn() == turn => Some(later),
            Keeper::Lent { why: Why::Paused, .. } if owner.is_paused() => Some(later),
            Keeper::Lent { worker, .. } => {
                self.keeper = Keeper::Worker(worker);
                None
            }
            Keeper::Acceptor | Keeper::Worker(_) | Keeper::Nobody => None,
        }
    }

    /// Tells the poller what is to be reported, if that has changed. `accepting`: whether the acceptor wants connections.
    /// Returns whether it knows.
    pub fn sync(&mut self, poller: &Poller, token: u64, accepting: bool) -> bool {
        let wanted = match self.keeper {
            Keeper::Acceptor | Keeper::Lent { .. } if accepting => Interest::Each,
            Keeper::Worker(_) => Interest::Once,
            _ => Interest::None,
        };
        if wanted != self.interest {
            if poller.set_interest(self.fd(), token, wanted).is_err() {
                return false;
            }
            self.interest = wanted;
        }
        true
    }
}
