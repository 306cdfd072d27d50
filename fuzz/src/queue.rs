//! Connections to a worker and notices from it, honest ones and whatever else fits into a packet: each packet is read by itself,
//! honest ones come out as they were sent, and nobody keeps a descriptor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use rcluster::connection_queue::{self, Batch, Connection, MAX_BATCH, MAX_SAID, Notice};
use rcluster::sys::descriptors::MAX_FDS;
use rcluster::sys::scm;

use crate::descriptors;
use crate::input::Input;
use crate::pair::{self, Kept, Sort};

const ORDERS: usize = 24;

/// What a proxy has said of a connection.
type Said = Option<Box<[u8]>>;

/// A packet on its way.
enum Packet {
    /// Connections of these listeners, and which descriptors.
    Connections(Vec<(u32, u32, usize, Said)>),
    Nudge,
    Notice(u32, u32, u32, Option<(usize, Said)>),
    /// Anything.
    Raw,
}

fn said(input: &mut Input) -> Said {
    let (seldom, length) = (input.byte(), input.below(MAX_SAID + 1));
    let bytes = if seldom.is_multiple_of(3) { input.bytes(length) } else { &[] };
    (!bytes.is_empty()).then(|| bytes.into())
}

fn connection(listener: u32, left: u32, kind: usize, said: &Said) -> Connection {
    Connection { left, said: said.clone(), ..Connection::fresh(descriptors::copy(kind), listener) }
}

fn raw(queue: &OwnedFd, input: &mut Input) -> bool {
    let (count, fds) = (input.below(80), input.below(MAX_FDS + 1));
    let bytes = input.bytes(count);
    let numbers: Vec<_> = (0..fds).map(descriptors::number).collect();
    scm::send(queue.as_fd(), &[IoSlice::new(bytes)], &numbers).is_ok()
}

thread_local! {
    static KEPT: Kept = const { RefCell::new(None) };
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (primary, worker) = pair::take(&KEPT, Sort::Packets);
    let before = descriptors::count();
    let (mut down, mut up) = (VecDeque::new(), VecDeque::new());
    for _ in 0..ORDERS {
        if input.is_empty() {
            break;
        }
        match input.byte() % 9 {
            0 | 1 => {
                let count = 1 + input.below(MAX_BATCH);
                let wanted: Vec<_> = (0..count)
                    .map(|_| (input.u32(), u32::from(input.byte()), input.below(descriptors::KINDS), said(&mut input)))
                    .collect();
                let connections: Vec<_> =
                    wanted.iter().map(|(id, left, kind, said)| connection(*id, *left, *kind, said)).collect();
                if connection_queue::send(primary.as_fd(), &connections).is_ok() {
                    down.push_back(Packet::Connections(wanted));
                }
            }
            2 => {
                if connection_queue::nudge(primary.as_fd()).is_ok() {
                    down.push_back(Packet::Nudge);
                }
            }
            3 | 4 => notice(&worker, &mut input, &mut up),
            5 => take(&worker, &mut down),
            6 => read(&primary, &mut up),
            7 => {
                if raw(&worker, &mut input) {
                    up.push_back(Packet::Raw);
                }
            }
            _ => {
                if raw(&primary, &mut input) {
                    down.push_back(Packet::Raw);
                }
            }
        }
    }
    while !down.is_empty() {
        take(&worker, &mut down);
    }
    while !up.is_empty() {
        read(&primary, &mut up);
    }
    take(&worker, &mut down);
    read(&primary, &mut up);
    pair::put_back(&KEPT, (primary, worker));
    descriptors::assert_held(before, 0, "an empty queue");
}

/// The worker says something.
fn notice(worker: &OwnedFd, input: &mut Input, up: &mut VecDeque<Packet>) {
    let (number, listener, left) = (1 + input.below(5) as u32, input.u32(), u32::from(input.byte()));
    let (kind, said) = (input.below(descriptors::KINDS), said(input));
    let returned: Option<fn(Connection) -> Notice> = match number {
        1 => Some(Notice::Closed),
        2 => Some(Notice::Full),
        5 => Some(Notice::Moved),
        _ => None,
    };
    let (notice, packet) = match returned {
        Some(notice) => {
            let packet = Packet::Notice(number, listener, left, Some((kind, said.clone())));
            (notice(connection(listener, left, kind, &said)), packet)
        }
        None if number == 3 => (Notice::Available(listener), Packet::Notice(3, listener, 0, None)),
        None => (Notice::TurnOver, Packet::Notice(4, 0, 0, None)),
    };
    if connection_queue::send_notice(worker.as_fd(), &notice).is_ok() {
        up.push_back(packet);
    }
}

/// The worker takes a packet.
fn take(worker: &OwnedFd, down: &mut VecDeque<Packet>) {
    let mut connections = Vec::new();
    let batch = connection_queue::receive(worker.as_fd(), &mut connections);
    let found: Vec<_> = connections
        .iter()
        .map(|one| (one.listener, one.left, descriptors::kind_of(one.fd.as_fd()), one.said.clone()))
        .collect();
    match down.pop_front() {
        None => assert_eq!(batch.expect("no error"), Batch::Empty),
        Some(Packet::Connections(wanted)) => {
            assert_eq!(batch.expect("no error"), Batch::Taken { count: wanted.len(), lost: 0 });
            assert_eq!(found, wanted);
        }
        Some(Packet::Nudge) => assert_eq!(batch.expect("no error"), Batch::Taken { count: 0, lost: 0 }),
        Some(_) => drop(batch),
    }
}

/// The primary reads a notice.
fn read(primary: &OwnedFd, up: &mut VecDeque<Packet>) {
    let notice = connection_queue::receive_notice(primary.as_fd(), None);
    let with = |number, one: &Connection| {
        let fd = (descriptors::kind_of(one.fd.as_fd()), one.said.clone());
        Some((number, one.listener, one.left, Some(fd)))
    };
    let found = match &notice {
        Ok(Some(Notice::Closed(one))) => with(1, one),
        Ok(Some(Notice::Full(one))) => with(2, one),
        Ok(Some(Notice::Moved(one))) => with(5, one),
        Ok(Some(Notice::Available(listener))) => Some((3, *listener, 0, None)),
        Ok(Some(Notice::TurnOver)) => Some((4, 0, 0, None)),
        _ => None,
    };
    match up.pop_front() {
        None => assert!(matches!(notice, Ok(None))),
        Some(Packet::Notice(kind, listener, left, fd)) => assert_eq!(found, Some((kind, listener, left, fd))),
        // One packet, whatever it is.
        Some(_) => assert!(!matches!(notice, Ok(None))),
    }
}
