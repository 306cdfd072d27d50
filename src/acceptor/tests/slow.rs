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
