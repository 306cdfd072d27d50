//! What a margin says of the lines of a file, in their order.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;

use super::super::margin::{self, Record};

/// Records that are read at once.
const BLOCK: u64 = 128;

/// A margin that is read along with its file.
#[derive(Default)]
pub struct Marks {
    file: Option<File>,
    next: u64,
    ahead: VecDeque<Record>,
    now: Option<Record>,
    /// Whether there is no more before the file itself has more.
    is_dry: bool,
}

impl Marks {
    /// From the record on that holds at a position.
    pub fn open(margin: &Path, position: u64) -> Marks {
        let file = File::open(margin).ok();
        let next = file.as_ref().map_or(0, |file| first(file, |record| record.position > position).saturating_sub(1));
        Marks { file, next, ..Marks::default() }
    }

    /// The file has more: so may the margin.
    pub fn refill(&mut self) {
        self.is_dry = false;
    }

    /// What holds at a position. Positions must grow.
    pub fn at(&mut self, position: u64) -> Option<Record> {
        loop {
            if self.ahead.is_empty() && !self.is_dry {
                self.load();
            }
            match self.ahead.front() {
                Some(record) if record.position <= position => self.now = self.ahead.pop_front(),
                _ => return self.now,
            }
        }
    }

    fn load(&mut self) {
        let Some(file) = &self.file else { return };
        let until = margin::count(file).min(self.next + BLOCK);
        self.ahead.extend((self.next..until).filter_map(|index| margin::record(file, index)));
        self.is_dry = until <= self.next;
        self.next = until;
    }
}

/// The number of the first record of which something is true that is true of all that follow.
pub fn first(file: &File, is_true: impl Fn(&Record) -> bool) -> u64 {
    let (mut low, mut high) = (0, margin::count(file));
    while low < high {
        let middle = low + (high - low) / 2;
        match margin::record(file, middle) {
            Some(record) if !is_true(&record) => low = middle + 1,
            _ => high = middle,
        }
    }
    low
}
