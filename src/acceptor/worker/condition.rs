//! Whether a worker's loop turns and takes what waits for it, as far as its board shows.

use std::mem;
use std::time::Duration;

use crate::acceptor::times::STUCK_AFTER;
use crate::board::Board;

/// How long (ns) what comes from its predecessor waits for one that is stuck: the client keeps the connection, and would wait as
/// long for any worker that had it by then.
const HEIR_PATIENCE: u64 = if cfg!(test) { 1_000_000_000 } else { 500_000_000 };

/// One that turns, but is found stuck again and again before it has taken anything, is given twice the time each time: so often.
const MOST_FRUITLESS: u32 = 3;

/// What [`Condition::look`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Queue {
    /// Nothing waits in it.
    Empty,
    /// Something waits, as it may.
    Waiting,
    /// Something has waited for too long: the worker has just been found stuck.
    Stuck,
}

/// What has been seen of a worker's board so far. Makes no system call and asks no clock.
pub struct Condition {
    /// Whether it is to be looked at whether it takes what was sent.
    watched: bool,
    /// What the board said when it was last looked at, and when (ns) that had changed last.
    taken_seen: u64,
    progress_at: u64,
    /// How long (ns) it may run or wait before it counts as stuck.
    pub patience: u64,
    /// The turn of its loop in which it was found stuck.
    stuck_in_turn: Option<u64>,
    /// When (ns) that was.
    stuck_at: u64,
    /// How often in a row it was found stuck though its loop had turned, without having taken anything in between, and what it
    /// had taken by then.
    fruitless: u32,
    taken_when_stuck: Option<u64>,
}

impl Condition {
    pub fn new(board: &Board) -> Condition {
        Condition {
            watched: false,
            taken_seen: board.taken(),
            progress_at: 0,
            patience: STUCK_AFTER.as_nanos() as u64,
            stuck_in_turn: None,
            stuck_at: 0,
            fruitless: 0,
            taken_when_stuck: None,
        }
    }

    /// Whether it is in the turn in which it was found stuck.
    pub fn is_stuck(&self, board: &Board) -> bool {
        self.stuck_in_turn.is_some_and(|turn| turn == board.turns())
    }

    /// Whether it is not stuck, nor about to be found so.
    pub fn is_moving(&self, board: &Board, now: u64) -> bool {
        !self.is_stuck(board) && board.running_since().is_none_or(|since| now.saturating_sub(since) < self.patience)
    }

    /// Whether it is stuck for longer than what comes from its predecessor waits.
    pub fn has_stopped(&self, board: &Board, now: u64) -> bool {
        let limit = HEIR_PATIENCE.max(2 * self.patience);
        let late = |since: u64| now.saturating_sub(since) >= limit;
        (self.is_stuck(board) && late(self.stuck_at)) || board.running_since().is_some_and(late)
    }

    /// Something is about to be sent, and so many wait. Returns whether it is to be watched from now on, and was not before.
    pub fn begin_watch(&mut self, board: &Board, waiting: u64, now: u64) -> bool {
        if waiting == 0 {
            self.taken_seen = board.taken();
            self.progress_at = now;
        }
        !mem::replace(&mut self.watched, true)
    }

    /// Looks whether it takes what was sent, as it should within `limit`.
    pub fn look(&mut self, board: &Board, sent: u64, limit: Duration, now: u64) -> Queue {
        let taken = board.taken();
        if taken != self.taken_seen {
            self.taken_seen = taken;
            self.progress_at = now;
        }
        let waiting = sent.saturating_sub(taken);
        board.set_queued(waiting);
        if waiting == 0 {
            self.watched = false;
            return Queue::Empty;
        }
        if self.taken_when_stuck != Some(taken) {
            self.fruitless = 0;
        }
        if now.saturating_sub(self.progress_at) < (limit * (1 << self.fruitless)).as_nanos() as u64 {
            return Queue::Waiting;
        }
        let turn = board.turns();
        // One whose turns are long is slow, not stuck: unless it is waited for, it never gets hold of anything.
        if self.taken_when_stuck.replace(taken) == Some(taken) && self.stuck_in_turn != Some(turn) {
            self.fruitless = (self.fruitless + 1).min(MOST_FRUITLESS);
        }
        self.note_stuck(turn, now);
        self.progress_at = now;
        Queue::Stuck
    }

    /// It is stuck in this turn of its loop.
    pub fn note_stuck(&mut self, turn: u64, now: u64) {
        if self.stuck_in_turn.replace(turn) != Some(turn) {
            self.stuck_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = STUCK_AFTER;
    const TIME: u64 = LIMIT.as_nanos() as u64;

    /// Something has just been sent to a worker, which has not taken it.
    fn scene() -> (Board, Condition) {
        let (_fd, board) = Board::create().unwrap();
        let mut condition = Condition::new(&board);
        assert!(condition.begin_watch(&board, 0, 0));
        assert!(!condition.begin_watch(&board, 1, 0), "it is watched already");
        (board, condition)
    }

    #[test]
    fn one_that_takes_what_waits_is_never_stuck_and_watched_until_nothing_waits() {
        let (board, mut condition) = scene();
        for (taken, found) in [(1, Queue::Waiting), (1, Queue::Waiting), (1, Queue::Empty)] {
            board.add_taken(taken);
            assert_eq!(condition.look(&board, 3, LIMIT, board.taken() * TIME * 9), found);
            assert!(condition.is_moving(&board, 0));
        }
        assert!(condition.begin_watch(&board, 0, 0));
    }

    #[test]
    fn one_that_takes_nothing_is_stuck_until_its_turn_is_over() {
        let (board, mut condition) = scene();
        assert_eq!(condition.look(&board, 3, LIMIT, TIME - 1), Queue::Waiting);
        assert_eq!(condition.look(&board, 3, LIMIT, TIME), Queue::Stuck);
        assert!(condition.is_stuck(&board) && !condition.is_moving(&board, TIME));
        board.end_turn(TIME, 0);
        assert!(!condition.is_stuck(&board) && condition.is_moving(&board, TIME));
    }

    #[test]
    fn one_that_is_known_to_run_for_too_long_does_not_move() {
        let (board, condition) = scene();
        board.begin_turn(5);
        assert!(condition.is_moving(&board, 4 + condition.patience));
        assert!(!condition.is_moving(&board, 5 + condition.patience));
    }

    #[test]
    fn what_its_predecessor_leaves_waits_for_it_for_a_while() {
        let (board, mut condition) = scene();
        condition.note_stuck(board.turns(), 7);
        condition.note_stuck(board.turns(), 7 + HEIR_PATIENCE);
        assert!(!condition.has_stopped(&board, 6 + HEIR_PATIENCE));
        assert!(condition.has_stopped(&board, 7 + HEIR_PATIENCE), "the first time counts");
        board.end_turn(8, 0);
        assert!(!condition.has_stopped(&board, 7 + HEIR_PATIENCE));
    }

    #[test]
    fn one_whose_turns_are_long_is_given_more_time_each_time_up_to_eight_times_as_much() {
        let (board, mut condition) = scene();
        let mut now = 0;
        for times in [1, 1, 2, 4, 8, 8] {
            assert_eq!(condition.look(&board, 3, LIMIT, now + times * TIME - 1), Queue::Waiting, "{times}");
            now += times * TIME;
            assert_eq!(condition.look(&board, 3, LIMIT, now), Queue::Stuck, "{times}");
            board.end_turn(now, 0);
        }
        board.add_taken(1);
        assert_eq!(condition.look(&board, 3, LIMIT, now), Queue::Waiting);
        assert_eq!(condition.look(&board, 3, LIMIT, now + TIME), Queue::Stuck, "it had taken something");
    }
}
