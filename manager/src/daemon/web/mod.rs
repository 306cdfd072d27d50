//! The page: what runs, in a browser. Off until somebody asks for it (`POST /v1/web`), and for this machine alone unless told otherwise.
//!
//! What it can do is less than what the API can: it looks, and it starts, stops, restarts, reloads and scales what is there. Nothing new can be started by
//! it, no environment is shown, and the daemon cannot be ended. [`gate`] says who may come in.

mod answer;
mod assets;
mod gate;
mod history;
mod listen;
mod live;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use super::api::Service;
use super::link::Failure;
use gate::Gate;
use history::History;
use listen::{Address, Listener, Stream};
use live::Watchers;

/// So many connections at the same time; others are closed at once.
const MOST_CONNECTIONS: usize = 64;
/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Asked {
    /// Where it is: an address, a port, or the path of a Unix socket.
    listen: Option<String>,
    /// Other machines may reach it.
    allow_remote: bool,
    /// Names that it has besides addresses.
    hosts: Vec<String>,
    /// `/metrics` is there, for whoever asks.
    metrics: bool,
}

/// The page of a daemon, if it has one.
#[derive(Default)]
pub struct Web {
    page: RefCell<Option<Rc<Page>>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

/// A page that is open.
pub struct Page {
    gate: Gate,
    address: Address,
    has_metrics: Cell<bool>,
    connections: Cell<usize>,
    history: RefCell<History>,
    watchers: Watchers,
    /// Somebody has come who watches.
    arrived: Notify,
}

impl Web {
    /// Opens the page, unless it is open, and makes a link to it.
    pub fn open(&self, service: &Rc<Service>, asked: Asked) -> Result<Value, Failure> {
        let (open, wants_metrics) = (self.page.borrow().clone(), asked.metrics);
        let page = match open {
            Some(page) => {
                if let Some(wanted) = &asked.listen
                    && Address::parse(wanted)? != page.address
                {
                    let text = format!("the page is at {} already: rcluster web --stop closes it", page.address);
                    return Err(failed(text));
                }
                page
            }
            None => self.begin(service, asked)?,
        };
        // Whoever wants another link does not take them away.
        page.has_metrics.set(page.has_metrics.get() || wants_metrics);
        let token = page.gate.link(Instant::now()).map_err(|error| failed(error.to_string()))?;
        Ok(json!({
            "url": format!("{}/#token={}", page.address.url(), token.text()),
            "address": page.address.to_string(),
            "socket": page.address.path(),
            "isLocal": page.address.is_local(),
            "expiresIn": gate::LINK_TIME.as_secs(),
            "metrics": page.has_metrics.get().then(|| format!("{}/metrics", page.address.url())),
        }))
    }

    fn begin(&self, service: &Rc<Service>, asked: Asked) -> Result<Rc<Page>, Failure> {
        let wanted = Address::parse(asked.listen.as_deref().unwrap_or(listen::USUAL))?;
        if !wanted.is_local() && !asked.allow_remote {
            return Err(failed(format!(
                "{wanted} can be reached by other machines, and what is sent there can be read on its way: \
                 --allow-remote says that this is meant"
            )));
        }
        if let Some(host) = asked.hosts.iter().find(|host| !is_name(host)) {
            let text = format!("\"hosts\" must be names without ports, such as ops.example.org. Received \"{host}\"");
            return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
        }
        let (listener, address) = Listener::open(&wanted)?;
        let page = Rc::new(Page {
            gate: Gate::new(asked.hosts, address.is_local(), address.port()),
            address,
            has_metrics: Cell::default(),
            connections: Cell::default(),
            history: RefCell::default(),
            watchers: Watchers::default(),
            arrived: Notify::new(),
        });
        let accepting = tokio::task::spawn_local(accept(Rc::clone(service), Rc::clone(&page), listener));
        let looking = tokio::task::spawn_local(live::look(Rc::clone(service), Rc::clone(&page)));
        self.tasks.replace(vec![accepting, looking]);
        self.page.replace(Some(Rc::clone(&page)));
        Ok(page)
    }

    /// Closes the page: whoever looks at it sees no more. Returns whether there was one.
    pub fn close(&self) -> bool {
        for task in self.tasks.take() {
            task.abort();
        }
        self.page.take().is_some_and(|page| {
            page.watchers.end();
            page.address.remove();
            true
        })
    }

    /// Where the page is, and how many look at it.
    pub fn tell(&self) -> Value {
        let page = self.page.borrow();
        json!({
            "address": page.as_ref().map(|page| page.address.to_string()),
            "watchers": page.as_ref().map_or(0, |page| page.watchers.count()),
            "metrics": page.as_ref().is_some_and(|page| page.has_metrics.get()),
        })
    }
}

fn failed(text: String) -> Failure {
    Failure::new("ERR_RCLUSTER_WEB", text)
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Answers whoever comes. All connections end with it.
async fn accept(service: Rc<Service>, page: Rc<Page>, listener: Listener) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            Some(_) = connections.join_next() => continue,
        };
        // Descriptors may have run out.
        let Ok(stream) = stream else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if page.connections.get() >= MOST_CONNECTIONS {
            continue;
        }
        let place = Place::take(&page);
        let (service, page) = (Rc::clone(&service), Rc::clone(&page));
        connections.spawn_local(async move {
            let _place = place;
            let answers = service_fn(move |request: Request<Incoming>| {
                let (service, page) = (Rc::clone(&service), Rc::clone(&page));
                async move { Ok::<_, std::convert::Infallible>(answer::answer(&service, &page, request).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(64 << 10);
            // Whoever goes away in the middle harms nobody.
            match stream {
                Stream::Tcp(stream) => drop(builder.serve_connection(TokioIo::new(stream), answers).await),
                Stream::Unix(stream) => drop(builder.serve_connection(TokioIo::new(stream), answers).await),
            }
        });
    }
}

/// Counts a connection as long as it lives.
struct Place(Rc<Page>);

impl Place {
    fn take(page: &Rc<Page>) -> Place {
        page.connections.set(page.connections.get() + 1);
        Place(Rc::clone(page))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}
