//! The smallest parts of V8's format.

use super::NONSENSE;
use crate::channel::frame::Malformed;

/// The version of the format that all of Node 20 to 26 write. Newer ones have more tags.
const VERSION: u32 = 15;

/// A value of which nothing more is to come.
#[derive(Clone, Copy)]
pub(super) enum Leaf<'a> {
    Number(f64),
    /// By its lowest 64 bits.
    BigInt(u64),
    Text(Text<'a>),
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether each character is two bytes.
    pub(super) wide: bool,
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn version(&mut self) -> Result<(), Malformed> {
        if self.byte()? == 0xff && self.number()? >= VERSION { Ok(()) } else { Err(NONSENSE) }
    }

    /// A text, a number or one of few values, if the tag says that it is one.
    #[inline(always)]
    pub(super) fn plain(&mut self, tag: u8) -> Result<Option<Leaf<'a>>, Malformed> {
        Ok(Some(match tag {
            b'"' | b'S' | b'c' => self.text(tag)?,
            b'I' => Leaf::Number(f64::from(self.zigzag()?)),
            b'U' => Leaf::Number(f64::from(self.number()?)),
            b'N' => Leaf::Number(self.double()?),
            b'_' | b'0' | b'T' | b'F' => Leaf::Other,
            _ => return Ok(None),
        }))
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(NONSENSE)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next tag, behind a byte of padding, of which there is one where characters of two bytes would begin at an odd place. V8 takes any
    /// number, and looks at them again at each level that ends before them.
    #[inline(always)]
    pub(super) fn tag(&mut self) -> Result<u8, Malformed> {
        match self.byte()? {
            0 => match self.byte()? {
                0 => Err(NONSENSE),
                tag => Ok(tag),
            },
            tag => Ok(tag),
        }
    }

    /// A number of 7 bits a byte. V8's versions differ in how they read one that is longer than it can be.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        match self.byte()? {
            byte @ ..0x10 => Ok(number | u32::from(byte) << 28),
            _ => Err(NONSENSE),
        }
    }

    pub(super) fn skip_numbers(&mut self, count: usize) -> Result<(), Malformed> {
        for _ in 0..count {
            self.number()?;
        }
        Ok(())
    }

    /// One of 8 bits, which is written as a number is, and always less than 128.
    pub(super) fn small_number(&mut self) -> Result<u8, Malformed> {
        match self.byte()? {
            byte @ ..0x80 => Ok(byte),
            _ => Err(NONSENSE),
        }
    }

    pub(super) fn zigzag(&mut self) -> Result<i32, Malformed> {
        let number = self.number()?;
        Ok((number >> 1) as i32 ^ -((number & 1) as i32))
    }

    pub(super) fn double(&mut self) -> Result<f64, Malformed> {
        let bytes = self.take(8)?;
        Ok(f64::from_ne_bytes(bytes.try_into().map_err(|_| NONSENSE)?))
    }

    /// The lowest 64 bits of an integer of any length: its sign and how many bytes it has are one number.
    pub(super) fn big_int(&mut self) -> Result<u64, Malformed> {
        let length = self.number()? >> 1;
        if length >= 1 << 30 {
            return Err(NONSENSE);
        }
        let bytes = self.take(length as usize)?;
        let mut lowest = [0; 8];
        lowest.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(u64::from_ne_bytes(lowest))
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.bytes[self.at..].get(..count).ok_or(NONSENSE)?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Malformed> {
        self.take(count).map(drop)
    }

    /// Bytes behind how many they are.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(length as usize)
    }

    #[inline(always)]
    pub(super) fn text(&mut self, tag: u8) -> Result<Leaf<'a>, Malformed> {
        Ok(Leaf::Text(Text { bytes: self.bytes()?, wide: tag == b'c' }))
    }

    /// A text where nothing else may be.
    pub(super) fn next_text(&mut self) -> Result<Text<'a>, Malformed> {
        match self.tag()? {
            tag @ (b'"' | b'S' | b'c') => Ok(Text { bytes: self.bytes()?, wide: tag == b'c' }),
            _ => Err(NONSENSE),
        }
    }

    /// A view of the memory that has just come, if there is one: what kind, from where, how long, flags.
    pub(super) fn view(&mut self) -> Result<(), Malformed> {
        let padding = usize::from(self.bytes.get(self.at) == Some(&0));
        if self.bytes.get(self.at + padding) == Some(&b'V') {
            self.at += padding + 1;
            self.small_number()?;
            self.skip_numbers(3)?;
        }
        Ok(())
    }
}
