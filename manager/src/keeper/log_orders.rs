//! What the keeper waits for from the thread that writes its logs. It never waits long: a disk that does not answer holds nothing up
//! but lines.

use std::io;
use std::os::fd::OwnedFd;

use serde_json::{Value, json};

use super::life::{End, Event};
use super::primary::NOBODY;
use super::{Keeper, token};
use crate::logs::margin::Source;
use crate::logs::place::{NO_INSTANCE, Stream};
use crate::logs::writer::Order;
use crate::model::Mode;

/// How long (ms) the end of a process waits for its last lines, and an order for being carried out.
const PATIENCE: u64 = 1000;

/// What goes on when something is written.
pub enum Waiting {
    /// A process has ended: an instance, how, and when (ms) that is told whatever the disk does.
    Ended { number: usize, end: End, until: u64 },
    /// Nothing is left of an instance, and until when (ms) that is not told.
    Gone { number: usize, until: u64 },
    /// A client wants to know that its order was carried out: the client, its request, and until when (ms) it waits.
    Client { client: u32, id: Value, until: u64 },
}

impl Waiting {
    fn until(&self) -> u64 {
        match self {
            Waiting::Ended { until, .. } | Waiting::Gone { until, .. } | Waiting::Client { until, .. } => *until,
        }
    }
}

impl Keeper {
    /// The process of an instance has ended. Nobody hears of it before all that it has written is in its log.
    pub(super) fn when_logged(&mut self, number: usize, end: End) {
        let now = self.now();
        // By the process that was started, whichever is the main one since.
        let pid = self.instances.get(number).and_then(|one| one.running.as_ref()).map_or(0, |running| running.session);
        let had_output = self.outputs.drain(pid, now, &self.poller, token::OUTPUT);
        let order = if had_output { self.outputs.writer.order(Order::Written).ok() } else { None };
        match order {
            Some(order) => drop(self.ordered.insert(order, Waiting::Ended { number, end, until: now + PATIENCE })),
            None => self.event(number, Event::Exited(end)),
        }
    }

    /// Nothing is left of an instance. Of a cluster, what its workers have written last is in their logs before anybody hears of that.
    pub(super) fn when_all_logged(&mut self, number: usize) {
        let now = self.now();
        let had_output = self.app.mode == Mode::Cluster && self.outputs.drain_all(now, &self.poller, token::OUTPUT);
        let order = if had_output { self.outputs.writer.order(Order::Written).ok() } else { None };
        match order {
            Some(order) => drop(self.ordered.insert(order, Waiting::Gone { number, until: now + PATIENCE })),
            None => self.event(number, Event::TreeGone),
        }
    }

    /// A primary has passed on what one of its workers writes to: `<instance> <process> <streams>`, and a pipe for each stream.
    pub(super) fn read_worker(&mut self, about: &str, pipes: Vec<OwnedFd>) {
        let mut words = about.split(' ');
        let mut number = || words.next()?.parse::<u32>().ok();
        let (Some(instance), Some(pid)) = (number().filter(|one| *one < NO_INSTANCE), number()) else { return };
        let Ok(pid) = i32::try_from(pid) else { return };
        let home = self.home().to_owned();
        for (stream, pipe) in words.next().unwrap_or_default().chars().zip(pipes) {
            let stream = if stream == '2' { Stream::Error } else { Stream::Out };
            let source = Source { pid, instance, stream };
            // Without memory its lines are lost, and it goes on.
            let _ = self.outputs.adopt(pipe, source, &self.app, &home, &self.poller, token::OUTPUT);
        }
    }

    /// Whether the process of an instance has ended and its last lines are being written.
    pub(super) fn is_being_logged(&self, instance: usize) -> bool {
        let is_it = |waiting: &Waiting| match waiting {
            Waiting::Ended { number, .. } | Waiting::Gone { number, .. } => *number == instance,
            Waiting::Client { .. } => false,
        };
        self.ordered.values().any(is_it)
    }

    /// Opens all log files anew by their names.
    pub(super) fn reopen_logs(&mut self, client: Option<(u32, Value)>) {
        let ordered = self.outputs.writer.order(Order::Reopen);
        if let Some(client) = client {
            self.answer_when_done(client, ordered);
        }
    }

    /// Empties all log files.
    pub(super) fn flush_logs(&mut self, client: (u32, Value)) {
        let home = self.home().to_owned();
        let ordered = self.outputs.flush(&self.app, &home);
        self.answer_when_done(client, ordered);
    }

    /// The keeper does not end before what was said until now is in its file, or the disk does not answer.
    pub(super) fn write_out(&mut self) {
        let ordered = self.outputs.writer.order(Order::Written);
        self.answer_when_done((NOBODY, Value::Null), ordered);
    }

    fn answer_when_done(&mut self, (client, id): (u32, Value), ordered: io::Result<u64>) {
        match ordered {
            Ok(order) => {
                let until = self.now() + PATIENCE;
                self.ordered.insert(order, Waiting::Client { client, id, until });
            }
            Err(error) => self.answer_order(client, &id, Err(error.to_string())),
        }
    }

    fn answer_order(&mut self, client: u32, id: &Value, result: Result<(), String>) {
        let answer = match result {
            Ok(()) => json!({ "id": id, "ok": null }),
            Err(message) => json!({ "id": id, "error": { "code": "ERR_RCLUSTER_LOG", "message": message } }),
        };
        self.send(client, &answer);
    }

    /// When (ms) something of the logs is to be done though nothing has come.
    pub(super) fn logs_deadline(&self) -> Option<u64> {
        self.ordered.values().map(Waiting::until).chain(self.outputs.deadline()).min()
    }

    /// The writer has done something.
    pub(super) fn on_logs_written(&mut self) {
        for (order, result) in self.outputs.writer.done() {
            if let Some(waiting) = self.ordered.remove(&order) {
                self.go_on(waiting, result);
            }
        }
        let now = self.now();
        self.outputs.on_time(now, &self.poller, token::OUTPUT);
    }

    /// Time has passed.
    pub(super) fn on_logs_time(&mut self, now: u64) {
        self.outputs.on_time(now, &self.poller, token::OUTPUT);
        let late: Vec<u64> =
            self.ordered.iter().filter(|(_, waiting)| waiting.until() <= now).map(|(order, _)| *order).collect();
        for order in late {
            if let Some(waiting) = self.ordered.remove(&order) {
                self.go_on(waiting, Err("the disk does not answer".into()));
            }
        }
    }

    fn go_on(&mut self, waiting: Waiting, result: Result<(), String>) {
        match waiting {
            Waiting::Ended { number, end, .. } => {
                self.event(number, Event::Exited(end));
                self.look_for_gone_trees();
            }
            Waiting::Gone { number, .. } => self.event(number, Event::TreeGone),
            Waiting::Client { client, id, .. } => self.answer_order(client, &id, result),
        }
    }
}
