//! One worker as the acceptor sees it: its queue, and whether it can take more.

mod condition;

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::connection_queue::{self, Batch, Connection, MAX_BATCH};
use crate::sys::foreign::ForeignFd;
use crate::sys::{clock, descriptors};

use self::condition::Condition;
pub use self::condition::Queue;
use super::account::Account;
use super::times::STUCK_AFTER;

/// The most connections that wait in one worker's queue. With half as many, 64 clients and two workers on a busy machine
/// fill it so often that the rotation becomes uneven; twice as many gain nothing. How long they wait behind a slow one is
/// limited by time.
pub const QUEUE_DEPTH: u64 = if cfg!(feature = "fuzzing") { 8 } else { 32 };

/// How long a queue that was full counts as full though nothing was taken from it.
const REFUSED: u64 = 50_000_000;

/// So many failures in a row are the last, and so long (ns) after the first it is tried again, then after twice as long.
const MOST_FAILURES: u32 = 8;
const FIRST_PAUSE: u64 = 2_000_000;

/// Refusals of the kernel in a row.
#[derive(Default)]
struct Failures {
    times: u32,
    /// When (ns) it is tried again.
    until: u64,
}

impl Failures {
    /// One more. Returns until when to wait, or nothing when they are too many.
    fn again(&mut self, now: u64) -> Option<u64> {
        self.until = now + (FIRST_PAUSE << self.times.min(MOST_FAILURES));
        self.times += 1;
        (self.times < MOST_FAILURES).then_some(self.until)
    }
}

/// How often it is tried at once to receive what waits for it.
const TRIES: u32 = 3;

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

/// That the kernel would not take more.
struct Refused {
    /// What had been taken by then.
    taken: u64,
    /// When (ns) it is tried again in any case.
    until: u64,
}

/// Why not all could be sent.
pub enum Unsent {
    /// Its queue is full.
    Full,
    /// Descriptors have run out.
    OutOfDescriptors,
    /// Another reason, which may pass.
    Failed,
    /// The same, once too often.
    FailedForGood,
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
    /// Whether its loop turns and takes what waits.
    condition: Condition,
    /// The kernel would not take more. Until it has taken some, or for a while: what fills the queue need not be connections.
    refused: Option<Refused>,
    /// Its descriptors have run out: until it has taken so many, each goes in a packet of its own, for which there may
    /// be room.
    single_until: u64,
    /// How the kernel refuses to send to it, and to receive from it.
    sending: Failures,
    receiving: Failures,
    /// It gets nothing any more, and is not listened to.
    given_up: bool,
    has_shut_queue: bool,
    /// Listeners of which it is or was a member.
    served: Vec<u32>,
    /// Those where it has, or had, a listening socket of its own, so that connections came to it of which nobody knows.
    owned: Vec<u32>,
    /// What it has said and given back.
    pub account: Account,
    /// So much of what it has given back waits that it is not listened to.
    pub holds_too_many: bool,
    /// Whether it has been asked to tell when a turn is over, and has not told yet.
    asked: bool,
}

impl Worker {
    pub fn new(ends: WorkerEnds, number: u32, seat: u64) -> Worker {
        let condition = Condition::new(&ends.board);
        Worker {
            ends,
            number,
            seat,
            heir: None,
            batch: Vec::with_capacity(MAX_BATCH),
            sent: 0,
            condition,
            refused: None,
            single_until: 0,
            sending: Failures::default(),
            receiving: Failures::default(),
            given_up: false,
            has_shut_queue: false,
            served: Vec::new(),
            owned: Vec::new(),
            account: Account::new(clock::monotonic_ns()),
            holds_too_many: false,
            asked: false,
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

    /// Connections that wait for it or are open in it. Whatever its board claims, those that wait are counted; and if it claims that
    /// more are over than it can have had, none are.
    pub fn load(&self) -> u64 {
        let board = &self.ends.board;
        // In this order: what is over has been taken before.
        let ended = board.ended();
        let opened = board.opened();
        let had = board.taken().min(self.sent).saturating_add(opened);
        let open = if ended > had { self.sent } else { self.sent.saturating_add(opened).saturating_sub(ended) };
        let open = open.max(self.waiting());
        open.saturating_add(self.batch.len() as u64)
    }

    /// Whether it may get connections at all, now or later.
    pub fn is_sound(&self) -> bool {
        !self.given_up
    }

    /// Receiving from it has failed. Returns until when (ns) to wait, or nothing when it has failed too often.
    pub fn receiving_failed(&mut self, now: u64) -> Option<u64> {
        self.receiving.again(now)
    }

    /// Receiving from it has succeeded.
    pub fn received(&mut self) {
        self.receiving = Failures::default();
    }

    /// It gets nothing any more. Returns whether it might have, before.
    pub fn give_up(&mut self) -> bool {
        !mem::replace(&mut self.given_up, true)
    }

    /// Whether it is to be left alone, now or for ever.
    fn is_off(&self, now: u64) -> bool {
        self.given_up || now < self.sending.until
    }

    /// Whether the next connection may go to it. Reads memory, makes no system call.
    pub fn can_take(&self, now: u64) -> bool {
        if self.is_off(now) || self.ends.board.out_of_descriptors() {
            return false;
        }
        self.has_room(now) && self.condition.is_moving(&self.ends.board, now)
    }

    /// Whether a connection may wait for it: it can take it now, or as soon as there is room in its queue. `served`: another one
    /// has served the connection before.
    pub fn can_soon_take(&self, served: bool, now: u64) -> bool {
        self.is_sound()
            && !self.ends.board.out_of_descriptors()
            && (self.condition.is_moving(&self.ends.board, now)
                || served && !self.condition.has_stopped(&self.ends.board, now))
    }

    /// Whether all that keeps it from taking a connection is that it is busy: its queue is full, or its loop has not turned
    /// for a while. That passes.
    pub fn is_busy(&self, now: u64) -> bool {
        let takes_none = !self.is_sound() || self.ends.board.out_of_descriptors();
        !takes_none && (self.is_off(now) || !self.has_room(now) || !self.condition.is_moving(&self.ends.board, now))
    }

    fn has_room(&self, now: u64) -> bool {
        let taken = self.ends.board.taken();
        self.sent.saturating_sub(taken) + (self.batch.len() as u64) < QUEUE_DEPTH
            && self.refused.as_ref().is_none_or(|refused| refused.taken != taken || now >= refused.until)
    }

    /// Adds to what is sent at the end of the turn. Returns whether it is the first.
    pub fn enqueue(&mut self, connection: Connection) -> bool {
        self.batch.push(connection);
        self.batch.len() == 1
    }

    /// Something is about to be sent. Returns whether it is to be watched from now on, and was not before.
    pub fn begin_watch(&mut self, now: u64) -> bool {
        let waiting = self.waiting();
        self.condition.begin_watch(&self.ends.board, waiting, now)
    }

    /// Sends what was enqueued and closes our copies. What could not be sent comes back.
    pub fn flush(&mut self, now: u64) -> Result<(), (Unsent, Vec<Connection>)> {
        while !self.batch.is_empty() {
            let most = if self.ends.board.taken() < self.single_until { 1 } else { MAX_BATCH };
            let count = self.batch.len().min(most);
            if let Err(error) = connection_queue::send(self.ends.queue.as_fd(), &self.batch[..count]) {
                let why = if error.kind() == io::ErrorKind::WouldBlock {
                    self.refused = Some(Refused { taken: self.ends.board.taken(), until: now + REFUSED });
                    Unsent::Full
                } else if descriptors::ran_out(&error) {
                    Unsent::OutOfDescriptors
                } else {
                    self.sending.again(now).map_or(Unsent::FailedForGood, |_| Unsent::Failed)
                };
                return Err((why, mem::take(&mut self.batch)));
            }
            self.sent += count as u64;
            self.batch.drain(..count);
        }
        self.refused = None;
        self.sending = Failures::default();
        Ok(())
    }

    /// Asks it to tell when a turn of its loop is over.
    pub fn ask_to_be_told(&mut self) {
        self.asked = true;
        self.ends.board.ask_to_be_told();
    }

    /// It has told that a turn is over. Returns whether it may.
    pub fn told(&mut self, now: u64) -> bool {
        mem::take(&mut self.asked) || self.account.say(now)
    }

    /// It gives a connection of that listener back. `usual`: of which there is no doubt that it can have come through its queue. Returns
    /// whether it can have got it.
    pub fn returns_one(&mut self, usual: bool, listener: u32, now: u64) -> bool {
        let given = if usual { self.sent } else { 0 };
        self.account.give_back(given, self.owned.contains(&listener), now)
    }

    /// It has a listening socket of its own there from now on.
    pub fn owns(&mut self, listener: u32) {
        if !self.owned.contains(&listener) {
            self.owned.push(listener);
        }
    }

    /// It is a member of that listener from now on.
    pub fn serves(&mut self, listener: u32) {
        if !self.served.contains(&listener) {
            self.served.push(listener);
        }
    }

    /// Whether it has ever been a member of that listener.
    pub fn has_served(&self, listener: u32) -> bool {
        self.served.contains(&listener)
    }

    /// Makes an idle event loop turn: an empty packet.
    pub fn nudge(&mut self) {
        // A queue that is full is no sign of idleness.
        let nudge = || connection_queue::nudge(self.ends.queue.as_fd());
        // As we have its other end as well, nothing but the worker's will can close it. What is said once may be bad luck.
        let is_shut = || nudge().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        self.has_shut_queue |= is_shut() && is_shut();
    }

    /// Whether it was found out that it has shut its queue down: it receives nothing any more.
    pub fn has_shut_queue(&self) -> bool {
        self.has_shut_queue
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
        self.condition.patience
    }

    /// Sets that to [`STUCK_AFTER`] times the [`crowding`].
    pub fn set_crowding(&mut self, crowding: u32) {
        self.condition.patience = (STUCK_AFTER * crowding).as_nanos() as u64;
    }

    /// Looks whether it takes what is queued, as it should within `limit`.
    pub fn look(&mut self, now: u64, limit: Duration) -> Queue {
        self.condition.look(&self.ends.board, self.sent, limit, now)
    }

    /// Whether its descriptors have run out.
    pub fn is_out_of_descriptors(&self) -> bool {
        self.ends.board.out_of_descriptors()
    }

    /// Whether it accepts nothing from sockets of its own.
    pub fn is_paused(&self) -> bool {
        self.ends.board.is_paused()
    }

    /// Connections that have begun in it without its queue, as it says.
    pub fn opened(&self) -> u64 {
        self.ends.board.opened()
    }

    /// The turn that its loop is in.
    pub fn turn(&self) -> u64 {
        self.ends.board.turns()
    }

    /// It is stuck in this turn of its loop, and gets nothing until that is over.
    pub fn set_stuck(&mut self, turn: u64, now: u64) {
        self.condition.note_stuck(turn, now);
        self.nudge();
    }

    /// Takes back everything that waits in its queue. Returns whether that was possible: with a full descriptor table
    /// the rest stays queued.
    pub fn take_back(&mut self, connections: &mut Vec<Connection>) -> bool {
        connections.append(&mut self.batch);
        if self.is_out_of_descriptors() {
            self.single_until = self.ends.board.taken().saturating_add(SINGLES);
        }
        self.refused = None;
        let mut failures = 0;
        // Bounded by what the kernel holds.
        let emptied = loop {
            match connection_queue::receive(self.ends.take_back.as_fd(), connections) {
                Ok(Batch::Taken { count, .. }) => self.sent = self.sent.saturating_sub(count as u64),
                Ok(Batch::NoRoom) => break false,
                // It may have taken what it has not told of, but it need not be so.
                Ok(Batch::Empty) if failures < TRIES && self.waiting() > 0 => failures += 1,
                Ok(Batch::Empty | Batch::Closed) => break true,
                Err(_) if failures < TRIES => failures += 1,
                Err(_) => break false,
            }
        };
        self.account.took_back(self.sent);
        // A worker that was just about to take them finds nothing and sleeps on, in the turn in which it is stuck.
        if self.condition.is_stuck(&self.ends.board) {
            self.nudge();
        }
        emptied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;

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
        assert!(worker.flush(now).is_ok());
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
