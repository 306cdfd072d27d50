//! The daemon: one for each home. Knows what should run, starts keepers, answers requests; owns no program.

mod api;
mod apps;
mod copies;
mod events;
mod figures;
mod home;
mod link;
mod logs;
mod metrics;
mod nursery;
mod plan;
mod recent;
mod store;
mod targets;
mod update;
mod web;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::fcntl::{Flock, FlockArg};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::durable::write_durably;
use crate::say::say;
use crate::sys::{process, service_manager, socket};
pub use api::SERVER;
#[cfg(test)]
pub use api::decode;
use api::{End, Service};
use apps::Apps;
use events::Events;
use home::Home;

/// How long a daemon that was killed may take to be gone, and how often we look.
const DYING: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(5);
/// How long requests that are being answered may take when the daemon is about to end.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// How long apps have to be ready before the service manager is told that we are: less than it waits (`manager/cli/unit.js`).
const BOOT: Duration = Duration::from_secs(60);
/// How long it may take to hear whether the machine goes down.
const ASKED: Duration = Duration::from_secs(5);

/// How long a keeper that is gone again has to wait for the next one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long until it is tried again to write down what could not be.
const FIRST_LATE: Duration = Duration::from_millis(500);
const LONGEST_LATE: Duration = Duration::from_secs(60);

/// How a daemon is started.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// It stays the process that was started.
    foreground: bool,
    /// A service manager has started it with the machine: it starts what was saved, and tells when that is done.
    resurrect: bool,
    /// Descriptors of the lock and the socket: it takes the place of another one.
    handed: Option<(i32, i32)>,
}

impl Start {
    /// From the words of the call.
    pub fn from(words: &[&str]) -> Start {
        let handed = words.iter().position(|word| *word == "--handed").and_then(|at| words.get(at + 1));
        let handed = handed.and_then(|word| word.split_once(','));
        Start {
            foreground: words.contains(&"--foreground"),
            resurrect: words.contains(&"--resurrect"),
            handed: handed.and_then(|(lock, listener)| Some((lock.parse().ok()?, listener.parse().ok()?))),
        }
    }
}

/// What a daemon has of its home: nobody else is to have it.
struct Hold {
    home: Home,
    path: PathBuf,
    lock: Flock<File>,
    listener: std::os::unix::net::UnixListener,
    foreground: bool,
    resurrect: bool,
}

/// Runs the daemon of the home at `path`, unless one runs already.
pub fn run(path: &Path, start: &Start) -> io::Result<()> {
    let home = Home::open(path)?;
    store::Store::new(home.file("state.json")).check()?;
    let (lock, listener) = match start.handed {
        Some((lock, listener)) => {
            let (lock, listener) = (process::handed(lock)?, process::handed(listener)?);
            (only_one(File::from(lock), path)?, listener.into())
        }
        None => {
            let file = home.file("daemon.lock");
            let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(file)?;
            (only_one(lock, path)?, socket::listen_private(&home.file("daemon.sock"))?)
        }
    };
    if !start.foreground && start.handed.is_none() {
        // From here on requests can be made: they wait until we answer.
        if matches!(process::detach()?, process::Detached::Foreground) {
            std::mem::forget(lock);
            return Ok(());
        }
        process::redirect_output(&home.file("daemon.log"))?;
    }
    if let Err(error) = write_durably(&home.file("daemon.pid"), format!("{}\n", std::process::id()).as_bytes()) {
        // On a full disk there is the more to be told of.
        say(&format!("rclusterd: daemon.pid could not be written: {error}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let hold =
        Hold { home, path: path.to_owned(), lock, listener, foreground: start.foreground, resurrect: start.resurrect };
    let ended = LocalSet::new().block_on(&runtime, serve(&hold));
    // Whoever looks for a daemon finds none.
    let _ = std::fs::remove_file(hold.home.file("daemon.sock"));
    let _ = std::fs::remove_file(hold.home.file("daemon.pid"));
    ended
}

/// One that has just been killed may hold it for a moment.
fn only_one(mut file: File, home: &Path) -> io::Result<Flock<File>> {
    let began = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err(_) if began.elapsed() > DYING => {
                let text = format!("a daemon for \"{}\" runs already", home.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            Err((unlocked, _)) => file = unlocked,
        }
        std::thread::sleep(AGAIN);
    }
}

/// Keepers that have been killed are started anew: at once, but for those that go again and again.
async fn guard_keepers(service: Rc<Service>) {
    let (mut pause, mut last) = (FIRST_PAUSE, Instant::now());
    loop {
        link::GONE.notified().await;
        while !service.apps.revive().await {
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
        pause = if last.elapsed() > 2 * LONGEST_PAUSE { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
        last = Instant::now();
        tokio::time::sleep(pause).await;
    }
}

/// What could not be written down is when it can be.
async fn save_late(service: Rc<Service>) {
    loop {
        service.apps.cannot_save().await;
        let mut pause = FIRST_LATE;
        tokio::time::sleep(pause).await;
        while !service.apps.save_late() {
            pause = LONGEST_LATE.min(pause * 2);
            tokio::time::sleep(pause).await;
        }
    }
}

async fn serve(hold: &Hold) -> io::Result<()> {
    let events = Rc::new(Events::default());
    let (apps, troubles) = Apps::open(hold.home.clone(), Rc::clone(&events));
    for trouble in troubles {
        say(&format!("rclusterd: {trouble}"));
    }
    // A daemon that takes the place of another one brings back nothing that was deleted meanwhile.
    let is_first = hold.resurrect && !apps.any_runs();
    apps.adopt().await;
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let service = Rc::new(Service {
        apps,
        events,
        started_at: u64::try_from(started_at).unwrap_or(u64::MAX),
        end: Notify::new(),
        why: RefCell::default(),
        busy: Cell::default(),
        web: web::Web::default(),
    });
    tokio::task::spawn_local(guard_keepers(Rc::clone(&service)));
    tokio::task::spawn_local(save_late(Rc::clone(&service)));
    if hold.resurrect {
        tokio::task::spawn_local(boot(Rc::clone(&service), is_first));
    }
    let listener = UnixListener::from_std(hold.listener.try_clone()?)?;
    loop {
        let why = accept(&service, &listener, hold).await?;
        service.events.end();
        service.web.close();
        // The last answers leave.
        let began = Instant::now();
        while service.busy.get() > 0 && began.elapsed() < LAST_ANSWERS {
            tokio::time::sleep(AGAIN).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let End::Update(executable) = why else { return Ok(()) };
        let (lock, socket) = (hold.lock.as_fd(), hold.listener.as_fd());
        let words = update::words(&hold.path, (hold.foreground, hold.resurrect), lock.as_raw_fd(), socket.as_raw_fd());
        // Only a failure comes back: then this daemon goes on.
        let error = process::become_other(&executable, &words, &[lock, socket]);
        say(&format!("rclusterd: \"{}\" could not take over: {error}", executable.display()));
    }
}

/// What was saved is started, and the service manager told when all has come to where it was to go, or has had its time for that.
async fn boot(service: Rc<Service>, is_first: bool) {
    let all = async {
        if is_first && let Err(failure) = service.apps.resurrect().await {
            say(&format!("rclusterd: {}", failure.message));
        }
        service.apps.settled().await;
    };
    // One that is slow keeps nothing else from being started with the machine.
    let _ = tokio::time::timeout(BOOT, all).await;
    let apps = service.apps.list(false).len();
    if let Err(error) = service_manager::tell(&format!("READY=1\nSTATUS=apps: {apps}")) {
        say(&format!("rclusterd: the service manager could not be told: {error}"));
    }
}

/// The service manager has told us to end. When the machine goes down, all apps end in order first, and are started with it again.
async fn end_as_service(service: &Service) {
    let asked = tokio::task::spawn_blocking(service_manager::goes_down);
    if matches!(tokio::time::timeout(ASKED, asked).await, Ok(Ok(true))) {
        service.apps.rest().await;
    }
}

/// Answers whoever comes, until the daemon shall end.
///
/// In the foreground whatever keepers leave behind is ours, as we are what a container runs: it is collected when it ends.
async fn accept(service: &Rc<Service>, listener: &UnixListener, hold: &Hold) -> io::Result<End> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut child = signal(SignalKind::child())?;
    let foreground = hold.foreground;
    if foreground {
        process::adopt_orphans()?;
    }
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Descriptors may have run out: whoever waits is still there when there are some.
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let stream = stream.into_std()?;
                if !socket::is_ours(&stream) {
                    continue;
                }
                let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
                let service = Rc::clone(service);
                tokio::task::spawn_local(async move {
                    let answers = service_fn(move |request| {
                        let service = Rc::clone(&service);
                        async move { Ok::<_, std::convert::Infallible>(api::answer(service, request).await) }
                    });
                    // A client that goes away in the middle harms nobody.
                    let _ = http1::Builder::new().serve_connection(stream, answers).await;
                });
            }
            // One that we wait for ourselves must not be taken away.
            _ = child.recv(), if foreground && !update::is_asking() => while process::next_ended().is_some() {},
            () = service.end.notified() => return Ok(service.why.take().unwrap_or(End::Quit)),
            // Keepers and programs go on.
            _ = term.recv() => {
                if hold.resurrect {
                    end_as_service(service).await;
                }
                return Ok(End::Quit);
            }
            _ = interrupt.recv() => return Ok(End::Quit),
        }
    }
}
