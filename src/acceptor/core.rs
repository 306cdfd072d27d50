//! What the acceptor does in one turn: accept, pick, send; take back from those that are stuck or gone.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem, thread};

use crate::connection_queue::{self, Connection, Notice};
use crate::policy::Policy;
use crate::sys::poll::{Interest, Poller, WAKE};
use crate::sys::{clock, descriptors, libc, socket};

use super::listener::{Listener, Watch, listener_of};
use super::lookout::{Lookout, crowding};
use super::worker::{Worker, WorkerEnds};
use super::workers::Workers;

/// Connections accepted from one socket before the others have their turn.
const BURST: usize = 32;
/// Connections accepted from a socket that is being closed: more than the backlogs that are common.
const MOST_AT_THE_END: usize = 4096;
/// Notices read from one worker before the others have their turn.
const NOTICES: usize = 64;
/// More than the kernel queues.
const ALL_NOTICES: usize = 4096;
/// When descriptors have run out: how long until the next try.
const RETRY: Duration = Duration::from_millis(100);

/// Warnings of one kind within this time are one episode.
const EPISODE: Duration = Duration::from_secs(60);

/// Called with a warning for the user: what has happened, once per episode.
pub type Warn = Box<dyn Fn(&'static str) + Send>;

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
    /// Workers whose notices have to wait for room for a descriptor, until this time (ns).
    unread: Vec<usize>,
    unread_until: u64,
    /// Workers that are gone, but whose queues could not be emptied for want of descriptors.
    departed: Vec<Worker>,
    last_listener: u32,
    lookout: Lookout,
    shortage_at: Option<u64>,
    warn: Warn,
    pub stopped: bool,
}

impl Core {
    pub fn new(poller: Arc<Poller>, warn: Warn) -> Core {
        Core {
            poller,
            listeners: BTreeMap::new(),
            workers: Workers::default(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            crowding: 1,
            dirty: Vec::new(),
            homeless: Vec::new(),
            unread: Vec::new(),
            unread_until: 0,
            departed: Vec::new(),
            last_listener: 0,
            lookout: Lookout::default(),
            shortage_at: None,
            warn,
            stopped: false,
        }
    }

    /// Returns the number by which it is named.
    pub fn add_worker(&mut self, ends: WorkerEnds) -> io::Result<u32> {
        let place = self.workers.add(ends)?;
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
        for departed in &mut self.departed {
            departed.lost_heir(&worker);
        }
        let _ = self.poller.remove(worker.ends().queue.as_fd());
        for listener in self.listeners.values_mut() {
            listener.remove_member(place);
        }
        self.adapt_to_crowd();
        self.dirty.retain(|dirty| *dirty != place);
        self.lookout.forget(place);
        // What it gave back before it died is still to be read.
        self.read_notices(&mut worker, place, ALL_NOTICES);
        let emptied = take_back(&mut worker, &mut self.homeless);
        let open = worker.load();
        if !emptied {
            self.departed.push(worker);
        }
        self.settle();
        open
    }

    /// What comes back from `old` goes to `heir`.
    pub fn succeed(&mut self, old: u32, heir: u32) {
        self.workers.succeed(old, heir);
    }

    pub fn add_listener(&mut self, fd: OwnedFd, policy: Box<dyn Policy>) -> io::Result<u32> {
        let id = self.last_listener.checked_add(1).ok_or(io::ErrorKind::OutOfMemory)?;
        self.listeners.insert(id, Listener::new(id, fd, policy, &self.poller)?);
        self.last_listener = id;
        Ok(id)
    }

    /// Closes the sockets, and the connections that nobody has got.
    pub fn close_listener(&mut self, id: u32) {
        if let Some(listener) = self.listeners.remove(&id) {
            listener.forget(&self.poller);
        }
    }

    /// Closes the sockets; what the kernel has completed by then is still given to the members.
    pub fn finish_listener(&mut self, id: u32) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        for index in 0..listener.sockets.len() {
            for _ in 0..MOST_AT_THE_END {
                match socket::accept(listener.sockets[index].fd()) {
                    Ok(fd) => listener.add(Connection::fresh(fd, id)),
                    Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => {}
                    Err(_) => break,
                }
            }
        }
        listener.forget(&self.poller);
        listener.sockets.clear();
        self.settle();
    }

    /// Whether connections of a listener that was finished still wait for a member.
    pub fn is_finishing(&self) -> bool {
        self.listeners.values().any(|listener| listener.is_finished() && listener.holds_any())
    }

    pub fn listener(&self, id: u32) -> Option<&Listener> {
        self.listeners.get(&id)
    }

    /// The worker takes connections of that listener from now on. That it did not before may be said by notices that
    /// are still to be read.
    pub fn add_member(&mut self, listener: u32, number: u32) {
        let Some(place) = self.workers.place_of(number) else { return };
        let Some(mut worker) = self.workers.borrow(place) else { return };
        self.read_notices(&mut worker, place, ALL_NOTICES);
        self.workers.give_back(place, worker);
        if let Some(listener) = self.listeners.get_mut(&listener) {
            listener.add_member(place);
        }
        self.settle();
    }

    /// Gives the worker a listening socket of its own.
    pub fn own_socket(&mut self, listener: u32, number: u32, backlog: i32) -> io::Result<OwnedFd> {
        let place = self.workers.place_of(number).ok_or(io::ErrorKind::NotFound)?;
        let listener = self.listeners.get_mut(&listener).ok_or(io::ErrorKind::NotFound)?;
        let fd = listener.own_socket(place, backlog, &self.poller)?;
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
    pub fn nudge(&self, number: u32) {
        if let Some(worker) = self.workers.place_of(number).and_then(|place| self.workers.get(place)) {
            worker.nudge();
        }
    }

    /// One turn of the acceptor's loop. Returns how long it may wait for the next event.
    pub fn turn(&mut self, tokens: &[u64]) -> Option<Duration> {
        let now = clock::monotonic_ns();
        for token in tokens {
            match (*token, listener_of(*token)) {
                (WAKE, _) => {}
                (_, Some((listener, socket))) => self.on_listener(listener, socket, now),
                (token, None) => {
                    let index = token as usize;
                    if let Some(mut worker) = self.workers.borrow(index) {
                        self.read_notices(&mut worker, index, NOTICES);
                        self.workers.give_back(index, worker);
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
        let next_look = self.look_at_sockets(now);
        let homeless = &mut self.homeless;
        self.departed.retain_mut(|worker| !take_back(worker, homeless));
        self.place_homeless(now);
        self.serve_parked(now);
        self.flush(now);
        if !self.homeless.is_empty() {
            self.place_homeless(now);
        }
        self.listeners.retain(|_, listener| !listener.is_over());
        let mut wait = next_look.map(|at| Duration::from_nanos(at.saturating_sub(now).max(1)));
        for listener in self.listeners.values_mut() {
            listener.sync(&self.poller);
            wait = shorter(wait, listener.patience(now));
        }
        if !self.departed.is_empty() || !self.unread.is_empty() {
            wait = shorter(wait, Some(RETRY));
        }
        shorter(wait, self.lookout.wait())
    }

    /// Something has come to one of a listener's sockets.
    fn on_listener(&mut self, id: u32, index: usize, now: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let Some(socket) = listener.sockets.get_mut(index) else { return };
        if socket.is_ours() {
            self.accept(id, index, now);
        } else if let Some(owner) = socket.owner().and_then(|owner| self.workers.get(owner)) {
            socket.arrived(owner, now);
        }
    }

    fn accept(&mut self, id: u32, index: usize, now: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if listener.watch != Watch::Accepting || !listener.has_room() {
            return;
        }
        for accepted in 0..BURST {
            let Some(socket) = listener.sockets.get_mut(index) else { break };
            match socket::accept(socket.fd()) {
                Ok(fd) => listener.add(Connection::fresh(fd, id)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => break,
                    // The peer or the network has gone, or a signal came: the next one. See accept(2).
                    Some(
                        libc::ECONNABORTED
                        | libc::EINTR
                        | libc::EPROTO
                        | libc::EPERM
                        | libc::ENETDOWN
                        | libc::ENETUNREACH
                        | libc::EHOSTDOWN
                        | libc::EHOSTUNREACH
                        | libc::ENONET
                        | libc::ENOPROTOOPT,
                    ) => {}
                    // There will be room when what has been accepted in this turn has been sent.
                    _ if descriptors::ran_out(&error) && (accepted > 0 || !self.dirty.is_empty()) => break,
                    _ if descriptors::ran_out(&error) => {
                        listener.watch = Watch::OutOfDescriptors(now + RETRY.as_nanos() as u64);
                        return self.shortage(now);
                    }
                    _ => {
                        socket.set_useless();
                        break;
                    }
                },
            }
        }
        serve(listener, &mut self.workers, &mut self.dirty, self.processors, now);
    }

    fn shortage(&mut self, now: u64) {
        let before = self.shortage_at.replace(now);
        if before.is_none_or(|before| now.saturating_sub(before) > EPISODE.as_nanos() as u64) {
            (self.warn)("the primary has run out of file descriptors: new connections wait until some are closed");
        }
    }

    fn read_notices(&mut self, worker: &mut Worker, index: usize, limit: usize) {
        for _ in 0..limit {
            let queue = worker.ends().queue.as_fd();
            if !descriptors::room_for(1, queue) {
                let _ = self.poller.set_interest(queue, index as u64, Interest::None);
                self.unread.push(index);
                self.unread_until = clock::monotonic_ns() + RETRY.as_nanos() as u64;
                return self.shortage(clock::monotonic_ns());
            }
            match connection_queue::receive_notice(queue) {
                Ok(None) => return,
                Ok(Some(Notice::TurnOver)) => {}
                Ok(Some(Notice::Available(listener))) => self.set_full(listener, index, false),
                Ok(Some(Notice::Full(connection))) => {
                    self.set_full(connection.listener, index, true);
                    self.homeless.push(Homeless { connection, heir: worker.heir });
                }
                // A worker that passes a connection on is leaving. It is not to get that one, nor others.
                Ok(Some(Notice::Closed(connection) | Notice::Moved(connection))) => {
                    if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                        listener.remove_member(index);
                    }
                    self.homeless.push(Homeless { connection, heir: worker.heir });
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => worker.set_broken(),
                Err(_) => {
                    // A socket in error would be reported for ever. Its channel tells what has happened.
                    let _ = self.poller.remove(worker.ends().queue.as_fd());
                    worker.set_broken();
                    return;
                }
            }
        }
    }

    /// Notices that had to wait are reported again by the poller.
    fn read_again(&mut self, now: u64) {
        if now < self.unread_until {
            return;
        }
        for index in mem::take(&mut self.unread) {
            if let Some(worker) = self.workers.get(index) {
                let _ = self.poller.set_interest(worker.ends().queue.as_fd(), index as u64, Interest::Each);
            }
        }
    }

    fn set_full(&mut self, listener: u32, worker: usize, full: bool) {
        if let Some(listener) = self.listeners.get_mut(&listener) {
            listener.set_full(worker, full);
        }
    }

    /// Connections that came back go to the head of their listener's line; without a listener they are closed.
    fn place_homeless(&mut self, now: u64) {
        for Homeless { connection, heir } in self.homeless.drain(..).rev() {
            if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                listener.return_connection(connection, heir, &self.workers, now);
            }
        }
    }

    /// Gives those who wait to whom can take them, and decides whether to accept more.
    fn serve_parked(&mut self, now: u64) {
        for listener in self.listeners.values_mut().filter(|listener| !listener.is_settled()) {
            serve(listener, &mut self.workers, &mut self.dirty, self.processors, now);
            if !listener.may_accept(&self.workers, now) || listener.holds_any() {
                // Ask first and look again afterwards, so that a turn that ends in between is not missed.
                for member in listener.members() {
                    if let Some(worker) = self.workers.get(member.worker) {
                        worker.ends().board.ask_to_be_told();
                    }
                }
                serve(listener, &mut self.workers, &mut self.dirty, self.processors, now);
            }
            listener.watch = match listener.watch {
                Watch::OutOfDescriptors(at) if now < at => continue,
                _ if listener.may_accept(&self.workers, now) => Watch::Accepting,
                _ => Watch::Waiting,
            };
        }
    }

    fn flush(&mut self, now: u64) {
        let mut dirty = mem::take(&mut self.dirty);
        let (mut sent, mut ran_out) = (false, false);
        for index in dirty.drain(..) {
            let Some(worker) = self.workers.get_mut(index) else { continue };
            self.lookout.watch(index, worker, now);
            let Err((error, unsent)) = worker.flush() else {
                sent = true;
                continue;
            };
            for connection in &unsent {
                if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                    listener.was_not_taken(index);
                }
            }
            let heir = worker.heir;
            self.homeless.extend(unsent.into_iter().map(|connection| Homeless { connection, heir }));
            ran_out |= descriptors::ran_out(&error);
        }
        self.dirty = dirty;
        if ran_out {
            self.shortage(now);
        }
        for listener in self.listeners.values_mut() {
            match listener.watch {
                _ if ran_out => listener.watch = Watch::OutOfDescriptors(now + RETRY.as_nanos() as u64),
                // Ours of what was sent are closed: there is room again.
                Watch::OutOfDescriptors(_) if sent => listener.watch = Watch::Accepting,
                _ => {}
            }
        }
    }

    /// Takes back what waits for workers that are stuck.
    fn watch_workers(&mut self, now: u64) {
        for index in self.lookout.look(&mut self.workers, self.crowding, now) {
            let Some(worker) = self.workers.get_mut(index) else { continue };
            // At the end of it all it keeps what it has got: the others may be about to leave.
            if self.listeners.values().any(|listener| listener.is_finished() && listener.has_member(index)) {
                continue;
            }
            let known = self.homeless.len();
            take_back(worker, &mut self.homeless);
            for Homeless { connection, .. } in &self.homeless[known..] {
                if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                    listener.was_not_taken(index);
                }
            }
        }
    }

    /// Looks whether workers accept from the sockets that they have as their own. Returns when (ns) the next look is due.
    fn look_at_sockets(&mut self, now: u64) -> Option<u64> {
        let workers = &mut self.workers;
        self.listeners.values_mut().filter_map(|listener| listener.look_at_sockets(workers, now)).min()
    }
}

fn serve(listener: &mut Listener, workers: &mut Workers, dirty: &mut Vec<usize>, processors: usize, now: u64) {
    listener.share_out(processors);
    while let Some((worker, connection)) = listener.next_served(workers, now) {
        enqueue(workers, dirty, worker, connection);
    }
}

fn enqueue(workers: &mut Workers, dirty: &mut Vec<usize>, index: usize, connection: Connection) {
    if let Some(worker) = workers.get_mut(index)
        && worker.enqueue(connection)
    {
        dirty.push(index);
    }
}

/// Takes back what waits for the worker. Returns whether nothing is left.
fn take_back(worker: &mut Worker, homeless: &mut Vec<Homeless>) -> bool {
    let mut connections = Vec::new();
    let emptied = worker.take_back(&mut connections);
    let heir = worker.heir;
    homeless.extend(connections.into_iter().map(|connection| Homeless { connection, heir }));
    emptied
}

fn shorter(left: Option<Duration>, right: Option<Duration>) -> Option<Duration> {
    left.into_iter().chain(right).min()
}
