//! Accepting from a socket that a worker has as well, on a thread of its own that holds no lock.
//!
//! Whoever shares a socket can make it a blocking one between any two of our system calls, and take the connection that we have
//! seen coming. Then accepting waits, for as long as nobody connects. So no thread that serves others does it; and whom such a
//! thread has waited for is given up.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::sys::foreign::ListeningFd;
use crate::sys::listen;
use crate::sys::poll::Poller;
use crate::sys::socket::{self, Accepted};

/// An errand that takes so long waits for a connection, which it should not.
const TOO_LONG: Duration = Duration::from_secs(2);

/// How long a handshake that has begun may take, on a busy machine or a network that is near. Who begins one meanwhile is heard a
/// second later.
const SETTLE: Duration = Duration::from_millis(20);

/// Connections in a row that were over before they could be accepted, after which something else may be wrong.
const MOST_FAILURES: usize = 16;

#[cfg(any(test, feature = "fuzzing"))]
thread_local! {
    static RUNS_HERE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on who sets out from this thread is back at once: for a model in which nothing happens by itself.
#[cfg(any(test, feature = "fuzzing"))]
pub fn run_here() {
    RUNS_HERE.set(true);
}

/// Why no more was accepted from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// So many are enough for one turn.
    Enough,
    /// There is nothing more.
    Empty,
    /// For want of a descriptor.
    OutOfDescriptors,
    /// The kernel does not want to, for now.
    Later,
    /// The socket is of no use any more.
    Dead,
}

/// Accepts so many connections at most.
pub fn accept_some(most: usize, mut next: impl FnMut() -> Accepted, mut found: impl FnMut(OwnedFd)) -> End {
    let mut failures = 0;
    for _ in 0..most {
        match next() {
            Accepted::Connection(fd) => {
                failures = 0;
                found(fd);
            }
            Accepted::Again if failures < MOST_FAILURES => failures += 1,
            Accepted::Again | Accepted::Later => return End::Later,
            Accepted::Empty => return End::Empty,
            Accepted::OutOfDescriptors => return End::OutOfDescriptors,
            Accepted::Dead => return End::Dead,
        }
    }
    End::Enough
}

/// Whether nothing keeps the socket from being closed.
fn is_done(end: End) -> bool {
    matches!(end, End::Enough | End::Empty)
}

fn settle() {
    #[cfg(any(test, feature = "fuzzing"))]
    if RUNS_HERE.get() {
        return;
    }
    thread::sleep(SETTLE);
}

/// What it has brought so far, and why it brings no more.
#[derive(Default)]
struct Found {
    connections: Vec<OwnedFd>,
    end: Option<End>,
}

/// One thread's way to a socket and back.
pub struct Errand {
    found: Arc<Mutex<Found>>,
    /// When (ns) it set out.
    began: u64,
    cut_short: bool,
}

impl Errand {
    /// Sets out for at most so many connections. `last`: whoever had the socket is gone, and it listens no longer when all has been
    /// accepted that has come.
    pub fn begin(
        socket: &Arc<ListeningFd>,
        most: usize,
        last: bool,
        poller: &Arc<Poller>,
        now: u64,
    ) -> io::Result<Errand> {
        Errand::begin_with(socket, poller, now, (most, last), |fd| socket::accept(fd, true))
    }

    /// The same with another way to accept.
    pub fn begin_with(
        socket: &Arc<ListeningFd>,
        poller: &Arc<Poller>,
        now: u64,
        (most, last): (usize, bool),
        accept: impl Fn(BorrowedFd) -> Accepted + Send + 'static,
    ) -> io::Result<Errand> {
        let found = Arc::new(Mutex::new(Found::default()));
        let errand = Errand { found: Arc::clone(&found), began: now, cut_short: false };
        let (socket, poller) = (Arc::clone(socket), Arc::clone(poller));
        let run = move || {
            let fd = socket.as_fd();
            let accept_all = || accept_some(most, || accept(fd), |fd| found.lock().connections.push(fd));
            let mut end = accept_all();
            if last && is_done(end) {
                // Whoever came between the last look and the end would be lost.
                listen::hear_nobody_new(fd);
                // Those who have come are served at once.
                poller.wake();
                settle();
                end = accept_all();
            }
            if last && is_done(end) {
                // At once, as what comes from now on is lost; and for all who have it.
                socket::shut_down(fd);
            }
            drop(socket);
            found.lock().end = Some(end);
            poller.wake();
        };
        #[cfg(any(test, feature = "fuzzing"))]
        if RUNS_HERE.get() {
            run();
            return Ok(errand);
        }
        thread::Builder::new().name("rcluster-errand".into()).spawn(run)?;
        Ok(errand)
    }

    /// What it has brought since it was last asked, and why it brings no more if it does not.
    pub fn collect(&self) -> (Vec<OwnedFd>, Option<End>) {
        let mut found = self.found.lock();
        (mem::take(&mut found.connections), found.end)
    }

    /// Whether it takes so long that it has to be cut short. Says so once.
    pub fn is_to_be_cut_short(&mut self, now: u64) -> bool {
        let late = now.saturating_sub(self.began) > TOO_LONG.as_nanos() as u64;
        late && !mem::replace(&mut self.cut_short, true)
    }
}
