//! The keeper of one app: owns its processes, their output, their sockets and their ends, whatever becomes of the daemon.
//!
//! One thread, one epoll. When nothing happens nothing is done: no timer runs unless a process is starting, stopping or about to
//! be started again.

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
mod output;
mod primary;
mod request;
mod resolve;
mod schedule;
mod store;
mod tree;
mod upgrade;
mod watch;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::logs::console::Console;
use crate::logs::place;
use crate::model::{App, Mode, State, Status, Worker};
use crate::sys::poll::Poller;
use crate::sys::signals::{self, Signals};
use crate::sys::socket::Door;
use crate::sys::{datagram::NotifySocket, process, procfs, socket};
use instance::{Gifts, Instance};
use leftovers::Note;
use life::{Action, Event, Rules};
use lines::{Got, Lines};
use log_orders::Waiting;
use output::Outputs;
pub use primary::PRIMARY_ENDED;
use store::Store;
pub use store::{About, Whose};

/// The version of what is said between a daemon and its keepers.
pub const PROTOCOL: u32 = 1;

/// The variable that tells a new keeper what it was given.
pub const KEPT: &str = "RCLUSTER_KEPT";

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
    /// The run of the machine.
    boot: String,
    /// What is written down for the keeper that comes after us.
    note: Note,
    /// What the keeper before us had written down.
    before: Option<Note>,
    quitting: bool,
    /// Whether the app has been given up, and not only its keeper told to end.
    forgets: bool,
    /// Held as long as we live; it tells who that is.
    lock: Flock<File>,
}

/// Runs the keeper of this app in `folder` until it is told to quit. `kept`: what the one before us had in its store. `line`: where a daemon asks us
/// already. `console`: where lines go besides their files.
pub fn run(
    folder: &Path,
    app: File,
    kept: Vec<(About, OwnedFd)>,
    line: OwnedFd,
    console: Option<Console>,
) -> io::Result<()> {
    match Keeper::open(folder, app, kept, console) {
        Ok(mut keeper) => {
            keeper.add_client(line);
            keeper.run()
        }
        Err(error) => {
            let words = json!({ "event": "failed", "words": error.to_string() });
            // A daemon that has gone has no need to know.
            let _ = File::from(line).write_all(format!("{words}\n").as_bytes());
            Err(error)
        }
    }
}

impl Keeper {
    fn open(folder: &Path, app: File, kept: Vec<(About, OwnedFd)>, console: Option<Console>) -> io::Result<Keeper> {
        let app: App = serde_json::from_slice(io::read_to_string(app)?.as_bytes())?;
        // Never removed: whoever had opened it by then would have a lock of his own.
        let lock =
            File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join("keeper.json"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => io::Error::new(io::ErrorKind::AddrInUse, ANOTHER),
            other => other.into(),
        })?;
        process::adopt_orphans()?;
        signals::survive_full_files()?;
        let signals =
            Signals::open(&[Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR2])?;
        let (poller, notify) = (Poller::new()?, NotifySocket::open()?);
        let door = Door::new(socket::listen_private(&folder.join("keeper.sock"))?);
        poller.add(&signals, token::SIGNALS)?;
        poller.add(&door, token::LISTENER)?;
        poller.add(&notify, token::NOTIFY)?;
        let mut keeper = Keeper {
            folder: folder.to_owned(),
            rules: Rules::from(&app),
            app,
            began: Instant::now(),
            poller,
            signals,
            door,
            notify,
            clients: BTreeMap::new(),
            last_client: 0,
            pending: Vec::new(),
            instances: Vec::new(),
            store: Store::default(),
            outputs: Outputs::new(console)?,
            ordered: BTreeMap::new(),
            workers: Vec::new(),
            asked: BTreeMap::new(),
            last_asked: 0,
            memory_look: None,
            schedule: None,
            watch: None,
            hooks: hooks::Hooks::default(),
            changed: false,
            boot: procfs::boot(),
            note: Note::default(),
            before: Note::read(folder),
            quitting: false,
            forgets: false,
            lock,
        };
        // Who asks meanwhile waits.
        if let Some(before) = &keeper.before {
            leftovers::end(before, &keeper.app);
        }
        for (about, fd) in kept {
            keeper.store.keep(about, fd, &keeper.poller);
        }
        keeper.store.open(&keeper.app.sockets, Path::new(&keeper.app.cwd), &keeper.poller)?;
        keeper.poller.add(&keeper.outputs.writer, token::LOGS)?;
        keeper.set_count(keeper.app.processes());
        keeper.plan_schedule()?;
        keeper.introduce();
        Ok(keeper)
    }

    /// Tells who we are: a number alone may be another process's tomorrow. Nobody needs it who can ask; a full disk may be without.
    fn introduce(&self) {
        let pid = std::process::id();
        let start = i32::try_from(pid).ok().and_then(procfs::stat).map(|stat| stat.start);
        let about =
            json!({ "pid": pid, "startTime": start, "version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL });
        let _ = self.lock.set_len(0).and_then(|()| self.lock.write_all_at(about.to_string().as_bytes(), 0));
    }

    /// Milliseconds since this keeper began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            self.plan_memory_look();
            let deadlines = self.instances.iter().flat_map(|one| [one.life.deadline(), one.told.alive_until]).flatten();
            let timeout = deadlines.chain(self.memory_look).chain(self.logs_deadline());
            let timeout = timeout.chain(self.watch_deadline()).chain(self.hooks.deadline()).min();
            self.poller.wait(timeout.map(|at| at.saturating_sub(self.now())), &mut ready)?;
            for token in std::mem::take(&mut ready) {
                self.on_ready(token);
            }
            self.on_deadlines();
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
            if self.quitting && self.ordered.is_empty() && self.is_at_rest() && self.hooks.are_idle() {
                let _ = fs::remove_file(self.folder.join("keeper.sock"));
                let _ = self.lock.set_len(0);
                if self.forgets {
                    let _ = fs::remove_file(self.folder.join("state.json"));
                }
                return Ok(());
            }
        }
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

    /// Children have ended: instances, or what they left behind.
    fn on_ended(&mut self) {
        while let Some((pid, end)) = process::next_ended() {
            if !self.on_hook_ended(pid, end) {
                self.on_end(pid, end);
            }
        }
        self.look_for_gone_trees();
    }

    /// This one has ended; if it is an instance's main process, that has.
    fn on_end(&mut self, pid: i32, end: life::End) {
        let instance = self.instances.iter_mut().position(|instance| {
            instance
                .running
                .as_mut()
                .is_some_and(|running| running.pid == pid && !std::mem::replace(&mut running.ended, true))
        });
        if let Some(number) = instance {
            // One that was about to follow it goes on without it.
            if self.promote(number) {
                return;
            }
            if self.app.mode == Mode::Cluster {
                self.primary_is_gone();
            }
            self.when_logged(number, end);
        }
    }

    /// Those who wait for the rest of their tree go on when nothing is left of it.
    fn look_for_gone_trees(&mut self) {
        let waits = |instance: &Instance| instance.life.state() == State::Stopping && !instance.is_running();
        let waiting: Vec<usize> = (0..self.instances.len())
            .filter(|number| waits(&self.instances[*number]) && !self.is_being_logged(*number))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let trees = self.trees();
        for number in waiting {
            if !self.app.treekill || trees[number].is_empty() {
                self.when_all_logged(number);
            }
        }
    }

    /// All that belongs to each instance.
    fn trees(&self) -> Vec<Vec<procfs::Stat>> {
        if !process::has_children() {
            // What has lost its parent is our child: there is nothing, and no need to look at all processes of the machine.
            return vec![Vec::new(); self.instances.len()];
        }
        let known: Vec<(usize, tree::Root)> = self
            .instances
            .iter()
            .enumerate()
            .filter_map(|(number, one)| Some((number, one.root(&self.app)?)))
            .collect();
        let roots: Vec<tree::Root> = known.iter().map(|(_, root)| root.clone()).collect();
        let mut trees = vec![Vec::new(); self.instances.len()];
        let keeper = i32::try_from(std::process::id()).unwrap_or(0);
        for ((number, _), tree) in known.into_iter().zip(tree::trees(keeper, &roots, &self.hooks.sessions())) {
            trees[number] = tree;
        }
        trees
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

    /// Something has happened to an instance: does what follows from it.
    fn event(&mut self, number: usize, event: Event) {
        let now = self.now();
        let Some(instance) = self.instances.get_mut(number) else { return };
        let before = (instance.life.state(), instance.life.trouble);
        let actions = instance.life.on(event, &self.rules, now);
        let changed = before != (instance.life.state(), instance.life.trouble) || !actions.is_empty();
        // What follows from it may have troubles of its own.
        self.tell_trouble(number, event, before);
        for action in actions {
            match action {
                Action::Spawn => self.spawn(number),
                Action::AskToEnd => self.ask_to_end(number),
                Action::AskToMakeRoom => self.ask_to_make_room(number),
                Action::Abort => self.signal_main(number, Signal::SIGABRT),
                Action::AskRestToEnd => {
                    self.signal_tree(number, self.kill_signal());
                    self.look_for_gone_trees();
                }
                Action::KillTree => self.signal_tree(number, Signal::SIGKILL),
            }
        }
        self.changed |= changed;
        if changed {
            // It is to say that it lives from when it is online on.
            self.feed_watchdog(number);
            if self.instances[number].life.is_at_rest() {
                self.store.abandon(number as u32, Path::new(&self.app.cwd), &self.poller);
            }
        }
    }

    fn spawn(&mut self, number: usize) {
        self.forget_process(number);
        if let Err(problem) = self.try_spawn(number) {
            self.instances[number].problem = Some(problem);
            self.event(number, Event::SpawnFailed);
        }
    }

    fn try_spawn(&mut self, number: usize) -> Result<(), String> {
        let home = self.home().to_owned();
        let which = self.instances[number].number;
        // A primary is none of the instances: its workers are.
        let writes_as = if self.app.mode == Mode::Cluster { place::NO_INSTANCE } else { which };
        let wires = self.outputs.wires(&self.app, &home, writes_as)?;
        let sockets = self.store.of(which).collect();
        let gifts = Gifts { notify: self.notify.name(), sockets, outputs: &wires.theirs, reads: wires.streams() };
        let instance = &mut self.instances[number];
        instance.spawn(&self.app, &gifts)?;
        let running = instance.running.as_ref().ok_or("it has gone")?;
        let connected = self.outputs.connect(wires, &self.app, writes_as, running.pid, &self.poller, token::OUTPUT);
        let watched = connected.and_then(|()| {
            let ipc = running.ipc.iter().map(|ipc| self.poller.add(ipc, token::IPC + u64::from(which)));
            ipc.collect::<io::Result<()>>()
        });
        watched.map_err(|error| error.to_string())
    }

    /// What is left of the process before. What still comes of its output, from others that have it, is read on.
    fn forget_process(&mut self, number: usize) {
        let Some(running) = self.instances[number].running.take() else { return };
        for watched in running.watched() {
            self.poller.remove(watched);
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
            processes: self.instances.iter().map(|instance| instance.status(&self.app)).collect(),
            workers: self.workers.clone(),
            recent: None,
        }
    }
}

fn parse_or_text(line: &str) -> serde_json::Value {
    serde_json::from_slice(line.as_bytes()).unwrap_or_else(|_| line.into())
}
