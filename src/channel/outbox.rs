//! What is to be written, in order.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::frame::{BATCH_OFFSET, HEADER, Header, Kind};
use crate::sys::descriptors::MAX_FDS;

/// Small frames are gathered into pieces of about this size.
const GATHER: usize = if cfg!(feature = "fuzzing") { 1024 } else { 64 * 1024 };
/// Pieces given to the kernel in one call.
const SLICES: usize = if cfg!(feature = "fuzzing") { 4 } else { 16 };

/// Bytes that live elsewhere until they are written.
pub trait Payload {
    /// The bytes; the same ones each time.
    fn bytes(&self) -> &[u8];
}

impl Payload for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

enum Bytes {
    Gathered(Vec<u8>),
    Whole(Box<dyn Payload>),
}

struct Piece {
    bytes: Bytes,
    /// Go with the first byte.
    fds: Vec<OwnedFd>,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Gathered(bytes) => bytes,
            Bytes::Whole(payload) => payload.bytes(),
        }
    }
}

/// The frame cannot be sent: it is longer than the format allows.
#[derive(Debug)]
pub struct TooLong;

/// A queue of frames, partly written.
#[derive(Default)]
pub struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are written.
    written: usize,
    queued: usize,
    pushed: u64,
}

impl Outbox {
    /// Bytes that were ever pushed.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Bytes that are not written yet.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Adds a frame whose payload `fill` appends to the vector that it is given.
    pub fn push_with<E: From<TooLong>>(
        &mut self,
        kind: Kind,
        fds: Vec<OwnedFd>,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = fds.len() as u8;
        let (bytes, starts_batch) = self.gathering(fds);
        let batch = if starts_batch { count } else { 0 };
        let start = bytes.len();
        bytes.extend_from_slice(&[0; HEADER]);
        let filled = fill(bytes);
        let length = bytes.len() - start - HEADER;
        match (Header { length, kind, fds: count, batch }.encode(), filled) {
            (Some(header), Ok(())) => bytes[start..start + HEADER].copy_from_slice(&header),
            (_, failed) => {
                bytes.truncate(start);
                self.take_back_descriptors(usize::from(count));
                return Err(failed.err().unwrap_or(TooLong.into()));
            }
        }
        self.queued += HEADER + length;
        self.pushed += (HEADER + length) as u64;
        Ok(())
    }

    /// Adds a frame whose payload stays where it is until it is written.
    pub fn push_whole(&mut self, kind: Kind, payload: Box<dyn Payload>, fds: Vec<OwnedFd>) -> Result<(), TooLong> {
        let length = payload.bytes().len();
        let count = fds.len() as u8;
        let header = Header { length, kind, fds: count, batch: count }.encode().ok_or(TooLong)?;
        // Its descriptors are its own batch: the next frame is behind all of its bytes.
        self.pieces.push_back(Piece { bytes: Bytes::Gathered(header.to_vec()), fds });
        self.pieces.push_back(Piece { bytes: Bytes::Whole(payload), fds: Vec::new() });
        self.queued += HEADER + length;
        self.pushed += (HEADER + length) as u64;
        Ok(())
    }

    /// The same for a vector.
    pub fn push_vec(&mut self, kind: Kind, payload: Vec<u8>, fds: Vec<OwnedFd>) -> Result<(), TooLong> {
        self.push_whole(kind, Box::new(payload), fds)
    }

    /// The piece that the next frame goes to, with its descriptors; and whether the frame is the first of the piece.
    fn gathering(&mut self, mut fds: Vec<OwnedFd>) -> (&mut Vec<u8>, bool) {
        // The descriptors of a piece that is partly written have gone.
        let open = fds.is_empty() || self.written == 0 || self.pieces.len() > 1;
        let fits = open
            && matches!(self.pieces.back(), Some(Piece { bytes: Bytes::Gathered(bytes), fds: others })
                if bytes.len() < GATHER && others.len() + fds.len() <= MAX_FDS);
        if !fits {
            self.pieces.push_back(Piece { bytes: Bytes::Gathered(Vec::new()), fds: Vec::new() });
        }
        match self.pieces.back_mut() {
            Some(Piece { bytes: Bytes::Gathered(bytes), fds: others }) => {
                let starts = bytes.is_empty();
                if let Some(batch) = bytes.get_mut(BATCH_OFFSET) {
                    *batch += fds.len() as u8;
                }
                others.append(&mut fds);
                (bytes, starts)
            }
            _ => unreachable!("a gathered piece was just found or added"),
        }
    }

    /// The frame that was last begun is not sent.
    fn take_back_descriptors(&mut self, count: usize) {
        let Some(Piece { bytes: Bytes::Gathered(bytes), fds }) = self.pieces.back_mut() else { return };
        fds.truncate(fds.len().saturating_sub(count));
        match bytes.get_mut(BATCH_OFFSET) {
            Some(batch) => *batch -= count as u8,
            None => drop(self.pieces.pop_back()),
        }
    }

    /// Writes as much as the kernel takes now. Returns how many bytes are still queued.
    pub fn write(&mut self, socket: BorrowedFd) -> io::Result<usize> {
        while self.queued > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            let mut total = 0;
            for (index, piece) in self.pieces.iter().enumerate().take(SLICES) {
                // Descriptors go with a message's first byte, so that a piece that has some begins a message.
                if index > 0 && !piece.fds.is_empty() {
                    break;
                }
                let bytes = if index == 0 { &piece.bytes()[self.written..] } else { piece.bytes() };
                slices[index] = IoSlice::new(bytes);
                count += 1;
                total += bytes.len();
            }
            let numbers: Vec<_> = match self.pieces.front() {
                Some(first) if self.written == 0 => first.fds.iter().map(AsRawFd::as_raw_fd).collect(),
                _ => Vec::new(),
            };
            let sent = match crate::sys::scm::send(socket, &slices[..count], &numbers) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                other => other?,
            };
            self.advance(sent);
            if sent < total {
                // The kernel's buffer is full; trying again would only say so.
                break;
            }
        }
        Ok(self.queued)
    }

    fn advance(&mut self, mut sent: usize) {
        self.queued -= sent;
        while let Some(first) = self.pieces.front_mut() {
            let left = first.bytes().len() - self.written;
            if sent > 0 {
                // They have gone with the first byte.
                first.fds.clear();
            }
            if sent < left {
                self.written += sent;
                return;
            }
            sent -= left;
            self.written = 0;
            self.pieces.pop_front();
        }
    }
}
