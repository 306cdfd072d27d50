//! What those who watch are told: server-sent events (HTML, 9.2). A look at the figures every two seconds serves all of them, and there is one at once when
//! something happens; while nobody watches there is one every ten seconds, for [`History`](super::history::History).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::Page;
use super::history::STEP;
use crate::daemon::api::Service;

/// How often figures are told.
const LOOK: Duration = Duration::from_secs(2);
/// What happens within that time is told together.
const TOGETHER: Duration = Duration::from_millis(200);
/// So much waits for somebody who reads slowly; more is left out, as the next look has all that it needs.
const MOST_UNREAD: usize = 16;
/// So many watch at the same time.
const MOST_WATCHERS: usize = 16;

struct Watcher {
    pieces: mpsc::Sender<Bytes>,
    /// When its session ends.
    until: Instant,
}

/// All who watch.
#[derive(Default)]
pub struct Watchers(RefCell<Vec<Watcher>>);

impl Watchers {
    /// Watches until a session ends; nothing where there are too many already.
    pub fn add(&self, until: Instant) -> Option<mpsc::Receiver<Bytes>> {
        if self.count() >= MOST_WATCHERS {
            return None;
        }
        let (pieces, receiver) = mpsc::channel(MOST_UNREAD);
        self.0.borrow_mut().push(Watcher { pieces, until });
        Some(receiver)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let now = Instant::now();
        let mut all = self.0.borrow_mut();
        all.retain(|watcher| !watcher.pieces.is_closed() && watcher.until > now);
        all.len()
    }

    fn tell(&self, event: &str, data: &Value) {
        if self.count() == 0 {
            return;
        }
        let piece = Bytes::from(format!("event: {event}\ndata: {data}\n\n"));
        for watcher in self.0.borrow().iter() {
            // Somebody who reads slowly.
            let _ = watcher.pieces.try_send(piece.clone());
        }
    }

    /// Nobody watches any more.
    pub fn end(&self) {
        self.0.borrow_mut().clear();
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Looks as long as there is a page.
pub async fn look(service: Rc<Service>, page: Rc<Page>) {
    let mut kept = None;
    loop {
        take(&service, &page, &mut kept);
        // Whoever comes first does not wait.
        let _ = timeout(STEP, page.arrived.notified()).await;
        if page.watchers.count() > 0 {
            watch(&service, &page, &mut kept).await;
        }
    }
}

/// One look: it is told, and kept when it is time.
fn take(service: &Service, page: &Page, kept: &mut Option<Instant>) {
    // What was counted since a worker was started is not shown.
    let apps = service.apps.list(false);
    page.history.borrow_mut().look(&apps);
    if kept.is_none_or(|kept| kept.elapsed() + TOGETHER >= STEP) {
        *kept = Some(Instant::now());
        let told = page.history.borrow_mut().keep(now());
        page.watchers.tell("kept", &told);
    }
    if page.watchers.count() > 0 {
        page.watchers.tell("apps", &json!({ "at": now(), "apps": apps }));
    }
}

/// Tells as long as somebody watches.
async fn watch(service: &Service, page: &Page, kept: &mut Option<Instant>) {
    let mut events = service.events.listen();
    let mut next = tokio::time::Instant::now();
    while page.watchers.count() > 0 {
        tokio::select! {
            () = sleep_until(next) => {
                take(service, page, kept);
                next = tokio::time::Instant::now() + LOOK;
            }
            () = page.arrived.notified() => next = next.min(tokio::time::Instant::now()),
            event = events.recv() => {
                // The daemon ends.
                if event.is_none() {
                    return;
                }
                next = next.min(tokio::time::Instant::now() + TOGETHER);
            }
        }
    }
}
