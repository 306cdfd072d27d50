//! Two acceptors, and the bridge between them.

use super::*;
use std::collections::HashMap;

/// The other primary: it accepts from the same socket, and has one worker.
struct Other {
    acceptor: Acceptor,
    listener: u32,
    worker: Worker,
}

/// An acceptor beside that of the scene, which hands over to it.
fn beside(scene: &Scene) -> Other {
    let acceptor = Acceptor::start(Box::new(|_| {}), Box::new(|_, _| {})).unwrap();
    let socket = scene.acceptor.sockets(scene.listener).unwrap().pop().unwrap();
    // Its ids are others.
    let dummy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    acceptor.add_listener(dummy.into(), false, Box::new(RoundRobin::default())).unwrap();
    let listener = acceptor.add_listener(socket, true, Box::new(RoundRobin::default())).unwrap();
    let worker = Worker::new(&acceptor);
    acceptor.add_member(listener, worker.number);
    Other { acceptor, listener, worker }
}

/// Returns the end that is the other's.
fn hand_over(scene: &Scene) -> OwnedFd {
    let (out, theirs) = socket::packet_pair().unwrap();
    scene.acceptor.hand_over(out, descriptors::duplicate(theirs.as_fd()).unwrap());
    theirs
}

#[test]
fn what_one_gives_back_goes_over_the_bridge_while_others_and_its_heir_could_take_it() {
    let mut scene = Scene::new();
    let mut workers = [scene.member(), scene.member(), scene.member()];
    scene.connect(9);
    wait_for("all", || (workers.iter_mut().map(Worker::take).sum::<usize>() == 9).then_some(()));
    let [mut first, mut second, mut heir] = workers;
    scene.acceptor.succeed(first.number, heir.number);
    let theirs = hand_over(&scene);
    let mut crossed = Vec::new();
    for worker in [&mut first, &mut second] {
        while !worker.taken.is_empty() {
            worker.give_back(Notice::Moved);
        }
    }
    let mut all = || {
        let _ = connection_queue::receive(theirs.as_fd(), &mut crossed);
        second.take() + heir.take() + crossed.len() == 9
    };
    wait_for("all", || all().then_some(()));
    assert_eq!((second.taken.len(), heir.taken.len(), crossed.len()), (0, 3, 6));
}

#[test]
fn what_comes_and_what_comes_back_goes_over_the_bridge() {
    let mut scene = Scene::new();
    let mut worker = scene.member();
    scene.connect(40);
    wait_for("some", || (worker.take() >= 20).then_some(()));
    let theirs = hand_over(&scene);
    let mut other = beside(&scene);
    other.acceptor.add_source(theirs, HashMap::from([(scene.listener, other.listener)])).unwrap();
    // From now on only the other one accepts.
    scene.connect(10);
    while !worker.taken.is_empty() {
        worker.give_back(Notice::Moved);
    }
    scene.acceptor.remove_worker(worker.number);
    wait_for("all at the other's", || (other.worker.take() == 50).then_some(()));
    wait_for("nothing left", || (scene.acceptor.crossing().1 == 0).then_some(()));
    expect_all_taken(&scene, &[&other.worker]);
}

#[test]
fn what_the_other_has_not_received_is_read_back_when_it_dies() {
    let mut scene = Scene::new();
    let mut first = scene.member();
    scene.connect(100);
    wait_for("some", || (first.take() >= 80).then_some(()));
    let theirs = hand_over(&scene);
    while !first.taken.is_empty() {
        first.give_back(Notice::Moved);
    }
    scene.acceptor.remove_worker(first.number);
    drop(theirs);
    let mut second = scene.member();
    scene.connect(5);
    scene.acceptor.hand_back();
    wait_for("all", || (second.take() == 105).then_some(()));
    expect_all_taken(&scene, &[&second]);
}

#[test]
fn nothing_is_accepted_while_another_primary_does() {
    let mut scene = Scene::new();
    let mut worker = scene.member();
    let _theirs = hand_over(&scene);
    let mut other = beside(&scene);
    scene.connect(30);
    wait_for("all at the other's", || (other.worker.take() == 30).then_some(()));
    assert_eq!(worker.take(), 0);
    // When that one is gone, and its socket with it, we are there again.
    drop(other);
    scene.acceptor.hand_back();
    scene.connect(3);
    wait_for("the next", || (worker.take() == 3).then_some(()));
}
