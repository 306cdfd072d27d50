//! Lines of text that are read and written bit by bit.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of one read.
const CHUNK: usize = 4 * 1024;
/// The longest line: a longer one is no message.
const LONGEST: usize = 16 << 20;
/// The most that waits to be written to somebody who does not read.
const MOST_UNREAD: usize = 16 << 20;

/// One end of a stream of lines.
pub struct Lines {
    stream: File,
    got: Vec<u8>,
    unsent: Vec<u8>,
}

/// What reading has brought.
pub enum Got {
    /// Lines, without their ends; there may be more later.
    Lines(Vec<String>),
    /// The same, and these were the last.
    End(Vec<String>),
}

impl Lines {
    /// Over a descriptor that does not block.
    pub fn new(fd: OwnedFd) -> Lines {
        Lines { stream: File::from(fd), got: Vec::new(), unsent: Vec::new() }
    }

    /// All whole lines that have come.
    pub fn read(&mut self) -> Got {
        let mut chunk = [0; CHUNK];
        let ended = loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break true,
                Ok(count) => self.got.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break true,
            }
            if self.got.len() > LONGEST {
                break !self.got.contains(&b'\n');
            }
        };
        let whole = self.got.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.got.split_off(whole);
        let lines =
            String::from_utf8_lossy(&std::mem::replace(&mut self.got, rest)).lines().map(str::to_owned).collect();
        if ended { Got::End(lines) } else { Got::Lines(lines) }
    }

    /// Adds a line to what is to be written, and writes what can be. Returns whether some is left, or an error when the other
    /// side is gone or reads nothing.
    pub fn send(&mut self, line: &str) -> io::Result<bool> {
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.push(b'\n');
        if self.unsent.len() > MOST_UNREAD {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        self.flush()
    }

    /// Goes on to write. Returns as [`Lines::send`].
    pub fn flush(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;

    #[test]
    fn lines_cut_anywhere_come_whole_and_the_last_needs_an_end() {
        let (ours, theirs) = socket::channel().unwrap();
        let mut lines = Lines::new(ours);
        let mut other = File::from(theirs);
        other.write_all("one\ntw".as_bytes()).unwrap();
        assert!(matches!(lines.read(), Got::Lines(got) if got == ["one"]));
        other.write_all("ö\nthree".as_bytes()).unwrap();
        assert!(matches!(lines.read(), Got::Lines(got) if got == ["twö"]));
        drop(other);
        assert!(matches!(lines.read(), Got::End(got) if got.is_empty()));
    }

    #[test]
    fn what_nobody_reads_is_bounded() {
        let (ours, _theirs) = socket::channel().unwrap();
        let mut lines = Lines::new(ours);
        let long = "x".repeat(1 << 20);
        let refused = (0..64).find_map(|_| lines.send(&long).err());
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::OutOfMemory);
    }
}
