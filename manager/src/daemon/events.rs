//! What happens, for those who want to hear it: a line of JSON each. Somebody who reads slowly is told how many lines it has missed;
//! nobody waits for it.

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::model::Status;

/// The most lines that wait for somebody.
const MOST_UNREAD: usize = 1024;

/// Somebody who listens.
struct Listener {
    lines: mpsc::Sender<Bytes>,
    missed: Cell<u64>,
}

/// All who listen.
#[derive(Default)]
pub struct Events {
    listeners: RefCell<Vec<Listener>>,
}

impl Events {
    /// Listens from now on. The first line says so.
    pub fn listen(&self) -> mpsc::Receiver<Bytes> {
        let (lines, receiver) = mpsc::channel(MOST_UNREAD);
        let listener = Listener { lines, missed: Cell::new(0) };
        let hello = json!({ "event": "hello", "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION") });
        listener.tell(&line(hello));
        let mut listeners = self.listeners.borrow_mut();
        listeners.retain(|listener| !listener.lines.is_closed());
        listeners.push(listener);
        receiver
    }

    /// Nobody hears anything any more.
    pub fn end(&self) {
        self.listeners.borrow_mut().clear();
    }

    /// Something has happened.
    pub fn tell(&self, event: impl FnOnce() -> Value) {
        let mut listeners = self.listeners.borrow_mut();
        if listeners.is_empty() {
            return;
        }
        let line = line(event());
        listeners.retain(|listener| listener.tell(&line));
    }

    /// An app is new, has changed or is forgotten.
    pub fn app(&self, change: &str, name: &str, namespace: &str) {
        self.tell(|| json!({ "event": "app", "change": change, "app": name, "namespace": namespace }));
    }

    /// The processes of an app are doing something else than before.
    pub fn status(&self, before: Option<&Status>, after: &Status) {
        for process in &after.processes {
            let known = before.and_then(|status| status.processes.iter().find(|one| one.instance == process.instance));
            if known != Some(process) {
                self.tell(|| about(after, "process", json!(process)));
            }
        }
        if before.map_or(&[][..], |status| &status.workers) != after.workers {
            self.tell(|| about(after, "workers", json!({ "workers": after.workers })));
        }
    }

    /// Something that somebody may have to see to has happened to an app: `kind`, `instance` and `message`.
    pub fn incident(&self, of: &Status, incident: Value) {
        self.tell(|| about(of, "incident", incident));
    }

    /// A program has sent a message.
    pub fn message(&self, from: &Status, instance: &Value, message: &Value) {
        self.tell(|| about(from, "message", json!({ "instance": instance, "message": message })));
    }
}

impl Listener {
    /// Returns whether it still listens.
    fn tell(&self, line: &Bytes) -> bool {
        if self.missed.get() > 0 {
            let lost = json!({ "event": "lost", "count": self.missed.get() });
            match self.lines.try_send(self::line(lost)) {
                Ok(()) => self.missed.set(0),
                Err(mpsc::error::TrySendError::Full(_)) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        match self.lines.try_send(line.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed.set(self.missed.get() + 1);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

fn about(status: &Status, event: &str, mut rest: Value) -> Value {
    let mut value = json!({ "event": event, "app": status.app, "namespace": status.namespace });
    if let (Some(value), Some(rest)) = (value.as_object_mut(), rest.as_object_mut()) {
        value.append(rest);
    }
    value
}

fn line(mut event: Value) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    event["at"] = u64::try_from(now).unwrap_or(u64::MAX).into();
    Bytes::from(format!("{event}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_reads_slowly_is_told_what_it_missed() {
        let events = Events::default();
        let mut slow = events.listen();
        for number in 0..2000 {
            events.tell(|| json!({ "event": "test", "number": number }));
        }
        for _ in 0..MOST_UNREAD {
            assert!(slow.try_recv().is_ok());
        }
        assert!(slow.try_recv().is_err());
        events.tell(|| json!({ "event": "after" }));
        let told: Value = serde_json::from_slice(&slow.try_recv().unwrap()).unwrap();
        assert_eq!((told["event"].as_str(), told["count"].as_u64()), (Some("lost"), Some(977)));
        assert!(String::from_utf8_lossy(&slow.try_recv().unwrap()).contains("after"));
        drop(slow);
        events.tell(|| json!({}));
        assert!(events.listeners.borrow().is_empty());
    }
}
