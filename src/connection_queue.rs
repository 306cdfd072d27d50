//! The connection queue: a SEQPACKET socket pair per worker.
//!
//! ```text
//!  primary → worker   per connection u32 (little-endian) listener, u32 left, u64 accepted, u32 length;
//!                     then what was said of each, of that length;              the descriptors, in that order
//!  worker → primary   u32 notice, u32 listener, u32 left;                      the descriptor that it returns, if any
//! ```
//!
//! `left` is 0 for a connection on which nobody has served anything yet, and of one that a worker has passed on how long it may
//! stay idle: 1 more than that in ms, or [`NO_LIMIT`]. `accepted` is when (ns, `CLOCK_MONOTONIC`) the primary accepted it or got it
//! back, so that its worker knows how long it has waited, wherever that was.
//!
//! The primary keeps a duplicate of the worker's end. What the worker has not received can be received there, by
//! exactly one of the two: a queued connection belongs to no process.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::foreign::{Fd, ForeignFd};
use crate::sys::scm::Received;
use crate::sys::{clock, descriptors, libc, scm, socket};

/// The most connections that one packet carries.
pub const MAX_BATCH: usize = descriptors::MAX_FDS;

/// What [`Connection::left`] says of one that may stay idle for ever.
pub const NO_LIMIT: u32 = u32::MAX;

/// The longest [`Connection::said`].
pub const MAX_SAID: usize = 512;

/// Bytes that a packet has for each of its connections, and bytes of a notice; both without what was said.
const ENTRY: usize = 20;
const NOTICE: usize = 12;
/// The longest packet of connections.
const MAX_PACKET: usize = MAX_BATCH * (ENTRY + MAX_SAID);

/// An accepted connection, and the listener that it came from.
pub struct Connection {
    /// The socket.
    pub fd: Fd,
    /// The listener's id.
    pub listener: u32,
    /// The number of the worker that gave it back, if one did.
    pub from: Option<u32>,
    /// 0: fresh. Otherwise a worker had it, and it may stay idle for so many ms less 1; or for ever: [`NO_LIMIT`].
    pub left: u32,
    /// When (ns) it was accepted; 0 where nobody knows.
    pub accepted: u64,
    /// What a proxy has said of it (src/proxy_header.rs), once a worker has read that: it is not to be read again, and goes with it.
    pub said: Option<Box<[u8]>>,
}

impl Connection {
    /// One that nobody has served yet.
    pub fn fresh(fd: OwnedFd, listener: u32) -> Connection {
        Connection { fd: fd.into(), listener, from: None, left: 0, accepted: 0, said: None }
    }

    /// The same, accepted now (ns).
    pub fn accepted(fd: OwnedFd, listener: u32, now: u64) -> Connection {
        Connection { accepted: now, ..Connection::fresh(fd, listener) }
    }

    /// How long (ns) it has waited for somebody to serve it, where that is known.
    pub fn waited(&self, now: u64) -> Option<u64> {
        (self.left == 0 && self.accepted != 0).then(|| now.saturating_sub(self.accepted))
    }
}

/// Sends up to [`MAX_BATCH`] connections as one packet. The caller still owns them; on success it may close them.
pub fn send(queue: BorrowedFd, connections: &[Connection]) -> io::Result<()> {
    let mut payload = [0; MAX_BATCH * ENTRY];
    let mut said = Vec::new();
    let mut fds = [0; MAX_BATCH];
    let count = connections.len().min(MAX_BATCH);
    for (index, connection) in connections.iter().take(count).enumerate() {
        let entry = &mut payload[index * ENTRY..][..ENTRY];
        entry[..4].copy_from_slice(&connection.listener.to_le_bytes());
        entry[4..8].copy_from_slice(&connection.left.to_le_bytes());
        entry[8..16].copy_from_slice(&connection.accepted.to_le_bytes());
        if let Some(text) = &connection.said {
            entry[16..].copy_from_slice(&(text.len() as u32).to_le_bytes());
            said.extend_from_slice(text);
        }
        fds[index] = connection.fd.as_fd().as_raw_fd();
    }
    scm::send(queue, &[IoSlice::new(&payload[..count * ENTRY]), IoSlice::new(&said)], &fds[..count]).map(drop)
}

/// Sends a packet without a connection, of which the receiver only notices that its loop turns.
pub fn nudge(queue: BorrowedFd) -> io::Result<()> {
    scm::send(queue, &[IoSlice::new(&[0])], &[]).map(drop)
}

/// What [`receive`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Batch {
    /// A packet of so many connections. Those of them that were lost, because the descriptor table has filled up since
    /// it was looked at, were not appended.
    Taken {
        /// All in the packet.
        count: usize,
        /// Those that were not appended.
        lost: usize,
    },
    /// Nothing is queued.
    Empty,
    /// There is no room for more descriptors in this process; whatever is queued stays queued.
    NoRoom,
    /// The primary is gone.
    Closed,
}

/// Whether there is room for the next packet's descriptors, or nothing to be received.
fn next_fits(queue: BorrowedFd) -> bool {
    let mut packet = vec![0; MAX_PACKET];
    match scm::peek(queue, &mut packet) {
        Ok(next) => {
            let count = parts(&packet[..next.bytes.min(MAX_PACKET)]).0.len() / ENTRY;
            !next.descriptors || descriptors::room_for(count, queue)
        }
        Err(_) => true,
    }
}

/// A packet's entries, and what was said of their connections, in that order.
fn parts(packet: &[u8]) -> (&[u8], &[u8]) {
    let (mut entries, mut said) = (0, 0);
    while entries + said < packet.len()
        && let Some(entry) = packet.get(entries..entries + ENTRY)
    {
        said += u32_at(entry, 16) as usize;
        entries += ENTRY;
    }
    packet.split_at(entries)
}

/// Receives one packet, appending its connections.
pub fn receive(queue: BorrowedFd, connections: &mut Vec<Connection>) -> io::Result<Batch> {
    if !descriptors::room_for(MAX_BATCH, queue) && !next_fits(queue) {
        return Ok(Batch::NoRoom);
    }
    let mut payload = Vec::with_capacity(MAX_PACKET);
    let mut fds = Vec::with_capacity(MAX_BATCH);
    let received = receive_after_reset(|| scm::receive_append(queue, &mut payload, MAX_PACKET, &mut fds));
    let received = match received {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Batch::Empty),
        other => other?,
    };
    if received.bytes == 0 && fds.is_empty() {
        return Ok(Batch::Closed);
    }
    let (entries, mut said) = parts(&payload);
    let entries = entries.chunks_exact(ENTRY);
    let (count, lost) = (entries.len(), entries.len().saturating_sub(fds.len()));
    connections.extend(fds.into_iter().zip(entries).map(|(fd, entry)| Connection {
        // Whoever can receive it can keep a copy of it.
        fd: Fd::from(fd).shared(),
        listener: u32_at(entry, 0),
        from: None,
        left: u32_at(entry, 4),
        accepted: u64::from(u32_at(entry, 12)) << 32 | u64::from(u32_at(entry, 8)),
        said: match u32_at(entry, 16) as usize {
            0 => None,
            length => said.split_off(..length).map(Box::from),
        },
    }));
    Ok(Batch::Taken { count, lost })
}

/// An end that is closed with something unread in it is told once, as ECONNRESET, before what it had sent; then comes that.
fn receive_after_reset(mut receive: impl FnMut() -> io::Result<Received>) -> io::Result<Received> {
    match receive() {
        Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => receive(),
        other => other,
    }
}

/// What a worker tells the acceptor.
pub enum Notice {
    /// It has closed its server and gives the connection back.
    Closed(Connection),
    /// It is leaving and passes on a connection that it has served.
    Moved(Connection),
    /// Its server has as many connections as it may have, and gives this one back.
    Full(Connection),
    /// The server of this listener has room again.
    Available(u32),
    /// A turn of its loop is over, as it was asked to tell.
    TurnOver,
}

const CLOSED: u32 = 1;
const FULL: u32 = 2;
const AVAILABLE: u32 = 3;
const TURN_OVER: u32 = 4;
const MOVED: u32 = 5;

/// Worker: sends a notice; a connection in it is given away with it.
pub fn send_notice(queue: BorrowedFd, notice: &Notice) -> io::Result<()> {
    let (kind, listener, connection) = match notice {
        Notice::Closed(connection) => (CLOSED, connection.listener, Some(connection)),
        Notice::Moved(connection) => (MOVED, connection.listener, Some(connection)),
        Notice::Full(connection) => (FULL, connection.listener, Some(connection)),
        Notice::Available(listener) => (AVAILABLE, *listener, None),
        Notice::TurnOver => (TURN_OVER, 0, None),
    };
    let left = connection.map_or(0, |connection| connection.left);
    let fd = connection.map(|connection| connection.fd.as_fd().as_raw_fd());
    let mut payload = [0; NOTICE];
    for (word, value) in payload.chunks_exact_mut(4).zip([kind, listener, left]) {
        word.copy_from_slice(&value.to_le_bytes());
    }
    let said = connection.and_then(|connection| connection.said.as_deref()).unwrap_or_default();
    scm::send(queue, &[IoSlice::new(&payload), IoSlice::new(said)], fd.as_slice()).map(drop)
}

/// Primary: receives a notice of the worker of this number. `Ok(None)` when there is none; an error of kind `InvalidData` when a
/// packet makes no sense, in which case its descriptors have been closed, and of kind `UnexpectedEof` at the queue's end.
pub fn receive_notice(queue: BorrowedFd, from: Option<u32>) -> io::Result<Option<Notice>> {
    let mut payload = [0; NOTICE + MAX_SAID];
    let mut fds = Vec::new();
    let received = match receive_after_reset(|| scm::receive(queue, &mut payload, &mut fds)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        other => other?,
    };
    let mut fds: Vec<ForeignFd> = fds.into_iter().map(ForeignFd::from).collect();
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    if received.bytes == 0 && fds.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Only of a connection something can be said.
    let most = if fds.is_empty() { NOTICE } else { payload.len() };
    if !(NOTICE..=most).contains(&received.bytes) || received.truncated || fds.len() > 1 {
        return Err(malformed());
    }
    let said = payload.get(NOTICE..received.bytes).filter(|said| !said.is_empty()).map(Box::from);
    let (listener, left) = (u32_at(&payload, 4), u32_at(&payload, 8));
    let fd = fds.pop();
    if let Some(fd) = &fd {
        // It would be given to another worker, which closes it in the end, and is not to be held up then.
        if !socket::is_connection(fd.as_fd()) {
            return Err(malformed());
        }
        socket::never_linger(fd.as_fd());
    }
    let fd = fd.map(Fd::Foreign);
    // It waits from now on, as far as anybody can be believed.
    let back = |fd| Connection { fd, listener, from, left, accepted: clock::monotonic_ns(), said };
    let notice = match (u32_at(&payload, 0), fd) {
        (CLOSED, Some(fd)) => Notice::Closed(back(fd)),
        (MOVED, Some(fd)) => Notice::Moved(back(fd)),
        (FULL, Some(fd)) => Notice::Full(back(fd)),
        (AVAILABLE, None) => Notice::Available(listener),
        (TURN_OVER, None) => Notice::TurnOver,
        _ => return Err(malformed()),
    };
    Ok(Some(notice))
}

fn u32_at(bytes: &[u8], start: usize) -> u32 {
    bytes.get(start..start + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;
    use std::os::fd::AsFd;

    fn connections(count: u32) -> Vec<Connection> {
        (0..count).map(|listener| Connection::fresh(socket::stream_pair().unwrap().0, listener)).collect()
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        let (primary, worker) = socket::packet_pair().unwrap();
        send(primary.as_fd(), &connections(16)).unwrap();
        send(primary.as_fd(), &connections(1)).unwrap();
        let mut taken = Vec::new();
        assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Taken { count: 16, lost: 0 });
        assert_eq!(taken.iter().map(|c| c.listener).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
        assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Taken { count: 1, lost: 0 });
        assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Empty);
    }

    /// Two primaries of different versions may exchange packets of connections during an upgrade, and a worker may load the files
    /// of another version: whoever changes this form raises `PROTOCOL` and `WIRE`, and writes the new numbers here.
    #[test]
    fn the_form_of_a_packet_has_the_numbers_by_which_versions_know_each_other() {
        assert!(include_str!("../lib/supervisor/upgrade/line.js").contains("\nconst PROTOCOL = 1;\n"));
        assert!(include_str!("../lib/wire.js").contains("\nconst WIRE = 3;\n"));
        let (primary, worker) = socket::packet_pair().unwrap();
        let fresh = || connections(1).remove(0);
        let served = Connection { listener: 0x0403_0201, left: 5, accepted: 6 | 7 << 32, ..fresh() };
        let known = Connection { said: Some(Box::from(*b"said")), ..fresh() };
        send(primary.as_fd(), &[served, known]).unwrap();
        let mut packet = [0; 64];
        let received = scm::peek(worker.as_fd(), &mut packet).unwrap();
        let expected = [
            &[1, 2, 3, 4, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0][..],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0],
            b"said",
        ];
        assert_eq!(&packet[..received.bytes], expected.concat());
    }

    #[test]
    fn what_the_worker_did_not_take_can_be_taken_back_when_it_has_died() {
        let (primary, worker) = socket::packet_pair().unwrap();
        let take_back = descriptors::duplicate(worker.as_fd()).unwrap();
        send(primary.as_fd(), &connections(3)).unwrap();
        drop(worker);
        let mut taken = Vec::new();
        assert_eq!(receive(take_back.as_fd(), &mut taken).unwrap(), Batch::Taken { count: 3, lost: 0 });
    }

    #[test]
    fn a_nudge_is_neither_a_connection_nor_an_end() {
        let (primary, worker) = socket::packet_pair().unwrap();
        nudge(primary.as_fd()).unwrap();
        assert_eq!(receive(worker.as_fd(), &mut Vec::new()).unwrap(), Batch::Taken { count: 0, lost: 0 });
    }

    #[test]
    fn a_closed_primary_is_seen() {
        let (primary, worker) = socket::packet_pair().unwrap();
        drop(primary);
        assert_eq!(receive(worker.as_fd(), &mut Vec::new()).unwrap(), Batch::Closed);
    }

    #[test]
    fn what_a_primary_had_sent_outlives_it_though_it_had_not_read_everything() {
        let (primary, worker) = socket::packet_pair().unwrap();
        send_notice(worker.as_fd(), &Notice::TurnOver).unwrap();
        send(primary.as_fd(), &connections(16)).unwrap();
        send(primary.as_fd(), &connections(3)).unwrap();
        drop(primary);
        let mut taken = Vec::new();
        assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Taken { count: 16, lost: 0 });
        assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Taken { count: 3, lost: 0 });
        assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Closed);
    }

    #[test]
    fn notices_carry_their_connection() {
        let (primary, worker) = socket::packet_pair().unwrap();
        let connection = connections(8).pop().unwrap();
        send_notice(worker.as_fd(), &Notice::Full(connection)).unwrap();
        send_notice(worker.as_fd(), &Notice::Available(7)).unwrap();
        assert!(matches!(receive_notice(primary.as_fd(), None).unwrap(), Some(Notice::Full(c)) if c.listener == 7));
        assert!(matches!(receive_notice(primary.as_fd(), None).unwrap(), Some(Notice::Available(7))));
        assert!(receive_notice(primary.as_fd(), None).unwrap().is_none());
    }

    #[test]
    fn how_long_a_connection_may_stay_idle_goes_with_it_both_ways() {
        let (primary, worker) = socket::packet_pair().unwrap();
        for left in [0, 1, 5001, NO_LIMIT - 1, NO_LIMIT] {
            let moved =
                |listener| Connection { left, ..connections(1).pop().map(|c| Connection { listener, ..c }).unwrap() };
            send_notice(worker.as_fd(), &Notice::Moved(moved(7))).unwrap();
            let Some(Notice::Moved(back)) = receive_notice(primary.as_fd(), None).unwrap() else {
                panic!("another notice")
            };
            assert_eq!((back.listener, back.left), (7, left));
            send(primary.as_fd(), &[back, connections(2).pop().unwrap()]).unwrap();
            let mut taken = Vec::new();
            receive(worker.as_fd(), &mut taken).unwrap();
            assert_eq!(taken.iter().map(|c| (c.listener, c.left)).collect::<Vec<_>>(), [(7, left), (1, 0)]);
        }
    }

    #[test]
    fn what_a_proxy_said_goes_with_its_connection_both_ways() {
        let (primary, worker) = socket::packet_pair().unwrap();
        let with = |listener, said: Option<&[u8]>| Connection {
            said: said.map(Box::from),
            ..Connection::fresh(socket::stream_pair().unwrap().0, listener)
        };
        let long = [7; MAX_SAID];
        for said in [None, Some(&b"x"[..]), Some(&[0; ENTRY]), Some(&long)] {
            send_notice(worker.as_fd(), &Notice::Moved(with(7, said))).unwrap();
            let Some(Notice::Moved(back)) = receive_notice(primary.as_fd(), None).unwrap() else {
                panic!("another notice")
            };
            assert_eq!(back.said.as_deref(), said);
            // Among others, first and last, and in a full packet.
            for (before, after) in [(0, 0), (0, 1), (2, 1), (15, 0)] {
                let mut all: Vec<_> = connections(before);
                all.push(with(99, said));
                all.extend((0..after).map(|_| with(100, Some(&long))));
                send(primary.as_fd(), &all).unwrap();
                let mut taken = Vec::new();
                let count = all.len();
                assert_eq!(receive(worker.as_fd(), &mut taken).unwrap(), Batch::Taken { count, lost: 0 });
                let of =
                    |all: &[Connection]| all.iter().map(|one| (one.listener, one.said.clone())).collect::<Vec<_>>();
                assert_eq!(of(&taken), of(&all));
            }
        }
        send(primary.as_fd(), &(0..16).map(|listener| with(listener, Some(&long))).collect::<Vec<_>>()).unwrap();
        let mut taken = Vec::new();
        receive(worker.as_fd(), &mut taken).unwrap();
        assert!(taken.len() == 16 && taken.iter().all(|one| one.said.as_deref() == Some(&long)));
        // One byte too many.
        let bytes = [&FULL.to_le_bytes()[..], &[0; 8], &long, &[0]].concat();
        let fd = taken[0].fd.as_fd().as_raw_fd();
        scm::send(worker.as_fd(), &[IoSlice::new(&bytes)], &[fd]).unwrap();
        assert_eq!(receive_notice(primary.as_fd(), None).err().unwrap().kind(), io::ErrorKind::InvalidData);
        // And something that is said of nothing.
        let bytes = [&TURN_OVER.to_le_bytes()[..], &[0; 9]].concat();
        scm::send(worker.as_fd(), &[IoSlice::new(&bytes)], &[]).unwrap();
        assert_eq!(receive_notice(primary.as_fd(), None).err().unwrap().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn when_a_connection_was_accepted_goes_with_it_and_comes_anew_when_it_comes_back() {
        let (primary, worker) = socket::packet_pair().unwrap();
        let now = clock::monotonic_ns();
        let accepted = |at| Connection::accepted(socket::stream_pair().unwrap().0, 7, at);
        send(primary.as_fd(), &[accepted(now - (5 << 32) - 3), accepted(0)]).unwrap();
        let mut taken = Vec::new();
        receive(worker.as_fd(), &mut taken).unwrap();
        assert_eq!(taken.iter().map(|one| one.waited(now)).collect::<Vec<_>>(), [Some((5 << 32) + 3), None]);
        assert_eq!(taken[0].waited(0), Some(0));
        send_notice(worker.as_fd(), &Notice::Full(taken.remove(0))).unwrap();
        let Some(Notice::Full(back)) = receive_notice(primary.as_fd(), None).unwrap() else { panic!("another notice") };
        assert!(back.accepted >= now);
        let moved = Connection { left: 1, ..back };
        assert_eq!(moved.waited(u64::MAX), None);
    }

    #[test]
    fn garbage_from_a_worker_is_refused_packet_by_packet() {
        let (primary, worker) = socket::packet_pair().unwrap();
        let extra = connections(2);
        let fds = [extra[0].fd.as_fd().as_raw_fd(), extra[1].fd.as_fd().as_raw_fd()];
        let mut full = [0; NOTICE];
        full[0] = FULL as u8;
        let packets: [(&[u8], &[i32]); 5] =
            [(b"x", &[]), (&[0xff; 64], &[]), (&full, &[]), (&full, &fds), (&[9; NOTICE], &fds[..1])];
        for (bytes, fds) in packets {
            scm::send(worker.as_fd(), &[IoSlice::new(bytes)], fds).unwrap();
            let error = receive_notice(primary.as_fd(), None).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert!(receive_notice(primary.as_fd(), None).unwrap().is_none());
    }
}
