//! Whatever comes over a channel, cut anywhere: honest frames come out whole and in order up to the first that makes no sense,
//! nothing panics, and no more descriptors are held than the format allows.

use std::cell::RefCell;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use rcluster::channel::frame::{Header, Kind};
use rcluster::channel::inbox::{Inbox, Read};
use rcluster::sys::descriptors::MAX_FDS;
use rcluster::sys::scm;
use rcluster::sys::wires;

use crate::descriptors;
use crate::input::Input;
use crate::outbox_inbox::{Expected, KINDS, LONGEST, Payload, check};
use crate::pair::{self, Kept, Sort};

/// Descriptors that a channel may hold for frames that are still to come: those of a batch, and what one read brings.
const HELD: usize = 3 * MAX_FDS;
/// Orders of one input: more find nothing new, and take time.
const ORDERS: usize = 24;

/// Bytes on their way, and what they are to become.
struct Wire {
    near: OwnedFd,
    far: OwnedFd,
    inbox: Inbox,
    expected: Expected,
    /// How many descriptors there were before.
    before: usize,
    /// How many more there were when they were last counted, and how many had ever come by then.
    held: usize,
    received: usize,
    /// Whether everything that was sent so far makes sense.
    honest: bool,
    /// Whether the reader still reads: it has not seen what makes no sense.
    open: bool,
}

impl Wire {
    fn send(&mut self, bytes: &[u8], fds: usize, kind: usize) {
        let numbers: Vec<_> = (0..fds).map(|_| descriptors::number(kind)).collect();
        let mut sent = 0;
        while sent < bytes.len() {
            let with = if sent == 0 { numbers.as_slice() } else { &[] };
            match scm::send(self.near.as_fd(), &[IoSlice::new(&bytes[sent..])], with) {
                Ok(count) => sent += count,
                Err(_) if self.open => self.read(),
                Err(_) => return,
            }
        }
    }

    /// Reads once, and takes what has come.
    fn read(&mut self) {
        if !self.open {
            return;
        }
        match self.inbox.read(self.far.as_fd()) {
            Ok(Read::Bytes { .. }) => {}
            Ok(_) => return,
            Err(error) => panic!("{error}"),
        }
        loop {
            match self.inbox.next_delivery() {
                Ok(Some(delivery)) if self.honest => check(delivery, &mut self.expected),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(malformed) => {
                    assert!(!self.honest, "honest frames were refused: {malformed:?}");
                    self.open = false;
                    return;
                }
            }
        }
        // As many as it had, and those that have come since, it can have at most: only if those are too many they are counted.
        if self.held + wires::received() - self.received > HELD {
            let before = self.before + wires::in_flight();
            descriptors::assert_held(before, HELD, "a channel");
            (self.held, self.received) = (descriptors::count() - before, wires::received());
        }
    }
}

thread_local! {
    static KEPT: Kept = const { RefCell::new(None) };
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (near, far) = pair::take(&KEPT, Sort::Stream);
    let before = descriptors::count();
    let mut wire = Wire {
        near,
        far,
        inbox: Inbox::default(),
        expected: Expected::default(),
        before,
        held: 0,
        received: wires::received(),
        honest: true,
        open: true,
    };
    for _ in 0..ORDERS {
        if input.is_empty() || !wire.open {
            break;
        }
        match input.byte() % 8 {
            0 => wire.read(),
            // An honest frame, cut in two.
            order @ 1..=4 => {
                let kind = KINDS[input.below(KINDS.len())];
                let fds = match kind {
                    Kind::HandleJson | Kind::HandleAdvanced => 1,
                    Kind::Control => input.below(2),
                    Kind::Hello => 2,
                    _ => 0,
                };
                let (length, cut, which) =
                    (input.below(if order == 4 { LONGEST } else { 64 }), input.below(80), input.below(4));
                // A JSON text is never empty.
                let length = length.max(1);
                let payload = Payload::new(kind, length, input.byte());
                let header = Header { length, kind, fds: fds as u8, batch: fds as u8 }.encode().expect("a header");
                let bytes = [&header, payload.bytes()].concat();
                let cut = cut.min(bytes.len()).max(1);
                if wire.honest {
                    wire.expected.push(kind, payload, vec![which; fds]);
                }
                wire.send(&bytes[..cut], fds, which);
                if order == 2 {
                    wire.read();
                }
                wire.send(&bytes[cut..], 0, which);
            }
            // A header that may be anything, and what may follow.
            5 => {
                wire.honest = false;
                let fds = input.below(24).min(MAX_FDS);
                let mut bytes = input.bytes(8).to_vec();
                bytes.resize(8, 0);
                wire.send(&bytes, fds, 0);
            }
            // The same with a length that fits into memory and a kind that there is.
            6 => {
                wire.honest = false;
                let (kind, fds, batch) = (input.byte() % 9, input.byte() % 3, input.byte() % 18);
                let (length, attached) = (input.below(300), input.below(MAX_FDS + 1));
                let mut bytes = (length as u32).to_le_bytes().to_vec();
                bytes.extend([kind, fds, batch, 0]);
                bytes.extend_from_slice(input.bytes(length));
                wire.send(&bytes, attached, 1);
            }
            // Bytes.
            _ => {
                wire.honest = false;
                let (count, fds) = (input.below(40), input.below(MAX_FDS + 1));
                let bytes = input.bytes(count).to_vec();
                wire.send(&bytes, fds, 2);
            }
        }
        if wire.open && !wire.honest {
            wire.read();
        }
    }
    while wire.open && wire.honest && !wire.expected.is_empty() {
        wire.read();
    }
    let Wire { near, far, inbox, .. } = wire;
    drop(inbox);
    pair::put_back(&KEPT, (near, far));
    descriptors::assert_held(before, 0, "a channel that is closed");
}
