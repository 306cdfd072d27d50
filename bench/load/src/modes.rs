//! When the next connection is opened: one function for each way of offering load.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::engine::{Engine, Happened};
use crate::options::{Limit, Mode, Options};
use crate::rng::Rng;
use crate::tally::Held;

/// Offers the load that was asked for and waits for the last answer.
pub fn run(engine: &mut Engine, options: &Options) -> Result<(), Errno> {
    match options.mode {
        Mode::Closed { connections, ref limit } => closed(engine, connections, limit),
        Mode::Open { rate, seconds } => open(engine, rate, seconds),
        Mode::Hold { count, seconds, churn } => Holding::new(engine, count, options.seed).run(seconds, churn),
    }
}

/// `connections` at a time. When the limit is reached nothing new begins, and what has begun is finished
/// and counted, so that the counts of the workers can be compared exactly.
fn closed(engine: &mut Engine, connections: usize, limit: &Limit) -> Result<(), Errno> {
    let (most, end) = match *limit {
        Limit::Requests(requests) => (requests, None),
        Limit::Seconds(seconds) => (u64::MAX, Some(Instant::now() + Duration::from_secs_f64(seconds))),
    };
    let mut begun = 0;
    loop {
        let mut more = || {
            let more = begun < most && end.is_none_or(|end| Instant::now() < end);
            begun += u64::from(more);
            more
        };
        // Where no connection can be had, look at the others first: one of them may make room.
        while engine.open_count() < connections && more() && engine.open(Instant::now()) {}
        for happened in engine.turn(end)? {
            if let Happened::Idle { connection, .. } = happened {
                if more() {
                    engine.request(connection, Instant::now());
                } else {
                    engine.close(connection);
                }
            }
        }
        let finished = begun >= most || end.is_some_and(|end| Instant::now() >= end);
        if finished && engine.open_count() == 0 {
            return Ok(());
        }
    }
}

/// A connection each `1/rate` seconds, whatever becomes of the earlier ones. Latency counts from the moment
/// a request was due, so a server that stalls is charged for all that should have come meanwhile
/// ("coordinated omission" is what it is called when a generator forgets them).
fn open(engine: &mut Engine, rate: f64, seconds: f64) -> Result<(), Errno> {
    let start = Instant::now();
    let total = (rate * seconds).round() as u64;
    let due = |index: u64| start + Duration::from_secs_f64(index as f64 / rate);
    let mut next = 0;
    while next < total || engine.open_count() > 0 {
        while next < total && due(next) <= Instant::now() {
            engine.open(due(next));
            next += 1;
        }
        engine.turn((next < total).then(|| due(next)))?;
    }
    Ok(())
}

/// How many held connections are opened at once: more would overflow the server's backlog, and measure the
/// second that a lost SYN costs.
const FILLING: usize = 100;

/// Many idle connections, some of them replaced now and then. Each asks once, to learn who holds it.
struct Holding<'a> {
    engine: &'a mut Engine,
    count: usize,
    rng: Rng,
    held: Vec<(usize, u32)>,
    active: BTreeMap<u32, u64>,
    widest: u64,
    /// The same in the second half of the time.
    widest_late: u64,
}

impl<'a> Holding<'a> {
    fn new(engine: &'a mut Engine, count: usize, seed: u64) -> Self {
        let rng = Rng::new(seed);
        Self { engine, count, rng, held: Vec::new(), active: BTreeMap::new(), widest: 0, widest_late: 0 }
    }

    fn run(mut self, seconds: f64, churn: f64) -> Result<(), Errno> {
        self.fill()?;
        let mut begun = Instant::now();
        let end = begun + Duration::from_secs_f64(seconds);
        let half = begun + Duration::from_secs_f64(seconds / 2.0);
        let pause = Duration::from_secs_f64(if churn > 0.0 { 1.0 / churn } else { seconds });
        self.widest = self.spread();
        while Instant::now() < end {
            if Instant::now() >= begun + pause {
                begun += pause;
                self.replace_one();
            }
            self.turn(Some(end.min(begun + pause)))?;
            self.measure(Instant::now() > half);
        }
        self.engine.tally.held(Held { active: self.active, widest: self.widest, widest_late: self.widest_late });
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Errno> {
        let mut begun = 0;
        while begun < self.count || self.held.len() < self.engine.open_count() {
            while begun < self.count && self.engine.open_count() - self.held.len() < FILLING {
                self.engine.open(Instant::now());
                begun += 1;
            }
            self.turn(None)?;
        }
        Ok(())
    }

    fn replace_one(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let chosen = self.rng.below(self.held.len() as u64) as usize;
        let (connection, worker) = self.held.swap_remove(chosen);
        self.forget(worker);
        self.engine.close(connection);
        self.engine.open(Instant::now());
    }

    fn turn(&mut self, until: Option<Instant>) -> Result<(), Errno> {
        for happened in self.engine.turn(until)? {
            match happened {
                Happened::Idle { connection, worker } => {
                    let worker = worker.unwrap_or(0);
                    self.held.push((connection, worker));
                    *self.active.entry(worker).or_default() += 1;
                }
                Happened::Gone { connection } => self.lost(connection),
            }
        }
        Ok(())
    }

    fn measure(&mut self, late: bool) {
        // While one is on its way nobody knows yet whose it will be.
        if self.held.len() == self.count {
            self.widest = self.widest.max(self.spread());
            if late {
                self.widest_late = self.widest_late.max(self.spread());
            }
        }
    }

    fn lost(&mut self, connection: usize) {
        if let Some(at) = self.held.iter().position(|held| held.0 == connection) {
            let (_, worker) = self.held.swap_remove(at);
            self.forget(worker);
        }
    }

    fn forget(&mut self, worker: u32) {
        if let Some(active) = self.active.get_mut(&worker) {
            *active -= 1;
        }
    }

    fn spread(&self) -> u64 {
        let most = self.active.values().max().copied().unwrap_or(0);
        most - self.active.values().min().copied().unwrap_or(0)
    }
}
