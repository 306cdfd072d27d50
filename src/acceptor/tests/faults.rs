//! Each system call fails once, with each error, at each place of a scene.

use std::time::Duration;

use super::super::model::{CALLS, ERRORS, World};
use super::*;
use crate::sys::fault;

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

#[test]
fn a_call_that_fails_loses_no_connection_and_makes_nobody_spin() {
    for call in CALLS {
        for errno in ERRORS {
            for first in 0..40 {
                let mut world = World::new(2);
                fault::inject(call, errno, first, 1);
                scene(&mut world);
                let happened = fault::none();
                world.finish();
                if !happened {
                    break;
                }
            }
        }
    }
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
