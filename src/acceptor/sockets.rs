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
//! A socket whose worker is gone is used for nobody else: it may have set whatever can be set, and there is a lot that makes a socket
//! swallow what comes. What has come is accepted, and the socket is shut down, for all who have it, after it has been deaf to newcomers
//! for a moment. That ends handshakes which take longer; so the socket of a worker that has left in good order, as in a reload, is set right and kept for the next. While the
//! process of a worker that has left lives, its socket is lent to the acceptor.
//!
//! In the states `Acceptor` and `Lent` the acceptor accepts, in the latter on a thread of its own ([`Errand`]). The others cost it nothing while nothing comes, and a few
//! system calls per [`Worker::patience`] while something does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::sys::foreign::ListeningFd;
use crate::sys::poll::{self, Interest, Poller};
use crate::sys::socket::{self, Accepted};
use crate::sys::{descriptors, listen};

use super::errand::{End, Errand};
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
    Arrived { place: usize, turn: u64, look_at: u64, progress: Progress },
    /// The acceptor, for a worker that cannot for now.
    Lent { place: usize, why: Why },
    /// Nobody any more, as soon as what has come has been accepted. `gone`: its worker is.
    Leaving { gone: bool },
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
    /// Its loop turns, but it has accepted nothing for a while. It has another chance then (ns).
    Idle(u64),
    /// It is no member any more.
    Left,
}

/// What a worker whose loop turns does about what has come to its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// What had begun in it, and when (ns) that was first seen.
    opened: u64,
    since: u64,
}

impl Progress {
    /// What it is when so many have begun by now.
    fn at(self, opened: u64, now: u64) -> Progress {
        if opened == self.opened { self } else { Progress { opened, since: now } }
    }
}

/// So many times its patience a worker whose loop turns may leave something waiting in its own socket without accepting anything,
/// and so long it is accepted for it then.
const PATIENCES: u64 = if cfg!(test) { 4 } else { 10 };
const IDLE: Duration = Duration::from_secs(2);

/// When what is left could not be accepted or the next socket not be made: how long until the next try.
const RETRY: Duration = Duration::from_millis(20);

/// Connections accepted from a socket that is being closed: more than the backlogs that are common.
pub const MOST_AT_THE_END: usize = 4096;

/// A listening socket.
pub struct Socket {
    /// `None` when it is of no use any more.
    fd: Option<Arc<ListeningFd>>,
    /// Whether other processes have it, which can change whatever belongs to a socket.
    shared: bool,
    /// Whether a worker has or has had it.
    given: bool,
    /// Its last worker has left in good order.
    left_well: bool,
    keeper: Keeper,
    /// What the poller has been told.
    interest: Interest,
    /// Somebody is accepting from it elsewhere.
    errand: Option<Errand>,
    /// Whose it was when that one set out.
    sent_for: Keeper,
    /// When (ns) the next one may set out.
    retry_at: u64,
}

impl Socket {
    /// A socket from which the acceptor accepts; `shared`: other processes may have it. The poller must know it, with [`Interest::None`].
    pub fn new(fd: OwnedFd, shared: bool) -> Socket {
        Socket {
            fd: Some(Arc::new(fd.into())),
            shared,
            given: false,
            left_well: false,
            keeper: Keeper::Acceptor,
            interest: Interest::None,
            errand: None,
            sent_for: Keeper::Acceptor,
            retry_at: 0,
        }
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// The next connection, if no worker has the socket.
    pub fn accept(&self) -> Accepted {
        self.fd().map_or(Accepted::Empty, |fd| socket::accept(fd, self.shared))
    }

    /// Whether a worker has it, or has had it.
    pub fn was_given(&self) -> bool {
        self.given
    }

    /// Whether somebody is accepting from it, or will as soon as possible.
    pub fn is_to_be_seen_to(&self) -> bool {
        self.errand.is_some() || matches!(self.keeper, Keeper::Leaving { .. }) || self.is_over()
    }

    /// Whether it is to be closed.
    pub fn is_over(&self) -> bool {
        self.keeper == Keeper::Nobody && self.fd.is_some()
    }

    /// Whether it is about to be closed for that its worker is gone.
    pub fn is_last(&self) -> bool {
        self.keeper == Keeper::Leaving { gone: true }
    }

    /// Whether what comes to it is served now and later.
    pub fn stays(&self) -> bool {
        self.fd.is_some() && !matches!(self.keeper, Keeper::Leaving { .. } | Keeper::Nobody)
    }

    /// Has so many connections accepted from it elsewhere, unless that is going on.
    pub fn send_errand(&mut self, most: usize, poller: &Arc<Poller>, now: u64) {
        let last = self.is_last();
        if let (Some(fd), None) = (&self.fd, &self.errand)
            && now >= self.retry_at
        {
            self.errand = Errand::begin(fd, most, last, poller, now).ok();
            self.sent_for = self.keeper;
            self.retry_at = if self.errand.is_some() { 0 } else { now + RETRY.as_nanos() as u64 };
        }
    }

    /// Tries again later.
    pub fn wait(&mut self, now: u64) {
        self.retry_at = now + RETRY.as_nanos() as u64;
    }

    /// What has been accepted elsewhere, and whether whoever has the socket has to be given up: it has made us wait.
    pub fn collect(&mut self, now: u64) -> (Vec<OwnedFd>, Option<End>, bool) {
        let Some(errand) = &mut self.errand else { return (Vec::new(), None, false) };
        let (found, end) = errand.collect();
        let Some(end) = end else {
            let late = errand.is_to_be_cut_short(now);
            if let Some(fd) = self.fd().filter(|_| late) {
                socket::shut_down(fd);
            }
            return (found, None, late);
        };
        self.errand = None;
        match end {
            End::Enough | End::Empty if !matches!(self.keeper, Keeper::Leaving { .. }) => {}
            // It did not know that it was the last, and need not have brought all.
            End::Enough | End::Empty if self.sent_for != self.keeper => {}
            End::Enough | End::Empty | End::Dead => self.keeper = Keeper::Nobody,
            End::Later | End::OutOfDescriptors => self.wait(now),
        }
        (found, Some(end), false)
    }

    /// It is of no use any more.
    pub fn close(&mut self, poller: &Poller) {
        self.forget(poller);
        self.keeper = Keeper::Nobody;
        self.fd = None;
    }

    /// Is about to be closed. Whoever is still accepting from it comes to an end.
    pub fn forget(&mut self, poller: &Poller) {
        if let Some(fd) = self.fd() {
            let _ = poller.remove(fd);
            if self.errand.is_some() {
                socket::shut_down(fd);
            }
        }
    }

    /// Whether the acceptor accepts from it.
    pub fn is_ours(&self) -> bool {
        matches!(self.keeper, Keeper::Acceptor | Keeper::Lent { .. })
    }

    /// Whether it can be given to a worker: none has ever had it, or the last has left in good order.
    pub fn is_free(&self) -> bool {
        self.keeper == Keeper::Acceptor && (!self.given || self.left_well)
    }

    /// The worker that has it as its own.
    pub fn owner(&self) -> Option<usize> {
        match self.keeper {
            Keeper::Worker(place) | Keeper::Arrived { place, .. } | Keeper::Lent { place, .. } => Some(place),
            Keeper::Acceptor | Keeper::Leaving { .. } | Keeper::Nobody => None,
        }
    }

    /// Gives it to a worker: a duplicate of the descriptor.
    pub fn give(&mut self, place: usize) -> io::Result<OwnedFd> {
        let copy = descriptors::duplicate(self.fd().ok_or(io::ErrorKind::NotFound)?)?;
        self.keeper = Keeper::Worker(place);
        (self.shared, self.given, self.left_well) = (true, true, false);
        Ok(copy)
    }

    /// Whether it does not listen any more.
    pub fn is_useless(&self) -> bool {
        self.fd.is_none()
    }

    /// Its worker does not use it any more, but has it.
    pub fn release(&mut self) {
        if let Some(place) = self.owner() {
            self.keeper = Keeper::Lent { place, why: Why::Left };
        }
    }

    /// The worker's process is gone. Returns whether it had left in good order before, and the socket can be given to another.
    pub fn inherit(&mut self, backlog: i32) -> bool {
        let left_well = matches!(self.keeper, Keeper::Lent { why: Why::Left, .. }) && self.errand.is_none();
        if left_well && self.fd().is_some_and(|fd| listen::set_right(fd, backlog).is_ok()) {
            (self.keeper, self.left_well) = (Keeper::Acceptor, true);
        }
        self.left_well
    }

    /// Nobody uses it any more. `gone`: because its worker is.
    pub fn leave(&mut self, gone: bool) {
        if self.keeper != Keeper::Nobody {
            self.keeper = Keeper::Leaving { gone };
        }
    }

    /// Its owner's server has as many connections as it may have, or has room again.
    pub fn set_full(&mut self, full: bool) {
        match (self.keeper, full) {
            (Keeper::Worker(place) | Keeper::Arrived { place, .. }, true) => {
                self.keeper = Keeper::Lent { place, why: Why::Full };
            }
            (Keeper::Lent { place, why: Why::Full }, false) => self.keeper = Keeper::Worker(place),
            _ => {}
        }
    }

    /// A connection has come for its owner.
    pub fn arrived(&mut self, owner: &Worker, now: u64) {
        // The poller has told it once; or goes on telling it, if it could not be told before to do otherwise.
        if self.interest == Interest::Once {
            self.interest = Interest::None;
        }
        if let Keeper::Worker(place) = self.keeper {
            let progress = Progress { opened: owner.opened(), since: now };
            self.keeper = Keeper::Arrived { place, turn: owner.turn(), look_at: now + owner.patience(), progress };
        }
    }

    /// Looks whether its owner accepts. Returns when (ns) it wants to be looked at again.
    pub fn look(&mut self, workers: &mut Workers, now: u64) -> Option<u64> {
        let owner = workers.get_mut(self.owner()?)?;
        let later = now + owner.patience();
        match self.keeper {
            Keeper::Arrived { look_at, .. } if now < look_at => Some(look_at),
            Keeper::Arrived { place, .. } if !self.fd().is_some_and(poll::is_readable) => {
                self.keeper = Keeper::Worker(place);
                None
            }
            Keeper::Arrived { place, .. } if owner.is_paused() => {
                self.keeper = Keeper::Lent { place, why: Why::Paused };
                Some(later)
            }
            Keeper::Arrived { place, turn, .. } if owner.turn() == turn => {
                owner.set_stuck(turn, now);
                self.keeper = Keeper::Lent { place, why: Why::Stuck(turn) };
                Some(later)
            }
            Keeper::Arrived { place, progress, .. } => {
                let progress = progress.at(owner.opened(), now);
                let idle = now.saturating_sub(progress.since) >= PATIENCES * owner.patience();
                self.keeper = if idle {
                    Keeper::Lent { place, why: Why::Idle(now + IDLE.as_nanos() as u64) }
                } else {
                    Keeper::Arrived { place, turn: owner.turn(), look_at: later, progress }
                };
                Some(later)
            }
            Keeper::Lent { why: Why::Full | Why::Left, .. } => None,
            Keeper::Lent { why: Why::Stuck(turn), .. } if owner.turn() == turn => Some(later),
            Keeper::Lent { why: Why::Paused, .. } if owner.is_paused() => Some(later),
            Keeper::Lent { why: Why::Idle(until), .. } if now < until => Some(until),
            Keeper::Lent { place, .. } => {
                self.keeper = Keeper::Worker(place);
                None
            }
            Keeper::Acceptor | Keeper::Worker(_) | Keeper::Leaving { .. } | Keeper::Nobody => None,
        }
    }

    /// Until when (ns) nobody accepts from it, as that has failed.
    pub fn rests_until(&self, now: u64) -> Option<u64> {
        (self.fd.is_some() && self.is_ours() && now < self.retry_at).then_some(self.retry_at)
    }

    /// Tells the poller what is to be reported, if that has changed. `accepting`: whether the acceptor wants connections.
    /// Returns whether it knows.
    pub fn sync(&mut self, poller: &Poller, token: u64, accepting: bool, now: u64) -> bool {
        let wanted = match self.keeper {
            // Reported all the time, until whoever is on the way has been there, or may set out again.
            _ if self.errand.is_some() || self.rests_until(now).is_some() => Interest::None,
            Keeper::Acceptor | Keeper::Lent { .. } if accepting => Interest::Each,
            Keeper::Worker(_) => Interest::Once,
            _ => Interest::None,
        };
        if let Some(fd) = self.fd().filter(|_| wanted != self.interest) {
            if poller.set_interest(fd, token, wanted).is_err() {
                return false;
            }
            self.interest = wanted;
        }
        true
    }
}
