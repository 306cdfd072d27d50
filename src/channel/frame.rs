//! The wire format.
//!
//! ```text
//!   0        4      5      6        7     8
//!   ┌────────┬──────┬──────┬────────┬─────┬───────────────┐   length: bytes of the payload, little-endian
//!   │ length │ kind │ fds  │ batch  │  0  │ payload …     │   fds: descriptors of this frame
//!   └────────┴──────┴──────┴────────┴─────┴───────────────┘   batch: descriptors attached to this frame's first byte,
//!                                                             for it and for frames that follow
//! ```

use crate::sys::descriptors::MAX_FDS;

/// Bytes of a header.
pub const HEADER: usize = 8;

/// The longest payload: the longest string that V8 has, in UTF-8, and the longest Buffer that Node's own channel can send.
pub const MAX_PAYLOAD: usize = i32::MAX as usize;

/// The same of a control message: it is parsed for the other side, whoever that is, and most are some hundred bytes.
pub const MAX_CONTROL: usize = 1 << 20;

/// The same of several user messages in one frame: an honest sender joins 64 KiB of them and one of a MiB, in characters of up to three
/// bytes. They are made and told in one go, in which nothing else happens.
pub const MAX_JOINED: usize = 4 << 20;

/// Where a header says how many descriptors are attached to its first byte.
pub const BATCH_OFFSET: usize = 6;

/// The other side has broken the rules of the format; nothing more can be understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// User messages: JSON texts, joined by commas.
    Json = 1,
    /// One user message: V8's serialization format.
    Advanced = 2,
    /// A message between the two sides of rcluster: JSON.
    Control = 3,
    /// A user message with a handle: JSON of `[about the handle, message]`.
    HandleJson = 4,
    /// The same in V8's serialization format: two values.
    HandleAdvanced = 5,
    /// The primary's first frame: JSON, with the connection queue and the board.
    Hello = 6,
    /// A long text that the next frame of kind [`Kind::JsonWithTexts`] refers to.
    Text = 7,
    /// A user message that long texts were taken out of: JSON of `[their names, the rest]`.
    JsonWithTexts = 8,
    /// One user message, whose JSON may be as long as a string can be.
    JsonAlone = 9,
}

impl Kind {
    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Kind> {
        use Kind::{Advanced, Control, HandleAdvanced, HandleJson, Hello, Json, JsonAlone, JsonWithTexts, Text};
        [Json, Advanced, Control, HandleJson, HandleAdvanced, Hello, Text, JsonWithTexts, JsonAlone]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }

    /// How many descriptors such a frame may carry, at least and at most.
    fn descriptors(self) -> std::ops::RangeInclusive<u8> {
        match self {
            Kind::Json | Kind::Advanced | Kind::Text | Kind::JsonWithTexts | Kind::JsonAlone => 0..=0,
            Kind::Control => 0..=1,
            Kind::HandleJson | Kind::HandleAdvanced => 1..=1,
            Kind::Hello => 2..=2,
        }
    }

    /// The longest payload of such a frame.
    fn longest(self) -> usize {
        match self {
            Kind::Control => MAX_CONTROL,
            Kind::Json => MAX_JOINED,
            _ => MAX_PAYLOAD,
        }
    }

    /// Whether the payload is text.
    pub fn is_text(self) -> bool {
        !matches!(self, Kind::Advanced | Kind::HandleAdvanced)
    }
}

/// What precedes a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub length: usize,
    /// What it is.
    pub kind: Kind,
    /// Descriptors that belong to it.
    pub fds: u8,
    /// Descriptors that are attached to its first byte: its own and those of frames that follow, in their order.
    pub batch: u8,
}

impl Header {
    /// The header's bytes. `None` when the payload is too long or the kind cannot carry so many descriptors.
    pub fn encode(self) -> Option<[u8; HEADER]> {
        let sound = self.kind.descriptors().contains(&self.fds) && usize::from(self.batch) <= MAX_FDS;
        if self.length > self.kind.longest() || !sound {
            return None;
        }
        let [a, b, c, d] = u32::try_from(self.length).ok()?.to_le_bytes();
        Some([a, b, c, d, self.kind as u8, self.fds, self.batch, 0])
    }

    /// Reads a header. Anything that no honest sender writes is `None`.
    pub fn decode(bytes: [u8; HEADER]) -> Option<Header> {
        let [a, b, c, d, kind, fds, batch, 0] = bytes else { return None };
        let header =
            Header { length: u32::from_le_bytes([a, b, c, d]) as usize, kind: Kind::from_number(kind)?, fds, batch };
        header.encode().map(|_| header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_way() {
        for (kind, fds) in
            [(Kind::Json, 0), (Kind::Advanced, 0), (Kind::Control, 1), (Kind::HandleJson, 1), (Kind::Hello, 2)]
        {
            let header = Header { length: 70_000, kind, fds, batch: fds };
            assert_eq!(Header::decode(header.encode().unwrap()), Some(header));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let good = Header { length: 3, kind: Kind::Json, fds: 0, batch: 0 }.encode().unwrap();
        for (index, value) in [(3, 0xff), (4, 0), (4, 99), (5, 1), (6, 17), (7, 1)] {
            let mut bad = good;
            bad[index] = value;
            assert_eq!(Header::decode(bad), None, "byte {index} = {value}");
        }
        for (kind, most) in [(Kind::JsonAlone, MAX_PAYLOAD), (Kind::Control, MAX_CONTROL), (Kind::Json, MAX_JOINED)] {
            let header = |length| Header { length, kind, fds: 0, batch: 0 }.encode();
            assert!(header(most).is_some());
            assert_eq!(header(most + 1), None);
        }
    }
}
