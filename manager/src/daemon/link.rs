//! The daemon's line to one keeper: finds it again, asks it, and hears what happens.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, Notify, oneshot, watch};

use super::events::Events;
use super::nursery::Nursery;
use crate::keeper;
use crate::keeper::birth::Birth;
use crate::model::Status;

/// How long a keeper that another daemon has just started may take to listen.
const START: Duration = Duration::from_secs(5);
/// How long until it is tried again meanwhile.
const AGAIN: Duration = Duration::from_millis(2);

/// How long an answer is waited for until the keeper is asked whether it is there at all: what takes its time may take it.
const LOOK: Duration = Duration::from_secs(3);
/// How long it has to say so. One that is well does at once, whatever it is doing.
const SILENCE: Duration = Duration::from_secs(5);

/// The code of [`Failure::is_silence`].
pub const SILENT: &str = "ERR_RCLUSTER_NO_ANSWER";

/// The code of one that is not there.
const NO_KEEPER: &str = "ERR_RCLUSTER_NO_KEEPER";

/// Told whenever a keeper has gone.
pub static GONE: Notify = Notify::const_new();

/// An error as the API tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Such as `ERR_RCLUSTER_NO_KEEPER`.
    pub code: String,
    /// In words.
    pub message: String,
}

impl Failure {
    /// With a code of ours.
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure { code: code.into(), message: message.into() }
    }

    /// Whether a keeper is there, and says nothing.
    pub fn is_silence(&self) -> bool {
        self.code == SILENT
    }
}

/// A connection to a keeper.
pub struct Link {
    writer: Mutex<OwnedWriteHalf>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Result<Value, Failure>>>>,
    last: Cell<u64>,
    status: watch::Receiver<Option<Status>>,
    gone: Cell<bool>,
    /// Why it could not begin, as it has said.
    failed: RefCell<Option<Failure>>,
    /// The process at the other end, where the kernel says so: over a line that it was born with it tells by itself.
    keeper: Option<i32>,
    /// Whether a request is being written: one that is given up in the middle leaves the line unusable.
    writing: Cell<bool>,
    scrape: Scrape,
}

/// The last time that a cluster was asked what its app counts itself.
#[derive(Default)]
struct Scrape {
    /// Whether that is not answered yet: a primary that hangs is asked once, however often somebody wants to know.
    is_open: Cell<bool>,
    is_over: Notify,
    answer: RefCell<Option<Rc<Value>>>,
}

impl Link {
    /// Connects to the keeper of this folder, if one is there.
    pub async fn connect(folder: &Path, events: &Rc<Events>) -> Result<Rc<Link>, Failure> {
        let stream = UnixStream::connect(folder.join("keeper.sock")).await.map_err(not_started)?;
        let keeper = stream.peer_cred().ok().and_then(|peer| peer.pid());
        Link::over(stream, keeper, events).await
    }

    async fn over(stream: UnixStream, keeper: Option<i32>, events: &Rc<Events>) -> Result<Rc<Link>, Failure> {
        let (reader, writer) = stream.into_split();
        let (told, status) = watch::channel(None);
        let link = Rc::new(Link {
            writer: Mutex::new(writer),
            waiting: RefCell::default(),
            last: Cell::new(0),
            status,
            gone: Cell::new(false),
            failed: RefCell::default(),
            keeper,
            writing: Cell::new(false),
            scrape: Scrape::default(),
        });
        let (weak, events) = (Rc::downgrade(&link), Rc::clone(events));
        let reading = tokio::task::spawn_local(async move {
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Some(link) = weak.upgrade() else { return };
                link.take(&line, &told, &events);
            }
            if let Some(link) = weak.upgrade() {
                link.gone.set(true);
                link.waiting.borrow_mut().clear();
                GONE.notify_one();
            }
        });
        match link.ask("subscribe", json!({})).await {
            Ok(_) => Ok(link),
            Err(failure) if failure.is_silence() => Err(failure),
            Err(failure) => {
                // It may have failed before it could hear us: what it has said is read to the end.
                let _ = reading.await;
                Err(link.failed.take().unwrap_or(failure))
            }
        }
    }

    /// A new keeper, which gets what the one before had. It hears us over a connection that it is born with: we know the moment when
    /// it answers, and the moment when it has failed. Returns besides whether it was born now, and has not been there already.
    pub async fn open(
        nursery: &Nursery,
        birth: &Birth<'_>,
        kept: &[BorrowedFd<'_>],
        events: &Rc<Events>,
    ) -> Result<(Rc<Link>, bool), Failure> {
        let turn = nursery.turn();
        let stream = turn.start(birth, kept).await.map_err(not_started)?;
        let failure = match Link::over(stream, None, events).await {
            Ok(link) => return Ok((link, true)),
            Err(failure) => failure,
        };
        let began = Instant::now();
        // Another one may be there after all, that was about to listen when we looked: a daemon that has died since has started it.
        while failure.message == keeper::ANOTHER && began.elapsed() < START {
            if let Ok(link) = Link::connect(&birth.folder, events).await {
                return Ok((link, false));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(failure)
    }

    fn take(&self, line: &str, told: &watch::Sender<Option<Status>>, events: &Events) {
        let Ok(mut message) = serde_json::from_slice::<Value>(line.as_bytes()) else { return };
        match message.get("event").and_then(Value::as_str) {
            Some("status") => {
                let Ok(status) = serde_json::from_value::<Status>(message["status"].take()) else { return };
                events.status(told.borrow().as_ref(), &status);
                told.send_replace(Some(status));
                return;
            }
            Some("failed") => {
                self.failed.replace(message["words"].as_str().map(|words| Failure::new(NO_KEEPER, words)));
                return;
            }
            Some("incident") => {
                if let Some(status) = told.borrow().as_ref() {
                    events.incident(status, message["incident"].take());
                }
                return;
            }
            Some("message") => {
                if let Some(status) = told.borrow().as_ref() {
                    events.message(status, &message["instance"], &message["message"]);
                }
                return;
            }
            _ => {}
        }
        let answer = message.get("id").and_then(Value::as_u64).and_then(|id| self.waiting.borrow_mut().remove(&id));
        let Some(answer) = answer else { return };
        let result = match message.get("error") {
            Some(error) => {
                let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                Err(Failure { code: text("code"), message: text("message") })
            }
            None => Ok(message["ok"].take()),
        };
        if let Some(status) = result.as_ref().ok().and_then(|ok| Status::deserialize(ok).ok()) {
            events.status(told.borrow().as_ref(), &status);
            told.send_replace(Some(status));
        }
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }

    /// Asks, and waits for the answer for as long as the keeper says that it is there: one that is stopped (SIGSTOP) or hangs keeps nobody waiting.
    pub async fn ask(&self, op: &str, request: Value) -> Result<Value, Failure> {
        let mut answer = Box::pin(self.ask_once(op, request));
        loop {
            if let Ok(answer) = tokio::time::timeout(LOOK, &mut answer).await {
                return answer;
            }
            if tokio::time::timeout(SILENCE, self.ask_once("hello", json!({}))).await.is_ok() {
                continue;
            }
            if self.writing.get() {
                self.gone.set(true);
            }
            return Err(Failure::new(SILENT, self.silence()));
        }
    }

    /// What the app of a cluster counts itself; nothing where its primary does not say so in time. Those who ask meanwhile get the same.
    pub async fn app_metrics(self: &Rc<Link>, time: Duration) -> Option<Rc<Value>> {
        let over = self.scrape.is_over.notified();
        if !self.scrape.is_open.replace(true) {
            let link = Rc::clone(self);
            tokio::task::spawn_local(async move {
                let answer = link.ask("app-metrics", json!({})).await.ok();
                link.scrape.answer.replace(answer.map(Rc::new));
                link.scrape.is_open.set(false);
                link.scrape.is_over.notify_waiters();
            });
        }
        tokio::time::timeout(time, over).await.ok()?;
        self.scrape.answer.borrow().clone()
    }

    fn silence(&self) -> String {
        let seconds = (LOOK + SILENCE).as_secs();
        let Some(pid) = self.status().map(|status| status.keeper).or(self.keeper) else {
            return format!("its keeper has said nothing for {seconds} s");
        };
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_stopped = state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']));
        let cure = if is_stopped {
            format!("it is stopped, and kill -CONT {pid} lets it go on")
        } else {
            format!("kill -9 {pid} ends it, and another one takes its place")
        };
        format!("its keeper (process {pid}) has said nothing for {seconds} s: {cure}")
    }

    async fn ask_once(&self, op: &str, mut request: Value) -> Result<Value, Failure> {
        let gone = || Failure::new(NO_KEEPER, "the keeper has gone");
        let id = self.last.get() + 1;
        self.last.set(id);
        request["id"] = id.into();
        request["op"] = op.into();
        let (answer, answered) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, answer);
        let mut writer = self.writer.lock().await;
        self.writing.set(true);
        let written =
            if self.gone.get() { false } else { writer.write_all(format!("{request}\n").as_bytes()).await.is_ok() };
        self.writing.set(false);
        drop(writer);
        if !written {
            self.waiting.borrow_mut().remove(&id);
            return Err(gone());
        }
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// What its processes were doing when it told last.
    pub fn status(&self) -> Option<Status> {
        self.seen().clone()
    }

    /// The same, to be looked at and let go: as long as it is held, nothing new can be told.
    pub fn seen(&self) -> watch::Ref<'_, Option<Status>> {
        self.status.borrow()
    }

    /// Resolves when its keeper has something in its store; to `false` when it has ended.
    pub fn keeps(&self) -> impl Future<Output = bool> + use<> {
        let mut status = self.status.clone();
        async move { status.wait_for(|status| status.as_ref().is_some_and(|status| status.keeps)).await.is_ok() }
    }

    /// Whether the keeper has ended.
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

fn not_started(error: io::Error) -> Failure {
    Failure::new(NO_KEEPER, format!("the keeper could not be started: {error}"))
}
