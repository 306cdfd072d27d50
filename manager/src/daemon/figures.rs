//! What processes use: one look at all processes of the machine serves a whole listing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Status;
use crate::sys::procfs::{self, Stat};

/// Fills in memory and processor time of each process, with all that it has started.
pub fn fill<'a>(statuses: impl Iterator<Item = &'a mut Status>) {
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
        let tree = all.iter().filter(|stat| seen.contains(&stat.pid));
        tree.fold((0, 0), |(pages, ticks), stat| (pages + stat.resident, ticks + stat.cpu_ticks))
    };
    for status in statuses {
        for process in &mut status.processes {
            let (pages, ticks) = process.pid.map_or((0, 0), tree);
            process.memory = procfs::bytes(pages);
            process.cpu_time = procfs::milliseconds(ticks);
        }
        for worker in &mut status.workers {
            worker.memory = procfs::bytes(worker.pid.map_or(0, |pid| tree(pid).0));
        }
    }
}
