//! What a message in V8's format makes the engine allocate and do, beyond what its size lets expect.
//!
//! In that format a length is enough for a list, and a few bytes for what takes long: 13 of them are a list of ten million holes, 20 a regular
//! expression that takes milliseconds to be read. So what comes from a worker is looked through before the engine sees it, and
//! what it claims is counted in *places*: 8 bytes of memory, or about 10 ns. A frame may claim so many for each of its bytes, and an
//! allowance for what programs do send: a list of a million holes is honest.
//!
//! The form is that of V8's `ValueDeserializer` (src/objects/value-serializer.cc), version 15, which all of Node 20 to 26 write, with our
//! own host objects (lib/channel/serialization.js). What V8 would refuse is refused here. What no V8 writes, and may be read in
//! more than one way, is refused as well: other versions, numbers longer than they need be, padding longer than a byte. So this and V8 never
//! disagree about where something begins. A tag that is not known is V8's affair: nothing behind it is looked at, here or there.

use super::frame::Malformed;

use self::keys::Keys;
use self::levels::{Kind, Level};
use self::reader::{Leaf, Reader};

pub use self::account::Account;

mod account;
mod keys;
mod levels;
mod reader;
mod regexp;

/// Places that each frame may claim, whatever its size: a list of four million holes, 32 MiB, some 50 ms.
pub const ALLOWANCE: u64 = 1 << 22;
/// Places that it may claim for each of its bytes. An honest list has one per byte, a small `Map` some 8.
pub const PER_BYTE: u64 = 32;

const NONSENSE: Malformed = Malformed("a message in V8's format makes no sense");
const TOO_MUCH: Malformed = Malformed("a message in V8's format claims more than its size allows");

/// The longest list whose places V8 allocates; longer ones are tables of what is there.
const LONGEST_FAST: u32 = 1 << 25;
/// Each takes two system calls and two mappings of memory, of which a process may have 65,530.
const RESIZABLE: u64 = 1 << 13;
/// Deeper than any stack allows.
const DEEPEST: usize = 1 << 17;

/// Reads so many values, which are the whole frame. Returns how many places they claim beyond those that they may have for their size.
pub fn excess(bytes: &[u8], values: usize) -> Result<u64, Malformed> {
    let mut claims = Claims {
        reader: Reader::new(bytes),
        places: 0,
        most: ALLOWANCE + PER_BYTE * bytes.len() as u64,
        levels: Vec::new(),
        keys: Keys::default(),
        values,
    };
    claims.read()?;
    Ok(claims.places.saturating_sub(PER_BYTE * bytes.len() as u64))
}

/// What has become of a value.
enum Begun<'a> {
    /// It is over.
    Whole(Leaf<'a>),
    /// It goes on, at a level of its own.
    Level(Level),
    /// The next one is it.
    Next,
    /// Nobody here knows what it is.
    Unknown,
}

struct Claims<'a> {
    reader: Reader<'a>,
    places: u64,
    most: u64,
    /// What has begun and is not over, the innermost last.
    levels: Vec<Level>,
    keys: Keys,
    /// How many more are to come at the outermost level.
    values: usize,
}

impl<'a> Claims<'a> {
    fn read(&mut self) -> Result<(), Malformed> {
        self.reader.version()?;
        while self.values > 0 {
            let tag = self.reader.tag()?;
            // Most of a message.
            if let Some(leaf) = self.reader.plain(tag)? {
                self.plain(leaf)?;
                continue;
            }
            if let Some(level) = self.levels.last_mut() {
                if level.is_end(tag) {
                    self.reader.skip_numbers(level.numbers_at_end())?;
                    self.end_level()?;
                    continue;
                }
                if level.takes_hole(tag) {
                    continue;
                }
            }
            match self.begin(tag)? {
                Begun::Whole(leaf) => {
                    self.name(leaf)?;
                    self.end_value()?;
                }
                Begun::Level(level) => {
                    if self.levels.len() == DEEPEST || self.levels.last().is_some_and(Level::is_at_name) {
                        return Err(NONSENSE);
                    }
                    if level.kind == Kind::Error && self.error_ends()? {
                        self.end_value()?;
                    } else {
                        self.levels.push(level);
                    }
                }
                Begun::Next => {}
                Begun::Unknown => return Ok(()),
            }
        }
        if self.reader.is_at_end() { Ok(()) } else { Err(NONSENSE) }
    }

    fn claim(&mut self, places: u64) -> Result<(), Malformed> {
        self.places = self.places.saturating_add(places);
        if self.places > self.most { Err(TOO_MUCH) } else { Ok(()) }
    }

    fn begin(&mut self, tag: u8) -> Result<Begun<'a>, Malformed> {
        let reader = &mut self.reader;
        Ok(match tag {
            b'x' | b'y' => Begun::Whole(Leaf::Other),
            b'Z' => Begun::Whole(Leaf::BigInt(reader.big_int()?)),
            b'D' | b'n' => {
                reader.double()?;
                Begun::Whole(Leaf::Other)
            }
            b'z' => {
                reader.big_int()?;
                Begun::Whole(Leaf::Other)
            }
            b's' => {
                reader.next_text()?;
                Begun::Whole(Leaf::Other)
            }
            b'^' => {
                reader.number()?;
                Begun::Whole(Leaf::Other)
            }
            b'R' => {
                let pattern = reader.next_text()?;
                let flags = reader.number()?;
                self.claim(regexp::places(pattern, flags))?;
                Begun::Whole(Leaf::Other)
            }
            b'B' => {
                reader.bytes()?;
                Begun::Whole(Leaf::Other)
            }
            b'~' => {
                let (length, most) = (reader.number()?, reader.number()?);
                if length > most {
                    return Err(NONSENSE);
                }
                reader.skip(length as usize)?;
                self.claim(RESIZABLE)?;
                Begun::Whole(Leaf::Other)
            }
            b'\\' if reader.number()? == 0 => {
                // A view of memory: what kind of one, and its bytes.
                reader.number()?;
                reader.bytes()?;
                Begun::Whole(Leaf::Other)
            }
            b'\\' => Begun::Next,
            b'o' => Begun::Level(Level::new(Kind::Object, 0, 0)),
            b'a' => {
                let length = reader.number()?;
                let places = if length > LONGEST_FAST { 0 } else { length };
                self.claim(u64::from(places))?;
                Begun::Level(Level::new(Kind::Sparse, 0, places))
            }
            b'A' => {
                let length = reader.number()?;
                if length as usize > reader.left() {
                    return Err(NONSENSE);
                }
                self.claim(u64::from(length))?;
                Begun::Level(Level::new(Kind::Dense, length, length))
            }
            b';' => Begun::Level(Level::new(Kind::Map, self.keys.begin(), 0)),
            b'\'' => Begun::Level(Level::new(Kind::Set, self.keys.begin(), 0)),
            b'r' => Begun::Level(Level::new(Kind::Error, 0, 0)),
            // What refers to something in the same process, V8's own sanity check that it has not written for years, and what ends
            // what has not begun.
            b'u' | b't' | b'w' | b'm' | b'p' | b'?' | b'{' | b'@' | b'$' | b':' | b',' | b'V' | b'-' | 0x80.. => {
                return Err(NONSENSE);
            }
            _ => Begun::Unknown,
        })
    }

    /// A value that is over, if it is the name of a property or a key.
    #[inline(always)]
    fn name(&mut self, leaf: Leaf) -> Result<(), Malformed> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        if level.is_at_name() {
            let places = match leaf {
                Leaf::Number(number) => level.grow(levels::index_of_number(number)),
                Leaf::Text(text) => level.grow(levels::index_of_text(text)),
                Leaf::BigInt(_) | Leaf::Other => return Err(NONSENSE),
            };
            self.claim(places)
        } else {
            if level.is_at_key() {
                self.keys.add(&leaf);
            }
            Ok(())
        }
    }

    /// A value of one part, of which no memory is that views could be of.
    #[inline(always)]
    fn plain(&mut self, leaf: Leaf) -> Result<(), Malformed> {
        self.name(leaf)?;
        match self.levels.last_mut() {
            Some(level) if level.kind != Kind::Error => {
                level.next();
                Ok(())
            }
            _ => self.end_value(),
        }
    }

    /// A value is over, and what ends with it.
    fn end_value(&mut self) -> Result<(), Malformed> {
        loop {
            // A view belongs to the memory before it.
            self.reader.view()?;
            match self.levels.last_mut() {
                None => self.values -= 1,
                Some(level) if level.kind == Kind::Error => {
                    if self.error_ends()? {
                        self.levels.pop();
                        continue;
                    }
                }
                Some(level) => level.next(),
            }
            return Ok(());
        }
    }

    fn end_level(&mut self) -> Result<(), Malformed> {
        if let Some(level) = self.levels.pop()
            && matches!(level.kind, Kind::Map | Kind::Set)
        {
            let places = self.keys.end(level.first_key());
            self.claim(places)?;
        }
        self.end_value()
    }

    /// Reads what there is of an error, to its end or to what has caused it, which is a value. Node 20 takes its parts in any order.
    fn error_ends(&mut self) -> Result<bool, Malformed> {
        loop {
            match self.reader.small_number()? {
                b'E' | b'R' | b'F' | b'S' | b'T' | b'U' => {}
                b'm' | b's' => {
                    self.reader.next_text()?;
                }
                b'c' => return Ok(false),
                b'.' => return Ok(true),
                _ => return Err(NONSENSE),
            }
        }
    }
}

#[cfg(test)]
mod tests;
