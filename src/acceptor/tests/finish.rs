//! A listener that is finished: closed, with all that has come by then still served.

use super::*;

#[test]
fn what_has_come_by_then_is_served_though_the_port_is_free() {
    let mut scene = Scene::new();
    let (mut first, mut second) = (scene.member(), scene.member());
    // More than the queues hold.
    scene.connect(usize::try_from(QUEUE_DEPTH).unwrap() * 4);
    scene.acceptor.finish_listener(scene.listener);
    drop(TcpListener::bind(scene.address).unwrap());
    let all = scene.clients.len();
    wait_for("all connections", || (first.take() + second.take() == all).then_some(()));
    expect_all_taken(&scene, &[&first, &second]);
    assert!(!scene.acceptor.is_finishing());
}

#[test]
fn a_worker_that_is_stuck_then_keeps_what_is_queued_for_it() {
    let mut scene = Scene::new();
    let mut stuck = scene.member();
    scene.connect(5);
    scene.acceptor.finish_listener(scene.listener);
    wait_for("all in its queue", || (!scene.acceptor.is_finishing()).then_some(()));
    // Long enough to be found stuck.
    let began = Instant::now();
    wait_for("a while", || (began.elapsed() > STUCK_AFTER * 4).then_some(()));
    assert_eq!(stuck.take(), 5);
}

#[test]
fn when_its_last_worker_is_gone_nobody_is_waited_for() {
    let mut scene = Scene::new();
    let worker = scene.member();
    scene.connect(usize::try_from(QUEUE_DEPTH).unwrap() * 2);
    scene.acceptor.finish_listener(scene.listener);
    assert!(scene.acceptor.is_finishing());
    scene.acceptor.remove_worker(worker.number);
    drop(worker);
    assert!(!scene.acceptor.is_finishing());
    for client in &mut scene.clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        match client.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}
