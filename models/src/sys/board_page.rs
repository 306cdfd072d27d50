//! A page of words that a model checker watches.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use loom::sync::atomic;

use crate::orders::granted;

/// Those by which the two sides agree on something. Histograms and requests, each word of which is read for itself, are left out.
const WORDS: usize = 18;

/// A word, with what its access is granted of the order that it asks for.
pub struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    #[track_caller]
    pub fn load(&self, order: Ordering) -> u64 {
        self.0.load(granted(order))
    }

    #[track_caller]
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, granted(order));
    }

    #[track_caller]
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.0.swap(value, granted(order))
    }
}

/// A fence, if it is granted.
#[track_caller]
pub fn fence(order: Ordering) {
    if granted(order) == order {
        atomic::fence(order);
    }
}

pub struct BoardPage {
    words: Vec<AtomicU64>,
}

impl BoardPage {
    pub fn create() -> io::Result<(OwnedFd, BoardPage)> {
        let words = (0..WORDS).map(|_| AtomicU64(atomic::AtomicU64::new(0))).collect();
        Ok((std::fs::File::open("/dev/null")?.into(), BoardPage { words }))
    }

    /// Threads share a board itself.
    pub fn map(_: BorrowedFd) -> io::Result<BoardPage> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn word(&self, index: usize) -> &AtomicU64 {
        &self.words[index]
    }

    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }
}
