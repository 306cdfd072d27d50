//! What a process writes to one of its streams, on its way into the log.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use crate::logs::format::Stamp;
use crate::logs::sink::Sink;

/// Bytes of one read.
const CHUNK: usize = 64 * 1024;
/// Reads before others have their turn.
const READS: usize = 16;
/// A line that is longer is cut into lines.
const LONGEST_LINE: usize = 1 << 20;

/// A stream of a process.
pub struct Output {
    pipe: File,
    /// A line whose end has not come.
    rest: Vec<u8>,
    sink: Rc<RefCell<Sink>>,
    stamp: Stamp,
}

impl Output {
    /// Of a pipe that does not block.
    pub fn new(pipe: OwnedFd, sink: Rc<RefCell<Sink>>, stamp: Stamp) -> Output {
        Output { pipe: File::from(pipe), rest: Vec::new(), sink, stamp }
    }

    fn write(&self, lines: &[u8]) {
        if self.stamp.is_raw() {
            self.sink.borrow_mut().write(lines);
        } else {
            self.sink.borrow_mut().write(&self.stamp.lines(lines));
        }
    }

    /// Passes on what has come. Returns whether more may come.
    pub fn pass_on(&mut self) -> bool {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..READS {
            match self.pipe.read(&mut chunk) {
                Ok(0) => {
                    self.end();
                    return false;
                }
                Ok(count) => self.take(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn take(&mut self, bytes: &[u8]) {
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => {
                let (whole, rest) = bytes.split_at(last + 1);
                if self.rest.is_empty() {
                    self.write(whole);
                } else {
                    self.rest.extend_from_slice(whole);
                    let lines = std::mem::take(&mut self.rest);
                    self.write(&lines);
                }
                self.rest.extend_from_slice(rest);
            }
            None => self.rest.extend_from_slice(bytes),
        }
        if self.rest.len() > LONGEST_LINE {
            self.end();
        }
    }

    /// The last line, or a part of one that is too long, gets an end of its own.
    fn end(&mut self) {
        if !self.rest.is_empty() {
            self.rest.push(b'\n');
            let line = std::mem::take(&mut self.rest);
            self.write(&line);
        }
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
