//! The acceptor with real sockets: connections of this process, and workers that do what they are told to.

mod faults;
mod finish;
mod hostile;
mod own_sockets;
mod proxied;
mod slow;
mod succession;
mod upgrade;

use std::io::{ErrorKind, IoSlice, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Acceptor, QUEUE_DEPTH, STUCK_AFTER, WorkerEnds};
use crate::board::Board;
use crate::connection_queue::{self, Batch, Connection, MAX_BATCH, Notice};
use crate::policy::{Policy, RoundRobin};
use crate::sys::{clock, descriptors, libc, scm, socket};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// A worker's side of everything.
struct Worker {
    number: u32,
    queue: OwnedFd,
    board: Board,
    /// Its connections, in the order of arrival, with their clients' ports.
    taken: Vec<(u16, Connection)>,
    /// How many came in each packet.
    packets: Vec<usize>,
}

impl Worker {
    fn new(acceptor: &Acceptor) -> Worker {
        let (primary, queue) = socket::packet_pair().unwrap();
        let take_back = descriptors::duplicate(queue.as_fd()).unwrap();
        let (fd, board) = Board::create().unwrap();
        let worker_board = Board::open(fd.as_fd()).unwrap();
        let ends = WorkerEnds { queue: primary.into(), take_back: take_back.into(), board: Arc::new(board) };
        let number = acceptor.add_worker(ends, None).unwrap();
        Worker { number, queue, board: worker_board, taken: Vec::new(), packets: Vec::new() }
    }

    /// Takes what is queued, as a worker's event loop does in one turn. Returns how many it has by then.
    fn take(&mut self) -> usize {
        let mut connections = Vec::new();
        while let Ok(Batch::Taken { count, .. }) = connection_queue::receive(self.queue.as_fd(), &mut connections) {
            self.board.add_taken(count as u64);
            if count > 0 {
                self.packets.push(count);
            }
        }
        self.taken.extend(connections.into_iter().map(|connection| (client_of(&connection), connection)));
        self.end_turn();
        self.taken.len()
    }

    fn end_turn(&self) {
        if self.board.end_turn(clock::monotonic_ns(), 0) {
            self.tell(&Notice::TurnOver);
        }
    }

    fn tell(&self, notice: &Notice) {
        connection_queue::send_notice(self.queue.as_fd(), notice).unwrap();
    }

    /// Gives the last one that it has taken back.
    fn give_back(&mut self, notice: impl FnOnce(Connection) -> Notice) {
        let (_, connection) = self.taken.pop().unwrap();
        self.tell(&notice(connection));
    }

    fn clients(&self) -> Vec<u16> {
        self.taken.iter().map(|(client, _)| *client).collect()
    }
}

fn client_of(connection: &Connection) -> u16 {
    let stream = TcpStream::from(descriptors::duplicate(connection.fd.as_fd()).unwrap());
    stream.peer_addr().unwrap().port()
}

/// A listener, and the connections to it.
struct Scene {
    acceptor: Acceptor,
    listener: u32,
    address: SocketAddr,
    clients: Vec<TcpStream>,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(Box::new(RoundRobin::default()))
    }

    fn with(policy: Box<dyn Policy>) -> Scene {
        let acceptor = Acceptor::start(Box::new(|_| {}), Box::new(|_, _| {})).unwrap();
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = acceptor.add_listener(socket.into(), false, policy).unwrap();
        Scene { acceptor, listener, address, clients: Vec::new() }
    }

    /// A worker that serves the listener.
    fn member(&self) -> Worker {
        let worker = Worker::new(&self.acceptor);
        self.acceptor.add_member(self.listener, worker.number);
        worker
    }

    fn connect(&mut self, count: usize) {
        for _ in 0..count {
            self.clients.push(TcpStream::connect(self.address).unwrap());
        }
    }

    fn ports(&self) -> Vec<u16> {
        self.clients.iter().map(|client| client.local_addr().unwrap().port()).collect()
    }
}

/// All connections have come to one of the workers, each of them once.
fn expect_all_taken(scene: &Scene, workers: &[&Worker]) {
    let mut taken: Vec<_> = workers.iter().flat_map(|worker| worker.clients()).collect();
    let mut all = scene.ports();
    taken.sort_unstable();
    all.sort_unstable();
    assert_eq!(taken, all);
}

#[test]
fn each_in_turn() {
    let mut scene = Scene::new();
    let mut workers = [scene.member(), scene.member(), scene.member()];
    for round in 1..=4 {
        for worker in &mut workers {
            scene.connect(1);
            wait_for("the connection of this turn", || (worker.take() == round).then_some(()));
        }
    }
    let ports = scene.ports();
    for (index, worker) in workers.iter().enumerate() {
        let expected: Vec<_> = ports.iter().copied().skip(index).step_by(3).collect();
        assert_eq!(worker.clients(), expected);
    }
}

#[test]
fn those_who_wait_come_in_full_packets_and_in_order() {
    let mut scene = Scene::new();
    scene.connect(MAX_BATCH + 4);
    let mut worker = scene.member();
    wait_for("all connections", || (worker.take() == MAX_BATCH + 4).then_some(()));
    assert_eq!(worker.clients(), scene.ports());
    assert_eq!(worker.packets.first(), Some(&MAX_BATCH));
}

#[test]
fn what_a_stuck_worker_does_not_take_goes_to_another_and_it_takes_part_again_when_it_turns() {
    let mut scene = Scene::new();
    let (mut stuck, mut other) = (scene.member(), scene.member());
    scene.connect(10);
    wait_for("all connections at the other", || (other.take() == 10).then_some(()));
    expect_all_taken(&scene, &[&other]);
    wait_for("one for the worker that turns again", || {
        scene.connect(1);
        other.take();
        (stuck.take() > 0).then_some(())
    });
}

#[test]
fn what_it_did_not_take_is_made_up_for() {
    let mut scene = Scene::new();
    let (mut stuck, mut other) = (scene.member(), scene.member());
    scene.connect(10);
    wait_for("all connections at the other", || (other.take() == 10).then_some(()));
    stuck.take();
    scene.connect(20);
    wait_for("all connections", || (stuck.take() + other.take() == 30).then_some(()));
    assert_eq!((stuck.taken.len(), other.taken.len()), (15, 15));
}

#[test]
fn a_worker_that_runs_for_long_gets_nothing() {
    let mut scene = Scene::new();
    let (busy, mut other) = (scene.member(), scene.member());
    // For a second, by its own account.
    busy.board.begin_turn(clock::monotonic_ns() - 1_000_000_000);
    for count in 1..=6 {
        scene.connect(1);
        wait_for("the connection", || (other.take() == count).then_some(()));
    }
    assert_eq!(connection_queue::receive(busy.queue.as_fd(), &mut Vec::new()).unwrap(), Batch::Empty);
}

#[test]
fn a_connection_that_comes_back_from_a_closed_server_goes_to_another() {
    let mut scene = Scene::new();
    let (mut closed, mut other) = (scene.member(), scene.member());
    scene.connect(1);
    wait_for("a connection", || (closed.take() == 1).then_some(()));
    closed.give_back(Notice::Closed);
    wait_for("the same at the other", || (other.take() == 1).then_some(()));
    scene.connect(5);
    wait_for("all further ones", || (other.take() == 6).then_some(()));
    expect_all_taken(&scene, &[&other]);
}

#[test]
fn a_connection_that_is_passed_on_keeps_its_time_wherever_it_stays() {
    let mut scene = Scene::new();
    let mut leaving = scene.member();
    scene.connect(1);
    wait_for("a connection", || (leaving.take() == 1).then_some(()));
    // Nobody else is there: it waits, and does not come back.
    leaving.give_back(|connection| Notice::Moved(Connection { left: 5001, ..connection }));
    let mut stuck = scene.member();
    wait_for("it in a queue", || scm::peek(stuck.queue.as_fd(), &mut [0; 4]).ok());
    assert_eq!(leaving.take(), 0);
    // Taken back, as it is not taken, and given back, as that one is full.
    scene.acceptor.remove_member(scene.listener, stuck.number);
    assert_eq!(stuck.take(), 0);
    let mut full = scene.member();
    wait_for("it at the next", || (full.take() == 1).then_some(()));
    full.give_back(Notice::Full);
    let mut last = scene.member();
    wait_for("it at the last", || (last.take() == 1).then_some(()));
    scene.connect(1);
    wait_for("a fresh one", || (last.take() == 2).then_some(()));
    assert_eq!(last.taken.iter().map(|(_, connection)| connection.left).collect::<Vec<_>>(), [5001, 0]);
}

#[test]
fn a_full_worker_gets_nothing_until_it_says_that_it_has_room() {
    let mut scene = Scene::new();
    let mut full = scene.member();
    scene.connect(4);
    wait_for("four", || (full.take() == 4).then_some(()));
    full.give_back(Notice::Full);
    let mut other = scene.member();
    wait_for("the fourth at another", || (other.take() == 1).then_some(()));
    scene.connect(5);
    wait_for("all further ones", || (other.take() == 6).then_some(()));
    expect_all_taken(&scene, &[&full, &other]);
    full.tell(&Notice::Available(scene.listener));
    wait_for("one for the first", || {
        scene.connect(1);
        other.take();
        (full.take() > 3).then_some(())
    });
}

#[test]
fn with_all_workers_full_connections_wait_for_room() {
    let mut scene = Scene::new();
    let mut worker = scene.member();
    scene.connect(2);
    wait_for("two", || (worker.take() == 2).then_some(()));
    worker.give_back(Notice::Full);
    scene.connect(2);
    worker.tell(&Notice::Available(scene.listener));
    wait_for("all", || (worker.take() == 4).then_some(()));
    expect_all_taken(&scene, &[&worker]);
}

#[test]
fn without_a_worker_they_wait_for_the_next() {
    let mut scene = Scene::new();
    let first = scene.member();
    scene.connect(5);
    wait_for("one in its queue", || scm::peek(first.queue.as_fd(), &mut [0; 4]).ok());
    // It dies, and its queue with it.
    scene.acceptor.remove_worker(first.number);
    drop(first.queue);
    scene.connect(2);
    let mut next = scene.member();
    wait_for("all at the next", || (next.take() == 7).then_some(()));
    expect_all_taken(&scene, &[&next]);
}

#[test]
fn what_a_worker_has_given_back_before_it_died_is_not_lost() {
    let mut scene = Scene::new();
    let mut first = scene.member();
    scene.connect(1);
    wait_for("a connection", || (first.take() == 1).then_some(()));
    first.give_back(Notice::Full);
    scene.acceptor.remove_worker(first.number);
    let mut next = scene.member();
    wait_for("it at the next", || (next.take() == 1).then_some(()));
    expect_all_taken(&scene, &[&next]);
}

#[test]
fn a_member_that_leaves_leaves_its_queue_to_others() {
    let mut scene = Scene::new();
    let (first, mut other) = (scene.member(), scene.member());
    scene.connect(4);
    assert_eq!(scene.acceptor.remove_member(scene.listener, first.number), 1);
    wait_for("all at the other", || (other.take() == 4).then_some(()));
    expect_all_taken(&scene, &[&other]);
    assert_eq!(scene.acceptor.remove_member(scene.listener, other.number), 0);
}

#[test]
fn a_worker_that_joins_again_is_not_thrown_out_by_what_it_said_before() {
    let mut scene = Scene::new();
    let mut worker = scene.member();
    scene.connect(1);
    wait_for("a connection", || (worker.take() == 1).then_some(()));
    // It closes its server, gives one back that was on its way, and listens again.
    scene.acceptor.remove_member(scene.listener, worker.number);
    worker.give_back(Notice::Closed);
    scene.acceptor.add_member(scene.listener, worker.number);
    scene.connect(1);
    wait_for("both", || (worker.take() == 2).then_some(()));
    expect_all_taken(&scene, &[&worker]);
}

#[test]
fn with_the_listener_its_waiting_connections_are_closed_and_the_port_is_free() {
    let mut scene = Scene::new();
    let mut worker = scene.member();
    scene.connect(1);
    wait_for("a connection", || (worker.take() == 1).then_some(()));
    worker.give_back(Notice::Full);
    scene.connect(1);
    scene.acceptor.close_listener(scene.listener);
    drop(TcpListener::bind(scene.address).unwrap());
    for client in &mut scene.clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        match client.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn a_full_queue_stops_the_acceptor_until_the_worker_has_turned() {
    let mut scene = Scene::new();
    let mut worker = scene.member();
    let depth = usize::try_from(QUEUE_DEPTH).unwrap();
    scene.connect(3 * depth);
    // It has been asked to tell when a turn is over, as there is no room for more.
    wait_for("the question", || worker.board.end_turn(clock::monotonic_ns(), 0).then_some(()));
    let held = worker.take();
    assert!(held <= depth, "{held} were queued");
    worker.tell(&Notice::TurnOver);
    wait_for("all", || (worker.take() == 3 * depth).then_some(()));
    expect_all_taken(&scene, &[&worker]);
}

#[test]
fn a_board_that_lies_harms_nobody_else() {
    type Lie = fn(&Board);
    let lies: [Lie; 5] = [
        |board| board.add_taken(u64::MAX),
        |board| board.add_taken(u64::MAX / 2),
        |board| board.add_ended(u64::MAX),
        |board| board.begin_turn(1),
        |board| board.begin_turn(u64::MAX),
    ];
    for lie in lies {
        let mut scene = Scene::new();
        let (mut liar, mut honest) = (scene.member(), scene.member());
        lie(&liar.board);
        scene.connect(20);
        wait_for("all at one of the two", || (liar.take() + honest.take() == 20).then_some(()));
        expect_all_taken(&scene, &[&liar, &honest]);
    }
}

#[test]
fn a_worker_that_writes_nonsense_gets_nothing_any_more() {
    let mut scene = Scene::new();
    let (mut liar, mut honest) = (scene.member(), scene.member());
    scm::send(liar.queue.as_fd(), &[IoSlice::new(b"nonsense, and more of it")], &[]).unwrap();
    // Notices are read before members change.
    scene.acceptor.add_member(scene.listener, liar.number);
    scene.connect(6);
    wait_for("all at the honest one", || (honest.take() == 6).then_some(()));
    assert_eq!(liar.take(), 0);
    expect_all_taken(&scene, &[&honest]);
}

#[test]
fn what_is_no_connection_is_not_given_to_another() {
    let mut scene = Scene::new();
    let (liar, mut honest) = (scene.member(), scene.member());
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    liar.tell(&Notice::Full(Connection::fresh(file, scene.listener)));
    let listening: OwnedFd = TcpListener::bind(("127.0.0.1", 0)).unwrap().into();
    liar.tell(&Notice::Closed(Connection::fresh(listening, scene.listener)));
    scene.connect(4);
    wait_for("all at the honest one", || (honest.take() == 4).then_some(()));
    expect_all_taken(&scene, &[&honest]);
}
