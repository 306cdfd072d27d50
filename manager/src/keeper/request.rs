//! What a daemon asks of a keeper: lines of JSON, each answered by one with the same `id`.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::instance::Instance;
use super::life::Event;
use super::lines::{Got, Lines};
use super::{Client, Keeper, PROTOCOL, Pending, Rules, token};
use crate::model::{App, Mode};
use crate::sys::{process, socket};

/// Why a request is refused: a code and a sentence.
pub(super) type Refusal = (&'static str, String);

/// An answer, or that it comes later.
pub(super) enum Answer {
    Now(Value),
    /// When these instances have come to where they were told to go.
    Later(Vec<u32>),
    /// When somebody else has answered.
    Elsewhere,
}

impl Keeper {
    /// Somebody wants to ask.
    pub(super) fn on_client(&mut self) {
        while let Some(stream) = self.door.accept() {
            if !socket::is_ours(&stream) || stream.set_nonblocking(true).is_err() {
                continue;
            }
            self.add_client(OwnedFd::from(stream));
        }
    }

    /// Somebody asks over this, which does not block.
    pub(super) fn add_client(&mut self, stream: OwnedFd) {
        self.last_client += 1;
        let lines = Lines::new(stream);
        if self.poller.add(&lines, token::CLIENT + u64::from(self.last_client)).is_ok() {
            self.clients.insert(self.last_client, Client { lines, subscribed: false, guards: false });
        }
    }

    /// Somebody has asked, or can be told more.
    pub(super) fn on_request(&mut self, number: u32) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let (lines, ended) = match client.lines.read() {
            Got::Lines(lines) => (lines, false),
            Got::End(lines) => (lines, true),
        };
        let flushed = client.lines.flush();
        self.watch_client(number, flushed);
        for line in lines {
            self.handle(number, &line);
        }
        if ended {
            // What it has asked for is done all the same.
            self.drop_client(number);
        }
    }

    fn handle(&mut self, client: u32, line: &str) {
        let request: Value = serde_json::from_slice(line.as_bytes()).unwrap_or(Value::Null);
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        match self.perform(client, &request) {
            Ok(Answer::Now(result)) => self.send(client, &json!({ "id": id, "ok": result })),
            Ok(Answer::Elsewhere) => {}
            Ok(Answer::Later(instances)) => self.pending.push(Pending { client, id, instances }),
            Err((code, message)) => {
                self.send(client, &json!({ "id": id, "error": { "code": code, "message": message } }))
            }
        }
    }

    fn perform(&mut self, client: u32, request: &Value) -> Result<Answer, Refusal> {
        let op = request.get("op").and_then(Value::as_str).unwrap_or_default();
        let answer = self.perform_one(client, op, request);
        if ["start", "stop", "restart", "reload", "configure"].contains(&op) {
            // Whoever starts something anew has seen to what kept it from being watched.
            self.plan_watch();
        }
        answer
    }

    fn perform_one(&mut self, client: u32, op: &str, request: &Value) -> Result<Answer, Refusal> {
        match op {
            "hello" => Ok(Answer::Now(json!({
                "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL
            }))),
            "status" => Ok(Answer::Now(json!(self.status()))),
            // What is on its way while an app is being deleted would start it again, and nobody would know that one.
            "app" | "start" | "restart" | "reload" | "scale" | "configure" if self.quitting => {
                Err(("ERR_RCLUSTER_NOT_RUNNING", format!("\"{}\" is ending", self.app.name)))
            }
            "app" => Ok(Answer::Now(json!(self.app))),
            "subscribe" => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.subscribed = true;
                }
                Ok(Answer::Now(json!(self.status())))
            }
            "guard" => {
                self.add_guard(client);
                Ok(Answer::Elsewhere)
            }
            "start" => self.tell_instances(request, Event::Start),
            "stop" => self.tell_instances(request, Event::Stop),
            "restart" => self.tell_instances(request, Event::Restart),
            "reload" => self.reload(client, request),
            "upgrade" => self.upgrade(client, request),
            "scale" => self.scale(client, request),
            "app-metrics" => self.ask(client, request, json!({ "rcluster": "app-metrics" })),
            "signal" => self.signal(client, request),
            "send" => self.send_message(client, request),
            "stdin" => self.write_input(request),
            "configure" => self.configure(request),
            "reset" => {
                for instance in &mut self.instances {
                    instance.life.restarts = 0;
                    instance.life.unstable = 0;
                }
                Ok(Answer::Now(json!(self.status())))
            }
            "reopen-logs" => {
                self.reopen_logs(Some((client, request["id"].clone())));
                Ok(Answer::Elsewhere)
            }
            "flush-logs" => {
                self.flush_logs((client, request["id"].clone()));
                Ok(Answer::Elsewhere)
            }
            "settle" => Ok(Answer::Later((0..self.instances.len() as u32).collect())),
            "rest" => {
                self.quit();
                Ok(Answer::Later((0..self.instances.len() as u32).collect()))
            }
            "quit" => {
                self.forgets = true;
                self.quit();
                Ok(Answer::Later((0..self.instances.len() as u32).collect()))
            }
            _ => Err(("ERR_RCLUSTER_BAD_REQUEST", format!("there is no operation \"{op}\""))),
        }
    }

    /// The instances that a request is about: those that it names, or all.
    fn chosen(&self, request: &Value) -> Result<Vec<u32>, Refusal> {
        chosen_of(self.instances.len() as u64, request)
    }

    /// What is for the workers of a cluster that a request is about, by the numbers of their places: they are their primary's to reach.
    fn tell_workers(&mut self, client: u32, request: &Value, mut order: Value) -> Result<Answer, Refusal> {
        order["seats"] = json!(chosen_of(self.app.instances.into(), request)?);
        self.ask(client, request, order)
    }

    fn tell_instances(&mut self, request: &Value, event: Event) -> Result<Answer, Refusal> {
        let chosen = self.chosen(request)?;
        for number in &chosen {
            self.instances[*number as usize].is_stopped = event == Event::Stop;
            self.changed = true;
            // Its runs begin when it is time, or when it is told to start anew.
            if event != Event::Start || self.app.cron.is_none() {
                self.event(*number as usize, event);
            }
        }
        Ok(Answer::Later(chosen))
    }

    /// A cluster replaces its workers without losing anything. A program is told to start anew, all its instances: that is for the
    /// daemon to do one by one.
    fn reload(&mut self, client: u32, request: &Value) -> Result<Answer, Refusal> {
        if self.app.mode != Mode::Cluster {
            return self.tell_instances(request, Event::Restart);
        }
        self.ask(client, request, json!({ "rcluster": "reload", "env": request.get("env") }))
    }

    /// Changes the number of workers of a cluster. That of a program is changed by `configure`.
    fn scale(&mut self, client: u32, request: &Value) -> Result<Answer, Refusal> {
        let app = App::of(request["app"].clone()).map_err(|error| ("ERR_RCLUSTER_BAD_APP", error))?;
        if self.app.mode != Mode::Cluster || self.instances.first().is_none_or(|primary| !primary.is_running()) {
            return self.configure(request);
        }
        let count = app.instances;
        self.app = app;
        self.ask(client, request, json!({ "rcluster": "scale", "count": count }))
    }

    pub(super) fn ask(&mut self, client: u32, request: &Value, question: Value) -> Result<Answer, Refusal> {
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        if self.ask_primary(client, id, question) {
            Ok(Answer::Elsewhere)
        } else {
            Err(("ERR_RCLUSTER_NOT_RUNNING", format!("\"{}\" does not run", self.app.name)))
        }
    }

    /// As under PM2 it is the workers of a cluster that get it.
    fn signal(&mut self, client: u32, request: &Value) -> Result<Answer, Refusal> {
        let name = request.get("signal").and_then(Value::as_str).unwrap_or_default();
        let upper = name.to_ascii_uppercase();
        let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        let number = name.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
        let signal = number
            .or_else(|| full.parse().ok())
            .ok_or_else(|| ("ERR_RCLUSTER_BAD_REQUEST", format!("there is no signal \"{name}\"")))?;
        if self.app.mode == Mode::Cluster {
            let order = json!({ "rcluster": "signal", "signal": signal as i32 });
            let is_running = self.instances.iter().any(Instance::is_running);
            return if is_running { self.tell_workers(client, request, order) } else { Ok(Answer::Now(Value::Null)) };
        }
        for number in self.chosen(request)? {
            let running = self.instances[number as usize].running.as_ref().filter(|running| !running.ended);
            if let Some(running) = running {
                process::signal(running.pid, signal as i32)
                    .map_err(|error| ("ERR_RCLUSTER_SIGNAL", error.to_string()))?;
            }
        }
        Ok(Answer::Now(Value::Null))
    }

    fn send_message(&mut self, client: u32, request: &Value) -> Result<Answer, Refusal> {
        let message = request.get("message").cloned().unwrap_or(Value::Null);
        if self.app.mode == Mode::Cluster {
            return self.tell_workers(client, request, json!({ "rcluster": "send", "message": message }));
        }
        let text = message.to_string();
        for number in self.chosen(request)? {
            if !self.instances[number as usize].send_message(&text) {
                return Err(("ERR_RCLUSTER_NO_CHANNEL", format!("instance {number} has no message channel")));
            }
        }
        Ok(Answer::Now(Value::Null))
    }

    fn write_input(&mut self, request: &Value) -> Result<Answer, Refusal> {
        if self.app.mode == Mode::Cluster {
            return Err((
                "ERR_RCLUSTER_NO_INPUT",
                format!("\"{}\" is a cluster: its workers read no input", self.app.name),
            ));
        }
        let text = request.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        for number in self.chosen(request)? {
            if !self.instances[number as usize].write_input(&text) {
                return Err(("ERR_RCLUSTER_NO_INPUT", format!("instance {number} reads no input")));
            }
        }
        Ok(Answer::Now(Value::Null))
    }

    /// Takes another description of the app; processes that run keep what they were started with.
    fn configure(&mut self, request: &Value) -> Result<Answer, Refusal> {
        let bad = |error: String| ("ERR_RCLUSTER_BAD_APP", error);
        let app = App::of(request["app"].clone()).map_err(bad)?;
        if app.key() != self.app.key() {
            return Err(bad(format!("this is the keeper of \"{}\", not of \"{}\"", self.app.name, app.name)));
        }
        let before = std::mem::replace(&mut self.app, app);
        let taken = self.take_on();
        if taken.is_err() {
            // Nothing has changed: what was open before is open still.
            self.app = before;
            // It has been set so before.
            let _ = self.plan_schedule();
        }
        self.store.close_others(&self.app.sockets, Path::new(&self.app.cwd), &self.poller);
        taken?;
        self.set_count(self.app.processes());
        self.rules = Rules::from(&self.app);
        for number in self.app.processes() as usize..self.instances.len() {
            self.event(number, Event::Stop);
        }
        Ok(Answer::Later((self.app.processes()..self.instances.len() as u32).collect()))
    }

    /// All of a description that can fail.
    fn take_on(&mut self) -> Result<(), Refusal> {
        self.store
            .open_missing(&self.app.sockets, Path::new(&self.app.cwd), &self.poller)
            .map_err(|error| ("ERR_RCLUSTER_SOCKET", error.to_string()))?;
        self.plan_schedule().map_err(|error| ("ERR_RCLUSTER_BAD_APP", error.to_string()))
    }

    /// Answers those who waited for instances that are where they were told to go.
    pub(super) fn answer_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        // The end of an app is that of what is told of it, too.
        let is_told = !self.quitting || self.hooks.are_idle();
        // One that has ended, and whose last lines are being written, is about to start again or to be given up.
        let settled = |number: &u32| {
            let is_settled = self.instances.get(*number as usize).is_none_or(|one| one.life.is_settled());
            is_told && is_settled && !self.is_being_logged(*number as usize)
        };
        let (done, waiting): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|pending| pending.instances.iter().all(settled));
        self.pending = waiting;
        let surplus = self.app.processes() as usize;
        while self.instances.len() > surplus && self.instances.last().is_some_and(|last| last.life.is_at_rest()) {
            self.forget_process(self.instances.len() - 1);
            self.instances.pop();
        }
        if done.is_empty() {
            return;
        }
        let status = json!(self.status());
        for pending in done {
            self.send(pending.client, &json!({ "id": pending.id, "ok": status }));
        }
    }

    /// Tells all who want to hear it.
    pub(super) fn publish(&mut self, event: &Value) {
        let subscribed: Vec<u32> =
            self.clients.iter().filter(|(_, client)| client.subscribed).map(|(number, _)| *number).collect();
        for number in subscribed {
            self.send(number, event);
        }
    }

    pub(super) fn send(&mut self, number: u32, message: &Value) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let sent = client.lines.send(&message.to_string());
        self.watch_client(number, sent);
    }

    fn watch_client(&mut self, number: u32, sent: std::io::Result<bool>) {
        let Some(client) = self.clients.get(&number) else { return };
        let watched =
            sent.and_then(|more| self.poller.set(&client.lines, token::CLIENT + u64::from(number), true, more));
        if watched.is_err() {
            self.drop_client(number);
        }
    }

    pub(super) fn drop_client(&mut self, number: u32) {
        if let Some(client) = self.clients.remove(&number) {
            self.poller.remove(&client.lines);
        }
        self.pending.retain(|pending| pending.client != number);
    }
}

/// The numbers, of so many, that a request names; all of them where it names none.
fn chosen_of(count: u64, request: &Value) -> Result<Vec<u32>, Refusal> {
    let Some(named) = request.get("instances").filter(|named| !named.is_null()) else {
        return Ok((0..count as u32).collect());
    };
    let bad = || ("ERR_RCLUSTER_BAD_REQUEST", format!("\"instances\" must be numbers below {count}. Received {named}"));
    let numbers =
        named.as_array().ok_or_else(bad)?.iter().map(|number| number.as_u64().filter(|number| *number < count));
    numbers.map(|number| number.map(|number| number as u32).ok_or_else(bad)).collect()
}
