//! Workers whose every turn takes longer than one may leave something waiting.

use std::time::Duration;

use super::super::model::World;
use super::STUCK_AFTER;

/// They take one packet at the end of each turn of that length, one after the other, as each computes on a processor of its own.
fn serve(policy: u32, workers: usize, turn: Duration) -> World {
    let mut world = World::new(policy);
    for _ in 0..workers {
        let worker = world.add_worker().unwrap();
        world.add_member(worker, 0);
    }
    (0..6).for_each(|_| world.connect(0));
    world.turn();
    for _ in 0..200 {
        for worker in 0..workers {
            world.pass(turn / workers as u32);
            world.take(worker, 1);
            world.turn();
        }
    }
    world
}

#[test]
fn slow_workers_are_not_stuck_ones() {
    for policy in [2, 3, 4] {
        for workers in [1, 2, 3] {
            let world = serve(policy, workers, STUCK_AFTER * 3);
            assert_eq!(world.taken(), 6, "policy {policy}, {workers} workers");
        }
    }
}

#[test]
fn what_only_a_slow_worker_serves_reaches_it_among_what_others_take() {
    for policy in [2, 3, 4] {
        let mut world = World::new(policy);
        for worker in 0..2 {
            assert_eq!(world.add_worker(), Some(worker));
            world.add_member(worker, 0);
        }
        // The other one serves the first listener only, and all of its turns are short.
        let slow = 1;
        world.add_member(slow, 1);
        (0..3).for_each(|_| world.connect(1));
        for _ in 0..12 {
            (0..2).for_each(|_| world.connect(0));
            world.turn();
            for _ in 0..100 {
                world.pass(STUCK_AFTER / 10);
                world.take(0, 9);
                world.turn();
            }
            world.take(slow, 9);
            world.turn();
        }
        assert_eq!(world.taken_of(slow, 1), 3, "policy {policy}");
    }
}
