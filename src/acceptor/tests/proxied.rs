//! Sticky behind proxies: whom a header names decides, and who has not said it yet is waited for.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown};

use super::*;
use crate::policy::Sticky;
use crate::trusted::Trusted;

fn behind(senders: &str) -> Scene {
    Scene::with(Box::new(Sticky::new(Trusted::parse(senders.split(',')))))
}

/// A client's address in the header of each version.
fn header(version: u8, client: IpAddr) -> Vec<u8> {
    match (version, client) {
        (1, IpAddr::V4(v4)) => format!("PROXY TCP4 {v4} 198.51.100.9 4711 443\r\n").into_bytes(),
        (1, IpAddr::V6(v6)) => format!("PROXY TCP6 {v6} 2001:db8::9 4711 443\r\n").into_bytes(),
        (_, IpAddr::V4(v4)) => binary(0x21, 0x11, &[&v4.octets()[..], &[198, 51, 100, 9, 1, 1, 1, 187]].concat()),
        (_, IpAddr::V6(v6)) => binary(0x21, 0x21, &[&v6.octets()[..], &[0; 16], &[1, 1, 1, 187]].concat()),
    }
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family, 0, rest.len() as u8], rest].concat()
}

fn client(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

impl Scene {
    /// A connection on which that is said at once. Returns its port.
    fn says(&mut self, bytes: &[u8]) -> u16 {
        self.connect(1);
        let stream = self.clients.last_mut().unwrap();
        stream.write_all(bytes).unwrap();
        stream.local_addr().unwrap().port()
    }
}

/// Which of the workers has taken the connection from that port.
fn taker(workers: &mut [Worker], port: u16) -> usize {
    let has = |worker: &mut Worker| {
        worker.take();
        worker.clients().contains(&port)
    };
    wait_for("somebody has taken it", || workers.iter_mut().position(has))
}

/// The workers of clients, by what they say.
fn takers(scene: &mut Scene, workers: &mut [Worker], said: impl Iterator<Item = Vec<u8>>) -> Vec<usize> {
    said.map(|bytes| taker(workers, scene.says(&bytes))).collect()
}

#[test]
fn whom_a_trusted_sender_names_has_one_worker_whatever_the_version() {
    let mut scene = behind("127.0.0.0/8");
    let mut workers = [scene.member(), scene.member(), scene.member()];
    let first = takers(&mut scene, &mut workers, (0..40).map(|number| header(1, client(number))));
    assert!((0..3).all(|worker| first.contains(&worker)), "{first:?}");
    for version in [2, 1] {
        let again = takers(&mut scene, &mut workers, (0..40).map(|number| header(version, client(number))));
        assert_eq!(again, first);
    }
    let v6 = |number: u8| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()));
    let first = takers(&mut scene, &mut workers, (0..20).map(|number| header(1, v6(number))));
    assert!(first.iter().any(|worker| *worker != first[0]));
    assert_eq!(takers(&mut scene, &mut workers, (0..20).map(|number| header(2, v6(number)))), first);
}

#[test]
fn the_sender_itself_has_one_where_it_speaks_for_itself_or_is_not_believed_or_makes_no_sense() {
    for (senders, said) in [
        (
            "127.0.0.1",
            vec![binary(0x20, 0, &[]), binary(0x21, 0, &[]), b"PROXY UNKNOWN\r\n".to_vec(), b"GET / ".to_vec()],
        ),
        ("10.0.0.0/8", (0..12).map(|number| header(1, client(number))).collect()),
    ] {
        let mut scene = behind(senders);
        let mut workers = [scene.member(), scene.member(), scene.member()];
        let all = takers(&mut scene, &mut workers, said.into_iter().cycle().take(12));
        assert!(all.iter().all(|worker| *worker == all[0]), "{senders}: {all:?}");
    }
}

#[test]
fn a_header_that_comes_in_parts_is_waited_for_and_left_where_it_is() {
    let mut scene = behind("127.0.0.1");
    let mut workers = [scene.member(), scene.member(), scene.member()];
    for number in 0..12 {
        let whole = header(1 + number % 2, client(number));
        let port = scene.says(&whole);
        let mine = taker(&mut workers, port);
        scene.connect(1);
        let stream = scene.clients.last_mut().unwrap();
        let port = stream.local_addr().unwrap().port();
        for part in whole.chunks(9) {
            stream.write_all(part).unwrap();
            std::thread::yield_now();
        }
        assert_eq!(taker(&mut workers, port), mine, "{number}");
        let (_, connection) = workers[mine].taken.last().unwrap();
        let mut room = [0; 256];
        let count = wait_for("all of it", || {
            socket::peek(connection.fd.as_fd(), &mut room).ok().filter(|count| *count == whole.len())
        });
        assert_eq!(room[..count], whole);
    }
}

/// Whether the other side has closed it.
fn is_closed(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    !matches!(client.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn who_says_nothing_is_closed_after_a_while_and_stops_nobody() {
    let mut scene = behind("127.0.0.1");
    let mut workers = [scene.member(), scene.member()];
    let began = Instant::now();
    for said in [&b""[..], b"PROXY TCP4 192.0"] {
        scene.says(said);
    }
    let port = scene.says(&header(1, client(1)));
    taker(&mut workers, port);
    let cut = scene.says(b"PROXY TCP4 192.0.2.1");
    scene.clients.last().unwrap().shutdown(Shutdown::Write).unwrap();
    // Its worker ends it.
    taker(&mut workers, cut);
    wait_for("their end", || scene.clients[..2].iter().all(is_closed).then_some(()));
    assert!(began.elapsed() >= Duration::from_millis(900));
    assert_eq!(workers.iter_mut().map(Worker::take).sum::<usize>(), 2);
}

#[test]
fn of_a_flood_those_who_have_waited_longest_end_first() {
    let mut scene = behind("127.0.0.1");
    let mut workers = [scene.member(), scene.member()];
    let most = descriptors::fair_share().clamp(1, 1024);
    for _ in 0..most + 20 {
        scene.says(b"P");
    }
    wait_for("the first end", || scene.clients[..20].iter().all(is_closed).then_some(()));
    let port = scene.says(&header(2, client(1)));
    taker(&mut workers, port);
    assert_eq!(workers.iter_mut().map(Worker::take).sum::<usize>(), 1);
}

#[test]
fn who_waits_for_its_header_crosses_the_bridge_or_is_given_out_when_the_listener_ends() {
    let mut scene = behind("127.0.0.1");
    let mut worker = scene.member();
    let port = scene.says(b"PROXY ");
    std::thread::sleep(Duration::from_millis(50));
    scene.acceptor.finish_listener(scene.listener);
    wait_for("it", || (worker.take() == 1).then_some(()));
    assert_eq!(worker.clients(), [port]);

    let mut scene = behind("127.0.0.1");
    let _worker = scene.member();
    scene.says(b"PROXY ");
    std::thread::sleep(Duration::from_millis(50));
    let (out, theirs) = socket::packet_pair().unwrap();
    scene.acceptor.hand_over(out, descriptors::duplicate(theirs.as_fd()).unwrap());
    let mut crossed = Vec::new();
    wait_for("it has crossed", || {
        matches!(connection_queue::receive(theirs.as_fd(), &mut crossed), Ok(Batch::Taken { .. })).then_some(())
    });
    assert_eq!(crossed.len(), 1);
}

#[test]
fn what_moves_goes_by_what_was_said_of_it() {
    let mut scene = behind("127.0.0.1");
    let mut workers = [scene.member(), scene.member(), scene.member()];
    let number = |port: u16, ports: &[u16]| ports.iter().position(|one| *one == port).unwrap() as u8;
    let ports: Vec<_> = (0..30).map(|number| scene.says(&header(1, client(number)))).collect();
    let before: Vec<_> = ports.iter().map(|port| taker(&mut workers, *port)).collect();
    // One that leaves has read the headers.
    while let Some((port, connection)) = workers[0].taken.pop() {
        let mut room = [0; 256];
        let length = header(1, client(number(port, &ports))).len();
        assert_eq!(socket::receive(connection.fd.as_fd(), &mut room[..length]).unwrap(), length);
        workers[0].tell(&Notice::Moved(Connection { left: 5001, said: Some(room[..length].into()), ..connection }));
    }
    scene.acceptor.remove_worker(workers[0].number);
    let after: Vec<_> = ports.iter().map(|port| taker(&mut workers[1..], *port) + 1).collect();
    assert!(before.iter().zip(&after).all(|(old, new)| *old == 0 || old == new));
    // And all of a client comes to where its connection has moved.
    let again = takers(&mut scene, &mut workers[1..], (0..30).map(|number| header(2, client(number))));
    assert_eq!(again.iter().map(|worker| worker + 1).collect::<Vec<_>>(), after);
}
