//! A model of the acceptor: whatever happens, in whatever order, each connection ends up with one worker, and nobody spins.
//!
//! [`run`] makes events of bytes, for tests with random ones and for a fuzzer. There is no thread: a turn is taken whenever the
//! poller has something, and time passes when an event says so.

// What a model finds is told by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use self::clients::{Client, Place, internet_listener, new_name, unix_listener};
pub use self::events::{CALLS, ERRORS, run};
use self::workers::{Worker, boards};
use super::core::Core;
use super::errand;
use super::times::STUCK_AFTER;
use crate::policy;
use crate::sys::poll::Poller;
use crate::sys::{clock, fault};
use crate::trusted::Trusted;

mod clients;
mod events;
mod workers;

const LISTENERS: usize = 2;
const MOST_WORKERS: usize = 6;
/// A fuzzer has shorter queues (QUEUE_DEPTH), which fewer fill: each connection costs it a dozen system calls.
const MOST_CLIENTS: usize = if cfg!(feature = "fuzzing") { 32 } else { 96 };
const MOST_AT_ONCE: usize = if cfg!(feature = "fuzzing") { 4 } else { 16 };

/// So many turns without that time passes mean that the acceptor spins.
const MOST_TURNS: usize = 400;

/// So often, at the end, every worker takes what there is and some time passes.
const ROUNDS: usize = 200;
/// Longer than a worker may leave something waiting, as long as that is in tests.
const ROUND: Duration = STUCK_AFTER.saturating_mul(3);

/// The number of the policy under which workers have sockets of their own.
pub const OWN_SOCKETS: u32 = 5;

/// The number of the one that goes by whom a connection is from.
const STICKY: u32 = 4;

/// The acceptor, its listeners, those who connect, and those who serve.
pub struct World {
    core: Core,
    poller: Arc<Poller>,
    listeners: Vec<(u32, Place)>,
    workers: Vec<Worker>,
    /// What those who connect have in their names.
    name: String,
    /// Whether each says first whom it is from, as proxies do.
    behind_proxies: bool,
    /// Whether a system call was ever made to fail.
    has_failed: bool,
    /// All that have ever connected.
    clients: Vec<Client>,
    /// How many of them are not over.
    open: usize,
    /// Listeners that are finished.
    finished: BTreeSet<usize>,
    tokens: Vec<u64>,
    given_up: Arc<Mutex<Vec<u32>>>,
}

impl World {
    /// Listeners with that policy, without workers.
    pub fn new(policy: u32) -> World {
        World::with(policy, None)
    }

    /// The same behind proxies that say whom connections are from, where the policy goes by that.
    pub fn behind_proxies() -> World {
        World::with(STICKY, Trusted::parse(["unix"]))
    }

    fn with(policy: u32, trusted: Option<Trusted>) -> World {
        errand::run_here();
        let poller = Arc::new(Poller::new().unwrap());
        let given_up = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&given_up);
        let on_given_up = Box::new(move |worker, _| told.lock().unwrap().push(worker));
        let mut core = Core::new(Arc::clone(&poller), Box::new(|_| {}), on_given_up);
        let name = new_name();
        let behind_proxies = trusted.is_some();
        let listeners = (0..LISTENERS as u32).map(|number| {
            let (socket, place) =
                if policy == OWN_SOCKETS { internet_listener() } else { unix_listener(&name, number) };
            let trusted = trusted.as_ref().map(|_| Trusted::parse(["unix"]).unwrap());
            (core.add_listener(socket, false, policy::by_number(policy, trusted).unwrap()).unwrap(), place)
        });
        let listeners = listeners.collect();
        World {
            core,
            poller,
            listeners,
            workers: Vec::new(),
            name,
            behind_proxies,
            has_failed: false,
            clients: Vec::new(),
            open: 0,
            finished: BTreeSet::new(),
            tokens: Vec::new(),
            given_up,
        }
    }

    /// Turns until there is nothing to do. Returns how long there is nothing to do, if nothing happens.
    pub fn turn(&mut self) -> Option<Duration> {
        let mut wait = None;
        for _ in 0..MOST_TURNS {
            if self.poller.wait(Some(Duration::ZERO), &mut self.tokens).is_ok() && self.tokens.is_empty() {
                return wait;
            }
            wait = self.core.turn(&self.tokens);
        }
        panic!("the acceptor spins");
    }

    /// Time passes, for the acceptor as often as it wants.
    pub fn pass(&mut self, time: Duration) {
        let mut left = time;
        let mut turns = 0;
        while !left.is_zero() {
            let wait = self.core.turn(&[]).unwrap_or(left).min(left);
            clock::advance(wait.as_nanos() as u64);
            left -= wait;
            turns += 1;
            assert!(turns < 40 + time.as_millis() * 20, "the acceptor does not sleep: {wait:?}");
            self.turn();
        }
        self.see_who_is_closed();
    }

    /// The worker serves that listener.
    pub fn add_member(&mut self, worker: usize, listener: usize) {
        if let Some(worker) = self.workers.get(worker) {
            self.core.add_member(self.listeners[listener % LISTENERS].0, worker.number);
        }
    }

    /// The worker, a member of that listener, gets a listening socket of its own, if there is such a thing here.
    pub fn give_socket(&mut self, worker: usize, listener: usize) {
        let listener = listener % LISTENERS;
        let Some(worker) = self.workers.get_mut(worker) else { return };
        let (id, Place::Internet(_)) = &self.listeners[listener] else { return };
        if worker.sockets.iter().any(|(known, _)| *known == listener) {
            return;
        }
        if let Ok(socket) = self.core.own_socket(*id, worker.number, 511) {
            worker.sockets.push((listener, socket.into()));
        }
    }

    /// System calls fail: see [`fault::inject`].
    fn fail(&mut self, call: &'static str, errno: i32, first: usize, times: usize) {
        self.has_failed = true;
        fault::inject(call, errno, first, times);
    }

    /// The listener is closed as soon as what has come has been accepted.
    pub fn finish_listener(&mut self, listener: usize) {
        self.core.finish_listener(self.listeners[listener % LISTENERS].0);
        self.finished.insert(listener % LISTENERS);
    }

    /// Those who wait though nobody has them. With a listener that is over, whoever waits for it is.
    fn waiting(&self) -> Vec<usize> {
        let over = |listener: usize| {
            self.finished.contains(&listener) && self.core.listener(self.listeners[listener].0).is_none()
        };
        let waits = |client: &Client| client.stream.is_some() && !client.taken && !over(client.listener);
        (0..self.clients.len()).filter(|index| waits(&self.clients[*index])).collect()
    }

    fn is_over(&mut self, client: usize) {
        self.clients[client].stream = None;
        self.open -= 1;
    }

    /// It does so no longer.
    pub fn remove_member(&mut self, worker: usize, listener: usize) {
        let listener = listener % LISTENERS;
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.sockets.retain(|(known, _)| *known != listener);
            self.core.remove_member(self.listeners[listener].0, worker.number);
        }
    }

    /// The numbers of those that the acceptor has given up.
    pub fn given_up(&self) -> Vec<u32> {
        self.given_up.lock().unwrap().clone()
    }

    /// How many connections workers have.
    pub fn taken(&self) -> usize {
        self.workers.iter().map(|worker| worker.taken.len()).sum()
    }

    /// How many connections of that listener this worker has.
    #[cfg(test)]
    pub fn taken_of(&self, worker: usize, listener: usize) -> usize {
        self.workers[worker].taken.iter().filter(|(client, _)| self.clients[*client].listener == listener).count()
    }

    /// One worker has the other as its heir.
    pub fn succeed(&mut self, old: usize, heir: usize) {
        if let (Some(old), Some(heir)) = (self.workers.get(old), self.workers.get(heir)) {
            self.core.succeed(old.number, heir.number);
        }
    }

    /// Whoever lives takes what comes: in the end nobody may wait.
    pub fn finish(mut self) {
        fault::none();
        self.turn();
        self.kill_given_up();
        if self.workers.len() >= MOST_WORKERS {
            self.kill(0);
        }
        self.say_the_rest();
        let last = self.add_worker().unwrap();
        for _ in 0..ROUNDS {
            for listener in 0..LISTENERS {
                self.add_member(last.min(self.workers.len() - 1), listener);
            }
            for worker in 0..self.workers.len() {
                self.say_available(worker);
                self.take(worker, usize::MAX);
            }
            self.turn();
            if self.waiting().is_empty() {
                return;
            }
            self.pass(ROUND);
        }
        // What a worker has had is closed by another thread.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5)
            && self.waiting().iter().all(|index| self.clients[*index].is_late())
        {
            if self.waiting().is_empty() {
                return;
            }
            std::thread::yield_now();
            self.see_who_is_closed();
        }
        let lost = self.waiting();
        let late: Vec<_> = lost.iter().filter(|index| self.clients[**index].is_late()).collect();
        panic!("connections are lost: {lost:?}; whose header is waited for: {late:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for Worker { board, primary_board, .. } in self.workers.drain(..) {
            boards::keep(primary_board, board);
        }
    }
}
