//! Messages in V8's format, honest ones and whatever else: what an honest one claims is what it was made to, each beginning of it is
//! refused, and nothing is let through that claims more than it may.

use rcluster::channel::claims::{ALLOWANCE, PER_BYTE, excess};

use crate::input::Input;

const VERSION: [u8; 2] = [0xff, 15];
const DEEPEST: usize = 6;

pub fn run(data: &[u8]) {
    for bytes in [data, &[&VERSION, data].concat()] {
        for values in 1..=2 {
            assert!(excess(bytes, values).unwrap_or_default() <= ALLOWANCE);
        }
    }
    let mut input = Input::new(data);
    let mut message = Message { bytes: VERSION.to_vec(), places: 1 };
    // In a list, as memory without the view of it that follows is a message as well.
    message.tag(b'A', &[1]);
    message.value(&mut input, 0);
    message.tag(b'$', &[0, 1]);
    let free = PER_BYTE * message.bytes.len() as u64;
    let read = excess(&message.bytes, 1);
    if message.places > ALLOWANCE + free {
        assert!(read.is_err(), "{:?} claims {}", message.bytes, message.places);
    } else {
        assert_eq!(read, Ok(message.places.saturating_sub(free)), "{:?}", message.bytes);
    }
    for end in 0..message.bytes.len() {
        assert!(excess(&message.bytes[..end], 1).is_err(), "{end} bytes of {:?}", message.bytes);
    }
}

struct Message {
    bytes: Vec<u8>,
    places: u64,
}

impl Message {
    fn tag(&mut self, tag: u8, numbers: &[u32]) {
        self.bytes.push(tag);
        numbers.iter().for_each(|number| self.number(*number));
    }

    fn number(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn raw(&mut self, input: &mut Input, count: usize) {
        let mut bytes = input.bytes(count).to_vec();
        bytes.resize(count, 0);
        self.bytes.extend(bytes);
    }

    fn text(&mut self, input: &mut Input) {
        let count = input.below(9);
        match input.byte() % 4 {
            0 => self.tag(b'"', &[count as u32]),
            1 => self.tag(b'S', &[count as u32]),
            2 => self.tag(b'c', &[count as u32]),
            _ => self.bytes.extend([0, b'c', count as u8]),
        }
        // No name that is a number.
        let start = self.bytes.len();
        self.raw(input, count);
        self.bytes[start..].iter_mut().for_each(|byte| *byte |= 0x40);
    }

    fn properties(&mut self, input: &mut Input, depth: usize) -> u32 {
        let count = input.below(4);
        for _ in 0..count {
            self.text(input);
            self.value(input, depth);
        }
        count as u32
    }

    fn value(&mut self, input: &mut Input, depth: usize) {
        let most = if depth < DEEPEST { 18 } else { 10 };
        match input.byte() % most {
            0 => self.tag(b"_0TFxy"[input.below(6)], &[]),
            1 => {
                let number = input.u32();
                self.tag(b"IU^"[input.below(3)], &[number]);
            }
            2 => {
                self.tag(b"NDn"[input.below(3)], &[]);
                self.raw(input, 8);
            }
            3 => self.text(input),
            4 => {
                let count = input.below(20);
                self.tag(b"Zz"[input.below(2)], &[(count as u32) << 1]);
                self.raw(input, count);
            }
            5 => {
                self.tag(b's', &[]);
                self.text(input);
            }
            6 => {
                let count = input.below(20);
                self.tag(b'B', &[count as u32]);
                self.raw(input, count);
                if input.byte().is_multiple_of(2) {
                    self.tag(b'V', &[u32::from(b'B'), 0, count as u32, 0]);
                }
            }
            7 => {
                let count = input.below(20);
                self.tag(b'\\', &[0, 1, count as u32]);
                self.raw(input, count);
            }
            8 => {
                let length = input.u32() >> input.below(24);
                self.tag(b'a', &[length]);
                let count = self.properties(input, DEEPEST);
                self.tag(b'@', &[count, length]);
                self.places += if length > 1 << 25 { 0 } else { u64::from(length) };
            }
            9 => {
                self.tag(b'R', &[]);
                self.text(input);
                self.number(0);
            }
            10 | 11 => {
                self.tag(b'o', &[]);
                let count = self.properties(input, depth + 1);
                self.tag(b'{', &[count]);
            }
            12 | 13 => {
                let count = input.below(5);
                self.tag(b'A', &[count as u32]);
                self.places += count as u64;
                for _ in 0..count {
                    match input.byte() % 4 {
                        0 => self.tag(b'-', &[]),
                        _ => self.value(input, depth + 1),
                    }
                }
                let properties = self.properties(input, depth + 1);
                self.tag(b'$', &[properties, count as u32]);
            }
            order @ 14..=15 => {
                let (begin, end) = if order == 14 { (b';', b':') } else { (b'\'', b',') };
                let count = 2 * input.below(3);
                self.tag(begin, &[]);
                (0..count).for_each(|_| self.value(input, depth + 1));
                self.tag(end, &[count as u32]);
            }
            16 => {
                self.tag(b'\\', &[1]);
                self.value(input, depth + 1);
            }
            _ => {
                self.tag(b'r', &[u32::from(b'T')]);
                for part in [b'm', b's'] {
                    if input.byte().is_multiple_of(2) {
                        self.tag(part, &[]);
                        self.text(input);
                    }
                }
                if input.byte().is_multiple_of(2) {
                    self.tag(b'c', &[]);
                    self.value(input, depth + 1);
                }
                self.tag(b'.', &[]);
            }
        }
    }
}
