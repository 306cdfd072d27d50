//! All that belongs to an instance: its process, what that has started, and what of it has lost its parent.
//!
//! The keeper is a subreaper: an orphan becomes its child. Which instance it came from is told by its session, or by the
//! variable with the instance's number in its environment; with one instance alone there is no question.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::sys::procfs::{self, Stat};

/// An instance, by the process that the keeper has started for it.
#[derive(Clone, Debug)]
pub struct Root {
    /// The process; it may have ended.
    pub pid: i32,
    /// The session of all that has not made one of its own.
    pub session: i32,
    /// What its environment says: `NAME=number`.
    pub mark: String,
}

/// Every living process of each of `roots`, without those of others, and without those of sessions of our own.
pub fn trees(keeper: i32, roots: &[Root], own: &[i32]) -> Vec<Vec<Stat>> {
    let all = procfs::all();
    // A daemon that a program has started by a verb is nobody's tree, nor are the keepers that it starts.
    let strangers =
        all.iter().filter(|stat| stat.parent == keeper && procfs::is_manager(stat.pid)).map(|stat| stat.pid);
    let strangers: BTreeSet<i32> = strangers.collect();
    let all: Vec<Stat> =
        all.iter().filter(|stat| !strangers.contains(&stat.pid) && !own.contains(&stat.session)).copied().collect();
    sort_out(keeper, roots, &all, &|pid| environment_of(pid))
}

fn environment_of(pid: i32) -> String {
    fs::read(format!("/proc/{pid}/environ"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn sort_out(keeper: i32, roots: &[Root], all: &[Stat], environment: &dyn Fn(i32) -> String) -> Vec<Vec<Stat>> {
    let mut children: BTreeMap<i32, Vec<&Stat>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mains: BTreeSet<i32> = roots.iter().map(|root| root.pid).collect();
    let orphans = children.get(&keeper).into_iter().flatten().filter(|stat| !mains.contains(&stat.pid));
    let mut starts: Vec<Vec<&Stat>> =
        roots.iter().map(|root| all.iter().filter(|stat| stat.pid == root.pid).collect()).collect();
    for orphan in orphans {
        if let Some(owner) = owner(orphan, roots, environment) {
            starts[owner].push(orphan);
        }
    }
    starts
        .into_iter()
        .map(|mut waiting| {
            let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
            while let Some(stat) = waiting.pop() {
                if !seen.insert(stat.pid) {
                    continue;
                }
                if !stat.is_zombie {
                    found.push(*stat);
                }
                waiting.extend(children.get(&stat.pid).into_iter().flatten());
            }
            found
        })
        .collect()
}

fn owner(orphan: &Stat, roots: &[Root], environment: &dyn Fn(i32) -> String) -> Option<usize> {
    if roots.len() == 1 {
        return Some(0);
    }
    if let Some(index) = roots.iter().position(|root| root.session == orphan.session) {
        return Some(index);
    }
    let environment = environment(orphan.pid);
    roots.iter().position(|root| environment.split('\0').any(|entry| entry == root.mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, session: i32) -> Stat {
        Stat { pid, parent, session, is_zombie: false, cpu_ticks: 0, start: 0, resident: 0, threads: 0 }
    }

    #[test]
    fn what_lost_its_parent_belongs_to_whom_it_came_from() {
        let roots =
            [Root { pid: 10, session: 10, mark: "N=0".into() }, Root { pid: 20, session: 20, mark: "N=1".into() }];
        let all = [
            process(1, 0, 1),
            process(5, 1, 5),
            process(10, 5, 10),
            process(11, 10, 10),
            process(12, 11, 99), // a session of its own, but not an orphan
            process(21, 5, 20),  // an orphan of 20, which has ended
            process(22, 21, 22),
            process(23, 5, 23), // has made itself a daemon
            process(30, 1, 30),
        ];
        let environment = |pid: i32| if pid == 23 { "A=b\0N=1\0".to_owned() } else { String::new() };
        let pids = |tree: &Vec<Stat>| tree.iter().map(|stat| stat.pid).collect::<BTreeSet<_>>();
        let trees = sort_out(5, &roots, &all, &environment);
        assert_eq!(pids(&trees[0]), BTreeSet::from([10, 11, 12]));
        assert_eq!(pids(&trees[1]), BTreeSet::from([21, 22, 23]));
    }

    #[test]
    fn the_dead_do_not_count() {
        let roots = [Root { pid: 10, session: 10, mark: "N=0".into() }];
        let zombie = Stat { is_zombie: true, ..process(11, 5, 10) };
        assert!(sort_out(5, &roots, &[process(5, 1, 5), zombie], &|_| String::new())[0].is_empty());
    }
}
