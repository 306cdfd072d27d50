//! Whatever frames are pushed, and however little the kernel takes of them at a time: they come out the same, in order, with
//! their descriptors.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rcluster::channel::frame::Kind;
use rcluster::channel::inbox::{Delivery, Inbox, Read};
use rcluster::channel::outbox::{Outbox, TooLong};

use crate::descriptors;
use crate::input::Input;
use crate::pair::{self, Kept, Sort};

/// Kinds of frames, those without descriptors more often.
pub const KINDS: [Kind; 10] = [
    Kind::Json,
    Kind::Advanced,
    Kind::Json,
    Kind::Control,
    Kind::HandleJson,
    Kind::HandleAdvanced,
    Kind::Hello,
    Kind::Text,
    Kind::JsonWithTexts,
    Kind::Advanced,
];

const ORDERS: usize = 24;

/// The longest payload: several times what a fuzzed inbox reads at once, and allocates ahead.
pub const LONGEST: usize = 0x4000;

/// What a frame carries. JSON texts have no comma, by which they are told apart when they come in one array.
#[derive(Clone, Copy)]
pub struct Payload(&'static [u8]);

impl Payload {
    /// A part of a long text that never repeats itself, so that no part of it can be taken for another.
    pub fn new(kind: Kind, length: usize, seed: u8) -> Payload {
        static TEXTS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
        let [digits, any] = TEXTS.get_or_init(|| {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let any = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            });
            let any: Vec<u8> = any.take(LONGEST + 256).collect();
            [any.iter().map(|byte| b'0' + byte % 10).collect(), any]
        });
        let text = if kind == Kind::Json { digits } else { any };
        Payload(&text[usize::from(seed)..][..length])
    }

    pub fn bytes(self) -> &'static [u8] {
        self.0
    }
}

/// What is to come out.
#[derive(Default)]
pub struct Expected(VecDeque<(Kind, Payload, Vec<usize>)>);

impl Expected {
    pub fn push(&mut self, kind: Kind, payload: Payload, fds: Vec<usize>) {
        self.0.push_back((kind, payload, fds));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long the next is.
    fn length(&self) -> usize {
        self.0.front().map_or(0, |(_, payload, _)| payload.bytes().len())
    }

    fn next(&mut self, kind: Kind, payload: &[u8], fds: &[usize]) {
        let (wanted_kind, wanted, wanted_fds) = self.0.pop_front().expect("nothing more was sent");
        let wanted = wanted.bytes();
        assert_eq!((kind, payload.len(), fds), (wanted_kind, wanted.len(), wanted_fds.as_slice()));
        assert!(payload == wanted, "the payload is another one");
    }
}

/// What came out is what was sent.
pub fn check(delivery: Delivery, expected: &mut Expected) {
    match delivery {
        Delivery::Frame(kind, payload, fds) => {
            let fds: Vec<_> = fds.iter().map(descriptors::kind_of).collect();
            expected.next(kind, &payload, &fds);
        }
        Delivery::JsonArray(text) => {
            let mut rest = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).expect("an array");
            loop {
                let (one, others) = rest.split_at_checked(expected.length()).expect("one as long as what was sent");
                expected.next(Kind::Json, one, &[]);
                let [separator, others @ ..] = others else { break };
                assert_eq!(*separator, b',');
                rest = others;
            }
        }
        Delivery::Buffer(_) => panic!("there is no JavaScript to make one"),
        Delivery::AdvancedRun(mut run) => {
            while !run.is_empty() {
                let length = u32::from_le_bytes(run[..4].try_into().expect("a length")) as usize;
                expected.next(Kind::Advanced, &run[4..4 + length], &[]);
                run.drain(..4 + length);
            }
        }
    }
}

thread_local! {
    static USUAL: Kept = const { RefCell::new(None) };
    static SMALL: Kept = const { RefCell::new(None) };
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let small = input.byte() % 2 == 1;
    let kept = if small { &SMALL } else { &USUAL };
    let (near, far) = pair::take(kept, if small { Sort::Small } else { Sort::Stream });
    let before = descriptors::count();
    {
        let (mut outbox, mut inbox, mut expected) = (Outbox::default(), Inbox::default(), Expected::default());
        let read = |inbox: &mut Inbox, expected: &mut Expected| match inbox.read(far.as_fd()).expect("a read") {
            Read::Bytes { .. } => {
                while let Some(delivery) = inbox.next_delivery().expect("sense") {
                    check(delivery, expected);
                }
                true
            }
            _ => false,
        };
        for _ in 0..ORDERS {
            if input.is_empty() {
                break;
            }
            match input.byte() % 8 {
                0 | 1 => drop(outbox.write(near.as_fd()).expect("a write")),
                2 => drop(read(&mut inbox, &mut expected)),
                // Refused, and to be forgotten with its descriptors.
                3 => {
                    let length = input.below(300);
                    let fds = vec![descriptors::copy(0)];
                    let refused = outbox.push_with(Kind::HandleJson, fds, |out| {
                        out.resize(out.len() + length, b'x');
                        Err(TooLong)
                    });
                    assert!(refused.is_err());
                }
                order => push(&mut input, &mut outbox, &mut expected, order == 4),
            }
        }
        while outbox.queued() > 0 || !expected.is_empty() {
            let queued = outbox.write(near.as_fd()).expect("a write");
            assert!(read(&mut inbox, &mut expected) || queued > 0, "{queued} bytes do not come");
        }
        assert!(!read(&mut inbox, &mut expected));
    }
    pair::put_back(kept, (near, far));
    descriptors::assert_held(before, 0, "a channel that is closed");
}

fn push(input: &mut Input, outbox: &mut Outbox, expected: &mut Expected, long: bool) {
    let kind = KINDS[input.below(KINDS.len())];
    let count = match kind {
        Kind::HandleJson | Kind::HandleAdvanced => 1,
        Kind::Control => input.below(2),
        Kind::Hello => 2,
        _ => 0,
    };
    let length = input.below(if long { LONGEST } else { 64 });
    let payload = Payload::new(kind, length.max(1), input.byte());
    let which: Vec<_> = (0..count).map(|_| input.below(descriptors::KINDS)).collect();
    let fds = which.iter().map(|kind| descriptors::copy(*kind)).collect();
    let pushed = if input.byte().is_multiple_of(4) {
        outbox.push_vec(kind, payload.bytes().to_vec(), fds)
    } else {
        outbox.push_with(kind, fds, |out| -> Result<(), TooLong> {
            out.extend_from_slice(payload.bytes());
            Ok(())
        })
    };
    pushed.expect("room");
    expected.push(kind, payload, which);
}
