//! The table of workers.
//!
//! A worker has a *number*, by which JavaScript and successions name it and which is never used again, so that what is said late of
//! one that is gone reaches nobody else; a *place* in the table, by which everything else does; and a *seat*, that of its supervisor or
//! the smallest that was free when it came, which its heir takes over.

use std::collections::BTreeMap;
use std::io;

use super::worker::{Worker, WorkerEnds};

/// More successions than are followed from one worker to the next.
const LONG_LINE: usize = 64;

/// Those who live.
#[derive(Default)]
pub struct Workers {
    places: Vec<Option<Worker>>,
    numbers: BTreeMap<u32, usize>,
    last_number: u32,
}

impl Workers {
    /// Takes a worker in, with that seat if it is said. Returns its place.
    pub fn add(&mut self, ends: WorkerEnds, seat: Option<u32>) -> io::Result<usize> {
        let number = self.last_number.checked_add(1).ok_or(io::ErrorKind::OutOfMemory)?;
        self.last_number = number;
        let place = self.places.iter().position(Option::is_none).unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let seat = seat.map_or_else(|| self.free_seat(), u64::from);
        self.places[place] = Some(Worker::new(ends, number, seat));
        self.numbers.insert(number, place);
        Ok(place)
    }

    fn free_seat(&self) -> u64 {
        (0..).find(|seat| self.iter().all(|worker| worker.seat != *seat)).unwrap_or(0)
    }

    /// Takes it out for good; whose heir it was has its heir instead.
    pub fn remove(&mut self, place: usize) -> Option<Worker> {
        let worker = self.places.get_mut(place)?.take()?;
        self.numbers.remove(&worker.number);
        for other in self.iter_mut() {
            other.lost_heir(&worker);
        }
        Some(worker)
    }

    /// Where the worker of this number is, if it is not gone.
    pub fn place_of(&self, number: u32) -> Option<usize> {
        self.numbers.get(&number).copied()
    }

    pub fn get(&self, place: usize) -> Option<&Worker> {
        self.places.get(place)?.as_ref()
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut Worker> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Takes it out for a moment.
    pub fn borrow(&mut self, place: usize) -> Option<Worker> {
        self.places.get_mut(place)?.take()
    }

    /// Puts it back.
    pub fn give_back(&mut self, place: usize, worker: Worker) {
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(worker);
        }
    }

    /// Places in the table, free ones included.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.places.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.places.iter_mut().flatten()
    }

    /// From now on `heir` inherits what comes back from `old`, and has its seat. Returns whether both live.
    pub fn succeed(&mut self, old: u32, heir: u32) -> bool {
        if self.heirs(Some(heir)).any(|place| self.place_of(old) == Some(place)) {
            return false;
        }
        let (Some(from), Some(to)) = (self.place_of(old), self.place_of(heir)) else { return false };
        let before = self.get_mut(from).and_then(|old| old.heir.replace(heir));
        let seat = self.get(from).map_or(0, |old| old.seat);
        if let Some(heir) = self.get_mut(to) {
            heir.seat = seat;
        }
        // Another one was meant before, which lives on.
        if let Some(place) = before.filter(|before| *before != heir).and_then(|before| self.place_of(before)) {
            let seat = self.free_seat();
            if let Some(former) = self.get_mut(place) {
                former.seat = seat;
            }
        }
        true
    }

    /// The places of this heir, of its heir, and so on.
    pub fn heirs(&self, first: Option<u32>) -> impl Iterator<Item = usize> {
        let next = |number: &u32| self.get(self.place_of(*number)?)?.heir;
        std::iter::successors(first, next).take(LONG_LINE).filter_map(|number| self.place_of(number))
    }
}
