//! The acceptor itself, its thread included, with Unix sockets: clients come, workers take, give back, lie on their boards, write
//! nonsense and leave, in any order. In the end every client has come to one worker, once, or still comes to an honest one.

use std::collections::BTreeMap;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockname, listen, socket,
};
use rcluster::acceptor::{Acceptor, WorkerEnds};
use rcluster::board::Board;
use rcluster::connection_queue::{self, Batch, Connection, Notice};
use rcluster::policy;
use rcluster::sys::{clock, descriptors, scm, socket as sockets};

use crate::input::Input;

const ORDERS: usize = 40;
const WORKERS: usize = 4;
const CLIENTS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(20);
const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

/// One for all inputs: starting a thread for each would take most of the time.
fn acceptor() -> &'static Acceptor {
    static ONE: OnceLock<Acceptor> = OnceLock::new();
    ONE.get_or_init(|| Acceptor::start(Box::new(|_| {})).expect("a thread"))
}

struct Worker {
    slot: usize,
    queue: OwnedFd,
    board: Board,
    taken: Vec<Connection>,
}

impl Worker {
    fn new() -> Worker {
        let (primary, queue) = sockets::packet_pair().expect("two sockets");
        let take_back = descriptors::duplicate(queue.as_fd()).expect("a descriptor");
        let (fd, board) = Board::create().expect("a page");
        let own = Board::open(fd.as_fd()).expect("the same page");
        let ends = WorkerEnds { queue: primary, take_back, board: Arc::new(board) };
        Worker { slot: acceptor().add_worker(ends).expect("a place"), queue, board: own, taken: Vec::new() }
    }

    fn take(&mut self) {
        while let Ok(Batch::Taken { count, .. }) = connection_queue::receive(self.queue.as_fd(), &mut self.taken) {
            self.board.add_taken(count as u64);
        }
    }

    fn end_turn(&self) {
        if self.board.end_turn(clock::monotonic_ns(), 0) {
            let _ = connection_queue::send_notice(self.queue.as_fd(), &Notice::TurnOver);
        }
    }

    fn give_back(&mut self, full: bool) {
        let Some(connection) = self.taken.pop() else { return };
        let notice = if full { Notice::Full(connection) } else { Notice::Closed(connection) };
        if connection_queue::send_notice(self.queue.as_fd(), &notice).is_err()
            && let Notice::Full(connection) | Notice::Closed(connection) = notice
        {
            self.taken.push(connection);
        }
    }

    fn lie(&self, input: &mut Input) {
        match input.byte() % 6 {
            0 => self.board.add_taken(u64::from(input.u32())),
            1 => self.board.add_taken(u64::MAX - u64::from(input.byte())),
            2 => self.board.begin_turn(u64::from(input.u32()) << input.below(33)),
            3 => self.board.set_out_of_descriptors(input.byte().is_multiple_of(2)),
            4 => self.board.add_ended(usize::MAX as u64),
            _ => self.board.set_paused(input.byte().is_multiple_of(2)),
        }
    }
}

struct Scene {
    listener: u32,
    address: UnixAddr,
    clients: Vec<UnixStream>,
    workers: Vec<Worker>,
    /// What workers have had that are gone.
    had: Vec<Connection>,
}

impl Scene {
    fn new(policy: u32) -> Scene {
        let fd = socket(AddressFamily::Unix, SockType::Stream, FLAGS, None).expect("a socket");
        bind(fd.as_raw_fd(), &UnixAddr::new_unnamed()).expect("a name");
        listen(&fd, Backlog::new(100).expect("a number")).expect("to listen");
        let address = getsockname(fd.as_raw_fd()).expect("its name");
        let policy = policy::by_number(policy).expect("a policy");
        let listener = acceptor().add_listener(fd, policy).expect("a listener");
        Scene { listener, address, clients: Vec::new(), workers: Vec::new(), had: Vec::new() }
    }

    fn connect(&mut self) {
        let fd = socket(AddressFamily::Unix, SockType::Stream, FLAGS, None).expect("a socket");
        if self.clients.len() < CLIENTS && connect(fd.as_raw_fd(), &self.address).is_ok() {
            let mut client = UnixStream::from(fd);
            client.write_all(&[self.clients.len() as u8]).expect("room");
            self.clients.push(client);
        }
    }

    fn remove(&mut self, index: usize) {
        let worker = self.workers.swap_remove(index);
        acceptor().remove_worker(worker.slot);
        self.had.extend(worker.taken);
    }

    fn order(&mut self, input: &mut Input) {
        let order = input.byte() % 14;
        if order < 3 {
            return (0..=input.below(8)).for_each(|_| self.connect());
        }
        if order == 3 && self.workers.len() < WORKERS {
            self.workers.push(Worker::new());
            let worker = self.workers.last().expect("the new one");
            return acceptor().add_member(self.listener, worker.slot);
        }
        if self.workers.is_empty() {
            return;
        }
        let index = input.below(self.workers.len());
        let worker = &mut self.workers[index];
        match order {
            4 | 5 => worker.take(),
            6 => worker.end_turn(),
            7 => worker.give_back(input.byte().is_multiple_of(2)),
            8 => drop(connection_queue::send_notice(worker.queue.as_fd(), &Notice::Available(self.listener))),
            9 => self.remove(index),
            10 => drop(acceptor().remove_member(self.listener, worker.slot)),
            11 => acceptor().add_member(self.listener, worker.slot),
            12 => worker.lie(input),
            _ => {
                let bytes = input.bytes(12);
                drop(scm::send(worker.queue.as_fd(), &[IoSlice::new(bytes)], &[]));
            }
        }
    }

    /// All that were connected have come, once.
    fn finish(mut self) {
        let mut last = Worker::new();
        acceptor().add_member(self.listener, last.slot);
        while !self.workers.is_empty() {
            self.remove(0);
        }
        let until = Instant::now() + PATIENCE;
        while self.had.len() + last.taken.len() < self.clients.len() {
            let have = last.taken.len();
            last.take();
            last.end_turn();
            if last.taken.len() == have {
                std::thread::yield_now();
            }
            let lost = self.clients.len() - self.had.len() - last.taken.len();
            assert!(Instant::now() < until, "{lost} connections of {} do not come", self.clients.len());
        }
        let slot = last.slot;
        self.had.append(&mut last.taken);
        let mut seen = BTreeMap::new();
        for connection in self.had {
            assert_eq!(connection.listener, self.listener);
            let mut id = [0];
            UnixStream::from(connection.fd).read_exact(&mut id).expect("its number");
            assert!(seen.insert(id, ()).is_none(), "one connection has come twice");
        }
        acceptor().remove_worker(slot);
        acceptor().close_listener(self.listener);
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut scene = Scene::new(2 + u32::from(input.byte() % 3));
    for _ in 0..ORDERS {
        if input.is_empty() {
            break;
        }
        scene.order(&mut input);
    }
    scene.finish();
}
