//! The look-out: whether workers take what waits for them.
//!
//! How long one may leave something waiting depends on whether others could serve it sooner, and on how many of them have to
//! share a processor. Looks are taken when the acceptor is awake anyway, and otherwise by a timer that is as rare as it may be:
//! a short one would cost an interrupt for each connection that comes in peace.

use std::time::Duration;

use super::times::{SLOWER, STUCK_AFTER};
use super::worker::{Queue, Worker};
use super::workers::Workers;

/// [`STUCK_AFTER`] while another worker has nothing to take.
const STUCK_BESIDE_IDLE: Duration = Duration::from_millis(10 * SLOWER);

/// The same while another worker has no connection at all, and has had nothing to do since the last look. Without the second
/// condition connections go to and fro under full load, when a worker has none for moments only.
const STUCK_BESIDE_UNEMPLOYED: Duration = Duration::from_millis(3 * SLOWER);

/// The least time between two looks; with more, requests behind a slow one wait noticeably longer.
const LOOK_EVERY: Duration = Duration::from_micros(750 * SLOWER);

/// The most time, unless something else wakes the acceptor.
const LOOK_AFTER: Duration = Duration::from_millis(5 * SLOWER);

/// Workers per processor that may be served within these times.
const PER_PROCESSOR: usize = 4;

/// By how much longer each of so many workers may have to wait for a processor. With 64 workers on 2 processors most of what
/// is taken back too soon would have been taken at once, and the primary's work per connection grows by half.
pub fn crowding(workers: usize, processors: usize) -> u32 {
    let times = workers.div_ceil(PER_PROCESSOR * processors.max(1)).max(1);
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// A worker without a connection: its place, and what stays the same as long as it has nothing to do.
type Unemployed = (usize, (u64, u64));

/// Whom the acceptor has sent something to, and whether they take it.
#[derive(Default)]
pub struct Lookout {
    /// Those who may have something waiting.
    watched: Vec<usize>,
    /// When (ns) it was looked last.
    looked_at: u64,
    /// One that had no connection then.
    unemployed: Option<Unemployed>,
}

impl Lookout {
    /// Something is about to be sent to this worker.
    pub fn watch(&mut self, place: usize, worker: &mut Worker, now: u64) {
        if worker.begin_watch(now) {
            self.watched.push(place);
        }
    }

    /// This worker is gone.
    pub fn forget(&mut self, place: usize) {
        self.watched.retain(|watched| *watched != place);
    }

    /// When the next look is due, unless something happens before.
    pub fn wait(&self) -> Option<Duration> {
        (!self.watched.is_empty()).then_some(LOOK_AFTER)
    }

    /// Those who have just been found stuck.
    pub fn look(&mut self, workers: &mut Workers, crowding: u32, now: u64) -> Vec<usize> {
        let mut stuck = Vec::new();
        if self.watched.is_empty() || now.saturating_sub(self.looked_at) < (LOOK_EVERY * crowding).as_nanos() as u64 {
            return stuck;
        }
        self.looked_at = now;
        let limit = self.limit(workers, now) * crowding;
        self.watched.retain(|place| {
            let Some(worker) = workers.get_mut(*place) else { return false };
            match worker.look(now, limit) {
                Queue::Empty => return false,
                Queue::Waiting => {}
                Queue::Stuck => stuck.push(*place),
            }
            true
        });
        stuck
    }

    /// How long somebody may leave something waiting now.
    fn limit(&mut self, workers: &Workers, now: u64) -> Duration {
        let some_idle = workers.iter().any(|worker| worker.is_idle(now));
        match (some_idle, some_idle && self.some_unemployed(workers, now)) {
            (_, true) => STUCK_BESIDE_UNEMPLOYED,
            (true, _) => STUCK_BESIDE_IDLE,
            (false, _) => STUCK_AFTER,
        }
    }

    /// Whether a worker has had no connection and nothing to do since the last look.
    fn some_unemployed(&mut self, workers: &Workers, now: u64) -> bool {
        let state = |place: usize| Some((place, workers.get(place)?.unemployed(now)?));
        let last = self.unemployed.take();
        if last.is_some_and(|last| state(last.0) == Some(last)) {
            self.unemployed = last;
            return true;
        }
        // Another one than before: that one seems to have work now and then.
        let start = last.map_or(0, |last| last.0 + 1);
        let all = workers.len();
        self.unemployed = (0..all).map(|offset| (start + offset) % all).find_map(state);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::Arc;

    use super::super::worker::WorkerEnds;
    use super::*;
    use crate::board::Board;
    use crate::connection_queue::Connection;
    use crate::sys::{clock, descriptors, socket};

    #[test]
    fn many_workers_for_few_processors_may_take_longer() {
        let cases =
            [((0, 2), 1), ((1, 1), 1), ((4, 1), 1), ((8, 2), 1), ((9, 2), 2), ((64, 2), 8), ((64, 64), 1), ((5, 0), 2)];
        for ((workers, processors), times) in cases {
            assert_eq!(crowding(workers, processors), times, "{workers} on {processors}");
        }
    }

    struct Fixture {
        workers: Workers,
        boards: Vec<Board>,
        ends: Vec<OwnedFd>,
        lookout: Lookout,
        now: u64,
    }

    impl Fixture {
        fn new(count: usize) -> Fixture {
            let now = clock::monotonic_ns();
            let mut fixture = Fixture {
                workers: Workers::default(),
                boards: Vec::new(),
                ends: Vec::new(),
                lookout: Lookout::default(),
                now,
            };
            for _ in 0..count {
                let (queue, end) = socket::packet_pair().unwrap();
                let take_back = descriptors::duplicate(end.as_fd()).unwrap();
                let (fd, board) = Board::create().unwrap();
                fixture
                    .workers
                    .add(WorkerEnds { queue: queue.into(), take_back: take_back.into(), board: Arc::new(board) }, None)
                    .unwrap();
                fixture.boards.push(Board::open(fd.as_fd()).unwrap());
                fixture.ends.push(end);
            }
            fixture
        }

        fn send(&mut self, index: usize) {
            let worker = self.workers.get_mut(index).unwrap();
            let fd = descriptors::duplicate(self.ends[index].as_fd()).unwrap();
            worker.enqueue(Connection::fresh(fd, 1));
            self.lookout.watch(index, worker, self.now);
            assert!(worker.flush(self.now).is_ok());
        }

        /// Looks again and again, until so long after the beginning.
        fn look_until(&mut self, time: Duration, mut meanwhile: impl FnMut(&Fixture)) -> Option<Vec<usize>> {
            let end = self.now + time.as_nanos() as u64;
            while self.now < end {
                self.now += LOOK_EVERY.as_nanos() as u64;
                let found = self.lookout.look(&mut self.workers, 1, self.now);
                if !found.is_empty() {
                    return Some(found);
                }
                meanwhile(self);
            }
            None
        }
    }

    #[test]
    fn beside_one_without_work_nothing_waits_for_long() {
        let mut fixture = Fixture::new(2);
        fixture.send(0);
        let found = fixture.look_until(STUCK_BESIDE_UNEMPLOYED + LOOK_EVERY, |_| {});
        assert_eq!(found, Some(vec![0]));
    }

    #[test]
    fn beside_one_that_has_work_now_and_then_it_waits_longer() {
        let mut fixture = Fixture::new(2);
        fixture.send(0);
        let turns = |fixture: &Fixture| {
            fixture.boards[1].end_turn(fixture.now, 0);
        };
        assert_eq!(fixture.look_until(STUCK_BESIDE_IDLE - LOOK_EVERY * 2, turns), None);
        assert_eq!(fixture.look_until(LOOK_EVERY * 4, turns), Some(vec![0]));
    }

    #[test]
    fn where_all_have_something_to_take_it_waits_longest() {
        let mut fixture = Fixture::new(2);
        fixture.send(0);
        fixture.send(1);
        assert_eq!(fixture.look_until(STUCK_AFTER - LOOK_EVERY * 2, |_| {}), None);
        assert_eq!(fixture.look_until(LOOK_EVERY * 4, |_| {}), Some(vec![0, 1]));
    }

    #[test]
    fn one_that_has_taken_all_is_not_looked_at_any_more() {
        let mut fixture = Fixture::new(2);
        fixture.send(0);
        fixture.boards[0].add_taken(1);
        assert_eq!(fixture.lookout.wait(), Some(LOOK_AFTER));
        assert_eq!(fixture.look_until(STUCK_AFTER * 2, |_| {}), None);
        assert_eq!(fixture.lookout.wait(), None);
    }
}
