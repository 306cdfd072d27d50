//! The orders that accesses of the board ask for: which there are, and one of them left out.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// An access, by its line in the board's source.
pub type Line = u32;

static MET: Mutex<BTreeSet<Line>> = Mutex::new(BTreeSet::new());
static LEFT_OUT: Mutex<Option<Line>> = Mutex::new(None);

/// The lines of all accesses so far that have asked for an order.
pub fn met() -> BTreeSet<Line> {
    MET.lock().unwrap().clone()
}

/// From now on what this line asks for is left out.
pub fn leave_out(line: Option<Line>) {
    *LEFT_OUT.lock().unwrap() = line;
}

/// What an access gets that asks for `order`.
#[track_caller]
pub(crate) fn granted(order: Ordering) -> Ordering {
    let line = Location::caller().line();
    if order != Ordering::Relaxed {
        MET.lock().unwrap().insert(line);
    }
    if *LEFT_OUT.lock().unwrap() == Some(line) { Ordering::Relaxed } else { order }
}
