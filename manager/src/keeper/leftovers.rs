//! What a keeper leaves to the one that comes after it, when it is killed: a note of its processes in `run/<key>/state.json`.
//!
//! Nobody can become the parent of a process that is there already, or read on what it writes: the next keeper ends what the one before has
//! left, and starts it anew. It ends only what is in the note and is still the same (by its number and its start, within one run of
//! the machine), with the sessions of those, and what has the notify socket of the one before in its environment.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::Keeper;
use super::instance::Instance;
use crate::durable::write_whole;
use crate::model::{App, Mode};
use crate::sys::process;
use crate::sys::procfs::{self, Stat};

/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long those may take that have been killed.
const DYING: Duration = Duration::from_secs(5);

/// What a keeper writes down of its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The run of the machine in which the numbers mean something.
    pub boot: String,
    /// Where processes tell their state: in the environment of all that it has started.
    pub notify: String,
    /// Its instances.
    pub instances: Vec<Noted>,
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Noted {
    /// Its number.
    pub instance: u32,
    /// Its process, while there is one.
    pub pid: Option<i32>,
    /// When that was started, in clock ticks since the machine was.
    pub start: Option<u64>,
    /// A process that is about to be the main one, and when it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<(i32, u64)>,
    /// The session of its tree.
    pub session: Option<i32>,
    /// Whether it is to run.
    pub wanted: bool,
    /// Whether somebody has told it to stop.
    #[serde(default)]
    pub stopped: bool,
    /// How often it was started again.
    pub restarts: u64,
}

impl Note {
    /// What the keeper before has written, if there was one.
    pub fn read(folder: &Path) -> Option<Note> {
        serde_json::from_slice(&fs::read(folder.join("state.json")).ok()?).ok()
    }

    /// Replaces what is written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        write_whole(&folder.join("state.json"), &serde_json::to_vec(self)?)
    }
}

impl Keeper {
    /// Keeps what is running now where the keeper after us finds it. A full disk is no reason to stop: that one would leave alone what
    /// it does not know.
    pub(super) fn write_note(&mut self) {
        if self.quitting {
            // What runs now is to run again when the machine has been started anew.
            return;
        }
        let noted = |one: &Instance| {
            let running = one.running.as_ref().filter(|running| !running.ended);
            Noted {
                instance: one.number,
                pid: running.map(|running| running.pid),
                start: running.and_then(|running| running.start),
                next: one.running.as_ref().and_then(|running| running.next.as_ref()).map(|next| (next.pid, next.start)),
                session: one.running.as_ref().map(|running| running.session),
                wanted: one.life.is_wanted(),
                stopped: one.is_stopped,
                restarts: one.life.restarts,
            }
        };
        let instances = self.instances.iter().map(noted).collect();
        let note = Note { boot: procfs::boot().to_owned(), notify: self.notify.name().to_owned(), instances };
        if note != self.note && note.write(&self.folder).is_ok() {
            self.note = note;
        }
    }
}

/// Ends all that is left, and returns when nothing is.
pub fn end(note: &Note, app: &App) {
    if note.boot != procfs::boot() {
        return;
    }
    if app.mode == Mode::Cluster {
        // Its workers finish what they have, and end by themselves; told to stop, it would close what the next one is to have.
        let primaries = || mains(note, &procfs::all()).into_iter().collect::<Vec<_>>();
        kill_until_gone(primaries);
        return;
    }
    let left = |all: &[Stat]| if app.treekill { left(note, all) } else { mains(note, all) };
    let signal = app.kill_signal.parse().unwrap_or(Signal::SIGINT);
    for stat in left(&procfs::all()) {
        let _ = process::signal(stat.pid, signal as i32);
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(app.kill_timeout) && !left(&procfs::all()).is_empty() {
        std::thread::sleep(LOOK);
    }
    kill_until_gone(|| left(&procfs::all()));
}

fn kill_until_gone(find: impl Fn() -> Vec<Stat>) {
    let began = Instant::now();
    loop {
        let living = find();
        if living.is_empty() || began.elapsed() > DYING {
            return;
        }
        for stat in living {
            let _ = process::signal(stat.pid, Signal::SIGKILL as i32);
        }
        std::thread::sleep(LOOK);
    }
}

/// The main processes that are still the same.
fn mains(note: &Note, all: &[Stat]) -> Vec<Stat> {
    let noted = |stat: &&Stat| {
        let is_it = |one: &Noted| {
            (one.pid == Some(stat.pid) && one.start == Some(stat.start)) || one.next == Some((stat.pid, stat.start))
        };
        !stat.is_zombie && note.instances.iter().any(is_it)
    };
    all.iter().filter(noted).copied().collect()
}

/// Those, and all that came of them.
fn left(note: &Note, all: &[Stat]) -> Vec<Stat> {
    // A session's number is given to nobody else as long as the session lives: one whose leader is another process is not ours.
    let is_session = |one: &Noted, session: i32| {
        let leader = all.iter().find(|stat| stat.pid == session);
        one.session == Some(session)
            && leader.is_none_or(|leader| one.pid != Some(session) || one.start == Some(leader.start))
    };
    let mark = format!("NOTIFY_SOCKET={}", note.notify);
    let belongs = |stat: &&Stat| {
        !stat.is_zombie
            && (note.instances.iter().any(|one| is_session(one, stat.session)) || procfs::has_variable(stat.pid, &mark))
    };
    let mut left = mains(note, all);
    left.extend(all.iter().filter(belongs).filter(|stat| !procfs::is_manager(stat.pid)));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, session: i32, start: u64) -> Stat {
        Stat { pid, parent: 1, session, is_zombie: false, cpu_ticks: 0, start, resident: 0, threads: 0 }
    }

    fn note(pid: i32, start: u64) -> Note {
        let noted = Noted { pid: Some(pid), start: Some(start), session: Some(pid), wanted: true, ..Noted::default() };
        Note { boot: procfs::boot().to_owned(), notify: "@nobody".into(), instances: vec![noted] }
    }

    #[test]
    fn only_what_is_still_the_same_is_ended() {
        let pids = |all: &[Stat]| left(&note(10, 5), all).iter().map(|stat| stat.pid).collect::<Vec<_>>();
        let [main, child, stranger] = [process(10, 10, 5), process(11, 10, 6), process(12, 12, 6)];
        assert!(pids(&[main, child, stranger]).iter().all(|pid| [10, 11].contains(pid)));
        assert_eq!(pids(&[child, stranger]), [11]);
        // The number has been given to another one since.
        assert!(pids(&[process(10, 10, 99), process(11, 10, 100), stranger]).is_empty());
    }

    #[test]
    fn a_process_of_before_is_ended_and_one_of_another_run_of_the_machine_is_not() {
        let app: App =
            serde_json::from_str(r#"{"name":"a","mode":"program","script":"a","cwd":"/","killTimeout":50}"#).unwrap();
        let script = "trap '' INT; while :; do sleep 1; done";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let start = procfs::stat(pid).unwrap().start;
        let mut of_before = note(pid, start);
        // It is in our session here.
        of_before.instances[0].session = None;
        end(&Note { boot: "another".into(), ..of_before.clone() }, &app);
        end(&note(pid, start + 1), &app);
        assert!(child.try_wait().unwrap().is_none());
        let waiting = std::thread::spawn(move || child.wait().unwrap());
        end(&of_before, &app);
        assert!(!waiting.join().unwrap().success());
    }
}
