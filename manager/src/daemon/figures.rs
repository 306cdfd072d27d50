//! What processes use: one look at all processes of the machine serves a whole listing.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
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
pub struct Used {
    pages: u64,
    ticks: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

impl Used {
    /// Bytes of memory.
    pub fn memory(&self) -> u64 {
        procfs::bytes(self.pages)
    }

    /// Milliseconds of processor time.
    pub fn cpu_time(&self) -> u64 {
        procfs::milliseconds(self.ticks)
    }
}

/// All processes at one moment.
pub struct Machine {
    processes: HashMap<i32, Stat>,
    children: HashMap<i32, Vec<i32>>,
    /// How many descriptors those have that are looked at: a worker is for itself, and for its primary.
    descriptors: HashMap<i32, u64>,
}

impl Machine {
    /// As it is now. `roots`: the processes that are to be looked at.
    pub fn look(roots: impl Iterator<Item = i32>) -> Machine {
        let mut machine = Machine::new(procfs::all_together());
        let pids: HashSet<i32> = roots.flat_map(|pid| machine.tree(pid)).map(|stat| stat.pid).collect();
        let pids: Vec<i32> = pids.into_iter().collect();
        machine.descriptors = pids.iter().copied().zip(procfs::of_each(&pids, procfs::descriptors)).collect();
        machine
    }

    fn new(all: Vec<Stat>) -> Machine {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for stat in &all {
            children.entry(stat.parent).or_default().push(stat.pid);
        }
        let processes = all.into_iter().map(|stat| (stat.pid, stat)).collect();
        Machine { processes, children, descriptors: HashMap::new() }
    }

    /// A process with all that came of it: however many others there are, it is those alone that are looked at.
    fn tree(&self, pid: i32) -> Vec<&Stat> {
        let (mut waiting, mut seen, mut tree) = (vec![pid], HashSet::new(), Vec::new());
        while let Some(pid) = waiting.pop() {
            // They were not all read at the same moment: a number may have been given to another one meanwhile.
            if seen.insert(pid) {
                tree.extend(self.processes.get(&pid));
                waiting.extend(self.children.get(&pid).into_iter().flatten());
            }
        }
        tree
    }

    /// What a process uses; nothing when it has gone.
    pub fn used(&self, pid: i32) -> Used {
        let mut used = Used::default();
        for stat in self.tree(pid) {
            used.pages += stat.resident;
            used.ticks += stat.cpu_ticks;
            used.threads += stat.threads;
            used.descriptors += self.descriptors.get(&stat.pid).copied().unwrap_or(0);
        }
        used
    }
}

impl Figures {
    /// Fills in memory and processor time of each process, with all that it has started.
    pub fn fill<'a>(&self, statuses: impl Iterator<Item = &'a mut Status>) {
        let statuses: Vec<&mut Status> = statuses.collect();
        let machine = Machine::look(statuses.iter().flat_map(|status| status.pids()));
        let mut seen = self.seen.borrow_mut();
        seen.retain(|pid, _| machine.processes.contains_key(pid));
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
                let used = process.pid.map_or_else(Used::default, |pid| machine.used(pid));
                process.memory = used.memory();
                process.cpu_time = used.cpu_time();
                (process.threads, process.descriptors) = (used.threads, used.descriptors);
                process.cpu = percent(process.pid, process.cpu_time, process.started_at);
            }
            for worker in &mut status.workers {
                let used = worker.pid.map_or_else(Used::default, |pid| machine.used(pid));
                worker.memory = used.memory();
                worker.cpu_time = used.cpu_time();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Stat {
        Stat { pid, parent, session: pid, is_zombie: false, cpu_ticks: 1, start: 0, resident: 10, threads: 2 }
    }

    #[test]
    fn a_tree_is_a_process_with_all_that_came_of_it() {
        // 30 and 31 seem to have started each other.
        let all = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (30, 31), (31, 30)];
        let machine = Machine::new(all.map(|(pid, parent)| process(pid, parent)).to_vec());
        let pids = |pid: i32| {
            let mut pids: Vec<i32> = machine.tree(pid).iter().map(|stat| stat.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!((pids(10), pids(20), pids(30)), (vec![10, 11, 12], vec![20], vec![30, 31]));
        assert!(pids(99).is_empty());
        let used = machine.used(10);
        assert_eq!((used.pages, used.ticks, used.threads), (30, 3, 6));
    }
}
