use super::*;
use crate::channel::outbox::{Outbox, TooLong};
use crate::sys::socket;
use std::os::fd::{AsFd, AsRawFd};

fn pair() -> (OwnedFd, OwnedFd) {
    socket::stream_pair().unwrap()
}

/// Reads until nothing is left; all that was delivered.
fn drain(inbox: &mut Inbox, socket: &OwnedFd) -> Result<Vec<Delivery>, Malformed> {
    let mut deliveries = Vec::new();
    while let Read::Bytes { .. } = inbox.read(socket.as_fd()).unwrap() {
        while let Some(delivery) = inbox.next_delivery()? {
            deliveries.push(delivery);
        }
    }
    Ok(deliveries)
}

fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Header { length: payload.len(), kind, fds: 0, batch: 0 }.encode().unwrap().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn json_frames_of_one_read_become_one_array() {
    let (here, there) = pair();
    let bytes =
        [frame(Kind::Json, b"1,\"a\""), frame(Kind::Json, b"{}"), frame(Kind::Control, b"x"), frame(Kind::Json, b"2")]
            .concat();
    nix::unistd::write(&here, &bytes).unwrap();
    let got = drain(&mut Inbox::default(), &there).unwrap();
    assert!(matches!(&got[0], Delivery::JsonArray(text) if text == b"[1,\"a\",{}]"), "{got:?}");
    assert!(matches!(&got[1], Delivery::Frame(Kind::Control, text, _) if text == b"x"));
    assert!(matches!(&got[2], Delivery::JsonArray(text) if text == b"[2]"));
}

#[test]
fn frames_cut_anywhere_come_out_whole() {
    let bytes = [frame(Kind::Json, b"123"), frame(Kind::Advanced, b"abc"), frame(Kind::Control, b"{}")].concat();
    for cut in 1..bytes.len() {
        let (here, there) = pair();
        let mut inbox = Inbox::default();
        nix::unistd::write(&here, &bytes[..cut]).unwrap();
        let mut got = drain(&mut inbox, &there).unwrap();
        nix::unistd::write(&here, &bytes[cut..]).unwrap();
        got.extend(drain(&mut inbox, &there).unwrap());
        assert!(matches!(&got[0], Delivery::JsonArray(text) if text == b"[123]"));
        match &got[1] {
            Delivery::AdvancedRun(run) => assert_eq!(run, b"\x03\0\0\0abc"),
            Delivery::Frame(Kind::Advanced, payload, _) => assert_eq!(payload, b"abc"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(&got[2], Delivery::Frame(Kind::Control, text, _) if text == b"{}"));
    }
}

#[test]
fn a_long_frame_and_what_follows_it() {
    let (here, there) = pair();
    let long = vec![b'x'; 3_000_000];
    let mut outbox = Outbox::default();
    outbox.push_vec(Kind::JsonAlone, long.clone(), Vec::new()).unwrap();
    outbox.push_vec(Kind::Json, b"7".to_vec(), Vec::new()).unwrap();
    outbox.push_vec(Kind::Json, long.clone(), Vec::new()).unwrap();
    outbox.push_vec(Kind::Json, b"8".to_vec(), Vec::new()).unwrap();
    let (mut inbox, mut got) = (Inbox::default(), Vec::new());
    while got.len() < 4 {
        outbox.write(here.as_fd()).unwrap();
        got.extend(drain(&mut inbox, &there).unwrap());
    }
    assert!(matches!(&got[0], Delivery::Frame(Kind::JsonAlone, text, _) if *text == long));
    assert!(matches!(&got[1], Delivery::JsonArray(text) if text == b"[7]"));
    let array = [b"[", long.as_slice(), b"]"].concat();
    assert!(matches!(&got[2], Delivery::JsonArray(text) if *text == array));
    assert!(matches!(&got[3], Delivery::JsonArray(text) if text == b"[8]"));
}

/// Sends `bytes` with so many descriptors, and reads it all.
fn pass(inbox: &mut Inbox, bytes: &[u8], count: usize) -> Result<usize, Malformed> {
    let (here, there) = pair();
    let numbers = vec![here.as_fd().as_raw_fd(); count];
    crate::sys::scm::send(here.as_fd(), &[std::io::IoSlice::new(bytes)], &numbers).unwrap();
    drain(inbox, &there).map(|_| inbox.fds.len())
}

#[test]
fn descriptors_within_an_unfinished_frame_are_no_more_than_it_announced() {
    for length in [100, 3_000_000] {
        let mut inbox = Inbox::default();
        let header = Header { length, kind: Kind::HandleJson, fds: 1, batch: 1 }.encode().unwrap();
        assert_eq!(pass(&mut inbox, &header, 1), Ok(1));
        assert_eq!(pass(&mut inbox, b"x", 0), Ok(1));
        assert_eq!(pass(&mut inbox, b"x", 1), Err(SURPLUS), "length {length}");
    }
    let mut inbox = Inbox::default();
    assert_eq!(pass(&mut inbox, &[1], MAX_FDS), Ok(MAX_FDS));
    assert_eq!(pass(&mut inbox, &[0], MAX_FDS), Err(SURPLUS));
}

#[test]
fn batches_that_no_frame_asks_for_do_not_pile_up() {
    let mut inbox = Inbox::default();
    let mut bytes = frame(Kind::Json, b"1");
    bytes[super::super::frame::BATCH_OFFSET] = MAX_FDS as u8;
    assert_eq!(pass(&mut inbox, &bytes, MAX_FDS), Ok(MAX_FDS));
    assert_eq!(pass(&mut inbox, &bytes, MAX_FDS), Err(SURPLUS));
}

#[test]
fn reads_that_end_within_frames_do_not_pile_up() {
    let (here, there) = pair();
    let mut inbox = Inbox::default();
    let mut outbox = Outbox::default();
    let text = vec![b'1'; 1000];
    for _ in 0..10_000 {
        outbox
            .push_with(Kind::Json, Vec::new(), |out| -> Result<(), TooLong> {
                out.extend_from_slice(&text);
                Ok(())
            })
            .unwrap();
    }
    while outbox.queued() > 0 {
        outbox.write(here.as_fd()).unwrap();
        drain(&mut inbox, &there).unwrap();
        assert!(inbox.bytes.capacity() <= 4 * CHUNK);
    }
}

#[test]
fn descriptors_stay_with_their_frames() {
    let (here, there) = pair();
    let mut outbox = Outbox::default();
    for name in [b"1", b"2", b"3"] {
        outbox.push_vec(Kind::Json, b"0".to_vec(), Vec::new()).unwrap();
        outbox.push_vec(Kind::HandleJson, name.to_vec(), vec![pair().0]).unwrap();
    }
    let (mut inbox, mut got) = (Inbox::default(), Vec::new());
    while outbox.queued() > 0 {
        outbox.write(here.as_fd()).unwrap();
    }
    got.extend(drain(&mut inbox, &there).unwrap());
    let handles: Vec<_> = got
        .iter()
        .filter_map(|d| if let Delivery::Frame(_, name, fds) = d { Some((name.as_slice(), fds.len())) } else { None })
        .collect();
    assert_eq!(handles, [(&b"1"[..], 1), (b"2", 1), (b"3", 1)]);
}

#[test]
fn many_descriptors_share_writes() {
    let (here, there) = pair();
    let mut outbox = Outbox::default();
    for number in 0..40_u8 {
        outbox
            .push_with(Kind::HandleJson, vec![pair().0], |out| -> Result<(), TooLong> {
                out.push(number);
                Ok(())
            })
            .unwrap();
    }
    outbox.write(here.as_fd()).unwrap();
    let (mut inbox, mut reads, mut numbers) = (Inbox::default(), 0, Vec::new());
    while let Read::Bytes { .. } = inbox.read(there.as_fd()).unwrap() {
        reads += 1;
        while let Some(Delivery::Frame(_, payload, fds)) = inbox.next_delivery().unwrap() {
            assert_eq!(fds.len(), 1);
            numbers.push(payload[0]);
        }
    }
    assert_eq!((reads, numbers), (3, (0..40).collect()));
}

#[test]
fn lies_end_the_channel() {
    let passed = pair();
    let fd = [std::os::fd::AsRawFd::as_raw_fd(&passed.0)];
    let missing = Header { length: 1, kind: Kind::HandleJson, fds: 1, batch: 1 }.encode().unwrap();
    let cases: [(&[u8], &[i32]); 4] = [
        (b"garbage garbage", &[]),
        (&[missing.as_slice(), b"0"].concat(), &[]),
        (&frame(Kind::Json, b"0"), &fd),
        (&[0xff; HEADER], &[]),
    ];
    for (bytes, fds) in cases {
        let (here, there) = pair();
        scm::send(here.as_fd(), &[io::IoSlice::new(bytes)], fds).unwrap();
        let mut inbox = Inbox::default();
        assert!(drain(&mut inbox, &there).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_promised_gigabyte_costs_nothing_until_it_comes() {
    let (here, there) = pair();
    let header = Header { length: 1 << 30, kind: Kind::Advanced, fds: 0, batch: 0 }.encode().unwrap();
    nix::unistd::write(&here, &header).unwrap();
    let mut inbox = Inbox::default();
    assert!(drain(&mut inbox, &there).unwrap().is_empty());
    assert!(inbox.bytes.capacity() <= 2 * AHEAD);
}

/// A list of so many holes in V8's format.
fn holes(length: u32) -> Vec<u8> {
    let number = [0, 7, 14, 21].map(|shift| (length >> shift) as u8 & 0x7f | if shift < 21 { 0x80 } else { 0 });
    [&[0xff, 15, b'a'], number.as_slice(), b"@\0", &number].concat()
}

#[test]
fn messages_that_claim_much_are_delivered_one_after_the_other() {
    let (here, there) = pair();
    let list = frame(Kind::Advanced, &holes(2_000_000));
    let bytes = [list.repeat(3), frame(Kind::Json, b"1"), frame(Kind::Advanced, b"\xff\x0f_")].concat();
    nix::unistd::write(&here, &bytes).unwrap();
    let mut inbox = Inbox::distrusting();
    inbox.read(there.as_fd()).unwrap();
    let mut turns = vec![Vec::new()];
    loop {
        match inbox.next_delivery().unwrap() {
            Some(delivery) => turns.last_mut().unwrap().push(delivery),
            None if inbox.is_held() => {
                turns.push(Vec::new());
                inbox.begin_turn();
            }
            None => break,
        }
    }
    for turn in &turns[..3] {
        assert!(matches!(turn.as_slice(), [Delivery::AdvancedRun(_)]), "{turn:?}");
    }
    assert!(matches!(turns[3].as_slice(), [Delivery::JsonArray(_), Delivery::Frame(Kind::Advanced, ..)]), "{turns:?}");
    // Whom nobody distrusts sends what it likes.
    nix::unistd::write(&here, &list.repeat(3)).unwrap();
    assert_eq!(drain(&mut Inbox::default(), &there).unwrap().len(), 1);
}

#[test]
fn a_message_that_claims_too_much_is_malformed() {
    for (times, places) in [(1, 10_000_000), (20, 2_000_000)] {
        let (here, there) = pair();
        nix::unistd::write(&here, &frame(Kind::Advanced, &holes(places)).repeat(times)).unwrap();
        let mut inbox = Inbox::distrusting();
        inbox.read(there.as_fd()).unwrap();
        let mut turns = 0;
        let malformed = loop {
            inbox.begin_turn();
            match inbox.next_delivery() {
                Ok(_) => turns += 1,
                Err(malformed) => break malformed,
            }
        };
        assert!(malformed.0.contains("claim"), "{malformed:?}");
        assert_eq!(turns, if times == 1 { 0 } else { 8 });
    }
}
