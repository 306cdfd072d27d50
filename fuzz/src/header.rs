//! A header that can be read is written the same, and one that can be written is read the same.

use rcluster::channel::frame::{HEADER, Header, Kind, MAX_PAYLOAD};
use rcluster::sys::descriptors::MAX_FDS;

use crate::input::Input;

pub fn run(data: &[u8]) {
    for bytes in data.chunks_exact(HEADER) {
        let bytes: [u8; HEADER] = bytes.try_into().expect("so many bytes");
        if let Some(header) = Header::decode(bytes) {
            assert_eq!(header.encode(), Some(bytes));
            assert!(header.length <= MAX_PAYLOAD && usize::from(header.batch) <= MAX_FDS && header.fds <= 2);
        }
    }
    let mut input = Input::new(data);
    while !input.is_empty() {
        let Some(kind) = Kind::from_number(input.byte() % 9) else { continue };
        let (fds, batch) = (input.byte(), input.byte());
        let header = Header { length: (input.u32() as usize) << input.below(8), kind, fds, batch };
        if let Some(bytes) = header.encode() {
            assert_eq!(Header::decode(bytes), Some(header));
        }
    }
}
