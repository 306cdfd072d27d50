//! Workers that are replaced, and numbers of those that are gone.

use std::sync::atomic::Ordering;

use super::*;
use crate::connection_queue::NO_LIMIT;
use crate::policy::{Least, Sticky};

/// Connections that a worker has, and passes on.
fn leave(worker: &mut Worker) {
    while !worker.taken.is_empty() {
        worker.give_back(Notice::Moved);
    }
}

#[test]
fn what_a_worker_passes_on_goes_to_its_heir_and_to_nobody_else() {
    let mut scene = Scene::new();
    let mut workers = [scene.member(), scene.member(), scene.member()];
    // More than the heir's queue holds.
    let each = usize::try_from(QUEUE_DEPTH).unwrap() * 2;
    scene.connect(3 * each);
    wait_for("all", || (workers.iter_mut().map(Worker::take).sum::<usize>() == 3 * each).then_some(()));
    let counts = workers.each_ref().map(|worker| worker.taken.len());
    // However many the first one has got: its heir has less than its part.
    for other in &workers[1..] {
        other.board.counts()[0].store(1000_f64.to_bits(), Ordering::Relaxed);
    }
    let [mut first, mut second, mut third] = workers;
    let mut heir = scene.member();
    scene.acceptor.succeed(first.number, heir.number);
    let mut clients = first.clients();
    leave(&mut first);
    let mut all = || heir.take() + second.take() + third.take() == 3 * each;
    wait_for("all", || all().then_some(()));
    clients.sort_unstable();
    let mut inherited = heir.clients();
    inherited.sort_unstable();
    assert_eq!(inherited, clients);
    assert_eq!([second.taken.len(), third.taken.len()], [counts[1], counts[2]]);
}

#[test]
fn what_it_has_not_taken_goes_to_the_heir_of_its_heir() {
    // Under this policy nobody else gets any, however few there are.
    let mut scene = Scene::with(Box::new(Sticky::default()));
    let first = scene.member();
    scene.connect(3);
    wait_for("some in its queue", || scm::peek(first.queue.as_fd(), &mut [0; 4]).ok());
    let (gone, mut last, mut other) = (scene.member(), scene.member(), scene.member());
    scene.acceptor.succeed(first.number, gone.number);
    scene.acceptor.succeed(gone.number, last.number);
    // No circle, nobody unknown.
    scene.acceptor.succeed(last.number, first.number);
    scene.acceptor.succeed(last.number, 4711);
    scene.acceptor.remove_worker(gone.number);
    scene.acceptor.remove_worker(first.number);
    wait_for("all", || (last.take() + other.take() == 3).then_some(()));
    assert_eq!(other.taken.len(), 0);
}

#[test]
fn an_heir_that_is_stuck_or_full_or_gone_is_not_waited_for() {
    let ends: [fn(&Scene, &mut Worker); 3] = [
        |_, heir| heir.board.begin_turn(1),
        |_, heir| heir.give_back(Notice::Full),
        |scene, heir| {
            scene.acceptor.remove_worker(heir.number);
        },
    ];
    for end in ends {
        let mut scene = Scene::new();
        let mut leaving = scene.member();
        let count = usize::try_from(QUEUE_DEPTH).unwrap() + 8;
        scene.connect(count);
        wait_for("all", || (leaving.take() == count).then_some(()));
        let mut heir = scene.member();
        scene.connect(2);
        wait_for("one for the heir", || (leaving.take() + heir.take() == count + 2).then_some(()));
        assert_eq!(heir.taken.len(), 1);
        let mut other = scene.member();
        scene.acceptor.succeed(leaving.number, heir.number);
        leave(&mut leaving);
        wait_for("some for the heir", || scm::peek(heir.queue.as_fd(), &mut [0; 4]).ok());
        end(&scene, &mut heir);
        // What has gone into its queue by then is its own, unless it does not take it.
        wait_for("the rest at the other", || {
            (other.take() + heir.taken.len() + queued(&heir) >= count + 2).then_some(())
        });
        assert!(other.taken.len() >= 8);
    }
}

/// Connections that a worker has served, and passes on.
fn leave_served(worker: &mut Worker) {
    while !worker.taken.is_empty() {
        worker.give_back(|connection| Notice::Moved(Connection { left: NO_LIMIT, ..connection }));
        worker.board.add_ended(1);
    }
}

#[test]
fn what_was_uneven_is_even_when_all_have_been_replaced() {
    let policies: [Box<dyn Policy>; 2] = [Box::new(RoundRobin::default()), Box::new(Least::default())];
    for policy in policies {
        let mut scene = Scene::with(policy);
        let mut workers = Vec::new();
        // The first ones get more, be it only because nobody else was there.
        for count in [33, 8, 3, 4] {
            workers.push(scene.member());
            let known: usize = workers.iter_mut().map(Worker::take).sum();
            scene.connect(count);
            wait_for("all", || (workers.iter_mut().map(Worker::take).sum::<usize>() == known + count).then_some(()));
        }
        for seat in 0..4 {
            let heir = scene.member();
            scene.acceptor.succeed(workers[seat].number, heir.number);
            let mut old = std::mem::replace(&mut workers[seat], heir);
            scene.acceptor.remove_member(scene.listener, old.number);
            let all: usize = workers.iter().map(|worker| worker.taken.len()).sum::<usize>() + old.taken.len();
            leave_served(&mut old);
            wait_for("all", || (workers.iter_mut().map(Worker::take).sum::<usize>() == all).then_some(()));
            scene.acceptor.remove_worker(old.number);
        }
        assert_eq!(workers.iter().map(|worker| worker.taken.len()).collect::<Vec<_>>(), [12; 4]);
    }
}

#[test]
fn what_has_been_served_waits_for_an_heir_that_is_busy_and_nothing_else_does() {
    let mut scene = Scene::new();
    let (mut leaving, mut heir) = (scene.member(), Worker::new(&scene.acceptor));
    scene.connect(6);
    wait_for("all", || (leaving.take() == 6).then_some(()));
    scene.acceptor.add_member(scene.listener, heir.number);
    let mut other = scene.member();
    // The heir has less than its part.
    other.board.counts()[0].store(100_f64.to_bits(), Ordering::Relaxed);
    scene.acceptor.succeed(leaving.number, heir.number);
    let fresh = leaving.clients()[3..].to_vec();
    for _ in 0..3 {
        leaving.give_back(Notice::Closed);
    }
    wait_for("those that are sent to the heir", || scm::peek(heir.queue.as_fd(), &mut [0; 4]).ok());
    leave_served(&mut leaving);
    // It takes nothing for so long that what is fresh is taken back.
    wait_for("what is fresh at the other", || (other.take() == 3).then_some(()));
    wait_for("the rest at the heir", || (heir.take() == 3).then_some(()));
    let mut clients = other.clients();
    clients.sort_unstable();
    let mut expected = fresh;
    expected.sort_unstable();
    assert_eq!(clients, expected);
    expect_all_taken(&scene, &[&heir, &other]);
}

/// Connections in the worker's queue.
fn queued(worker: &Worker) -> usize {
    let mut bytes = [0; MAX_BATCH * 8];
    scm::peek(worker.queue.as_fd(), &mut bytes).map_or(0, |next| next.bytes / 8)
}

#[test]
fn clients_that_stick_to_a_worker_stick_to_its_heir() {
    let mut scene = Scene::with(Box::new(Sticky::default()));
    let mut workers: Vec<_> = (0..4).map(|_| scene.member()).collect();
    scene.connect(1);
    let taken = |workers: &mut Vec<Worker>| workers.iter_mut().position(|worker| worker.take() > 0);
    let mine = wait_for("the client's worker", || taken(&mut workers));
    for generation in 0..8 {
        let heir = Worker::new(&scene.acceptor);
        scene.acceptor.succeed(workers[mine].number, heir.number);
        scene.acceptor.add_member(scene.listener, heir.number);
        let old = std::mem::replace(&mut workers[mine], heir);
        // While both are there the newcomer has it already.
        for _ in 0..2 {
            let before = workers[mine].taken.len();
            scene.connect(1);
            wait_for("the heir", || (workers[mine].take() > before).then_some(()));
            scene.acceptor.remove_worker(old.number);
        }
        assert_eq!(workers[mine].taken.len(), 2, "generation {generation}");
    }
}

#[test]
fn the_number_of_one_that_is_gone_means_nobody() {
    let mut scene = Scene::new();
    let gone = scene.member();
    scene.acceptor.remove_worker(gone.number);
    let mut next = scene.member();
    assert_ne!(next.number, gone.number);
    assert_eq!(scene.acceptor.remove_member(scene.listener, gone.number), 1);
    assert_eq!(scene.acceptor.remove_worker(gone.number), 0);
    scene.acceptor.add_member(scene.listener, gone.number);
    scene.acceptor.disown(scene.listener, gone.number);
    scene.acceptor.nudge(gone.number);
    assert!(scene.acceptor.own_socket(scene.listener, gone.number, 1).is_err());
    scene.connect(3);
    wait_for("all at the one that lives", || (next.take() == 3).then_some(()));
    expect_all_taken(&scene, &[&next]);
}
