//! The daemon: one for each home. Knows what should run, starts keepers, answers requests; owns no program.

mod api;
mod apps;
mod copies;
mod figures;
mod home;
mod link;
mod store;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::fcntl::{Flock, FlockArg};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::durable::write_durably;
use crate::sys::{process, socket};
use api::Service;
use apps::Apps;
use home::Home;

/// How long a daemon that was killed may take to be gone, and how often we look.
const DYING: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(5);

/// How long a keeper that is gone again has to wait for the next one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs the daemon of the home at `path`, unless one runs already. `foreground`: stay the process that was started.
pub fn run(path: &Path, foreground: bool) -> io::Result<()> {
    let home = Home::open(path)?;
    let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(home.file("daemon.lock"))?;
    let lock = only_one(lock, path)?;
    store::Store::new(home.file("state.json")).check()?;
    let listener = socket::listen_private(&home.file("daemon.sock"))?;
    if !foreground {
        // From here on requests can be made: they wait until we answer.
        if matches!(process::detach()?, process::Detached::Foreground) {
            std::mem::forget(lock);
            return Ok(());
        }
        process::redirect_output(&home.file("daemon.log"))?;
    }
    if let Err(error) = write_durably(&home.file("daemon.pid"), format!("{}\n", std::process::id()).as_bytes()) {
        // On a full disk there is the more to be told of.
        eprintln!("rclusterd: daemon.pid could not be written: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let ended = LocalSet::new().block_on(&runtime, serve(home.clone(), listener));
    // Whoever looks for a daemon finds none.
    let _ = std::fs::remove_file(home.file("daemon.sock"));
    let _ = std::fs::remove_file(home.file("daemon.pid"));
    drop(lock);
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

async fn serve(home: Home, listener: std::os::unix::net::UnixListener) -> io::Result<()> {
    let (apps, troubles) = Apps::open(home);
    for trouble in troubles {
        eprintln!("rclusterd: {trouble}");
    }
    apps.adopt().await;
    let service = Rc::new(Service { apps, end: Notify::new() });
    tokio::task::spawn_local(guard_keepers(Rc::clone(&service)));
    let listener = UnixListener::from_std(listener)?;
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
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
                let service = Rc::clone(&service);
                tokio::task::spawn_local(async move {
                    let answers = service_fn(move |request| {
                        let service = Rc::clone(&service);
                        async move { Ok::<_, std::convert::Infallible>(api::answer(service, request).await) }
                    });
                    // A client that goes away in the middle harms nobody.
                    let _ = http1::Builder::new().serve_connection(stream, answers).await;
                });
            }
            () = service.end.notified() => break,
            // Keepers and programs go on.
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    // The last answers leave.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}
