//! What processes use: one look at all processes of the machine serves a whole listing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Status;
use crate::sys::procfs::{self, Stat};

/// A look counts as the one before when it is so old (ms): what was used in less says little.
const OLD_ENOUGH: u128 = 1000;

/// What was seen at the last look, by process.
#[derive(Default)]
pub struct Figures {
    seen: RefCell<HashMap<i32, Seen>>,
}

/// Milliseconds of processor time that a process had used at a time.
#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    cpu_time: u64,
}

/// What a process uses, with all that it has started.
#[derive(Default)]
struct Used {
    pages: u64,
    ticks: u64,
    threads: u64,
    descriptors: u64,
}

impl Figures {
    /// Fills in memory and processor time of each process, with all that it has started.
    pub fn fill<'a>(&self, statuses: impl Iterator<Item = &'a mut Status>) {
        let all = procfs::all();
        let mut children: BTreeMap<i32, Vec<&Stat>> = BTreeMap::new();
        for stat in &all {
            children.entry(stat.parent).or_default().push(stat);
        }
        let tree = |pid: i32| {
            let (mut waiting, mut seen) = (vec![pid], BTreeSet::new());
            while let Some(pid) = waiting.pop() {
                if seen.insert(pid) {
                    waiting.extend(children.get(&pid).into_iter().flatten().map(|stat| stat.pid));
                }
            }
            let mut used = Used::default();
            for stat in all.iter().filter(|stat| seen.contains(&stat.pid)) {
                used.pages += stat.resident;
                used.ticks += stat.cpu_ticks;
                used.threads += stat.threads;
                used.descriptors += procfs::descriptors(stat.pid);
            }
            used
        };
        let mut seen = self.seen.borrow_mut();
        seen.retain(|pid, _| children.values().flatten().any(|stat| stat.pid == *pid));
        let mut percent = |pid: Option<i32>, cpu_time: u64, started_at: Option<u64>| {
            let Some(pid) = pid else { return 0.0 };
            let now = Seen { at: Instant::now(), cpu_time };
            let before = seen.get(&pid).copied().filter(|before| before.cpu_time <= cpu_time);
            if before.is_none_or(|before| before.at.elapsed().as_millis() >= OLD_ENOUGH) {
                seen.insert(pid, now);
            }
            match before {
                Some(before) => share(cpu_time - before.cpu_time, before.at.elapsed().as_millis()),
                None => share(cpu_time, started_at.map_or(0, age)),
            }
        };
        for status in statuses {
            for process in &mut status.processes {
                let used = process.pid.map_or_else(Used::default, tree);
                process.memory = procfs::bytes(used.pages);
                process.cpu_time = procfs::milliseconds(used.ticks);
                (process.threads, process.descriptors) = (used.threads, used.descriptors);
                process.cpu = percent(process.pid, process.cpu_time, process.started_at);
            }
            for worker in &mut status.workers {
                let used = worker.pid.map_or_else(Used::default, tree);
                worker.memory = procfs::bytes(used.pages);
                worker.cpu_time = procfs::milliseconds(used.ticks);
                (worker.threads, worker.descriptors) = (used.threads, used.descriptors);
                worker.cpu = percent(worker.pid, worker.cpu_time, worker.started_at);
            }
        }
    }
}

/// Percent, to a tenth.
fn share(used: u64, of: u128) -> f64 {
    if of == 0 { 0.0 } else { (used as f64 * 1000.0 / of as f64).round() / 10.0 }
}

fn age(started_at: u64) -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    now.saturating_sub(u128::from(started_at))
}
