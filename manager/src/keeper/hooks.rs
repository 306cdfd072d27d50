//! What is run when something has happened that somebody may have to see to: the command of `on_event`, and what sends it to the webhook.
//!
//! One at a time of each kind; what comes meanwhile waits, and what is too much is left out and counted. None has longer than its time. Nothing waits
//! for any of them: what they read is a file in memory, and the end of a process is heard as that of any other. Only when the app has ended, and the keeper
//! is about to, they have a little time to come to their end.
//!
//! The webhook is sent by a small program of the package that Node runs (`manager/webhook.js`): TLS, certificates and retries come with
//! Node, and cost nothing as long as nothing happens. In this executable TLS would take more room than all of the keeper does.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::life::End;
use super::resolve;
use super::{Keeper, token};
use crate::logs::place::{NO_INSTANCE, Stream};
use crate::model::{App, Mode};
use crate::sys::spawn::{self, Program};
use crate::sys::{memory, process};

/// So many incidents wait for a hook.
const MOST: usize = 32;

/// How long (ms) hooks may still take when the app has ended, and the keeper is about to.
const LAST: u64 = 3000;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The command of `on_event`.
    Command,
    /// The program that sends to the webhook.
    Webhook,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Command => "on_event",
            Kind::Webhook => "webhook",
        }
    }

    /// How long (ms) it may take. A webhook is tried again and again meanwhile.
    fn time(self) -> u64 {
        match self {
            Kind::Command => 30_000,
            Kind::Webhook => 120_000,
        }
    }

    fn is_wanted(self, app: &App) -> bool {
        match self {
            Kind::Command => app.on_event.is_some(),
            Kind::Webhook => app.webhook.is_some(),
        }
    }
}

/// A process that a hook runs.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    pid: i32,
    until: u64,
    is_late: bool,
}

/// Why incidents are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Too many wait.
    Full,
    /// What was run has failed.
    Failed,
}

/// Something that is run for incidents.
#[derive(Debug)]
struct Hook {
    kind: Kind,
    waiting: VecDeque<Value>,
    /// How many incidents were left out since one was told.
    left_out: u64,
    /// For which of the reasons, as far as that was said.
    said: Option<Why>,
    running: Option<Run>,
}

impl Hook {
    fn new(kind: Kind) -> Hook {
        Hook { kind, waiting: VecDeque::new(), left_out: 0, said: None, running: None }
    }

    /// Returns whether that it waits in vain has to be said.
    fn add(&mut self, incident: &Value) -> bool {
        if self.waiting.len() < MOST {
            self.waiting.push_back(incident.clone());
            return false;
        }
        self.leave_out(Why::Full)
    }

    /// One was not told. Returns whether that has to be said, which it is once for each reason.
    fn leave_out(&mut self, why: Why) -> bool {
        self.left_out += 1;
        self.said.replace(why) != Some(why)
    }

    /// One was told. Returns how many were not, since the one before.
    fn delivered(&mut self) -> u64 {
        self.said = None;
        std::mem::take(&mut self.left_out)
    }

    /// What it is run for next.
    fn next(&mut self) -> Option<Value> {
        if self.running.is_some() { None } else { self.waiting.pop_front() }
    }

    fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }
}

/// All that is run for incidents.
#[derive(Debug)]
pub struct Hooks {
    hooks: [Hook; 2],
    /// When (ms) they have to be at their end, as the keeper is.
    end: Option<u64>,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks { hooks: [Hook::new(Kind::Command), Hook::new(Kind::Webhook)], end: None }
    }
}

impl Hooks {
    /// When (ms) one has had its time.
    pub fn deadline(&self) -> Option<u64> {
        self.runs().map(|run| run.until).chain(self.end.filter(|_| !self.are_idle())).min()
    }

    /// Sessions of processes that are none of the app's.
    pub fn sessions(&self) -> Vec<i32> {
        self.runs().map(|run| run.pid).collect()
    }

    /// Whether none is running or about to.
    pub fn are_idle(&self) -> bool {
        self.hooks.iter().all(Hook::is_idle)
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.hooks.iter().filter_map(|hook| hook.running.as_ref())
    }
}

/// What is executed, with its arguments, and what it reads.
struct Call {
    file: PathBuf,
    args: Vec<OsString>,
    input: String,
}

impl Keeper {
    /// An incident is to be passed on: when all else is done that follows from it.
    pub(super) fn run_hooks(&mut self, incident: &Value) {
        for index in 0..self.hooks.hooks.len() {
            let hook = &mut self.hooks.hooks[index];
            let name = hook.kind.name();
            if hook.kind.is_wanted(&self.app) && hook.add(incident) {
                self.say(
                    Stream::Error,
                    &format!("{name}: {MOST} events wait already: what comes meanwhile is left out"),
                );
            }
        }
    }

    /// What waits is begun.
    pub(super) fn start_hooks(&mut self) {
        for index in 0..self.hooks.hooks.len() {
            self.run_next(index);
        }
    }

    fn run_next(&mut self, index: usize) {
        while let Some(incident) = self.hooks.hooks[index].next() {
            let kind = self.hooks.hooks[index].kind;
            // It may have been taken out of the app's description meanwhile.
            if !kind.is_wanted(&self.app) {
                continue;
            }
            match self.start_hook(kind, &incident) {
                Ok(pid) => {
                    let until = self.now() + kind.time();
                    self.hooks.hooks[index].running = Some(Run { pid, until, is_late: false });
                }
                Err(problem) => self.hook_failed(index, &problem),
            }
        }
    }

    /// What has failed is said once, until it works again.
    fn hook_failed(&mut self, index: usize, problem: &str) {
        let hook = &mut self.hooks.hooks[index];
        let name = hook.kind.name();
        if hook.leave_out(Why::Failed) {
            self.say(Stream::Error, &format!("{name}: {problem}"));
        }
    }

    fn call(&self, kind: Kind, incident: &Value) -> Result<Call, String> {
        let input = format!("{incident}\n");
        if kind == Kind::Command {
            let command = self.app.on_event.clone().unwrap_or_default();
            return Ok(Call { file: "/bin/sh".into(), args: vec!["sh".into(), "-c".into(), command.into()], input });
        }
        let file = resolve::node(&self.app)?;
        let program = resolve::package().map_err(|error| error.to_string())?.join("manager/webhook.js");
        // Not as arguments or variables, which others may see.
        let is_quiet = self.hooks.hooks.iter().any(|hook| hook.kind == kind && hook.said == Some(Why::Failed));
        let input = json!({ "webhook": self.app.webhook, "event": incident, "isQuiet": is_quiet }).to_string();
        Ok(Call { file, args: vec!["node".into(), program.into()], input })
    }

    /// Starts it. The error says in words what has failed.
    fn start_hook(&mut self, kind: Kind, incident: &Value) -> Result<i32, String> {
        let failed = |error: std::io::Error| format!("could not be started: {error}");
        let call = self.call(kind, incident)?;
        let is_one = self.app.mode == Mode::Program && self.app.instances == 1;
        let writes_as = if is_one { 0 } else { NO_INSTANCE };
        let home = self.home().to_owned();
        let wires = self.outputs.wires(&self.app, &home, writes_as)?;
        let input = memory::file(c"incident", call.input.as_bytes()).map_err(failed)?;
        // What is preloaded into the app, or listens for its debugger, is none of the webhook's.
        let is_other = |name: &str| kind == Kind::Webhook && name == "NODE_OPTIONS";
        let is_ours =
            |name: &str| name.starts_with("NODE_CHANNEL") || name == "NOTIFY_SOCKET" || name == self.app.instance_var;
        let mut env: Vec<String> = self
            .app
            .env
            .iter()
            .filter(|(name, _)| !is_ours(name) && !is_other(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if kind == Kind::Command {
            env.extend(variables(incident));
        }
        let program = Program {
            file: &call.file,
            args: call.args.iter().map(OsString::as_os_str).collect(),
            env,
            cwd: Path::new(&self.app.cwd),
            stdio: [input.as_fd(), wires.theirs[0].as_fd(), wires.theirs[1].as_fd()],
            fds: Vec::new(),
            own_pid: Vec::new(),
            user: resolve::user(&self.app)?,
        };
        let pid = spawn::spawn(&program).map_err(|(_, error)| failed(error))?;
        drop(program);
        // Without its output it runs all the same.
        let _ = self.outputs.connect(wires, &self.app, writes_as, pid, &self.poller, token::OUTPUT);
        Ok(pid)
    }

    /// One has had its time: it is ended with all that is in its session's group.
    pub(super) fn on_hooks_late(&mut self, now: u64) {
        for hook in &mut self.hooks.hooks {
            if let Some(run) = hook.running.as_mut().filter(|run| run.until <= now) {
                (run.is_late, run.until) = (true, now + hook.kind.time());
                // It may have ended just now.
                let _ = process::kill_group(run.pid);
            }
        }
    }

    /// A child has ended. Returns whether it was a hook's.
    pub(super) fn on_hook_ended(&mut self, pid: i32, end: End) -> bool {
        let is_it = |hook: &Hook| hook.running.as_ref().is_some_and(|run| run.pid == pid);
        let Some(index) = self.hooks.hooks.iter().position(is_it) else { return false };
        let now = self.now();
        let is_left = self.outputs.drain(pid, now, &self.poller, token::OUTPUT);
        let hook = &mut self.hooks.hooks[index];
        let (kind, is_late) = (hook.kind, hook.running.take().is_some_and(|run| run.is_late));
        match end {
            _ if is_late => {
                self.hook_failed(index, &format!("took longer than {} s, and was ended", kind.time() / 1000))
            }
            End::Code(0) => self.hook_worked(index),
            End::Code(code) if kind == Kind::Command => self.hook_failed(index, &format!("ended with code {code}")),
            // It has said why, unless it had before.
            End::Code(_) => drop(self.hooks.hooks[index].leave_out(Why::Failed)),
            End::Signal(number) => self.hook_failed(index, &format!("was ended by signal {number}")),
        }
        if self.quitting && is_left {
            self.write_out();
        }
        true
    }

    fn hook_worked(&mut self, index: usize) {
        let hook = &mut self.hooks.hooks[index];
        let (name, left_out) = (hook.kind.name(), hook.delivered());
        if left_out > 0 {
            self.say(Stream::Error, &format!("{name}: works again; {left_out} events were left out meanwhile"));
        }
    }

    /// When the app has ended, and the keeper is about to, hooks have a little more time, and what is not told by then is left out.
    pub(super) fn end_hooks(&mut self) {
        if !self.quitting || !self.is_at_rest() || self.hooks.are_idle() {
            self.hooks.end = None;
            return;
        }
        let now = self.now();
        if now < *self.hooks.end.get_or_insert(now + LAST) {
            return;
        }
        for index in 0..self.hooks.hooks.len() {
            let hook = &mut self.hooks.hooks[index];
            let running = hook.running.take();
            if let Some(run) = &running {
                // It may have ended just now.
                let _ = process::kill_group(run.pid);
            }
            let left_out = hook.delivered() + hook.waiting.len() as u64 + u64::from(running.is_some());
            hook.waiting.clear();
            let name = hook.kind.name();
            if left_out > 0 {
                self.say(Stream::Error, &format!("{name}: {left_out} events were left out, as the app has ended"));
            }
        }
        self.write_out();
    }
}

/// An incident for a command.
fn variables(incident: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let of = |name: &str, member: &str| {
        let value = incident.get(member).filter(|one| !one.is_null()).map(text).unwrap_or_default();
        // Which no variable can hold.
        format!("{name}={}", value.replace('\0', " "))
    };
    vec![
        of("RCLUSTER_EVENT", "kind"),
        of("RCLUSTER_EVENT_APP", "app"),
        of("RCLUSTER_EVENT_NAMESPACE", "namespace"),
        of("RCLUSTER_EVENT_INSTANCE", "instance"),
        of("RCLUSTER_EVENT_MESSAGE", "message"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_what_is_too_much_is_counted_and_said_once() {
        let mut hook = Hook::new(Kind::Command);
        let said: Vec<bool> = (0..MOST + 5).map(|number| hook.add(&json!({ "number": number }))).collect();
        assert_eq!(said.iter().position(|said| *said), Some(MOST));
        assert_eq!(said.iter().filter(|said| **said).count(), 1);
        assert_eq!(hook.next(), Some(json!({ "number": 0 })));
        hook.running = Some(Run { pid: 7, until: 9, is_late: false });
        assert_eq!(hook.next(), None);
        hook.running = None;
        // Another reason is said as well, once.
        assert_eq!([(); 2].map(|()| hook.leave_out(Why::Failed)), [true, false]);
        assert_eq!((hook.delivered(), hook.delivered()), (7, 0));
        assert!(hook.leave_out(Why::Failed));
        for number in 1..MOST {
            assert_eq!(hook.next(), Some(json!({ "number": number })));
        }
        assert!(hook.is_idle() && hook.next().is_none());
    }

    #[test]
    fn a_command_is_told_in_variables_what_has_happened() {
        let incident =
            json!({ "kind": "crash", "app": "a", "namespace": "n", "instance": 3, "message": "ended\0with code 1" });
        assert_eq!(
            variables(&incident),
            [
                "RCLUSTER_EVENT=crash",
                "RCLUSTER_EVENT_APP=a",
                "RCLUSTER_EVENT_NAMESPACE=n",
                "RCLUSTER_EVENT_INSTANCE=3",
                "RCLUSTER_EVENT_MESSAGE=ended with code 1",
            ]
        );
    }
}
