//! What the acceptor knows, and what it does in one turn: accept, pick, send; take back from those that are stuck or gone.

mod accepting;
mod crossing;
mod notices;
mod sending;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use crate::connection_queue::Connection;
use crate::policy::Policy;
use crate::sys::clock;
use crate::sys::poll::{Interest, Poller, WAKE};
use crate::sys::socket;

use super::bridge::{Bridge, Source};
use super::listener::{Listener, is_late, listener_of};
use super::lookout::{Lookout, crowding};
use super::sockets::Socket;
use super::times::{RETRY, RETRY_SOON};
use super::worker::{Worker, WorkerEnds};
use super::workers::Workers;

/// The poller's token of the bridge from another primary: that of no worker's place and of no listener.
const OF_BRIDGE: u64 = u32::MAX as u64;

/// Warnings of one kind within this time are one episode. After the same time what waits for one that is gone is given up.
const EPISODE: Duration = Duration::from_secs(60);

/// Called with a warning for the user: what has happened, once per episode.
pub type Warn = Box<dyn Fn(&'static str) + Send>;

/// Called with the number of a worker that gets nothing any more, and why.
pub type OnGivenUp = Box<dyn Fn(u32, &'static str) + Send>;

/// A connection that has come back, and the number of the worker that is to have it, if any.
struct Homeless {
    connection: Connection,
    heir: Option<u32>,
}

/// All that the acceptor knows. Guarded by one lock, so that a change is complete when the call that made it returns.
pub struct Core {
    poller: Arc<Poller>,
    /// By an id that is never used again, as connections that carry it may come back late.
    listeners: BTreeMap<u32, Listener>,
    workers: Workers,
    processors: usize,
    /// By how much longer than usual workers may have to wait for a processor.
    crowding: u32,
    /// Workers with something to send at the end of this turn.
    dirty: Vec<usize>,
    /// Taken back, to be given to others.
    homeless: Vec<Homeless>,
    /// Workers whose notices have to wait, and until when (ns).
    unread: Vec<(usize, u64)>,
    /// Workers that get nothing any more, but whose queues could not be emptied yet.
    unemptied: Vec<usize>,
    /// Workers that are gone, and have left something that could not be taken yet, and until when (ns) it is tried.
    departed: Vec<(Worker, u64)>,
    last_listener: u32,
    /// To the primary that comes after this one.
    bridge: Option<Bridge>,
    /// From the primary that was before this one, and until when (ns) it is not read.
    source: Option<Source>,
    source_rests_until: Option<u64>,
    lookout: Lookout,
    shortage_at: Option<u64>,
    deaf_at: Option<u64>,
    warn: Warn,
    on_given_up: OnGivenUp,
    pub stopped: bool,
}

impl Core {
    pub fn new(poller: Arc<Poller>, warn: Warn, on_given_up: OnGivenUp) -> Core {
        Core {
            poller,
            listeners: BTreeMap::new(),
            workers: Workers::default(),
            processors: processors(),
            crowding: 1,
            dirty: Vec::new(),
            homeless: Vec::new(),
            unread: Vec::new(),
            unemptied: Vec::new(),
            departed: Vec::new(),
            last_listener: 0,
            bridge: None,
            source: None,
            source_rests_until: None,
            lookout: Lookout::default(),
            shortage_at: None,
            deaf_at: None,
            warn,
            on_given_up,
            stopped: false,
        }
    }

    /// Returns the number by which it is named.
    pub fn add_worker(&mut self, ends: WorkerEnds, seat: Option<u32>) -> io::Result<u32> {
        let place = self.workers.add(ends, seat)?;
        let Some(worker) = self.workers.get(place) else { return Err(io::ErrorKind::NotFound.into()) };
        let number = worker.number;
        if let Err(error) = self.poller.add(worker.ends().queue.as_fd(), place as u64, Interest::Each) {
            self.workers.remove(place);
            return Err(error);
        }
        self.adapt_to_crowd();
        Ok(number)
    }

    fn adapt_to_crowd(&mut self) {
        self.crowding = crowding(self.workers.iter().count(), self.processors);
        for worker in self.workers.iter_mut() {
            worker.set_crowding(self.crowding);
        }
    }

    /// The worker gets nothing any more; what it has not taken goes to others. Returns how many connections it has.
    pub fn remove_worker(&mut self, number: u32) -> u64 {
        let Some(place) = self.workers.place_of(number) else { return 0 };
        let Some(mut worker) = self.workers.remove(place) else { return 0 };
        for (departed, _) in &mut self.departed {
            departed.lost_heir(&worker);
        }
        let _ = self.poller.remove(worker.ends().queue.as_fd());
        for listener in self.listeners.values_mut() {
            listener.lose_process(place);
        }
        self.adapt_to_crowd();
        self.dirty.retain(|dirty| *dirty != place);
        self.lookout.forget(place);
        self.unread.retain(|(unread, _)| *unread != place);
        self.unemptied.retain(|unemptied| *unemptied != place);
        // Somebody whom it has left its queue to says nothing more. What it has said can still be read.
        socket::shut_down(worker.ends().queue.as_fd());
        let nothing_left = self.take_rest(&mut worker);
        let open = worker.load();
        if !nothing_left {
            self.departed.push((worker, clock::monotonic_ns() + EPISODE.as_nanos() as u64));
        }
        self.settle();
        open
    }

    /// What comes back from `old` goes to `heir`.
    pub fn succeed(&mut self, old: u32, heir: u32) {
        self.workers.succeed(old, heir);
    }

    pub fn add_listener(&mut self, fd: OwnedFd, shared: bool, policy: Box<dyn Policy>) -> io::Result<u32> {
        let id = self.last_listener.checked_add(1).ok_or(io::ErrorKind::OutOfMemory)?;
        self.listeners.insert(id, Listener::new(id, Socket::new(fd, shared), policy, &self.poller)?);
        self.last_listener = id;
        Ok(id)
    }

    /// One more socket of a listener's address, that others may have.
    pub fn add_socket(&mut self, listener: u32, fd: OwnedFd) -> io::Result<()> {
        let entry = self.listeners.get_mut(&listener).ok_or(io::ErrorKind::NotFound)?;
        entry.add_socket(Socket::new(fd, true), &self.poller)?;
        self.settle();
        Ok(())
    }

    /// Closes the sockets, and the connections that nobody has got.
    pub fn close_listener(&mut self, id: u32) {
        if let Some(mut listener) = self.listeners.remove(&id) {
            listener.forget(&self.poller);
        }
    }

    /// Closes the sockets; what the kernel has completed by then is still given to the members.
    pub fn finish_listener(&mut self, id: u32) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        listener.finish();
        self.settle();
    }

    /// Whether connections of a listener that was finished still wait for a member.
    pub fn is_finishing(&self) -> bool {
        let waits = |listener: &Listener| listener.holds_any() || !listener.sockets.is_empty();
        self.listeners.values().any(|listener| listener.is_finished() && waits(listener))
    }

    pub fn listener(&self, id: u32) -> Option<&Listener> {
        self.listeners.get(&id)
    }

    /// The worker takes connections of that listener from now on. That it did not before may be said by notices that
    /// are still to be read.
    pub fn add_member(&mut self, listener: u32, number: u32) {
        let Some(place) = self.workers.place_of(number) else { return };
        if self.listeners.get(&listener).is_none_or(|listener| listener.has_member(place)) {
            return;
        }
        let Some(mut worker) = self.workers.borrow(place) else { return };
        self.read_all_notices(&mut worker, place);
        let sound = worker.is_sound();
        worker.serves(listener);
        self.workers.give_back(place, worker);
        if sound && let Some(listener) = self.listeners.get_mut(&listener) {
            listener.add_member(place);
        }
        self.settle();
    }

    /// Gives the worker a listening socket of its own.
    pub fn own_socket(&mut self, id: u32, number: u32, backlog: i32) -> io::Result<OwnedFd> {
        let place = self.workers.place_of(number).ok_or(io::ErrorKind::NotFound)?;
        let sound = self.workers.get(place).is_some_and(Worker::is_sound);
        let listener = self.listeners.get_mut(&id).filter(|_| sound).ok_or(io::ErrorKind::NotFound)?;
        let fd = listener.own_socket(place, backlog, &self.poller)?;
        if let Some(worker) = self.workers.get_mut(place) {
            worker.owns(id);
        }
        self.settle();
        Ok(fd)
    }

    /// Takes the socket back that the worker has as its own.
    pub fn disown(&mut self, listener: u32, number: u32) {
        let Some(place) = self.workers.place_of(number) else { return };
        if let Some(listener) = self.listeners.get_mut(&listener) {
            listener.disown(place);
        }
        self.settle();
    }

    /// The worker serves this listener no longer. Returns how many still do.
    pub fn remove_member(&mut self, listener: u32, number: u32) -> usize {
        let Some(entry) = self.listeners.get_mut(&listener) else { return 0 };
        let Some(place) = self.workers.place_of(number) else { return entry.members().len() };
        let was_member = entry.remove_member(place);
        let remaining = entry.members().len();
        if was_member && let Some(worker) = self.workers.get_mut(place) {
            take_back(worker, &mut self.homeless);
        }
        self.settle();
        remaining
    }

    /// Makes an idle worker's event loop turn.
    pub fn nudge(&mut self, number: u32) {
        let Some(place) = self.workers.place_of(number) else { return };
        if let Some(worker) = self.workers.get_mut(place) {
            worker.nudge();
        }
        self.give_up_if_shut(place);
    }

    /// One turn of the acceptor's loop. Returns how long it may wait for the next event.
    pub fn turn(&mut self, tokens: &[u64]) -> Option<Duration> {
        let now = clock::monotonic_ns();
        for token in tokens {
            match (*token, listener_of(*token)) {
                (WAKE, _) => {}
                (token, _) if is_late(token) => self.on_late(token, now),
                (OF_BRIDGE, _) => self.read_source(now),
                (_, Some((listener, socket))) => self.on_listener(listener, socket, now),
                (token, None) => {
                    let place = token as usize;
                    if let Some(mut worker) = self.workers.borrow(place) {
                        self.read_some_notices(&mut worker, place);
                        self.workers.give_back(place, worker);
                    }
                }
            }
        }
        self.settle_at(now)
    }

    fn settle(&mut self) {
        self.settle_at(clock::monotonic_ns());
        // The thread computes anew how long to wait.
        self.poller.wake();
    }

    /// Gives what waits to whom can take it, sends, and says how long nothing needs to be done.
    fn settle_at(&mut self, now: u64) -> Option<Duration> {
        self.watch_workers(now);
        self.read_again(now);
        let errands = self.see_to_sockets(now);
        let next_look = self.look_at_sockets(now);
        self.empty_queues(now);
        self.drain_finished(now);
        self.place_homeless(now);
        self.listeners.values_mut().for_each(|listener| listener.end_late(now));
        self.serve_parked(now);
        self.flush(now);
        if !self.homeless.is_empty() {
            self.place_homeless(now);
        }
        let crossing = self.cross();
        let source = self.read_source_again(now).map(|at| until(at, now));
        self.listeners.retain(|_, listener| !listener.is_over());
        let mut wait = shorter(shorter(crossing, source), shorter(errands, next_look.map(|at| until(at, now))));
        for listener in self.listeners.values_mut() {
            let told = listener.sync(&self.poller, now);
            wait = shorter(wait, listener.patience(now));
            wait = shorter(wait, listener.next_late().map(|at| until(at, now)));
            wait = if told { wait } else { shorter(wait, Some(RETRY_SOON)) };
        }
        if !self.departed.is_empty() || !self.unemptied.is_empty() {
            wait = shorter(wait, Some(RETRY));
        }
        wait = shorter(wait, self.unread.iter().map(|(_, at)| until(*at, now)).min());
        shorter(wait, self.lookout.wait())
    }
}

fn processors() -> usize {
    // Finding out takes a dozen system calls, and what a fuzzer finds is to be found on any machine.
    if cfg!(feature = "fuzzing") { 2 } else { thread::available_parallelism().map_or(1, usize::from) }
}

/// How long it is until that time.
fn until(at: u64, now: u64) -> Duration {
    Duration::from_nanos(at.saturating_sub(now).max(1))
}

fn shorter(left: Option<Duration>, right: Option<Duration>) -> Option<Duration> {
    left.into_iter().chain(right).min()
}

/// Takes back what waits for the worker. Returns whether nothing is left.
fn take_back(worker: &mut Worker, homeless: &mut Vec<Homeless>) -> bool {
    let mut connections = Vec::new();
    let emptied = worker.take_back(&mut connections);
    let heir = worker.heir;
    homeless.extend(connections.into_iter().map(|connection| Homeless { connection, heir }));
    emptied
}
