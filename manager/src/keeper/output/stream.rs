//! One stream of one process, as it is read.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use jiff::Timestamp;

use crate::logs::feed::{self, Feed, Held};
use crate::logs::writer::Writer;
use crate::sys::pipe;

/// The most bytes of one read.
const CHUNK: usize = 1 << 20;
/// What the pipe of a busy program holds.
pub const LARGE_PIPE: usize = 1 << 20;
/// How long (ms) a program waits for the disk.
pub const PATIENCE: u64 = 1000;
/// How long (ms) a busy stream is left alone, so that there is more to read at once: less than the step in which times are kept.
const PAUSE: u64 = 8;
/// Reads in a row that make a stream a busy one.
const BUSY: u32 = 4;

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When the poller says that there is something.
    Told,
    /// At this time (ms), whatever the poller says.
    Later(u64),
    /// Not before there is room; at this time (ms) patience is over.
    Full(u64),
    /// What comes is dropped until there is room.
    Dropping,
}

/// One stream of one process.
pub struct Output {
    /// Our end.
    pub pipe: OwnedFd,
    /// What has come of it.
    pub feed: Arc<Feed>,
    /// How it is read.
    pub pace: Pace,
    /// When (ms) it was read last, and how often in a row with hardly a pause.
    last_read: u64,
    in_a_row: u32,
    /// Bytes that its pipe holds.
    capacity: usize,
    /// Lines that were dropped and not told of yet.
    dropped: u64,
    /// Whether the rest of the line is dropped as well.
    within_dropped: bool,
}

/// What reading has brought.
enum Got {
    /// So many bytes.
    Some(usize),
    /// Nothing at the moment.
    Nothing,
    /// Nothing any more.
    End,
}

impl Output {
    /// One of which nothing has been read.
    pub fn new(pipe: OwnedFd, feed: Arc<Feed>) -> Output {
        Output {
            capacity: pipe::capacity(&pipe),
            pipe,
            feed,
            pace: Pace::Told,
            last_read: 0,
            in_a_row: 0,
            dropped: 0,
            within_dropped: false,
        }
    }

    /// Reads once. Returns whether more may come.
    pub fn read(&mut self, now: u64, writer: &Writer, scratch: &mut Vec<u8>) -> bool {
        self.in_a_row = if now <= self.last_read + PAUSE + 2 { self.in_a_row.saturating_add(1) } else { 0 };
        self.last_read = now;
        let feed = Arc::clone(&self.feed);
        let mut held = feed.lock();
        if self.pace == Pace::Dropping {
            if held.total() > feed::MOST_HELD / 2 {
                drop(held);
                return self.discard(writer, scratch);
            }
            self.pace = Pace::Told;
        }
        if held.total() >= feed::MOST_HELD {
            self.pace = Pace::Full(now + PATIENCE);
            held.wants_room = true;
            return true;
        }
        let is_open = match self.take(&mut held) {
            Got::End => {
                self.end(&mut held);
                false
            }
            Got::Nothing => {
                self.pace = Pace::Told;
                true
            }
            Got::Some(count) => {
                let is_much = count >= self.capacity / 4;
                if is_much && self.capacity < LARGE_PIPE && pipe::grow(&self.pipe, LARGE_PIPE) {
                    self.capacity = LARGE_PIPE;
                }
                self.pace = if self.in_a_row >= BUSY && !is_much { Pace::Later(now + PAUSE) } else { Pace::Told };
                true
            }
        };
        self.pass_on(held, writer);
        is_open
    }

    /// Reads what is in the pipe now, to the last byte. What others add meanwhile is read later.
    pub fn drain(&mut self, now: u64, writer: &Writer, scratch: &mut Vec<u8>) -> bool {
        let mut left = pipe::waiting(&self.pipe);
        loop {
            if self.feed.lock().total() >= feed::MOST_HELD || self.pace == Pace::Dropping {
                // The disk has not kept up, and nobody waits any more.
                return self.read(now, writer, scratch);
            }
            let feed = Arc::clone(&self.feed);
            let mut held = feed.lock();
            let got = self.take(&mut held);
            if matches!(got, Got::End) {
                self.end(&mut held);
            }
            self.pass_on(held, writer);
            match got {
                Got::End => return false,
                Got::Nothing => return true,
                Got::Some(count) if count >= left => left = 0,
                Got::Some(count) => left -= count,
            }
            if left == 0 && pipe::waiting(&self.pipe) > 0 {
                return true;
            }
        }
    }

    fn take(&mut self, held: &mut Held) -> Got {
        let start = held.bytes.len();
        let most = pipe::waiting(&self.pipe).clamp(1, CHUNK);
        let count = loop {
            match pipe::read_into(&self.pipe, &mut held.bytes, most) {
                Ok(0) => return Got::End,
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Got::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Got::End,
            }
        };
        if self.within_dropped {
            let end = memchr::memchr(b'\n', &held.bytes[start..]);
            held.bytes.drain(start..end.map_or(held.bytes.len(), |end| start + end + 1));
            self.within_dropped = end.is_none();
        }
        let at = now();
        if self.dropped > 0 && !self.within_dropped {
            let note = self.note();
            held.bytes.splice(start..start, note);
        }
        held.frame(start, at);
        Got::Some(count)
    }

    fn note(&mut self) -> Vec<u8> {
        let count = std::mem::take(&mut self.dropped);
        let who = if self.feed.console.is_some() { "whoever reads them" } else { "the disk" };
        format!("[rcluster] {count} lines were dropped: {who} was too slow\n").into_bytes()
    }

    fn end(&mut self, held: &mut Held) {
        held.end(now());
        if self.dropped > 0 {
            self.tell_dropped(held);
        }
    }

    /// The disk has not caught up: what comes is counted and not kept.
    pub fn begin_dropping(&mut self) {
        let feed = Arc::clone(&self.feed);
        let mut held = feed.lock();
        self.pace = Pace::Dropping;
        self.within_dropped = held.drop_rest();
        self.dropped += u64::from(self.within_dropped);
        held.wants_room = true;
    }

    /// There is room again: what is missing is said at once, as nothing else may come.
    pub fn end_dropping(&mut self, writer: &Writer) {
        self.pace = Pace::Told;
        if self.dropped > 0 && !self.within_dropped {
            let feed = Arc::clone(&self.feed);
            let mut held = feed.lock();
            self.tell_dropped(&mut held);
            self.pass_on(held, writer);
        }
    }

    fn tell_dropped(&mut self, held: &mut Held) {
        let (start, note) = (held.bytes.len(), self.note());
        held.bytes.extend_from_slice(&note);
        held.frame(start, now());
    }

    /// Reads what there is and counts its lines.
    fn discard(&mut self, writer: &Writer, scratch: &mut Vec<u8>) -> bool {
        scratch.clear();
        match pipe::read_into(&self.pipe, scratch, CHUNK) {
            Ok(0) => {
                self.within_dropped = false;
                let feed = Arc::clone(&self.feed);
                let mut held = feed.lock();
                self.end(&mut held);
                self.pass_on(held, writer);
                false
            }
            Ok(_) => {
                let is_counted = self.within_dropped;
                self.within_dropped = scratch.last() != Some(&b'\n');
                let ends = memchr::memchr_iter(b'\n', scratch).count() as u64;
                self.dropped += ends + u64::from(self.within_dropped) - u64::from(is_counted);
                true
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    fn pass_on(&self, mut held: std::sync::MutexGuard<'_, Held>, writer: &Writer) {
        if held.has_lines() && !std::mem::replace(&mut held.told, true) {
            drop(held);
            writer.tell(&self.feed);
        }
    }
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::Stamp;
    use crate::logs::margin::Source;
    use crate::logs::place::Stream;
    use crate::sys::spawn;
    use std::io::Write;

    #[test]
    fn lines_that_are_dropped_are_counted_once_wherever_they_are_cut() {
        let (pipe, write) = spawn::output_pipe().unwrap();
        let source = Source { pid: 1, instance: 0, stream: Stream::Out };
        let stamp = Stamp { format: crate::model::LogFormat::Raw, date: None, app: "a".into(), source };
        let mut output = Output::new(pipe, Arc::new(Feed::new(stamp, Vec::new())));
        let (writer, mut scratch, mut write) = (Writer::new().unwrap(), Vec::new(), std::fs::File::from(write));
        let mut put = |text: &str| write.write_all(text.as_bytes()).unwrap();
        put("kept\ncut ");
        assert!(output.read(0, &writer, &mut scratch));
        output.begin_dropping();
        for part in ["off\ntwo\nthr", "ee", "\n", "four ", "goes on"] {
            put(part);
            assert!(output.discard(&writer, &mut scratch));
        }
        put(" and ends\nagain\n");
        output.end_dropping(&writer);
        assert!(output.read(0, &writer, &mut scratch));
        let text = output.feed.lock().take(Vec::new()).bytes;
        let note = "[rcluster] 4 lines were dropped: the disk was too slow";
        assert_eq!(String::from_utf8(text).unwrap(), format!("kept\n{note}\nagain\n"));
    }
}
