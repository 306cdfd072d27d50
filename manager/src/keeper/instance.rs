//! One instance of an app: its life, its process, and everything that ties the two together.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use super::life::{End, Life, Trouble};
use super::lines::Lines;
use super::resolve;
use super::store;
use super::tree::Root;
use super::upgrade::{Former, Next};
use crate::model::{App, Mode, Process};
use crate::sys::spawn::{self, Failed, Program};
use crate::sys::{procfs, socket};

/// Variables that mean something to a program that is started by a service manager. What the manager of the manager has said is not
/// meant for it.
const NOT_PASSED_ON: [&str; 10] = [
    "FDSTORE",
    "MAINPID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NODE_CHANNEL_FD",
    "NODE_CHANNEL_SERIALIZATION_MODE",
];

/// A process that runs, or has run and left others of its tree.
pub struct Running {
    /// Its number; that of another one that it has said to be the main process (`MAINPID`).
    pub pid: i32,
    /// When that was started, in clock ticks since the machine was.
    pub start: Option<u64>,
    /// The number of the one that was started: of the session of all that has not made one of its own.
    pub session: i32,
    /// The main process, where it is not the one that was started.
    pub main: Option<OwnedFd>,
    /// Whether it has ended.
    pub ended: bool,
    /// Its standard input.
    pub input: Option<File>,
    /// Its message channel.
    pub ipc: Option<Lines>,
    /// A process that is to be the main one next.
    pub next: Option<Next>,
    /// What is left of the main process before.
    pub former: Option<Former>,
}

impl Running {
    /// All that the poller knows of it.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let channels = [self.ipc.as_ref(), self.former.as_ref().map(Former::channel)];
        let processes = [self.main.as_ref(), self.next.as_ref().map(Next::process)];
        channels.into_iter().flatten().map(Lines::as_fd).chain(processes.into_iter().flatten().map(OwnedFd::as_fd))
    }
}

/// An instance.
pub struct Instance {
    /// Its number, from 0.
    pub number: u32,
    /// Where in its life it is.
    pub life: Life,
    /// Its process.
    pub running: Option<Running>,
    /// Whether nobody has told it to start since it was told to stop.
    pub is_stopped: bool,
    /// Why it could not be started.
    pub problem: Option<String>,
    /// When its process was started (ms since 1970).
    pub(super) started_at: Option<u64>,
    /// What its process has told of itself.
    pub told: Told,
}

/// What a process has told of itself (sd_notify(3)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What it is doing, in its own words.
    pub status: Option<String>,
    /// Whether it is taking a new configuration.
    pub reloading: bool,
    /// How often (ms) it has to say that it lives, when it does not go by what the app says.
    pub watchdog: Option<u64>,
    /// When (ms since the keeper began) it has to have said so.
    pub alive_until: Option<u64>,
    /// Whether it has left a descriptor for which there was no room, and that was said.
    pub lost_fds: bool,
}

/// What instances are given besides what their app says.
pub struct Gifts<'a> {
    /// The name of the socket that they tell their state to.
    pub notify: &'a str,
    /// Listening sockets, and what the process before has left, with their names.
    pub sockets: Vec<(String, BorrowedFd<'a>)>,
    /// Standard output and standard error.
    pub outputs: &'a [OwnedFd; 2],
    /// Which streams of its workers a primary is to pass on.
    pub reads: String,
}

impl Instance {
    /// One that is stopped.
    pub fn new(number: u32) -> Instance {
        Instance {
            number,
            life: Life::default(),
            running: None,
            is_stopped: true,
            problem: None,
            started_at: None,
            told: Told::default(),
        }
    }

    /// Starts its process. The error says in words what has failed.
    pub fn spawn(&mut self, app: &App, gifts: &Gifts) -> Result<(), String> {
        let executable = resolve::executable(app)?;
        let user = resolve::user(app)?;
        let failed = |error: io::Error| format!("could not be started: {error}");
        let (theirs_in, input) = spawn::input_pipe().map_err(failed)?;
        let mut env = self.environment(app, gifts);
        let mut fds: Vec<_> = gifts.sockets.iter().map(|(_, fd)| *fd).collect();
        let channel = if executable.is_node && app.ipc { Some(socket::channel().map_err(failed)?) } else { None };
        if let Some((_, theirs)) = &channel {
            env.push(format!("NODE_CHANNEL_FD={}", 3 + fds.len()));
            env.push("NODE_CHANNEL_SERIALIZATION_MODE=json".into());
            fds.push(theirs.as_fd());
        }
        let variables = [("LISTEN_PID", !gifts.sockets.is_empty()), ("WATCHDOG_PID", app.watchdog > 0)];
        let own_pid = variables.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect();
        let program = Program {
            file: &executable.file,
            args: executable.args.iter().map(|arg| arg.as_os_str()).collect(),
            env,
            cwd: Path::new(&app.cwd),
            stdio: [theirs_in.as_fd(), gifts.outputs[0].as_fd(), gifts.outputs[1].as_fd()],
            fds,
            own_pid,
            user,
        };
        let pid = spawn::spawn(&program).map_err(|(failed, error)| match failed {
            Failed::Cwd => format!("the folder \"{}\" cannot be entered: {error}", app.cwd),
            Failed::User => format!("it cannot run as another user: {error}"),
            Failed::Exec => resolve::not_executed(&executable.file, &error),
            Failed::Start => format!("could not be started: {error}"),
        })?;
        drop(program);
        self.problem = None;
        self.started_at =
            SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|time| u64::try_from(time.as_millis()).ok());
        self.told = Told::default();
        self.running = Some(Running {
            pid,
            start: procfs::stat(pid).map(|stat| stat.start),
            session: pid,
            main: None,
            ended: false,
            input: Some(File::from(input)),
            ipc: channel.map(|(ours, _)| Lines::new(ours)),
            next: None,
            former: None,
        });
        Ok(())
    }

    fn environment(&self, app: &App, gifts: &Gifts) -> Vec<String> {
        let passed_on =
            app.env.iter().filter(|(name, _)| !NOT_PASSED_ON.contains(&name.as_str()) && **name != app.instance_var);
        let variable = |(name, value): (&String, &String)| match self.incremented(app, name, value) {
            Some(number) => format!("{name}={number}"),
            None => format!("{name}={value}"),
        };
        let mut env: Vec<String> = passed_on.map(variable).collect();
        if app.mode == Mode::Cluster {
            // Its workers have numbers of their own.
            env.push("RCLUSTER_KEEPER=1".into());
            env.push(format!("RCLUSTER_READS={}", gifts.reads));
        } else {
            env.push(self.mark(app));
        }
        env.push(format!("NOTIFY_SOCKET={}", gifts.notify));
        env.push(format!("FDSTORE={}", store::most()));
        if app.watchdog > 0 {
            env.push(format!("WATCHDOG_USEC={}", app.watchdog.saturating_mul(1000)));
        }
        if !gifts.sockets.is_empty() {
            let names: Vec<&str> = gifts.sockets.iter().map(|(name, _)| name.as_str()).collect();
            env.push(format!("LISTEN_FDS={}", names.len()));
            env.push(format!("LISTEN_FDNAMES={}", names.join(":")));
        }
        env
    }

    /// A number that is one more for each instance, such as its port.
    fn incremented(&self, app: &App, name: &str, value: &str) -> Option<i64> {
        let is_it = app.mode == Mode::Program && app.increment_var.as_deref() == Some(name);
        value.parse::<i64>().ok().filter(|_| is_it)?.checked_add(i64::from(self.number))
    }

    /// The variable by which what it starts is known.
    fn mark(&self, app: &App) -> String {
        format!("{}={}", app.instance_var, self.number)
    }

    /// What its tree is found by.
    pub fn root(&self, app: &App) -> Option<Root> {
        self.running.as_ref().map(|running| Root { pid: running.pid, session: running.session, mark: self.mark(app) })
    }

    /// It uses more memory than it may, and starts anew.
    pub fn is_too_large(&mut self) {
        self.life.trouble = Some(Trouble::TooLarge);
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.ended)
    }

    /// Sends a message to its Node process. Returns whether it has a channel.
    pub fn send_message(&mut self, text: &str) -> bool {
        let channel = self.running.as_mut().filter(|running| !running.ended).and_then(|running| running.ipc.as_mut());
        channel.is_some_and(|channel| channel.send(text).is_ok())
    }

    /// Writes to its standard input. Returns whether all of it was taken.
    pub fn write_input(&mut self, text: &str) -> bool {
        let input = self.running.as_mut().and_then(|running| running.input.as_mut());
        input.is_some_and(|input| input.write_all(text.as_bytes()).is_ok())
    }

    /// What users are told.
    pub fn status(&self, app: &App) -> Process {
        let (exit_code, signal) = match self.life.last_end {
            None => (None, None),
            Some(End::Code(code)) => (Some(code), None),
            Some(End::Signal(number)) => {
                let name =
                    Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.as_str().to_owned());
                (None, Some(name))
            }
        };
        let trouble = self.life.trouble.map(|trouble| match trouble {
            Trouble::NotStarted => self.problem.clone().unwrap_or_default(),
            Trouble::NotReady => format!("was not ready after {} ms", app.listen_timeout),
            Trouble::Hung => {
                format!("did not say within {} ms that it lives", self.told.watchdog.unwrap_or(app.watchdog))
            }
            Trouble::TooLarge => format!("used more than {} MiB", app.max_memory >> 20),
            Trouble::CrashLoop => format!("ended too soon {} times in a row", self.life.unstable),
        });
        Process {
            instance: self.number,
            id: app.ids.get(self.number as usize).copied(),
            pid: self.running.as_ref().filter(|running| !running.ended).map(|running| running.pid),
            state: self.life.state(),
            started_at: self.started_at.filter(|_| self.is_running()),
            restarts: self.life.restarts,
            unstable_restarts: self.life.unstable,
            exit_code,
            signal,
            last_error: trouble,
            status_text: self.told.status.clone().filter(|_| self.is_running()),
            reloading: self.told.reloading && self.is_running(),
            upgrading: self.running.as_ref().is_some_and(|running| running.next.is_some()),
            memory: 0,
            cpu_time: 0,
            cpu: 0.0,
            threads: 0,
            descriptors: 0,
        }
    }
}
