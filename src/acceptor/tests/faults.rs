//! Each system call fails once, with each error, at each place of a scene.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::super::model::{CALLS, ERRORS, OWN_SOCKETS, World};
use super::*;
use crate::sys::poll::Poller;
use crate::sys::{fault, listen};

/// Connections come, are taken, given back, passed on, taken back from one that is gone, and come to a new one.
fn scene(world: &mut World) {
    for _ in 0..2 {
        if let Some(worker) = world.add_worker() {
            world.add_member(worker, 0);
        }
    }
    (0..5).for_each(|_| world.connect(0));
    world.turn();
    world.take(0, 1);
    world.give_back(0, Notice::Full);
    world.turn();
    world.say_available(0);
    world.give_back(0, Notice::Moved);
    world.turn();
    world.take(1, 9);
    (0..3).for_each(|_| world.connect(0));
    world.turn();
    world.pass(Duration::from_millis(30));
    world.kill(0);
    world.turn();
}

/// The same with sockets of their own: one is stuck, full, leaves in good order, and dies.
fn scene_with_own_sockets(world: &mut World) {
    for _ in 0..2 {
        join(world);
    }
    (0..8).for_each(|_| world.connect(0));
    world.turn();
    world.take(0, 1);
    world.give_back(0, Notice::Full);
    world.turn();
    (0..4).for_each(|_| world.connect(0));
    // The other one does not turn.
    world.pass(Duration::from_millis(60));
    world.say_available(0);
    world.take(0, 9);
    join(world);
    (0..4).for_each(|_| world.connect(0));
    world.remove_member(0, 0);
    world.turn();
    world.kill(0);
    (0..4).for_each(|_| world.connect(0));
    world.kill(0);
    world.turn();
}

fn join(world: &mut World) {
    if let Some(worker) = world.add_worker() {
        world.add_member(worker, 0);
        world.give_socket(worker, 0);
    }
}

/// Each call fails once, with each error, wherever it is made in that scene.
fn sweep(policy: u32, scene: fn(&mut World), calls: &[&'static str], tells_the_truth: fn(&str, i32) -> bool) {
    let mut swept = BTreeSet::new();
    for call in calls.iter().copied() {
        for errno in ERRORS.into_iter().filter(|errno| !tells_the_truth(call, *errno)) {
            for first in 0..60 {
                let mut world = World::new(policy);
                fault::inject(call, errno, first, 1);
                let context = Context(call, errno, first);
                scene(&mut world);
                let happened = fault::none();
                world.finish();
                drop(context);
                if !happened {
                    break;
                }
                swept.insert(call);
            }
        }
    }
    for call in calls {
        assert!(swept.contains(call), "{call} is not made in this scene");
    }
}

/// Says what was to fail when a sweep fails.
struct Context(&'static str, i32, usize);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Context(call, errno, first) = self;
            println!("with {call} failing with {errno} after {first} calls");
        }
    }
}

#[test]
fn a_call_that_fails_loses_no_connection_and_makes_nobody_spin() {
    let of_own_sockets = ["bind", "ioctl", "listen", "shutdown", "socket"];
    let of_the_acceptor_s_own = ["epoll_create1", "eventfd2", "getpeername"];
    let calls =
        CALLS.into_iter().filter(|call| !of_own_sockets.contains(call) && !of_the_acceptor_s_own.contains(call));
    sweep(2, scene, &calls.collect::<Vec<_>>(), |_, _| false);
    // Who asks for the client's address.
    sweep(4, scene, &["getpeername"], |_, _| false);
}

#[test]
fn the_same_holds_where_workers_have_sockets_of_their_own() {
    // That nothing has come to a socket which is about to be closed is believed.
    let calls = CALLS.into_iter().filter(|call| !["epoll_create1", "eventfd2", "getpeername"].contains(call));
    sweep(OWN_SOCKETS, scene_with_own_sockets, &calls.collect::<Vec<_>>(), |call, errno| {
        call == "accept4" && errno == libc::EAGAIN
    });
}

#[test]
fn a_call_that_fails_for_a_while_is_waited_for() {
    for call in ["accept4", "sendmsg", "epoll_ctl"] {
        for errno in ERRORS {
            let mut world = World::new(2);
            let worker = world.add_worker().unwrap();
            world.add_member(worker, 0);
            (0..5).for_each(|_| world.connect(0));
            fault::inject(call, errno, 0, 6);
            world.pass(Duration::from_millis(20));
            assert!(world.given_up().is_empty(), "{call} {errno}");
            world.finish();
        }
    }
}

#[test]
fn a_listener_that_is_finished_is_drained_whatever_accepting_says_at_first() {
    // That nothing has come is believed.
    for errno in ERRORS.into_iter().filter(|errno| *errno != libc::EAGAIN) {
        let mut world = World::new(2);
        let worker = world.add_worker().unwrap();
        world.add_member(worker, 0);
        world.turn();
        (0..20).for_each(|_| world.connect(0));
        fault::inject("accept4", errno, 4, 3);
        world.finish_listener(0);
        world.pass(Duration::from_millis(300));
        assert!(fault::none(), "{errno}");
        world.take(worker, 9);
        world.pass(Duration::from_millis(300));
        world.finish();
    }
}

#[test]
fn a_queue_that_keeps_failing_is_given_up_and_others_get_what_it_was_to_have() {
    for (call, errno) in [("sendmsg", libc::EPERM), ("sendmsg", libc::EPIPE), ("recvmsg", libc::EIO)] {
        let mut world = World::new(2);
        let worker = world.add_worker().unwrap();
        world.add_member(worker, 0);
        world.connect(0);
        world.turn();
        world.say_available(worker);
        world.connect(0);
        fault::inject(call, errno, 0, 100);
        for _ in 0..60 {
            world.take(worker, 9);
            world.pass(Duration::from_millis(50));
        }
        assert_eq!(world.given_up().len(), 1, "{call} {errno}");
        world.finish();
    }
}

#[test]
fn what_one_that_is_gone_has_left_is_taken_when_that_is_possible_again() {
    for leave in [Notice::Moved, Notice::Closed, Notice::Full] {
        let mut world = World::new(2);
        let worker = world.add_worker().unwrap();
        world.add_member(worker, 0);
        (0..8).for_each(|_| world.connect(0));
        world.turn();
        // The others stay in its queue.
        world.take(worker, 1);
        let taken = world.taken();
        (0..taken).for_each(|_| world.give_back(worker, leave));
        assert!(taken > 0);
        fault::inject("recvmsg", libc::ENOMEM, 0, 100);
        world.kill(worker);
        world.turn();
        fault::none();
        world.pass(Duration::from_secs(1));
        world.finish();
    }
}

type Make<'a> = &'a dyn Fn() -> io::Result<()>;

fn is_locked(fd: BorrowedFd) -> bool {
    listen::harm::attach_filter(fd, libc::SO_ATTACH_FILTER).is_err()
}

/// Each call fails with each error while something is made: that is told, with the error, and the next try succeeds.
#[test]
fn what_cannot_be_made_says_why_and_can_be_made_later() {
    // Only of one with IPv6 is asked whether it has IPv4 as well.
    let six = TcpListener::bind("[::1]:0").is_ok();
    let local = if six { "[::1]:0" } else { "127.0.0.1:0" }.parse().unwrap();
    let another: &[_] = &["getsockname", "socket", "setsockopt", "bind", "listen", "getsockopt"];
    let bind =
        || listen::bind_internet(local, listen::Bind { ipv6_only: true, reuse_port: true, ..Default::default() });
    let first = bind().unwrap();
    listen::listen(first.as_fd(), 9).unwrap();
    let made: [(&str, Make, &[&str]); 6] = [
        ("a poller", &|| Poller::new().map(drop), &["epoll_create1", "eventfd2", "epoll_ctl"]),
        (
            "a board",
            &|| Board::open(Board::create()?.0.as_fd()).map(drop),
            &["memfd_create", "ftruncate", "fcntl", "fstat", "mmap"],
        ),
        ("a queue", &|| socket::packet_pair().map(drop), &["socketpair"]),
        ("a channel", &|| socket::stream_pair().map(drop), &["socketpair"]),
        (
            "a listener",
            &|| {
                let fd = bind()?;
                assert!(is_locked(fd.as_fd()), "a filter can be attached to it");
                listen::listen(fd.as_fd(), 9)
            },
            &["socket", "setsockopt", "bind", "listen"],
        ),
        ("another", &|| listen::another(first.as_fd(), 9).map(drop), &another[..another.len() - usize::from(!six)]),
    ];
    for (what, make, calls) in made {
        for (call, errno) in calls.iter().flat_map(|call| ERRORS.map(|errno| (*call, errno))) {
            let mut failed = 0;
            for place in 0.. {
                fault::inject(call, errno, place, 1);
                let result = make();
                if !fault::none() {
                    break;
                }
                // What may be missing from an older kernel is asked for again, and done without.
                if let Err(error) = result {
                    assert_eq!(error.raw_os_error(), Some(errno), "{what}: {call}");
                    failed += 1;
                }
                make().unwrap();
            }
            assert!(failed > 0, "{what} does not need {call}");
        }
    }
}
