//! What the processes of an app are doing.

use serde::{Deserialize, Serialize};

use super::{Mode, Recent, Stats};

/// The state of a process, in the words that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Started, and not known to be ready.
    #[serde(rename = "launching")]
    Launching,
    /// Ready.
    #[serde(rename = "online")]
    Online,
    /// Asked to end.
    #[serde(rename = "stopping")]
    Stopping,
    /// Not running, and nobody wants it to.
    #[serde(rename = "stopped")]
    Stopped,
    /// It has ended and is started again after a while.
    #[serde(rename = "waiting restart")]
    Waiting,
    /// It has ended too often, or could not be started, and is given up.
    #[serde(rename = "errored")]
    Errored,
}

/// One process of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its number within the app, from 0.
    pub instance: u32,
    /// Its number in listings.
    pub id: Option<u64>,
    /// The process, while there is one.
    pub pid: Option<i32>,
    /// What it is doing.
    pub state: State,
    /// When it was started, in milliseconds since 1970.
    pub started_at: Option<u64>,
    /// How often it was started again.
    pub restarts: u64,
    /// How often in a row it ended too soon.
    pub unstable_restarts: u32,
    /// How it ended last.
    pub exit_code: Option<i32>,
    /// The signal that ended it last.
    pub signal: Option<String>,
    /// Why it is not running, when something went wrong.
    pub last_error: Option<String>,
    /// What it says that it is doing (`STATUS` in sd_notify(3)).
    #[serde(default)]
    pub status_text: Option<String>,
    /// Whether it says that it is taking a new configuration.
    #[serde(default)]
    pub reloading: bool,
    /// Whether another primary is about to take its place.
    #[serde(default)]
    pub upgrading: bool,
    /// Bytes that it uses, with all that it has started.
    #[serde(default)]
    pub memory: u64,
    /// Milliseconds of processor time that it has used, with all that it has started.
    #[serde(default)]
    pub cpu_time: u64,
    /// Percent of a processor that it has used since it was looked at before.
    #[serde(default)]
    pub cpu: f64,
    /// Threads, with those of all that it has started.
    #[serde(default)]
    pub threads: u64,
    /// Open descriptors, with those of all that it has started.
    #[serde(default)]
    pub descriptors: u64,
}

/// A worker of a cluster, as its primary tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Its place, from 0.
    pub seat: u32,
    /// The process, while there is one.
    pub pid: Option<i32>,
    /// What it is doing, in the words of `supervisor.status()`.
    pub state: String,
    /// When it was started, in milliseconds since 1970.
    pub started_at: Option<u64>,
    /// How often another one had to take its place.
    pub restarts: u64,
    /// Bytes that it uses, with all that it has started.
    #[serde(default)]
    pub memory: u64,
    /// Percent of a processor that it has used since it was looked at before.
    #[serde(default)]
    pub cpu: f64,
    /// Milliseconds of processor time that it has used, with all that it has started.
    #[serde(default)]
    pub cpu_time: u64,
    /// Threads, with those of all that it has started.
    #[serde(default)]
    pub threads: u64,
    /// Open descriptors, with those of all that it has started.
    #[serde(default)]
    pub descriptors: u64,
    /// What its board says, if there is one that we can read.
    #[serde(default)]
    pub stats: Option<Stats>,
    /// What that says of the time since it was looked at before.
    #[serde(default)]
    pub recent: Option<Recent>,
}

/// Watching files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watching {
    /// How many folders are watched.
    pub folders: usize,
    /// What the app was started anew for last.
    pub last_change: Option<String>,
    /// Whether it is not watched any more, as the app was started anew again and again for what it changed itself.
    pub suspended: bool,
    /// What keeps it from being watched, or a part of it.
    pub problem: Option<String>,
}

impl Status {
    /// All processes that are told of one by one.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        let workers = self.workers.iter().filter_map(|one| one.pid);
        self.processes.iter().filter_map(|one| one.pid).chain(workers)
    }
}

/// An app as its keeper sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub app: String,
    /// Its namespace.
    pub namespace: String,
    /// Program or cluster.
    pub mode: Mode,
    /// When (ms since 1970) something is done by the clock next.
    #[serde(default)]
    pub next_run: Option<u64>,
    /// Of an app that watches files, while it is not stopped.
    #[serde(default)]
    pub watching: Option<Watching>,
    /// The process of the keeper.
    pub keeper: i32,
    /// Whether there is anything in its store, of which somebody may have second descriptors. Keepers of before do not say.
    #[serde(default = "may_keep")]
    pub keeps: bool,
    /// One for each instance; of a cluster the primary alone.
    pub processes: Vec<Process>,
    /// The workers of a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
    /// What its workers have done together since they were looked at before; a keeper does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent: Option<Recent>,
}

fn may_keep() -> bool {
    true
}
