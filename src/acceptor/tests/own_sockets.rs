//! Workers that have a listening socket of their own each.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;

use nix::sys::socket::{Shutdown, shutdown};

use super::super::STUCK_AFTER;
use super::*;
use crate::sys::{listen, poll};

/// Enough for every socket to get some.
const MANY: usize = 40;

fn scene() -> Scene {
    let acceptor = Acceptor::start(Box::new(|_| {}), Box::new(|_, _| {})).unwrap();
    let fd = listen::bind_internet(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        listen::Bind { reuse_port: true, ..Default::default() },
    )
    .unwrap();
    listen::listen(fd.as_fd(), 511).unwrap();
    let address = socket::local_address(fd.as_fd()).unwrap().unwrap();
    let listener = acceptor.add_listener(fd, false, Box::new(RoundRobin::default())).unwrap();
    Scene { acceptor, listener, address, clients: Vec::new() }
}

/// A worker and its own socket.
struct Owner {
    worker: Worker,
    socket: TcpListener,
}

impl Owner {
    fn new(scene: &Scene) -> Owner {
        let worker = scene.member();
        let socket = scene.acceptor.own_socket(scene.listener, worker.number, 511).unwrap().into();
        Owner { worker, socket }
    }

    /// Accepts whatever has come, and takes what is queued. Returns how many it has by then.
    fn serve(&mut self) -> usize {
        while let Ok((stream, _)) = self.socket.accept() {
            let connection = Connection::fresh(stream.into(), 0);
            self.worker.taken.push((client_of(&connection), connection));
        }
        self.worker.take()
    }

    fn has_some(&self) -> bool {
        poll::is_readable(self.socket.as_fd())
    }
}

#[test]
fn the_kernel_distributes_and_nothing_passes_the_acceptor() {
    let mut scene = scene();
    let mut owners = [Owner::new(&scene), Owner::new(&scene)];
    scene.connect(MANY);
    wait_for("all", || (owners.iter_mut().map(Owner::serve).sum::<usize>() == MANY).then_some(()));
    for owner in &owners {
        assert!(!owner.worker.taken.is_empty());
        assert!(owner.worker.packets.is_empty());
    }
}

#[test]
fn a_stuck_worker_s_backlog_is_given_to_others_until_it_turns() {
    let mut scene = scene();
    let (mut stuck, mut other) = (Owner::new(&scene), Owner::new(&scene));
    scene.connect(MANY);
    wait_for("the other to have all", || (other.serve() == MANY).then_some(()));
    assert!(!other.worker.packets.is_empty() && !stuck.has_some());
    // Others serve what still comes, too.
    scene.connect(MANY);
    wait_for("the other to have these", || (other.serve() == 2 * MANY).then_some(()));
    let mut got_on = || {
        scene.connect(1);
        wait_for("that one", || {
            stuck.worker.end_turn();
            (stuck.serve() + other.serve() == scene.clients.len()).then_some(())
        });
        (!stuck.worker.taken.is_empty()).then_some(())
    };
    wait_for("it to go on", &mut got_on);
}

#[test]
fn a_worker_that_turns_keeps_its_backlog() {
    let mut scene = scene();
    let (busy, mut other) = (Owner::new(&scene), Owner::new(&scene));
    scene.connect(MANY);
    wait_for("some for it", || {
        busy.worker.end_turn();
        busy.has_some().then_some(())
    });
    // Three times as long as a stuck one would keep it.
    let began = Instant::now();
    while began.elapsed() < 3 * STUCK_AFTER {
        busy.worker.end_turn();
        other.serve();
    }
    assert!(busy.has_some() && other.worker.packets.is_empty());
}

#[test]
fn a_worker_that_turns_and_accepts_nothing_does_not_keep_it_for_ever() {
    let mut scene = scene();
    let (idle, mut other) = (Owner::new(&scene), Owner::new(&scene));
    scene.connect(MANY);
    wait_for("all at the other", || {
        idle.worker.end_turn();
        (other.serve() == MANY).then_some(())
    });
    assert!(!other.worker.packets.is_empty() && !idle.has_some());
}

#[test]
fn a_worker_that_goes_on_accepting_keeps_what_it_has_no_time_for_yet() {
    let mut scene = scene();
    let (busy, mut other) = (Owner::new(&scene), Owner::new(&scene));
    scene.connect(MANY);
    wait_for("some for it", || busy.has_some().then_some(()));
    let began = Instant::now();
    let mut opened = 0;
    while began.elapsed() < 6 * STUCK_AFTER {
        busy.worker.end_turn();
        opened += 1;
        busy.worker.board.counts()[0].store(f64::from(opened).to_bits(), Ordering::Relaxed);
        other.serve();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(busy.has_some() && other.worker.packets.is_empty());
}

#[test]
fn the_socket_of_one_that_is_gone_is_served_by_others_and_then_given_to_nobody() {
    let mut scene = scene();
    let (left, mut other) = (Owner::new(&scene), Owner::new(&scene));
    scene.connect(MANY);
    wait_for("some for each", || (left.has_some() && other.has_some()).then_some(()));
    scene.acceptor.remove_worker(left.worker.number);
    wait_for("the other to have all", || (other.serve() == MANY).then_some(()));
    // Whoever has a copy of it has nothing of it.
    wait_for("its end", || (!socket::is_listening(left.socket.as_fd())).then_some(()));
    let mut next = Owner::new(&scene);
    assert_ne!(inode(&next.socket), inode(&left.socket));
    scene.connect(MANY);
    wait_for("all", || (next.serve() + other.serve() == 2 * MANY).then_some(()));
    assert!(next.worker.packets.is_empty() && !next.worker.taken.is_empty());
}

#[test]
fn the_socket_of_one_that_has_left_in_good_order_is_set_right_and_given_to_the_next() {
    let mut scene = scene();
    let (left, mut other) = (Owner::new(&scene), Owner::new(&scene));
    listen::harm::set_minimum_ttl(left.socket.as_fd(), 255).unwrap();
    scene.acceptor.remove_member(scene.listener, left.worker.number);
    scene.acceptor.remove_worker(left.worker.number);
    let mut next = Owner::new(&scene);
    assert_eq!(inode(&next.socket), inode(&left.socket));
    scene.connect(MANY);
    wait_for("all", || (next.serve() + other.serve() == MANY).then_some(()));
    assert!(!next.worker.taken.is_empty());
}

#[test]
fn without_workers_the_backlogs_wait_for_the_next() {
    let mut scene = scene();
    let gone = [Owner::new(&scene), Owner::new(&scene), Owner::new(&scene)];
    scene.connect(MANY);
    for owner in &gone {
        scene.acceptor.remove_worker(owner.worker.number);
    }
    let mut next = Owner::new(&scene);
    wait_for("all", || (next.serve() == MANY).then_some(()));
}

#[test]
fn a_full_worker_s_socket_is_served_by_others_until_it_has_room() {
    let mut scene = scene();
    let (mut full, mut other) = (Owner::new(&scene), Owner::new(&scene));
    wait_for("one for it", || {
        scene.connect(1);
        other.serve();
        (full.serve() > 0).then_some(())
    });
    let listener = scene.listener;
    full.worker.give_back(|connection| Notice::Full(Connection { listener, ..connection }));
    let others = |other: &mut Owner, count: usize| wait_for("the other", || (other.serve() == count).then_some(()));
    others(&mut other, scene.clients.len());
    scene.connect(MANY);
    others(&mut other, scene.clients.len());
    full.worker.tell(&Notice::Available(listener));
    wait_for("some for it", || {
        scene.connect(1);
        other.serve();
        (full.serve() > 0).then_some(())
    });
}

#[test]
fn a_socket_that_its_worker_has_spoilt_harms_nobody_else() {
    let mut scene = scene();
    let (spoilt, mut other) = (Owner::new(&scene), Owner::new(&scene));
    shutdown(spoilt.socket.as_raw_fd(), Shutdown::Both).unwrap();
    scene.acceptor.remove_worker(spoilt.worker.number);
    scene.connect(MANY);
    wait_for("the other to have all", || (other.serve() == MANY).then_some(()));
    let mut next = Owner::new(&scene);
    scene.connect(MANY);
    wait_for("all", || (next.serve() + other.serve() == 2 * MANY).then_some(()));
}

#[test]
fn with_the_listener_all_its_sockets_are_closed() {
    let scene = scene();
    let owners = [Owner::new(&scene), Owner::new(&scene)];
    scene.acceptor.close_listener(scene.listener);
    drop(owners);
    TcpListener::bind(scene.address).unwrap();
}

#[test]
fn a_worker_that_makes_its_socket_a_blocking_one_holds_nobody_up() {
    let mut scene = scene();
    let (hostile, mut other) = (Owner::new(&scene), Owner::new(&scene));
    hostile.socket.set_nonblocking(false).unwrap();
    // It does not turn: the acceptor accepts for it.
    scene.connect(MANY);
    wait_for("the other to have all", || (other.serve() == MANY).then_some(()));
    hostile.socket.set_nonblocking(false).unwrap();
    scene.acceptor.remove_worker(hostile.worker.number);
    hostile.socket.set_nonblocking(false).unwrap();
    scene.connect(MANY);
    wait_for("the other to have these", || (other.serve() == 2 * MANY).then_some(()));
}

#[test]
fn sockets_that_workers_spoil_do_not_pile_up() {
    let scene = scene();
    let worker = scene.member();
    let mut sockets = 0;
    for _ in 0..20 {
        let socket: TcpListener = scene.acceptor.own_socket(scene.listener, worker.number, 511).unwrap().into();
        let spoilt = inode(&socket);
        shutdown(socket.as_raw_fd(), Shutdown::Both).unwrap();
        scene.acceptor.disown(scene.listener, worker.number);
        // It is of no use as soon as the acceptor has tried to accept from it.
        wait_for("another one", || {
            let next: TcpListener = scene.acceptor.own_socket(scene.listener, worker.number, 511).ok()?.into();
            scene.acceptor.disown(scene.listener, worker.number);
            (inode(&next) != spoilt).then_some(())
        });
        sockets = scene.acceptor.core.lock().listener(scene.listener).unwrap().sockets.len();
    }
    assert!(sockets <= 3, "{sockets} sockets");
}

/// One after the other hangs on a socket that its worker makes a blocking one again and again, and empties.
#[test]
fn a_worker_that_makes_accepting_wait_is_given_up_and_holds_nobody_up() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut scene = scene();
    let hostile = Owner::new(&scene);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let socket = &hostile.socket;
        let stopped = &stop;
        scope.spawn(move || {
            let began = Instant::now();
            while !stopped.load(Ordering::Relaxed) && began.elapsed() < PATIENCE && socket::is_listening(socket.as_fd())
            {
                let _ = socket.set_nonblocking(false);
                if poll::is_readable(socket.as_fd()) {
                    let _ = socket.set_nonblocking(true);
                    let _ = socket.accept();
                }
            }
        });
        let mut other = Owner::new(&scene);
        for _ in 0..40 {
            scene.connect(1);
            // The lock is free whatever the socket does.
            scene.acceptor.nudge(other.worker.number);
            other.serve();
        }
        scene.acceptor.remove_worker(hostile.worker.number);
        wait_for("its end", || (!socket::is_listening(hostile.socket.as_fd())).then_some(()));
        stop.store(true, Ordering::Relaxed);
        let before = other.serve();
        scene.connect(MANY);
        wait_for("the other to have these", || (other.serve() >= before + MANY).then_some(()));
    });
}

/// Accepting waits for as long as nobody connects, as if somebody had taken the connection that was seen.
#[test]
fn an_errand_that_waits_is_cut_short() {
    use super::super::errand::{End, Errand};
    use crate::sys::foreign::ListeningFd;
    use crate::sys::poll::Poller;
    let poller = Arc::new(Poller::new().unwrap());
    let socket = Arc::new(ListeningFd::from(OwnedFd::from(TcpListener::bind(("127.0.0.1", 0)).unwrap())));
    let mut errand = Errand::begin_with(&socket, &poller, 0, (9, false), |fd| {
        let waiting = descriptors::duplicate(fd).map(TcpListener::from).unwrap();
        assert!(waiting.accept().is_err());
        socket::accept(fd, true)
    })
    .unwrap();
    assert!(errand.collect().1.is_none());
    assert!(!errand.is_to_be_cut_short(0));
    assert!(errand.is_to_be_cut_short(u64::MAX) && !errand.is_to_be_cut_short(u64::MAX));
    let end = wait_for("its end", || {
        socket::shut_down(socket.as_fd());
        errand.collect().1
    });
    assert!(matches!(end, End::Dead | End::Empty), "{end:?}");
}

/// Somebody connects whenever the last one has been accepted, also between the last look and the end.
#[test]
fn who_connects_while_a_socket_is_emptied_for_the_last_time_is_not_reset() {
    use super::super::errand::Errand;
    use crate::sys::foreign::ListeningFd;
    use crate::sys::poll::Poller;
    use crate::sys::socket::Accepted;
    let how = listen::Bind { reuse_address: true, reuse_port: true, ..Default::default() };
    let leaving = listen::bind_internet(SocketAddr::from(([127, 0, 0, 1], 0)), how).unwrap();
    listen::listen(leaving.as_fd(), 511).unwrap();
    let address = socket::local_address(leaving.as_fd()).unwrap().unwrap();
    let staying = listen::another(leaving.as_fd(), 511).unwrap();
    let (leaving, poller) = (Arc::new(ListeningFd::from(leaving)), Arc::new(Poller::new().unwrap()));
    let clients = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let come = Arc::clone(&clients);
    let errand = Errand::begin_with(&leaving, &poller, 0, (1000, true), move |fd| {
        let accepted = socket::accept(fd, true);
        if matches!(accepted, Accepted::Empty) {
            // So many that some are for this socket.
            come.lock().extend((0..16).map(|_| begin_to_connect(address)));
        }
        accepted
    })
    .unwrap();
    let mut served = Vec::new();
    wait_for("its end", || {
        let (found, end) = errand.collect();
        served.extend(found);
        end
    });
    let clients = clients.lock();
    wait_for("all others", || {
        while let Accepted::Connection(fd) = socket::accept(staying.as_fd(), true) {
            served.push(fd);
        }
        assert!(clients.iter().all(|client| client.take_error().unwrap().is_none()));
        (served.len() == clients.len()).then_some(())
    });
}

/// A client whose handshake goes on meanwhile.
fn begin_to_connect(address: SocketAddr) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    let _ = connect(fd.as_raw_fd(), &SockaddrStorage::from(address));
    fd.into()
}

/// What a worker sets on its own socket.
#[test]
fn what_a_worker_has_done_to_its_socket_ends_with_it() {
    let mut scene = scene();
    let (spoilt, mut other) = (Owner::new(&scene), Owner::new(&scene));
    // Nobody is so near: all that come to this socket are dropped.
    listen::harm::set_minimum_ttl(spoilt.socket.as_fd(), 255).unwrap();
    scene.acceptor.remove_worker(spoilt.worker.number);
    wait_for("its end", || (!socket::is_listening(spoilt.socket.as_fd())).then_some(()));
    let mut next = Owner::new(&scene);
    scene.connect(MANY);
    wait_for("all", || (next.serve() + other.serve() == MANY).then_some(()));
    assert!(!next.worker.taken.is_empty());
}

#[test]
fn nobody_can_give_a_listening_socket_a_filter() {
    let scene = scene();
    let owner = Owner::new(&scene);
    for option in [libc::SO_ATTACH_FILTER, libc::SO_ATTACH_REUSEPORT_CBPF] {
        let error = listen::harm::attach_filter(owner.socket.as_fd(), option).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{option}");
    }
}

fn inode(socket: &TcpListener) -> u64 {
    nix::sys::stat::fstat(socket).unwrap().st_ino
}
