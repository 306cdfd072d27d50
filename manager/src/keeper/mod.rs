//! The keeper of one app: owns its processes, their output, their sockets and their ends, whatever becomes of the daemon.
//!
//! One thread, one epoll. When nothing happens nothing is done: no timer runs unless a process is starting, stopping or about to
//! be started again.

pub mod birth;
mod ends;
mod guards;
mod hooks;
mod incidents;
mod instance;
mod leftovers;
pub mod life;
mod lines;
mod log_orders;
mod memory;
mod notify;
mod open;
mod output;
mod primary;
mod processes;
mod request;
mod resolve;
mod schedule;
mod store;
mod tree;
mod upgrade;
mod watch;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::Flock;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::model::{App, Mode, Status, Worker};
use crate::sys::datagram::NotifySocket;
use crate::sys::poll::Poller;
use crate::sys::signals::Signals;
use crate::sys::socket::Door;
use instance::Instance;
use leftovers::Note;
use life::{Event, Rules};
use lines::{Got, Lines};
use log_orders::Waiting;
pub use open::run;
use output::Outputs;
pub use primary::PRIMARY_ENDED;
use store::Store;
pub use store::{About, Whose};

/// The version of what is said between a daemon and its keepers.
pub const PROTOCOL: u32 = 1;

/// What a keeper says that is one too many.
pub const ANOTHER: &str = "another keeper of this app is there";

/// How often (ms) it is looked how much memory instances use, where that is limited.
const MEMORY_LOOK: u64 = 1000;

/// What is ready, by its token: a kind, and which of that kind.
mod token {
    pub const SIGNALS: u64 = 0;
    pub const LISTENER: u64 = 1;
    pub const NOTIFY: u64 = 2;
    pub const LOGS: u64 = 3;
    pub const SCHEDULE: u64 = 4;
    pub const WATCH: u64 = 5;
    pub const CLIENT: u64 = 1 << 32;
    pub const OUTPUT: u64 = 2 << 32;
    pub const IPC: u64 = 4 << 32;
    pub const STORED: u64 = 5 << 32;
    pub const MAIN: u64 = 6 << 32;
    pub const NEXT: u64 = 7 << 32;
    pub const FORMER: u64 = 8 << 32;

    pub fn parts(token: u64) -> (u64, u32) {
        (token >> 32 << 32, token as u32)
    }
}

/// Somebody who asks: a daemon.
struct Client {
    lines: Lines,
    /// Whether it wants to hear what happens.
    subscribed: bool,
    /// Whether it keeps what is in the store, in case that we go.
    guards: bool,
}

/// A request that is answered when these instances have come to where they were told to go.
struct Pending {
    client: u32,
    id: serde_json::Value,
    instances: Vec<u32>,
}

/// The keeper.
pub struct Keeper {
    folder: PathBuf,
    app: App,
    rules: Rules,
    began: Instant,
    poller: Poller,
    signals: Signals,
    door: Door,
    notify: NotifySocket,
    clients: BTreeMap<u32, Client>,
    last_client: u32,
    pending: Vec<Pending>,
    instances: Vec<Instance>,
    /// Sockets that the app asks for, and what its processes have left for those that come after them.
    store: Store,
    /// What processes write, on its way into files.
    outputs: Outputs,
    /// What goes on when the writer of logs has done what it was told, by the number of the order.
    ordered: BTreeMap<u64, Waiting>,
    /// Of a cluster, as its primary has told.
    workers: Vec<Worker>,
    /// Requests that the primary has to answer, by the number that it got.
    asked: BTreeMap<u64, (u32, serde_json::Value)>,
    last_asked: u64,
    /// When (ms) memory is looked at next; `None` where it is not limited.
    memory_look: Option<u64>,
    /// What is due by the clock; nothing for an app that has no times.
    schedule: Option<schedule::Schedule>,
    /// Files that are watched; nothing for an app that watches none, or is stopped.
    watch: Option<watch::Watch>,
    /// What is run when something has happened.
    hooks: hooks::Hooks,
    /// Whether something has changed that subscribers have not heard of.
    changed: bool,
    /// What is written down for the keeper that comes after us.
    note: Note,
    quitting: bool,
    /// Whether the app has been given up, and not only its keeper told to end.
    forgets: bool,
    /// Held as long as we live; it tells who that is.
    lock: Flock<File>,
}

impl Keeper {
    /// Milliseconds since this keeper began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while !self.is_through() {
            self.plan_memory_look();
            let deadlines = self.instances.iter().flat_map(|one| [one.life.deadline(), one.told.alive_until]).flatten();
            let timeout = deadlines.chain(self.memory_look).chain(self.logs_deadline());
            let timeout = timeout.chain(self.watch_deadline()).chain(self.hooks.deadline()).min();
            self.poller.wait(timeout.map(|at| at.saturating_sub(self.now())), &mut ready)?;
            for token in std::mem::take(&mut ready) {
                self.on_ready(token);
            }
            self.on_deadlines();
            self.follow_up();
        }
        let _ = fs::remove_file(self.folder.join("keeper.sock"));
        let _ = self.lock.set_len(0);
        if self.forgets {
            let _ = fs::remove_file(self.folder.join("state.json"));
        }
        Ok(())
    }

    /// Does what follows from what has happened, and tells those who wait for it.
    fn follow_up(&mut self) {
        self.go_on_with_watched();
        self.start_hooks();
        self.end_hooks();
        if self.forgets && self.is_at_rest() {
            // Whoever is told that the app is forgotten finds its addresses free.
            self.store.close_others(&[], Path::new(&self.app.cwd), &self.poller);
        }
        self.answer_pending();
        self.tell_guards();
        self.tell_changes();
    }

    /// Whether it was told to quit, and nothing is left to do.
    fn is_through(&self) -> bool {
        self.quitting && self.ordered.is_empty() && self.is_at_rest() && self.hooks.are_idle()
    }

    /// Whether nothing of the app is running or will be.
    fn is_at_rest(&self) -> bool {
        self.instances.iter().all(|instance| instance.life.is_at_rest())
    }

    /// Those who want to hear it hear what has changed.
    fn tell_changes(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.write_note();
            self.publish(&json!({ "event": "status", "status": self.status() }));
        }
    }

    fn on_ready(&mut self, token: u64) {
        match token {
            token::SIGNALS => self.on_signals(),
            token::LISTENER => self.on_client(),
            token::NOTIFY => self.on_told(),
            token::LOGS => self.on_logs_written(),
            token::SCHEDULE => self.on_schedule(),
            token::WATCH => self.on_files_changed(),
            other => match token::parts(other) {
                (token::CLIENT, number) => self.on_request(number),
                (token::OUTPUT, number) => {
                    let now = self.now();
                    self.outputs.on_ready(number, now, &self.poller, token::OUTPUT);
                }
                (token::IPC, number) => self.on_message(number),
                (token::STORED, number) => self.store.on_gone(number, &self.poller),
                (token::MAIN, number) => self.on_main_ended(number),
                (token::NEXT, number) => self.on_next_ended(number),
                (token::FORMER, number) => self.on_former(number),
                _ => {}
            },
        }
    }

    fn on_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::SIGCHLD => {
                    // Of one that has ended and told us something, we know who it is until then.
                    if self.app.mode == Mode::Cluster {
                        self.on_told();
                    }
                    self.on_ended();
                }
                Signal::SIGUSR2 => self.reopen_logs(None),
                // Whoever ends the keeper ends the app, in an orderly way.
                Signal::SIGTERM | Signal::SIGINT => self.quit(),
                _ => {}
            }
        }
    }

    fn quit(&mut self) {
        self.quitting = true;
        for number in 0..self.instances.len() {
            self.event(number, Event::Stop);
        }
    }

    fn on_deadlines(&mut self) {
        let now = self.now();
        for number in 0..self.instances.len() {
            if self.instances[number].life.deadline().is_some_and(|at| at <= now) {
                self.event(number, Event::Timeout);
                self.look_for_gone_trees();
            }
            if self.instances[number].told.alive_until.is_some_and(|at| at <= now) {
                self.event(number, Event::Hung);
            }
        }
        if self.memory_look.is_some_and(|at| at <= now) {
            self.look_at_memory();
        }
        if self.logs_deadline().is_some_and(|at| at <= now) {
            self.on_logs_time(now);
        }
        if self.watch_deadline().is_some_and(|at| at <= now) {
            self.on_watch_due(now);
        }
        if self.hooks.deadline().is_some_and(|at| at <= now) {
            self.on_hooks_late(now);
        }
    }

    fn on_message(&mut self, number: u32) {
        let index = number as usize;
        let Some(running) = self.instances.get_mut(index).and_then(|instance| instance.running.as_mut()) else {
            return;
        };
        let Some(ipc) = &mut running.ipc else { return };
        let (lines, ended) = match ipc.read() {
            Got::Lines(lines) => (lines, false),
            Got::End(lines) => (lines, true),
        };
        if ended {
            self.poller.remove(&*ipc);
            running.ipc = None;
        }
        for line in lines {
            // As under PM2.
            if line == "\"ready\"" {
                self.event(index, Event::Ready);
            }
            if self.app.mode == Mode::Cluster && self.on_primary(&line) {
                continue;
            }
            self.publish(&json!({ "event": "message", "instance": number, "message": parse_or_text(&line) }));
        }
    }

    /// Sets how many instances there are. Surplus ones must have come to rest.
    fn set_count(&mut self, count: u32) {
        while self.instances.len() < count as usize {
            self.instances.push(Instance::new(self.instances.len() as u32));
        }
    }

    /// The folder of the daemon, two above ours.
    fn home(&self) -> &Path {
        self.folder.parent().and_then(Path::parent).unwrap_or(&self.folder)
    }

    /// What all processes are doing. What they use is not looked up: whoever asks for many apps looks once for all.
    fn status(&self) -> Status {
        Status {
            app: self.app.name.clone(),
            namespace: self.app.namespace.clone(),
            mode: self.app.mode,
            next_run: self.schedule.as_ref().and_then(schedule::Schedule::next),
            watching: self.watch.as_ref().map(watch::Watch::status),
            keeper: i32::try_from(std::process::id()).unwrap_or(0),
            keeps: !self.store.is_empty(),
            processes: self.instances.iter().map(|instance| instance.status(&self.app)).collect(),
            workers: self.workers.clone(),
            recent: None,
        }
    }
}

fn parse_or_text(line: &str) -> serde_json::Value {
    serde_json::from_slice(line.as_bytes()).unwrap_or_else(|_| line.into())
}
