//! A log from a position on, line by line, from file to file, as far as it goes at the moment.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::super::margin;
use super::chain::{self, Piece};
use super::line::Line;
use super::marks::Marks;

/// Bytes of a read.
const CHUNK: usize = 64 * 1024;

enum Content {
    Plain { file: File, offset: u64 },
    Compressed(Box<MultiGzDecoder<File>>),
}

struct Open {
    content: Content,
    base: u64,
    /// The inode of the file that was the current one when it was opened; nothing of one that was set aside.
    current: Option<u64>,
    /// Whether it grows no further.
    is_complete: bool,
    marks: Marks,
}

/// A log that is being read.
pub struct Tail {
    log: PathBuf,
    home: PathBuf,
    /// The position of the next line.
    position: u64,
    open: Option<Open>,
    /// What was read and not given yet: the next line begins at `begin`.
    buffer: Vec<u8>,
    begin: usize,
    /// Up to where no end of a line was found.
    looked: usize,
}

impl Tail {
    /// From a position on, or from the first line after it that is still there.
    pub fn new(log: &Path, home: &Path, position: u64) -> Tail {
        let (log, home) = (log.to_owned(), home.to_owned());
        Tail { log, home, position, open: None, buffer: Vec::new(), begin: 0, looked: 0 }
    }

    /// The position of the next line.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next line; nothing when there is none at the moment.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.looked..]) {
                return Ok(Some(self.line(self.looked + end, 1)));
            }
            self.looked = self.buffer.len();
            if self.open.is_none() && !self.open_piece() {
                return Ok(None);
            }
            if self.read()? > 0 || self.is_replaced() {
                continue;
            }
            let Some(open) = &self.open else { continue };
            if !open.is_complete {
                return Ok(None);
            }
            if self.looked > self.begin {
                // Something died while it wrote this one.
                return Ok(Some(self.line(self.looked, 0)));
            }
            self.open = None;
            if !self.open_piece() {
                return Ok(None);
            }
        }
    }

    fn line(&mut self, end: usize, newline: usize) -> Line {
        let text = self.buffer[self.begin..end].to_vec();
        let record = self.open.as_mut().and_then(|open| open.marks.at(self.position));
        let start = self.position;
        self.position += (text.len() + newline) as u64;
        self.begin = end + newline;
        self.looked = self.begin;
        Line {
            text,
            at: record.map(|record| record.at),
            source: record.map(|record| record.source),
            start,
            after: self.position,
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let Some(open) = &mut self.open else { return Ok(0) };
        self.buffer.drain(..self.begin);
        self.looked -= self.begin;
        self.begin = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + CHUNK, 0);
        let result = match &mut open.content {
            Content::Plain { file, offset } => {
                file.read_at(&mut self.buffer[start..], *offset).inspect(|count| *offset += *count as u64)
            }
            Content::Compressed(decoder) => decoder.read(&mut self.buffer[start..]),
        };
        self.buffer.truncate(start + result.as_ref().map_or(0, |count| *count));
        open.marks.refill();
        match result {
            // An archive that is broken ends where it is broken.
            Err(_) if open.is_complete => Ok(0),
            other => other,
        }
    }

    /// Whether something has become of the file that means that there is more to read: it was emptied, or there is another one of
    /// its name, so that this one is complete.
    fn is_replaced(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        let (Some(inode), Content::Plain { file, offset }) = (open.current, &open.content) else { return false };
        let head =
            |path: &Path| File::open(path).ok().and_then(|file| margin::head(&file)).filter(|head| head.inode == inode);
        if fs::metadata(&self.log).is_ok_and(|data| data.ino() != inode) {
            open.current = None;
            open.is_complete = true;
            return true;
        }
        let is_shorter = file.metadata().is_ok_and(|data| data.len() < *offset);
        let base = head(&margin::path_of(&self.log, &self.home)).map_or(open.base, |head| head.base);
        if is_shorter || base != open.base {
            self.position = base;
            self.open = None;
            self.buffer.clear();
            (self.begin, self.looked) = (0, 0);
            return true;
        }
        false
    }

    /// Opens the file that the position is in.
    fn open_piece(&mut self) -> bool {
        for _ in 0..3 {
            let pieces = chain::pieces(&self.log, &self.home);
            let piece = pieces
                .iter()
                .find(|piece| self.position < piece.end)
                .or(pieces.last().filter(|piece| piece.is_current));
            let Some(piece) = piece else { return false };
            if self.position > piece.end {
                // It is not the log that it was.
                self.position = piece.base;
            }
            self.position = self.position.max(piece.base);
            // It may have been compressed or set aside since we have looked.
            if let Ok(open) = open(piece, self.position) {
                self.open = Some(open);
                self.buffer.clear();
                (self.begin, self.looked) = (0, 0);
                return true;
            }
        }
        false
    }
}

fn open(piece: &Piece, position: u64) -> io::Result<Open> {
    let file = File::open(&piece.path)?;
    let inode = file.metadata()?.ino();
    if piece.is_current && fs::metadata(&piece.path)?.ino() != inode {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    let offset = position - piece.base;
    let content = if piece.is_compressed {
        let mut decoder = MultiGzDecoder::new(file);
        io::copy(&mut (&mut decoder).take(offset), &mut io::sink())?;
        Content::Compressed(Box::new(decoder))
    } else {
        Content::Plain { file, offset }
    };
    let marks = Marks::open(&piece.margin, position);
    let current = piece.is_current.then_some(inode);
    Ok(Open { content, base: piece.base, current, is_complete: !piece.is_current, marks })
}
