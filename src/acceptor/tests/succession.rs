//! Workers that are replaced, and numbers of those that are gone.

use super::*;
use crate::policy::Sticky;

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
    let [mut first, mut second, mut third] = workers;
    let mut heir = scene.member();
    scene.acceptor.succeed(first.slot, heir.slot);
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
    let mut scene = Scene::new();
    let first = scene.member();
    scene.connect(3);
    wait_for("some in its queue", || scm::peek(first.queue.as_fd(), &mut [0; 4]).ok());
    let (gone, mut last, mut other) = (scene.member(), scene.member(), scene.member());
    scene.acceptor.succeed(first.slot, gone.slot);
    scene.acceptor.succeed(gone.slot, last.slot);
    // No circle, nobody unknown.
    scene.acceptor.succeed(last.slot, first.slot);
    scene.acceptor.succeed(last.slot, 4711);
    scene.acceptor.remove_worker(gone.slot);
    scene.acceptor.remove_worker(first.slot);
    wait_for("all", || (last.take() + other.take() == 3).then_some(()));
    assert_eq!(other.taken.len(), 0);
}

#[test]
fn an_heir_that_is_stuck_or_full_or_gone_is_not_waited_for() {
    let ends: [fn(&Scene, &mut Worker); 3] = [
        |_, heir| heir.board.begin_turn(1),
        |_, heir| heir.give_back(Notice::Full),
        |scene, heir| {
            scene.acceptor.remove_worker(heir.slot);
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
        scene.acceptor.succeed(leaving.slot, heir.slot);
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
        scene.acceptor.succeed(workers[mine].slot, heir.slot);
        scene.acceptor.add_member(scene.listener, heir.slot);
        let old = std::mem::replace(&mut workers[mine], heir);
        // While both are there the newcomer has it already.
        for _ in 0..2 {
            let before = workers[mine].taken.len();
            scene.connect(1);
            wait_for("the heir", || (workers[mine].take() > before).then_some(()));
            scene.acceptor.remove_worker(old.slot);
        }
        assert_eq!(workers[mine].taken.len(), 2, "generation {generation}");
    }
}

#[test]
fn the_number_of_one_that_is_gone_means_nobody() {
    let mut scene = Scene::new();
    let gone = scene.member();
    scene.acceptor.remove_worker(gone.slot);
    let mut next = scene.member();
    assert_ne!(next.slot, gone.slot);
    assert_eq!(scene.acceptor.remove_member(scene.listener, gone.slot), 1);
    assert_eq!(scene.acceptor.remove_worker(gone.slot), 0);
    scene.acceptor.add_member(scene.listener, gone.slot);
    scene.acceptor.disown(scene.listener, gone.slot);
    scene.acceptor.nudge(gone.slot);
    assert!(scene.acceptor.own_socket(scene.listener, gone.slot, 1).is_err());
    scene.connect(3);
    wait_for("all at the one that lives", || (next.take() == 3).then_some(()));
    expect_all_taken(&scene, &[&next]);
}
