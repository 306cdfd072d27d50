//! Objects, lists and tables that have begun.

use super::reader::Text;

/// V8 gives a list or an object room up to a property that is a number, and half as much again, when it is less than so much beyond the
/// room there is.
const GAP: u32 = 1024;
/// As long as that is less than so much; then only where most of it is in use.
const UNCHECKED: u32 = 5000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    /// A list as its length and those elements that there are.
    Sparse,
    /// A list as all its elements, and then its other properties.
    Dense,
    Map,
    Set,
    Error,
}

#[derive(Clone, Copy)]
pub(super) struct Level {
    pub(super) kind: Kind,
    /// Of a dense list: how many elements are to come. Of a table: where its keys begin.
    count: u32,
    /// Places for elements that it has.
    room: u32,
    /// Whether a name or a key has come, and its value is next.
    at_value: bool,
}

impl Level {
    pub(super) fn new(kind: Kind, count: u32, room: u32) -> Level {
        Level { kind, count, room, at_value: false }
    }

    pub(super) fn first_key(&self) -> u32 {
        self.count
    }

    fn has_elements(&self) -> bool {
        self.kind == Kind::Dense && self.count > 0
    }

    pub(super) fn is_end(&self, tag: u8) -> bool {
        let end = match self.kind {
            Kind::Object => b'{',
            Kind::Sparse => b'@',
            Kind::Dense => b'$',
            Kind::Map => b':',
            Kind::Set => b',',
            Kind::Error => return false,
        };
        tag == end && !self.at_value && !self.has_elements()
    }

    /// How many numbers follow its end.
    pub(super) fn numbers_at_end(&self) -> usize {
        match self.kind {
            Kind::Sparse | Kind::Dense => 2,
            _ => 1,
        }
    }

    /// Passes an element that is none.
    pub(super) fn takes_hole(&mut self, tag: u8) -> bool {
        let is_hole = tag == b'-' && self.has_elements();
        self.count -= u32::from(is_hole);
        is_hole
    }

    /// Whether the name of a property is next.
    pub(super) fn is_at_name(&self) -> bool {
        matches!(self.kind, Kind::Object | Kind::Sparse | Kind::Dense) && !self.at_value && !self.has_elements()
    }

    /// Whether what is next is looked for in a table.
    pub(super) fn is_at_key(&self) -> bool {
        matches!(self.kind, Kind::Map | Kind::Set) && !self.at_value
    }

    /// A value is over.
    pub(super) fn next(&mut self) {
        if self.has_elements() {
            self.count -= 1;
        } else if self.kind != Kind::Set {
            self.at_value = !self.at_value;
        }
    }

    /// How many places V8 makes for a property with this index.
    pub(super) fn grow(&mut self, index: Option<u32>) -> u64 {
        let Some(gap) = index.and_then(|index| index.checked_sub(self.room)) else { return 0 };
        if gap >= GAP || self.room > UNCHECKED {
            return 0;
        }
        let length = self.room + gap + 1;
        self.room = length + length / 2 + 16;
        if self.room > UNCHECKED { 0 } else { u64::from(self.room) }
    }
}

/// The index that a number is as a name.
pub(super) fn index_of_number(number: f64) -> Option<u32> {
    let index = number as u32;
    (f64::from(index) == number).then_some(index)
}

/// The same of a text: digits, the first of them not 0.
#[inline(always)]
pub(super) fn index_of_text(text: Text) -> Option<u32> {
    let step = if text.wide { 2 } else { 1 };
    if text.bytes.len() > 10 * step || !text.bytes.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mut index = 0_u32;
    for (at, character) in text.bytes.chunks(step).enumerate() {
        let digit = match character {
            [digit @ b'0'..=b'9'] | [digit @ b'0'..=b'9', 0] => digit - b'0',
            _ => return None,
        };
        if at > 0 && index == 0 {
            return None;
        }
        index = index.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    (!text.bytes.is_empty()).then_some(index)
}
