//! The primary of a cluster is replaced by another one, which it has started itself.
//!
//! The old one tells of the new one as soon as that is there (`RCLUSTER_NEXT`, with our end of the new one's message channel). The new one is the
//! main process from when the old one says so (`MAINPID`), or has died: what it was asked for it may still answer, as it finishes what
//! its workers have. Nothing has ended, so nothing is started again and nothing is counted.

use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::lines::{Got, Lines};
use super::request::{Answer, Refusal};
use super::{Keeper, resolve, token};
use crate::model::Mode;
use crate::sys::{process, procfs};

/// A primary that is to become the main process.
pub struct Next {
    pub pid: i32,
    pub start: u64,
    /// Readable when it has ended.
    process: OwnedFd,
    ipc: Lines,
}

impl Next {
    /// Readable when it has ended.
    pub fn process(&self) -> &OwnedFd {
        &self.process
    }

    /// Whether it is there: a number alone may be another process's by now.
    fn is_alive(&self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start == self.start && !stat.is_zombie)
    }
}

/// The message channel of the primary before.
pub struct Former {
    ipc: Lines,
    /// The number of the last request that it was asked.
    last_asked: u64,
}

impl Former {
    /// The channel.
    pub fn channel(&self) -> &Lines {
        &self.ipc
    }
}

impl Keeper {
    /// Tells the primary to start another one, from what there is now.
    pub(super) fn upgrade(&mut self, client: u32, request: &Value) -> Result<Answer, Refusal> {
        if self.app.mode != Mode::Cluster {
            let text = format!("\"{}\" is no cluster: it has no primary that could be upgraded", self.app.name);
            return Err(("ERR_RCLUSTER_BAD_REQUEST", text));
        }
        let running = self.instances.first().and_then(|primary| primary.running.as_ref());
        if running.is_some_and(|running| running.former.is_some()) {
            let text =
                format!("That cannot be now: the primary of \"{}\" before this one is still finishing", self.app.name);
            return Err(("ERR_RCLUSTER_UPGRADING", text));
        }
        let failed = |text: String| ("ERR_RCLUSTER_UPGRADE_FAILED", text);
        let executable = resolve::executable(&self.app).map_err(failed)?;
        let words: Option<Vec<&str>> = executable.args.iter().map(|word| word.to_str()).collect();
        let (Some(words), Some(file)) = (words, executable.file.to_str()) else {
            return Err(failed("a path that is no UTF-8 cannot be told to the primary".into()));
        };
        let env = request.get("env");
        let question = json!({ "rcluster": "upgrade", "env": env, "file": file, "words": words, "cwd": self.app.cwd });
        self.ask(client, request, question)
    }

    /// The main process has started another one, which is to follow it.
    pub(super) fn on_next(&mut self, number: usize, teller: i32, pid: i32, fds: Vec<OwnedFd>) {
        let Some(running) = self.instances[number].running.as_mut() else { return };
        let parent = procfs::stat(pid);
        let Some(stat) = parent.filter(|stat| running.pid == teller && stat.parent == teller) else { return };
        let (Ok(process), Some(ipc)) = (process::open(pid), fds.into_iter().next()) else { return };
        if self.poller.add(&process, token::NEXT + number as u64).is_err() {
            return;
        }
        let next = Next { pid, start: stat.start, process, ipc: Lines::new(ipc) };
        if let Some(before) = running.next.replace(next) {
            self.poller.remove(&before.process);
        }
        self.changed = true;
    }

    /// It has ended, or has become what it was to be.
    pub(super) fn on_next_ended(&mut self, number: u32) {
        self.forget_next(number as usize, |next| !next.is_alive());
    }

    /// The primary has killed this one, and goes on itself: whoever asked for the upgrade hears that right after this.
    pub(super) fn on_next_given_up(&mut self, pid: &Value) {
        // It may have told of that one just before.
        self.on_told();
        self.forget_next(0, |next| pid.as_i64() == Some(next.pid.into()));
    }

    fn forget_next(&mut self, number: usize, is_it: impl Fn(&Next) -> bool) {
        let running = self.instances.get_mut(number).and_then(|one| one.running.as_mut());
        if let Some(next) = running.and_then(|running| running.next.take_if(|next| is_it(next))) {
            self.poller.remove(&next.process);
            self.changed = true;
        }
    }

    /// The next primary is the main process from now on. Returns whether there is one.
    pub(super) fn promote(&mut self, number: usize) -> bool {
        let last_asked = self.last_asked;
        let instance = &mut self.instances[number];
        let Some(running) = instance.running.as_mut() else { return false };
        let Some(next) = running.next.take_if(|next| next.is_alive()) else { return false };
        let place = number as u64;
        // They are known to the poller, but for the channel: a failure would mean that the kernel has no memory left.
        let _ = self.poller.set(&next.process, token::MAIN + place, true, false);
        let _ = self.poller.add(&next.ipc, token::IPC + place);
        if let Some(before) = running.main.replace(next.process) {
            self.poller.remove(&before);
        }
        let former = running.ipc.replace(next.ipc);
        running.pid = next.pid;
        running.start = Some(next.start);
        running.ended = false;
        instance.started_at =
            SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|time| u64::try_from(time.as_millis()).ok());
        self.feed_watchdog(number);
        self.changed = true;
        match former {
            Some(ipc) => {
                let Some(running) = self.instances[number].running.as_mut() else { return true };
                let _ = self.poller.set(&ipc, token::FORMER + place, true, false);
                running.former = Some(Former { ipc, last_asked });
            }
            // Its end has been seen already.
            None => self.former_is_gone(number, last_asked),
        }
        true
    }

    /// The primary before has said something: what counts of it is what it answers to what it was asked, and what has happened, such as
    /// that another one has taken its place. Its workers are none of the app's any more.
    pub(super) fn on_former(&mut self, number: u32) {
        let running = self.instances.get_mut(number as usize).and_then(|one| one.running.as_mut());
        let Some(former) = running.and_then(|running| running.former.as_mut()) else { return };
        let (lines, ended) = match former.ipc.read() {
            Got::Lines(lines) => (lines, false),
            Got::End(lines) => (lines, true),
        };
        for line in lines {
            let message: Value = serde_json::from_slice(line.as_bytes()).unwrap_or(Value::Null);
            match message["rcluster"].as_str() {
                Some("answer") => self.on_answer(message),
                Some("incident") => self.incident_of_primary(&message),
                _ => {}
            }
        }
        if ended && let Some(former) = self.take_former(number as usize) {
            self.poller.remove(&former.ipc);
            self.former_is_gone(number as usize, former.last_asked);
        }
    }

    fn take_former(&mut self, number: usize) -> Option<Former> {
        self.instances[number].running.as_mut()?.former.take()
    }

    /// It answers nothing any more of what it was asked up to this number.
    fn former_is_gone(&mut self, number: usize, last_asked: u64) {
        let pid = self.instances[number].running.as_ref().map_or(0, |running| running.pid);
        // Who has taken its place, before whoever has asked hears of it.
        self.tell_changes();
        let later = self.asked.split_off(&(last_asked + 1));
        for (client, id) in std::mem::replace(&mut self.asked, later).into_values() {
            let text = format!("the primary that was asked has died; {pid} has taken its place");
            self.send(
                client,
                &json!({ "id": id, "error": { "code": "ERR_RCLUSTER_UPGRADE_FAILED", "message": text } }),
            );
        }
    }
}
