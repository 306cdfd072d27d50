//! One worker as the acceptor sees it: its queue, and whether it can take more.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::connection_queue::{self, Batch, Connection, MAX_BATCH};
use crate::sys::descriptors;
use crate::sys::foreign::ForeignFd;

use super::lookout::STUCK_AFTER;

/// The most connections that wait in one worker's queue. With half as many, 64 clients and two workers on a busy machine
/// fill it so often that the rotation becomes uneven; twice as many gain nothing. How long they wait behind a slow one is
/// limited by time.
pub const QUEUE_DEPTH: u64 = 32;

/// How many connections a worker whose descriptors ran out gets one by one.
const SINGLES: u64 = 64;

/// The primary's ends of one worker's resources. In its queue are descriptors of its choice, which are closed with it.
pub struct WorkerEnds {
    /// Sends connections, receives notices.
    pub queue: ForeignFd,
    /// A duplicate of the worker's own end, to take back what it has not taken.
    pub take_back: ForeignFd,
    /// The worker's board.
    pub board: Arc<Board>,
}

/// What [`Worker::look`] found.
pub enum Queue {
    /// Nothing waits in it.
    Empty,
    /// Something waits, as it may.
    Waiting,
    /// Something has waited for too long: the worker has just been found stuck.
    Stuck,
}

/// A worker in the acceptor's books.
pub struct Worker {
    ends: WorkerEnds,
    /// Its name, which no other worker ever has.
    pub number: u32,
    /// Its place among the living, as `sticky` counts them.
    pub seat: u64,
    /// The number of the worker that gets what comes back from this one.
    pub heir: Option<u32>,
    /// Picked for it in this turn, not yet sent.
    batch: Vec<Connection>,
    /// Sent and not taken back. The board says how many of them the worker has taken.
    sent: u64,
    /// Whether it is to be looked at whether it takes what was sent.
    watched: bool,
    /// What the board said when it was last looked at, and when (ns) that had changed last.
    taken_seen: u64,
    progress_at: u64,
    /// How long (ns) it may run or wait before it counts as stuck.
    patience: u64,
    /// The turn of its loop in which it was found stuck.
    stuck_in_turn: Option<u64>,
    /// The kernel would not take more. Until it has taken some.
    refused_at: Option<u64>,
    /// Its descriptors have run out: until it has taken so many, each goes in a packet of its own, for which there may
    /// be room.
    single_until: u64,
    /// It wrote something that makes no sense; it gets nothing any more.
    broken: bool,
}

impl Worker {
    pub fn new(ends: WorkerEnds, number: u32, seat: u64) -> Worker {
        let taken_seen = ends.board.taken();
        Worker {
            ends,
            number,
            seat,
            heir: None,
            batch: Vec::with_capacity(MAX_BATCH),
            sent: 0,
            watched: false,
            taken_seen,
            progress_at: 0,
            patience: STUCK_AFTER.as_nanos() as u64,
            stuck_in_turn: None,
            refused_at: None,
            single_until: 0,
            broken: false,
        }
    }

    pub fn ends(&self) -> &WorkerEnds {
        &self.ends
    }

    /// This one is gone: if it was the heir, its heir is.
    pub fn lost_heir(&mut self, gone: &Worker) {
        if self.heir == Some(gone.number) {
            self.heir = gone.heir;
        }
    }

    /// Connections sent that the worker has not taken. A board that claims more than was sent counts as all taken.
    fn waiting(&self) -> u64 {
        self.sent.saturating_sub(self.ends.board.taken())
    }

    /// Connections that wait for it or are open in it. Whatever its board claims, those that wait are counted.
    pub fn load(&self) -> u64 {
        let board = &self.ends.board;
        let open = self.sent.saturating_add(board.opened()).saturating_sub(board.ended()).max(self.waiting());
        open.saturating_add(self.batch.len() as u64)
    }

    /// Whether it may get connections at all, now or later.
    pub fn is_sound(&self) -> bool {
        !self.broken
    }

    /// Whether the next connection may go to it. Reads memory, makes no system call.
    pub fn can_take(&self, now: u64) -> bool {
        if self.broken || self.ends.board.out_of_descriptors() {
            return false;
        }
        self.has_room() && self.is_moving(now)
    }

    /// Whether it can take a connection now, or can as soon as there is room in its queue.
    pub fn can_soon_take(&self, now: u64) -> bool {
        !self.broken && !self.ends.board.out_of_descriptors() && self.is_moving(now)
    }

    /// Whether all that keeps it from taking a connection is that it is busy: its queue is full, or its loop has not turned
    /// for a while. That passes.
    pub fn is_busy(&self, now: u64) -> bool {
        let takes_none = self.broken || self.ends.board.out_of_descriptors();
        !takes_none && (!self.has_room() || !self.is_moving(now))
    }

    fn has_room(&self) -> bool {
        let taken = self.ends.board.taken();
        self.sent.saturating_sub(taken) + (self.batch.len() as u64) < QUEUE_DEPTH
            && self.refused_at.is_none_or(|at| at != taken)
    }

    fn is_moving(&self, now: u64) -> bool {
        self.stuck_in_turn.is_none_or(|turn| turn != self.ends.board.turns())
            && self.ends.board.running_since().is_none_or(|since| now.saturating_sub(since) < self.patience)
    }

    /// Adds to what is sent at the end of the turn. Returns whether it is the first.
    pub fn enqueue(&mut self, connection: Connection) -> bool {
        self.batch.push(connection);
        self.batch.len() == 1
    }

    /// Something is about to be sent. Returns whether it is to be watched from now on, and was not before.
    pub fn begin_watch(&mut self, now: u64) -> bool {
        if self.waiting() == 0 {
            self.taken_seen = self.ends.board.taken();
            self.progress_at = now;
        }
        !mem::replace(&mut self.watched, true)
    }

    /// Sends what was enqueued and closes our copies. What could not be sent comes back.
    pub fn flush(&mut self) -> Result<(), (io::Error, Vec<Connection>)> {
        while !self.batch.is_empty() {
            let most = if self.ends.board.taken() < self.single_until { 1 } else { MAX_BATCH };
            let count = self.batch.len().min(most);
            if let Err(error) = connection_queue::send(self.ends.queue.as_fd(), &self.batch[..count]) {
                if error.kind() == io::ErrorKind::WouldBlock {
                    self.refused_at = Some(self.ends.board.taken());
                } else if !descriptors::ran_out(&error) {
                    self.broken = true;
                }
                return Err((error, mem::take(&mut self.batch)));
            }
            self.sent += count as u64;
            self.batch.drain(..count);
        }
        self.refused_at = None;
        Ok(())
    }

    /// Makes an idle event loop turn: an empty packet.
    pub fn nudge(&self) {
        // A queue that is full is no sign of idleness.
        let _ = connection_queue::nudge(self.ends.queue.as_fd());
    }

    /// Whether it could take a connection and has none to take.
    pub fn is_idle(&self, now: u64) -> bool {
        self.waiting() == 0 && self.batch.is_empty() && self.can_take(now)
    }

    /// Whether it could take a connection and has none at all; if so, something that stays the same as long as it has nothing
    /// to do.
    pub fn unemployed(&self, now: u64) -> Option<(u64, u64)> {
        (self.load() == 0 && self.can_take(now)).then(|| (self.turn(), self.sent))
    }

    /// How long (ns) it may run or wait before it counts as stuck.
    pub fn patience(&self) -> u64 {
        self.patience
    }

    /// Sets that to [`STUCK_AFTER`] times the [`crowding`].
    pub fn set_crowding(&mut self, crowding: u32) {
        self.patience = (STUCK_AFTER * crowding).as_nanos() as u64;
    }

    /// Looks whether it takes what is queued, as it should within `limit`.
    pub fn look(&mut self, now: u64, limit: Duration) -> Queue {
        let taken = self.ends.board.taken();
        if taken != self.taken_seen {
            self.taken_seen = taken;
            self.progress_at = now;
        }
        self.ends.board.set_queued(self.sent.saturating_sub(taken));
        if self.sent.saturating_sub(taken) == 0 {
            self.watched = false;
            return Queue::Empty;
        }
        if now.saturating_sub(self.progress_at) < limit.as_nanos() as u64 {
            return Queue::Waiting;
        }
        self.stuck_in_turn = Some(self.ends.board.turns());
        self.progress_at = now;
        Queue::Stuck
    }

    /// Whether its descriptors have run out.
    pub fn is_out_of_descriptors(&self) -> bool {
        self.ends.board.out_of_descriptors()
    }

    /// Whether it accepts nothing from sockets of its own.
    pub fn is_paused(&self) -> bool {
        self.ends.board.is_paused()
    }

    /// The turn that its loop is in.
    pub fn turn(&self) -> u64 {
        self.ends.board.turns()
    }

    /// It is stuck in this turn of its loop, and gets nothing until that is over.
    pub fn set_stuck(&mut self, turn: u64) {
        self.stuck_in_turn = Some(turn);
        self.nudge();
    }

    /// Takes back everything that waits in its queue. Returns whether that was possible: with a full descriptor table
    /// the rest stays queued.
    pub fn take_back(&mut self, connections: &mut Vec<Connection>) -> bool {
        connections.append(&mut self.batch);
        if self.is_out_of_descriptors() {
            self.single_until = self.ends.board.taken().saturating_add(SINGLES);
        }
        // Bounded by what the kernel holds.
        let emptied = loop {
            match connection_queue::receive(self.ends.take_back.as_fd(), connections) {
                Ok(Batch::Taken { count, .. }) => self.sent = self.sent.saturating_sub(count as u64),
                Ok(Batch::NoRoom) => break false,
                Ok(Batch::Empty | Batch::Closed) | Err(_) => break true,
            }
        };
        // A worker that was just about to take them finds nothing and sleeps on, in the turn in which it is stuck.
        if self.stuck_in_turn == Some(self.ends.board.turns()) {
            self.nudge();
        }
        emptied
    }

    /// It has written nonsense.
    pub fn set_broken(&mut self) {
        self.broken = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{clock, socket};

    #[test]
    fn a_worker_that_is_found_stuck_is_woken_although_nothing_is_left_for_it() {
        let (primary, worker_end) = socket::packet_pair().unwrap();
        let take_back = descriptors::duplicate(worker_end.as_fd()).unwrap();
        let (_fd, board) = Board::create().unwrap();
        let mut worker = Worker::new(
            WorkerEnds { queue: primary.into(), take_back: take_back.into(), board: Arc::new(board) },
            1,
            0,
        );
        let fd = descriptors::duplicate(worker_end.as_fd()).unwrap();
        let now = clock::monotonic_ns();
        assert!(worker.enqueue(Connection::fresh(fd, 1)));
        assert!(worker.begin_watch(now));
        assert!(worker.flush().is_ok());
        let late = now + STUCK_AFTER.as_nanos() as u64;
        assert!(matches!(worker.look(late, STUCK_AFTER), Queue::Stuck));
        let mut taken_back = Vec::new();
        assert!(worker.take_back(&mut taken_back));
        assert_eq!(taken_back.len(), 1);
        assert!(!worker.can_take(late));
        // It may have been on its way to what was taken back, and sleep: its loop has to turn.
        let found = connection_queue::receive(worker_end.as_fd(), &mut Vec::new()).unwrap();
        assert_eq!(found, Batch::Taken { count: 0, lost: 0 });
    }
}
