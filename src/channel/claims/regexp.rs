//! What it takes V8 to read a regular expression, which it does at once.

use super::reader::Text;

/// Of V8's `JSRegExp::Flag`.
const UNICODE: u32 = 1 << 4;
const UNICODE_SETS: u32 = 1 << 8;

/// An escape where characters are those of Unicode: `\p{L}` makes a list of hundreds of ranges, as does `[\W]` without regard to case.
const ESCAPE: u64 = 1 << 14;
/// A property where it may be one of texts: `\p{RGI_Emoji}` are thousands.
const PROPERTY_OF_TEXTS: u64 = 1 << 18;
/// Elsewhere only the names of many groups are compared with each other.
const BYTES_PER_PLACE: u64 = 4096;

/// Places for a pattern. With Unicode those of a class of characters are sorted into a list one after the other.
pub(super) fn places(pattern: Text, flags: u32) -> u64 {
    let length = pattern.bytes.len() as u64;
    if flags & (UNICODE | UNICODE_SETS) == 0 {
        return length * length / BYTES_PER_PLACE;
    }
    let step = if pattern.wide { 2 } else { 1 };
    let mut places = length * length;
    let mut characters = pattern
        .bytes
        .chunks(step)
        .map(|character| if character.get(1).is_none_or(|high| *high == 0) { character[0] } else { 0 });
    while let Some(character) = characters.next() {
        if character == b'\\' {
            let is_property = matches!(characters.next(), Some(b'p' | b'P'));
            places += if is_property && flags & UNICODE_SETS != 0 { PROPERTY_OF_TEXTS } else { ESCAPE };
        }
    }
    places
}
