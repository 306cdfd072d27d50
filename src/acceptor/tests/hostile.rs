//! Workers that mean harm, and what it may cost.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc;

use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::policy::Sticky;

/// A scene that tells whom the acceptor gives up.
fn watched() -> (Scene, mpsc::Receiver<(u32, &'static str)>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let on_given_up = Box::new(move |worker, why| tell.lock().unwrap().send((worker, why)).unwrap());
    let acceptor = Acceptor::start(Box::new(|_| {}), on_given_up).unwrap();
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = acceptor.add_listener(socket.into(), false, Box::new(RoundRobin::default())).unwrap();
    (Scene { acceptor, listener, address, clients: Vec::new() }, told)
}

/// All that comes is served by this one.
fn expect_served(scene: &mut Scene, honest: &mut Worker) {
    let before = honest.take();
    scene.connect(6);
    wait_for("all at the honest one", || (honest.take() == before + 6).then_some(()));
}

fn expect_given_up(told: &mpsc::Receiver<(u32, &'static str)>, worker: &Worker) -> &'static str {
    let (number, why) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(number, worker.number);
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "once");
    why
}

#[test]
fn one_that_shuts_its_queue_down_is_given_up_and_what_waits_in_it_goes_to_others() {
    for how in [nix::sys::socket::Shutdown::Write, nix::sys::socket::Shutdown::Read, nix::sys::socket::Shutdown::Both] {
        let (mut scene, told) = watched();
        let liar = scene.member();
        scene.connect(2);
        wait_for("some in its queue", || scm::peek(liar.queue.as_fd(), &mut [0; 4]).ok());
        nix::sys::socket::shutdown(liar.queue.as_raw_fd(), how).unwrap();
        let mut honest = scene.member();
        // That nothing can be sent is seen when something is.
        let given_up = wait_for("the end", || {
            scene.connect(1);
            honest.take();
            liar.board.end_turn(clock::monotonic_ns(), 0);
            told.recv_timeout(Duration::from_millis(20)).ok()
        });
        assert_eq!(given_up.0, liar.number);
        let all = scene.clients.len();
        wait_for("all at the honest one", || (honest.take() == all).then_some(()));
        expect_served(&mut scene, &mut honest);
        // What is called with its number now does no harm, nor any good to it.
        scene.acceptor.add_member(scene.listener, liar.number);
        expect_served(&mut scene, &mut honest);
    }
}

#[test]
fn nonsense_is_told_of() {
    let (mut scene, told) = watched();
    let (liar, mut honest) = (scene.member(), scene.member());
    scm::send(liar.queue.as_fd(), &[IoSlice::new(&[])], &[]).unwrap();
    assert!(expect_given_up(&told, &liar).contains("shut"));
    let other = scene.member();
    scm::send(other.queue.as_fd(), &[IoSlice::new(b"nonsense")], &[]).unwrap();
    assert!(expect_given_up(&told, &other).contains("nonsense"));
    // Nobody reads what it says: it cannot wait for that.
    let error = scm::send(other.queue.as_fd(), &[IoSlice::new(b"more of it")], &[]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    expect_served(&mut scene, &mut honest);
}

#[test]
fn who_receives_nothing_any_more_is_told_of_though_its_loop_never_turns() {
    let (mut scene, told) = watched();
    let (liar, mut honest) = (scene.member(), scene.member());
    scene.connect(4);
    wait_for("some for it", || scm::peek(liar.queue.as_fd(), &mut [0; 4]).ok());
    nix::sys::socket::shutdown(liar.queue.as_raw_fd(), nix::sys::socket::Shutdown::Read).unwrap();
    let given_up = wait_for("the end", || {
        honest.take();
        told.try_recv().ok()
    });
    assert_eq!(given_up.0, liar.number);
    assert!(given_up.1.contains("shut"));
    wait_for("all at the other", || (honest.take() == 4).then_some(()));
    expect_served(&mut scene, &mut honest);
}

#[test]
fn notices_without_end_are_not_listened_to() {
    let (mut scene, told) = watched();
    let (liar, mut honest) = (scene.member(), scene.member());
    let given_up = wait_for("the end", || {
        for _ in 0..1000 {
            let _ = connection_queue::send_notice(liar.queue.as_fd(), &Notice::Available(scene.listener));
        }
        told.try_recv().ok()
    });
    assert_eq!(given_up.0, liar.number);
    expect_served(&mut scene, &mut honest);
}

#[test]
fn a_connection_given_back_again_and_again_does_not_fill_the_table() {
    let (mut scene, told) = watched();
    let (mut liar, mut honest) = (scene.member(), scene.member());
    // Nobody takes any: what is given back waits.
    scene.connect(2);
    wait_for("both", || (liar.take() + honest.take() == 2).then_some(()));
    honest.give_back(Notice::Full);
    wait_for("it", || (liar.take() == 2).then_some(()));
    let (_, connection) = liar.taken.pop().unwrap();
    let given_up = wait_for("the end", || {
        let fd = descriptors::duplicate(connection.fd.as_fd()).unwrap();
        let notice = Notice::Full(Connection::fresh(fd, scene.listener));
        let _ = connection_queue::send_notice(liar.queue.as_fd(), &notice);
        told.try_recv().ok()
    });
    assert_eq!(given_up.0, liar.number);
    let held = descriptors_of(connection.fd.as_fd());
    assert!(held <= 400, "{held}");
    scene.acceptor.remove_worker(liar.number);
    honest.tell(&Notice::Available(scene.listener));
    scene.connect(1);
    let client = scene.ports()[2];
    wait_for("the new one", || {
        honest.take();
        honest.clients().contains(&client).then_some(())
    });
}

#[test]
fn what_did_not_come_to_that_listener_is_not_given_back_to_it() {
    type Other = fn(&Scene) -> (OwnedFd, u32);
    let others: [Other; 4] = [
        // Both ends of it are the worker's, as those of its queue and its channel are.
        |scene| (socket::stream_pair().unwrap().0, scene.listener),
        |scene| (socket::packet_pair().unwrap().0, scene.listener),
        // Listeners that it has never served: one of others, and one that nobody knows.
        |scene| {
            let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            other.set_nonblocking(true).unwrap();
            let fd = descriptors::duplicate(scene.clients[0].as_fd()).unwrap();
            (fd, scene.acceptor.add_listener(other.into(), false, Box::new(RoundRobin::default())).unwrap())
        },
        |scene| (descriptors::duplicate(scene.clients[0].as_fd()).unwrap(), 4711),
    ];
    for other in others {
        let (mut scene, told) = watched();
        let (mut liar, mut honest) = (scene.member(), scene.member());
        scene.connect(2);
        wait_for("both", || (liar.take() + honest.take() == 2).then_some(()));
        let (fd, listener) = other(&scene);
        liar.tell(&Notice::Full(Connection::fresh(fd, listener)));
        expect_given_up(&told, &liar);
        expect_served(&mut scene, &mut honest);
    }
}

#[test]
fn a_board_that_says_that_more_is_over_than_there_was_does_not_draw_what_comes() {
    let mut scene = Scene::with(Box::new(crate::policy::Least::default()));
    let (mut liar, mut honest) = (scene.member(), scene.member());
    liar.board.add_ended(1 << 60);
    for count in 1..=20 {
        scene.connect(1);
        wait_for("it", || (liar.take() + honest.take() == count).then_some(()));
    }
    assert!(honest.taken.len() >= 9, "{} of 20", honest.taken.len());
}

#[test]
fn what_the_worker_s_end_makes_the_kernel_add_loses_nothing_that_is_taken_back() {
    const SO_PASSPIDFD: i32 = 76;
    let (primary, end) = socket::packet_pair().unwrap();
    for option in [libc::SO_PASSCRED, libc::SO_PASSSEC, libc::SO_TIMESTAMP, libc::SO_TIMESTAMPNS, SO_PASSPIDFD] {
        let _ = socket::set_flag(end.as_fd(), option);
    }
    let sixteen: Vec<_> = (0..16).map(|mark| Connection::fresh(socket::stream_pair().unwrap().0, mark)).collect();
    connection_queue::send(primary.as_fd(), &sixteen).unwrap();
    let mut back = Vec::new();
    let batch = connection_queue::receive(end.as_fd(), &mut back).unwrap();
    assert_eq!((batch, back.len()), (Batch::Taken { count: 16, lost: 0 }, 16));
}

/// How often this process has that socket open.
fn descriptors_of(socket: BorrowedFd) -> usize {
    let name = |path: PathBuf| std::fs::read_link(path).ok();
    let wanted = name(format!("/proc/self/fd/{}", socket.as_raw_fd()).into());
    let all = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| name(entry.ok()?.path()));
    all.filter(|name| Some(name) == wanted.as_ref()).count()
}

/// A connection whose close waits for a peer that does not read.
fn lingering() -> (TcpStream, TcpStream) {
    use std::io::Write;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let peer = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    while ours.write(&[0; 65536]).is_ok() {}
    setsockopt(&ours, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 600 }).unwrap();
    (ours, peer)
}

#[test]
fn descriptors_that_take_long_to_close_hold_nobody_up() {
    let (mut scene, _told) = watched();
    let mut honest = scene.member();
    let mut peers = Vec::new();
    // As a connection of a listener that is not there, as something that is not asked for, and left in a queue.
    for how in 0..3 {
        let liar = scene.member();
        let (socket, peer) = lingering();
        peers.push(peer);
        let notice = |kind: u32| [kind.to_le_bytes(), 4711u32.to_le_bytes(), [0; 4]].concat();
        let send = |bytes: &[u8]| {
            // What it says after nonsense may find nobody.
            let _ = scm::send(liar.queue.as_fd(), &[IoSlice::new(bytes)], &[socket.as_raw_fd()]);
        };
        match how {
            0 => send(&notice(1)),
            1 => send(&notice(3)),
            _ => {
                send(&[7; 99]);
                send(&notice(2));
            }
        }
        drop(socket);
        scene.acceptor.remove_worker(liar.number);
        let began = Instant::now();
        expect_served(&mut scene, &mut honest);
        assert!(began.elapsed() < PATIENCE);
    }
}

#[test]
fn who_has_the_queue_of_a_worker_that_is_gone_says_nothing_more() {
    let (scene, _told) = watched();
    let worker = scene.member();
    // One of a program that it has started, say.
    let queue = worker.queue.as_fd().try_clone_to_owned().unwrap();
    scene.acceptor.remove_worker(worker.number);
    let said = connection_queue::send_notice(queue.as_fd(), &Notice::TurnOver);
    assert_eq!(said.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn one_client_s_flood_stops_no_other() {
    // As if of many clients: those of the other worker are of another address.
    let mut scene = Scene::with(Box::new(Sticky::default()));
    let mut workers = [scene.member(), scene.member()];
    let from = |scene: &mut Scene, last: u8| {
        let stream = connect_from([127, 0, 1, last], scene.address);
        scene.clients.push(stream);
    };
    // Two clients of different workers.
    let mut owners = Vec::new();
    for last in 1..=40 {
        from(&mut scene, last);
        let count = scene.clients.len();
        wait_for("it", || (workers.iter_mut().map(Worker::take).sum::<usize>() == count).then_some(()));
        let port = *scene.ports().last().unwrap();
        owners.push(workers.iter().position(|worker| worker.clients().contains(&port)).unwrap());
    }
    let flooded = owners[0];
    let other = owners.iter().position(|owner| *owner != flooded).unwrap();
    let [first, second] = &mut workers;
    let (full, free) = if flooded == 0 { (first, second) } else { (second, first) };
    full.give_back(Notice::Full);
    for _ in 0..600 {
        from(&mut scene, 1);
    }
    for _ in 0..5 {
        let before = free.take();
        from(&mut scene, other as u8 + 1);
        wait_for("the other client's", || (free.take() == before + 1).then_some(()));
    }
    full.tell(&Notice::Available(scene.listener));
    let before = full.taken.len();
    wait_for("those who waited", || (full.take() > before + 100).then_some(()));
}

fn connect_from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(address[0], address[1], address[2], address[3], 0)).unwrap();
    let SocketAddr::V4(to) = to else { panic!("another family") };
    connect(fd.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    fd.into()
}
