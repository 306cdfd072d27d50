//! The acceptor: one thread for all listening sockets, never waiting for JavaScript.
//!
//! The thread sleeps in the poller and takes one turn per wake-up ([`core::Core::turn`]). JavaScript's thread changes
//! the books under the same lock, held for microseconds, and wakes the thread when there is something new to do.
//! When nothing happens, nobody makes a system call.

mod account;
mod bridge;
mod core;
mod errand;
mod heirs;
mod line;
mod listener;
mod lookout;
mod members;
#[cfg(any(test, feature = "fuzzing"))]
pub mod model;
mod sockets;
mod times;
mod worker;
mod workers;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use self::core::Core;
pub use self::core::{OnGivenUp, Warn};
pub use self::times::STUCK_AFTER;
pub use self::worker::{QUEUE_DEPTH, WorkerEnds};
use crate::policy::Policy;
use crate::sys::{descriptors, poll::Poller, process, socket};

/// A handle to the running acceptor. Dropping it ends the thread.
pub struct Acceptor {
    core: Arc<Mutex<Core>>,
    poller: Arc<Poller>,
}

impl Acceptor {
    /// Starts the thread. `on_given_up` is called when a worker gets nothing any more, though it has not been removed.
    pub fn start(warn: Warn, on_given_up: OnGivenUp) -> io::Result<Acceptor> {
        let poller = Arc::new(Poller::new()?);
        let core = Arc::new(Mutex::new(Core::new(Arc::clone(&poller), warn, on_given_up)));
        let acceptor = Acceptor { core: Arc::clone(&core), poller: Arc::clone(&poller) };
        thread::Builder::new().name("rcluster-accept".into()).spawn(move || run(&core, &poller))?;
        Ok(acceptor)
    }

    /// Adds a worker. The number names it from now on and no other worker ever: what is called with it when it has been removed
    /// does nothing. `seat`: which it has, if not the smallest that is free.
    pub fn add_worker(&self, ends: WorkerEnds, seat: Option<u32>) -> io::Result<u32> {
        self.core.lock().add_worker(ends, seat)
    }

    /// The worker has died or disconnected: what waits for it goes to others. Returns how many connections it had taken
    /// that were not over.
    pub fn remove_worker(&self, number: u32) -> u64 {
        self.core.lock().remove_worker(number)
    }

    /// Accepts from `fd`, which listens already, as soon as it has a member. `shared`: other processes may have it.
    pub fn add_listener(&self, fd: OwnedFd, shared: bool, policy: Box<dyn Policy>) -> io::Result<u32> {
        self.core.lock().add_listener(fd, shared, policy)
    }

    /// Closes the listening socket, at once: the port is free when this returns.
    pub fn close_listener(&self, listener: u32) {
        self.core.lock().close_listener(listener);
    }

    /// The same, but what the kernel has completed by then is still given to the members.
    pub fn finish_listener(&self, listener: u32) {
        self.core.lock().finish_listener(listener);
    }

    /// Whether connections of a listener that was finished still wait for a worker.
    pub fn is_finishing(&self) -> bool {
        self.core.lock().is_finishing()
    }

    /// The address a listener is bound to; `None` for Unix sockets.
    pub fn address(&self, listener: u32) -> Option<SocketAddr> {
        socket::local_address(self.core.lock().listener(listener)?.any_socket()?).ok().flatten()
    }

    /// One more listening socket of that listener's address, which must have been bound with `reuse_port`.
    pub fn add_socket(&self, listener: u32, fd: OwnedFd) -> io::Result<()> {
        self.core.lock().add_socket(listener, fd)
    }

    /// A duplicate of a listener's socket, or of one of them.
    pub fn socket(&self, listener: u32) -> io::Result<OwnedFd> {
        let core = self.core.lock();
        let fd = core.listener(listener).and_then(|listener| listener.any_socket()).ok_or(io::ErrorKind::NotFound)?;
        descriptors::duplicate(fd)
    }

    /// From now on the worker gets connections of that listener.
    pub fn add_member(&self, listener: u32, number: u32) {
        self.core.lock().add_member(listener, number);
    }

    /// From now on what comes back from `old`, given back or not taken, goes to `heir` as long as that one is a member of the
    /// same listener and its loop turns. It has the seat of `old`, so that clients that stick to it stay.
    pub fn succeed(&self, old: u32, heir: u32) {
        self.core.lock().succeed(old, heir);
    }

    /// Makes an idle worker's event loop turn, so that its board shows that it can.
    pub fn nudge(&self, number: u32) {
        self.core.lock().nudge(number);
    }

    /// Gives the worker a listening socket of its own on that listener's address, which must have been bound with
    /// `reuse_port`; the kernel distributes connections over all of them. Returns a duplicate. The acceptor keeps the
    /// socket open: it accepts from it when the worker is stuck or no member any more, and closes it when the worker is gone.
    pub fn own_socket(&self, listener: u32, number: u32, backlog: i32) -> io::Result<OwnedFd> {
        self.core.lock().own_socket(listener, number, backlog)
    }

    /// The worker cannot use the socket that it was given.
    pub fn disown(&self, listener: u32, number: u32) {
        self.core.lock().disown(listener, number);
    }

    /// Another primary accepts from all our sockets from now on; what nobody has taken and what comes back goes over this bridge.
    /// `back` is the end that the other one receives from.
    pub fn hand_over(&self, out: OwnedFd, back: OwnedFd) {
        self.core.lock().hand_over(out, back);
    }

    /// The other primary has died: all is as it was before.
    pub fn hand_back(&self) {
        self.core.lock().hand_back();
    }

    /// How many connections have crossed the bridge, and how many are still to.
    pub fn crossing(&self) -> (u64, usize) {
        self.core.lock().crossing()
    }

    /// What comes over a bridge from another primary goes to our workers. `listeners`: its listeners' ids, and ours.
    pub fn add_source(&self, fd: OwnedFd, listeners: HashMap<u32, u32>) -> io::Result<()> {
        self.core.lock().add_source(fd, listeners)
    }

    /// Duplicates of all of a listener's sockets.
    pub fn sockets(&self, listener: u32) -> io::Result<Vec<OwnedFd>> {
        let core = self.core.lock();
        let listener = core.listener(listener).ok_or(io::ErrorKind::NotFound)?;
        let sockets = listener.sockets.iter().filter(|socket| socket.stays());
        sockets.filter_map(sockets::Socket::fd).map(descriptors::duplicate).collect()
    }

    /// The worker gets no connections of that listener any more. Returns how many members are left.
    pub fn remove_member(&self, listener: u32, number: u32) -> usize {
        self.core.lock().remove_member(listener, number)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.core.lock().stopped = true;
        self.poller.wake();
    }
}

fn run(core: &Mutex<Core>, poller: &Poller) {
    // On a busy machine it would otherwise interrupt a worker for each connection. Whoever is to serve that needs a processor
    // as well; until there is one more connections come, which then go in one packet.
    process::never_preempt();
    let mut tokens = Vec::with_capacity(64);
    let mut timeout = None;
    loop {
        if poller.wait(timeout, &mut tokens).is_err() {
            // Only a bug of ours makes epoll fail. Not spinning keeps the rest of the process usable.
            thread::sleep(STUCK_AFTER);
        }
        let mut core = core.lock();
        if core.stopped {
            return;
        }
        // A panic is a bug: the panic hook has printed it, this turn is lost, the service goes on.
        timeout = catch_unwind(AssertUnwindSafe(|| core.turn(&tokens))).unwrap_or(Some(STUCK_AFTER));
    }
}

#[cfg(test)]
mod tests;
