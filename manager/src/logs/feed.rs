//! What a stream of a process has written and no file has yet: the keeper's loop fills it, the writer's thread empties it.
//!
//! ```text
//!  bytes  | line\n | line\n | line\n | the beginning of a li
//!         0                          whole                  len
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::console::{Console, Dress};
use super::format::Stamp;
use super::sink::Plan;

/// Bytes that are held for one stream; then its program has to wait.
pub const MOST_HELD: usize = 8 << 20;
/// The longest record: a longer line is cut into several.
pub const LONGEST: usize = 1 << 20;

/// Lines up to `end` were read at `at` (ms since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where they end: bytes from the beginning of the batch.
    pub end: usize,
    /// When they were read.
    pub at: i64,
}

/// Whole lines, and when they were read.
#[derive(Debug, Default)]
pub struct Batch {
    /// The lines.
    pub bytes: Vec<u8>,
    /// Their times, in order; the last one ends where the lines end.
    pub marks: Vec<Mark>,
}

/// What is held, under the feed's lock.
#[derive(Default)]
pub struct Held {
    /// Lines, and what has come of the next one.
    pub bytes: Vec<u8>,
    whole: usize,
    marks: Vec<Mark>,
    /// Bytes that the writer has taken and not written yet.
    writing: usize,
    /// Whether the writer has been told.
    pub told: bool,
    /// Whether the loop wants to know when there is room again.
    pub wants_room: bool,
}

/// One stream of one process, between the two threads.
pub struct Feed {
    /// What stands beside its lines.
    pub stamp: Stamp,
    /// The files that they go into.
    pub plans: Vec<Arc<Plan>>,
    /// Where they go besides, and what they look like there.
    pub console: Option<(Arc<Console>, Dress)>,
    held: Mutex<Held>,
}

impl Feed {
    /// Holds nothing yet.
    pub fn new(stamp: Stamp, plans: Vec<Arc<Plan>>) -> Feed {
        Feed { stamp, plans, console: None, held: Mutex::default() }
    }

    /// Its lines go there as well.
    pub fn with(self, console: Option<Arc<Console>>) -> Feed {
        let console = console.map(|console| (Arc::clone(&console), console.dress(&self.stamp)));
        Feed { console, ..self }
    }

    /// What is held. A thread that has panicked leaves nothing half done in it.
    pub fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// All bytes of this stream that are not in a file.
    pub fn total(&self) -> usize {
        self.bytes.len() + self.writing
    }

    /// Whether there are whole lines.
    pub fn has_lines(&self) -> bool {
        self.whole > 0
    }

    /// Whether there are lines that are not in their files.
    pub fn is_waiting(&self) -> bool {
        self.whole > 0 || self.writing > 0
    }

    /// Bytes of the line whose end has not come.
    pub fn rest(&self) -> usize {
        self.bytes.len() - self.whole
    }

    /// Finds the lines in what was appended from `start` on.
    pub fn frame(&mut self, start: usize, at: i64) {
        self.cut_long_line(start);
        let start = start.max(self.whole);
        if let Some(last) = memchr::memrchr(b'\n', &self.bytes[start..]) {
            self.whole = start + last + 1;
        }
        self.mark(at);
    }

    /// Only the line whose beginning was there before can be too long: a single read brings less.
    fn cut_long_line(&mut self, start: usize) {
        if self.rest() <= LONGEST {
            return;
        }
        let mut end = memchr::memchr(b'\n', &self.bytes[start..]).map_or(self.bytes.len(), |end| start + end);
        while end - self.whole > LONGEST {
            let cut = character_before(&self.bytes, self.whole + LONGEST);
            self.bytes.insert(cut, b'\n');
            self.whole = cut + 1;
            end += 1;
        }
    }

    fn mark(&mut self, at: i64) {
        let done = self.marks.last().map_or(0, |mark| mark.end);
        if self.whole == done {
            return;
        }
        match self.marks.last_mut() {
            Some(last) if last.at == at => last.end = self.whole,
            _ => self.marks.push(Mark { end: self.whole, at }),
        }
    }

    /// The line whose end has not come gets one: nothing follows.
    pub fn end(&mut self, at: i64) {
        if self.rest() > 0 {
            self.bytes.push(b'\n');
            self.whole = self.bytes.len();
            self.mark(at);
        }
    }

    /// The line whose end has not come is given up. Returns whether there was one.
    pub fn drop_rest(&mut self) -> bool {
        let had = self.rest() > 0;
        self.bytes.truncate(self.whole);
        had
    }

    /// Takes all whole lines; `spare` is a buffer that may be used from now on.
    pub fn take(&mut self, mut spare: Vec<u8>) -> Batch {
        spare.clear();
        spare.extend_from_slice(&self.bytes[self.whole..]);
        let mut bytes = std::mem::replace(&mut self.bytes, spare);
        bytes.truncate(self.whole);
        self.writing += self.whole;
        self.whole = 0;
        self.told = false;
        Batch { bytes, marks: std::mem::take(&mut self.marks) }
    }

    /// Gives back the memory that is not used.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// So many bytes that were taken need not be held any more. Returns whether the loop wants to know.
    pub fn wrote(&mut self, bytes: usize) -> bool {
        self.writing = self.writing.saturating_sub(bytes);
        self.total() <= MOST_HELD / 2 && std::mem::take(&mut self.wants_room)
    }
}

/// The last place up to `at` that is not within a character, if this is text.
fn character_before(bytes: &[u8], at: usize) -> usize {
    let is_inner = |byte: u8| byte & 0xc0 == 0x80;
    let lead = (at.saturating_sub(3)..=at).rev().find(|place| !is_inner(bytes[*place]));
    match lead {
        Some(lead) if bytes[lead] >= 0xc0 || lead == at => lead,
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(held: &mut Held, bytes: &[u8], at: i64) {
        let start = held.bytes.len();
        held.bytes.extend_from_slice(bytes);
        held.frame(start, at);
    }

    #[test]
    fn lines_come_whole_and_know_when_they_were_read() {
        let mut held = Held::default();
        feed(&mut held, b"one\ntw", 1);
        feed(&mut held, b"o", 2);
        feed(&mut held, b"\nthree\nfo", 3);
        feed(&mut held, b"ur\n", 3);
        feed(&mut held, b"rest", 4);
        let batch = held.take(Vec::new());
        assert_eq!(batch.bytes, b"one\ntwo\nthree\nfour\n");
        assert_eq!(batch.marks, [Mark { end: 4, at: 1 }, Mark { end: 19, at: 3 }]);
        assert_eq!((held.total(), held.has_lines()), (23, false));
        held.end(5);
        assert_eq!(held.take(Vec::new()).bytes, b"rest\n");
        held.wrote(24);
        assert_eq!(held.total(), 0);
    }

    #[test]
    fn a_record_that_is_too_long_is_cut_between_characters() {
        let text = format!("x{}\nend\n", "ö".repeat(LONGEST + 2));
        let mut held = Held::default();
        for chunk in text.as_bytes().chunks(100_000) {
            feed(&mut held, chunk, 1);
        }
        let batch = held.take(Vec::new());
        let whole = String::from_utf8(batch.bytes).unwrap();
        assert!(whole.lines().all(|line| line.len() <= LONGEST));
        assert_eq!(whole.lines().count(), 4);
        assert_eq!(whole.replace('\n', ""), text.replace('\n', ""));
        assert!(held.rest() == 0);
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_where_they_are_too_long() {
        let mut held = Held::default();
        feed(&mut held, &vec![0x80; LONGEST - 1], 1);
        feed(&mut held, &[0x80; 10], 1);
        feed(&mut held, b"\n", 1);
        let bytes = held.take(Vec::new()).bytes;
        let lengths: Vec<usize> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        assert_eq!(lengths, [LONGEST, 9, 0]);
    }
}
