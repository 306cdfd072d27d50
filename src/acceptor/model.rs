//! A model of the acceptor: whatever happens, in whatever order, each connection ends up with one worker, and nobody spins.
//!
//! [`run`] makes events of bytes, for tests with random ones and for a fuzzer. There is no thread: a turn is taken whenever the
//! poller has something, and time passes when an event says so.

// What a model finds is told by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};

use super::WorkerEnds;
use super::core::Core;
use super::errand;
use super::times::STUCK_AFTER;
use crate::board::Board;
use crate::connection_queue::{self, Batch, Connection, MAX_BATCH, Notice};
use crate::policy;
use crate::sys::poll::Poller;
use crate::sys::{clock, descriptors, fault, libc, listen, socket};

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

/// The calls that are made to fail.
pub const CALLS: [&str; 26] = [
    "accept4",
    "sendmsg",
    "recvmsg",
    "epoll_ctl",
    "epoll_wait",
    "fcntl",
    "getsockname",
    "setsockopt",
    "write",
    "bind",
    "epoll_create1",
    "eventfd2",
    "fstat",
    "ftruncate",
    "getpeername",
    "getsockopt",
    "ioctl",
    "listen",
    "memfd_create",
    "mmap",
    "poll",
    "prlimit64",
    "read",
    "shutdown",
    "socket",
    "socketpair",
];
/// How they fail.
pub const ERRORS: [i32; 22] = [
    libc::EPERM,
    libc::EINTR,
    libc::EIO,
    libc::EBADF,
    libc::EAGAIN,
    libc::ENOMEM,
    libc::EACCES,
    libc::EINVAL,
    libc::ENFILE,
    libc::EMFILE,
    libc::ENOSPC,
    libc::EPIPE,
    libc::EPROTO,
    libc::ENOTSOCK,
    libc::EMSGSIZE,
    libc::EOPNOTSUPP,
    libc::ECONNABORTED,
    libc::ECONNRESET,
    libc::ENOBUFS,
    libc::ETIMEDOUT,
    libc::ENOSR,
    libc::ETOOMANYREFS,
];

/// Where a listener listens.
enum Place {
    Unix(unix::SocketAddr),
    /// With a socket for each worker.
    Internet(SocketAddr),
}

/// The number of the policy under which workers have sockets of their own.
pub const OWN_SOCKETS: u32 = 5;

/// How long the kernel may take for what it does at once, but for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever is heard is heard at once, and the kernel asks again after a second.
const DEAF: Duration = Duration::from_millis(50);

/// One who connects.
struct Client {
    /// `None` when it is over.
    stream: Option<OwnedFd>,
    listener: usize,
    /// Whether a worker has it.
    taken: bool,
}

/// One worker, which does what it should.
struct Worker {
    number: u32,
    queue: OwnedFd,
    board: Board,
    /// The same page as the acceptor has it.
    primary_board: Arc<Board>,
    /// Its connections, by the indices of their clients.
    taken: Vec<(usize, Connection)>,
    /// The listening sockets that it has as its own, and of which listeners.
    sockets: Vec<(usize, TcpListener)>,
    /// It has written nonsense: what it says after that is not heard.
    lied: bool,
}

/// The acceptor, its listeners, those who connect, and those who serve.
pub struct World {
    core: Core,
    poller: Arc<Poller>,
    listeners: Vec<(u32, Place)>,
    workers: Vec<Worker>,
    /// All that have ever connected. Each sends its index as soon as it is connected.
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
        errand::run_here();
        let poller = Arc::new(Poller::new().unwrap());
        let given_up = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&given_up);
        let on_given_up = Box::new(move |worker, _| told.lock().unwrap().push(worker));
        let mut core = Core::new(Arc::clone(&poller), Box::new(|_| {}), on_given_up);
        let listeners = (0..LISTENERS).map(|_| {
            let (socket, place) = if policy == OWN_SOCKETS { internet_listener() } else { unix_listener() };
            (core.add_listener(socket, false, policy::by_number(policy, None).unwrap()).unwrap(), place)
        });
        let listeners = listeners.collect();
        World {
            core,
            poller,
            listeners,
            workers: Vec::new(),
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
    }

    /// A client connects.
    pub fn connect(&mut self, listener: usize) {
        let listener = listener % LISTENERS;
        if self.open >= MOST_CLIENTS || self.finished.contains(&listener) {
            return;
        }
        let greeting = (self.clients.len() as u32).to_le_bytes();
        let stream: OwnedFd = match &self.listeners[listener].1 {
            Place::Unix(address) => {
                let mut stream = UnixStream::connect_addr(address).unwrap();
                stream.write_all(&greeting).unwrap();
                stream.into()
            }
            Place::Internet(address) => {
                // Who meets a socket that has just become deaf is heard by another one a second later; here nobody waits for that.
                let mut stream = match TcpStream::connect_timeout(address, DEAF) {
                    Err(error) if error.kind() == ErrorKind::TimedOut => return,
                    connected => connected.unwrap(),
                };
                socket::reset_on_close(stream.as_fd()).unwrap();
                stream.write_all(&greeting).unwrap();
                // Then it can be accepted, and be asked.
                let began = Instant::now();
                while socket::unacknowledged(stream.as_fd()).unwrap() > 0 && began.elapsed() < PATIENCE {
                    std::thread::yield_now();
                }
                stream.into()
            }
        };
        self.clients.push(Client { stream: Some(stream), listener, taken: false });
        self.open += 1;
    }

    /// A worker that serves nothing yet. Returns its index.
    pub fn add_worker(&mut self) -> Option<usize> {
        if self.workers.len() >= MOST_WORKERS {
            return None;
        }
        // Without descriptors, or whatever else, there is no worker.
        let (primary, queue) = socket::packet_pair().ok()?;
        let take_back = descriptors::duplicate(queue.as_fd()).ok()?;
        let (primary_board, board) = boards::make().ok()?;
        let ends = WorkerEnds { queue: primary.into(), take_back: take_back.into(), board: Arc::clone(&primary_board) };
        let number = self.core.add_worker(ends, None).ok()?;
        self.workers.push(Worker {
            number,
            queue,
            board,
            primary_board,
            taken: Vec::new(),
            sockets: Vec::new(),
            lied: false,
        });
        Some(self.workers.len() - 1)
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

    /// The worker dies, and what it has taken with it.
    pub fn kill(&mut self, worker: usize) {
        if worker < self.workers.len() {
            let Worker { number, queue, board, primary_board, taken, sockets, .. } = self.workers.swap_remove(worker);
            for (client, _) in taken {
                self.is_over(client);
            }
            drop((queue, sockets));
            self.core.remove_worker(number);
            boards::keep(primary_board, board);
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

    /// Those that the acceptor has given up are killed by whoever is told.
    fn kill_given_up(&mut self) {
        let given_up = std::mem::take(&mut *self.given_up.lock().unwrap());
        for number in given_up {
            if let Some(index) = self.workers.iter().position(|worker| worker.number == number) {
                self.kill(index);
            }
        }
    }

    /// One turn of the worker's loop, in which it takes so many packets, and whatever has come to sockets of its own.
    pub fn take(&mut self, worker: usize, packets: usize) {
        let Some(worker) = self.workers.get_mut(worker) else { return };
        worker.board.begin_turn(clock::monotonic_ns());
        let mut connections = Vec::with_capacity(MAX_BATCH);
        for _ in 0..packets {
            match connection_queue::receive(worker.queue.as_fd(), &mut connections) {
                Ok(Batch::Taken { count, lost }) => {
                    worker.board.add_taken(count as u64);
                    assert_eq!(lost, 0, "descriptors are lost");
                }
                _ => break,
            }
        }
        for (listener, socket) in &worker.sockets {
            while let Ok((stream, _)) = socket.accept() {
                connections.push(Connection::fresh(stream.into(), self.listeners[*listener].0));
                let opened = &worker.board.counts()[0];
                opened.store((f64::from_bits(opened.load(Ordering::Relaxed)) + 1.0).to_bits(), Ordering::Relaxed);
            }
        }
        for connection in connections {
            let index = client_of(&connection);
            let client = &mut self.clients[index];
            assert!(client.stream.is_some(), "{index} is over");
            assert!(!mem::replace(&mut client.taken, true), "{index} has been given away twice");
            worker.taken.push((index, connection));
        }
        if worker.board.end_turn(clock::monotonic_ns(), 0) {
            let _ = connection_queue::send_notice(worker.queue.as_fd(), &Notice::TurnOver);
        }
    }

    /// The worker's oldest connection is over.
    pub fn end(&mut self, worker: usize) {
        let Some(worker) = self.workers.get_mut(worker).filter(|worker| !worker.taken.is_empty()) else { return };
        let (client, _) = worker.taken.remove(0);
        worker.board.add_ended(1);
        self.is_over(client);
    }

    /// The worker gives its newest connection back, with that notice.
    pub fn give_back(&mut self, worker: usize, notice: fn(Connection) -> Notice) {
        let Some(worker) = self.workers.get_mut(worker).filter(|worker| !worker.lied) else { return };
        let Some((client, connection)) = worker.taken.pop() else { return };
        let notice = notice(connection);
        if connection_queue::send_notice(worker.queue.as_fd(), &notice).is_ok() {
            worker.board.add_ended(1);
            self.clients[client].taken = false;
        } else if let Notice::Closed(connection) | Notice::Full(connection) | Notice::Moved(connection) = notice {
            worker.taken.push((client, connection));
        }
    }

    /// The worker says that it has room, for what it may have said was full.
    pub fn say_available(&mut self, worker: usize) {
        let Some(worker) = self.workers.get(worker) else { return };
        for (listener, _) in &self.listeners {
            let _ = connection_queue::send_notice(worker.queue.as_fd(), &Notice::Available(*listener));
        }
    }

    /// The worker writes what makes no sense.
    pub fn lie(&mut self, worker: usize, bytes: &[u8]) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.lied = true;
            let _ = crate::sys::scm::send(worker.queue.as_fd(), &[std::io::IoSlice::new(bytes)], &[]);
        }
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
        let lost = self.waiting();
        panic!("connections are lost: {lost:?}");
    }
}

fn unix_listener() -> (OwnedFd, Place) {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let name = format!("rcluster-model-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed));
    let address = unix::SocketAddr::from_abstract_name(name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    listener.set_nonblocking(true).unwrap();
    (listener.into(), Place::Unix(address))
}

fn internet_listener() -> (OwnedFd, Place) {
    // An address of this machine's that nobody else uses: who looks for a server which had the port before comes to 127.0.0.1.
    let fd = listen::bind_internet(
        SocketAddr::from(([127, 0, 91, 7], 0)),
        listen::Bind { reuse_port: true, ..Default::default() },
    )
    .unwrap();
    listen::listen(fd.as_fd(), 511).unwrap();
    let address = socket::local_address(fd.as_fd()).unwrap().unwrap();
    (fd, Place::Internet(address))
}

impl Drop for World {
    fn drop(&mut self) {
        for Worker { board, primary_board, .. } in self.workers.drain(..) {
            boards::keep(primary_board, board);
        }
    }
}

/// Boards, each as the acceptor and as the worker sees it.
mod boards {
    use super::*;

    #[cfg(feature = "fuzzing")]
    thread_local! {
        /// Those of workers that are gone. Making one takes a dozen system calls.
        static KEPT: std::cell::RefCell<Vec<(Arc<Board>, Board)>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    /// A new one, as far as anybody can tell.
    pub fn make() -> std::io::Result<(Arc<Board>, Board)> {
        #[cfg(feature = "fuzzing")]
        if let Some(both) = KEPT.with_borrow_mut(|kept| kept.pop_if(|(board, _)| Arc::strong_count(board) == 1)) {
            both.0.reset();
            return Ok(both);
        }
        let (fd, board) = Board::create()?;
        Ok((Arc::new(board), Board::open(fd.as_fd())?))
    }

    /// Its worker is gone. Whoever has it still may have it for a while.
    pub fn keep(_primary: Arc<Board>, _worker: Board) {
        #[cfg(feature = "fuzzing")]
        KEPT.with_borrow_mut(|kept| kept.insert(0, (_primary, _worker)));
    }
}

/// The index that a client has sent.
fn client_of(connection: &Connection) -> usize {
    let mut bytes = [0; 4];
    let count = recv(connection.fd.as_fd().as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    assert_eq!(count, Ok(4), "what has come is no client");
    u32::from_le_bytes(bytes) as usize
}

/// Makes events of bytes, and checks what comes of them. Panics when a connection is lost or given away twice, or when the acceptor
/// spins.
pub fn run(bytes: &[u8]) {
    let mut bytes = bytes.iter().map(|byte| usize::from(*byte));
    let mut next = move || bytes.next();
    fault::none();
    let policy = next().map_or(2, |byte| 2 + byte as u32 % 4);
    let mut world = World::new(policy);
    while let (Some(event), Some(which)) = (next(), next()) {
        let (worker, other) = (which % MOST_WORKERS, which / MOST_WORKERS);
        match event % 17 {
            0 | 1 => (0..=which * MOST_AT_ONCE / 256).for_each(|_| world.connect(which)),
            2 | 3 => world.take(worker, 1 + other % 3),
            4 => world.give_back(worker, Notice::Closed),
            5 => world.give_back(worker, Notice::Full),
            6 => world.give_back(worker, Notice::Moved),
            7 => world.say_available(worker),
            8 => {
                let added = world.add_worker();
                if let Some(added) = added {
                    world.add_member(added, which);
                    world.give_socket(added, which);
                }
            }
            9 => world.kill(worker),
            10 => {
                world.add_member(worker, other);
                world.give_socket(worker, other);
            }
            11 => world.remove_member(worker, other),
            12 => world.succeed(worker, other % MOST_WORKERS),
            13 => world.end(worker),
            // Seldom, as there are not many.
            16 if which % 4 == 0 => {
                // That nothing has come is believed, and then it is closed: what fails there has tests of its own.
                fault::none();
                world.finish_listener(other);
            }
            16 => world.take(worker, 9),
            14 => world.pass(Duration::from_millis(which as u64)),
            _ => match next().unwrap_or(0) {
                lie if lie % 32 == 0 => world.lie(worker, &[which as u8; 5]),
                first => {
                    let (call, errno) = (CALLS[first % CALLS.len()], ERRORS[which % ERRORS.len()]);
                    let times = match errno {
                        // That nothing has come to a socket which is about to be closed is believed.
                        libc::EAGAIN if call == "accept4" && policy == OWN_SOCKETS => 0,
                        // That a queue is empty is not said again and again when it is not.
                        libc::EAGAIN => 1,
                        _ => 1 + first / 100,
                    };
                    fault::inject(call, errno, which / ERRORS.len(), times);
                }
            },
        }
        world.turn();
        world.kill_given_up();
    }
    world.finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_slow_worker_serves_reaches_it_though_another_is_idle() {
        run(include_bytes!("../../fuzz/corpus/acceptor/given-back"));
    }

    #[test]
    fn a_poller_that_could_not_be_told_what_to_report_is_told_later() {
        run(include_bytes!("../../fuzz/corpus/acceptor/interest-not-told"));
    }

    #[test]
    fn whatever_happens_no_connection_is_lost_or_given_away_twice() {
        let seeds = std::env::var("MODEL_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(120u64);
        for seed in 0..seeds {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let length = 20 + usize::from(byte());
            let bytes: Vec<u8> = (0..length).map(|_| byte()).collect();
            let result = std::panic::catch_unwind(|| run(&bytes));
            assert!(result.is_ok(), "seed {seed}: {bytes:?}");
        }
    }
}
