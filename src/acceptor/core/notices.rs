//! What workers say, and give back.

use std::io;
use std::mem;
use std::os::fd::AsFd;

use crate::connection_queue::{self, Connection, Notice};
use crate::sys::poll::Interest;
use crate::sys::{clock, descriptors, socket};

use super::super::listener::Fit;
use super::super::times::{RETRY, RETRY_SOON};
use super::super::worker::Worker;
use super::{Core, Homeless, take_back};

/// Notices read from one worker before the others have their turn.
const NOTICES: usize = 64;

/// More than the kernel queues.
const ALL_NOTICES: usize = 4096;

/// How often the notices of one that is gone are looked for.
const LAST_TRIES: usize = 6;

/// The most connections that one worker has given back may wait here at a time, unless descriptors are few.
const MOST_HELD: usize = 1024;

/// Why one is given up whose queue has an end.
const SHUT: &str = "it has shut its connection queue down";

/// Why one is given up whose queue fails again and again.
pub(super) const DEFECT: &str = "its connection queue does not work";

impl Core {
    /// What it has said by now, or a part of that.
    pub(super) fn read_some_notices(&mut self, worker: &mut Worker, place: usize) {
        self.read_notices(worker, place, NOTICES);
    }

    /// All that it has said by now.
    pub(super) fn read_all_notices(&mut self, worker: &mut Worker, place: usize) {
        self.read_notices(worker, place, ALL_NOTICES);
    }

    /// All that one has left that is gone: what it has given back, and what it has not taken. Returns whether nothing is left: that for
    /// which there is no descriptor now has to wait, and so has that which the kernel refuses.
    pub(super) fn take_rest(&mut self, worker: &mut Worker) -> bool {
        // What fails need not fail again.
        let heard = (0..LAST_TRIES).fold(false, |_, _| self.read_last_notices(worker));
        take_back(worker, &mut self.homeless) && heard
    }

    /// What it has given back. Nothing else counts any more.
    fn read_last_notices(&mut self, worker: &mut Worker) -> bool {
        let now = clock::monotonic_ns();
        for _ in 0..ALL_NOTICES {
            let queue = worker.ends().queue.as_fd();
            if !worker.is_sound() {
                return true;
            }
            if !descriptors::room_for(1, queue) {
                self.shortage(now);
                return false;
            }
            let may = match connection_queue::receive_notice(queue, Some(worker.number)) {
                Ok(None) => return true,
                Ok(Some(Notice::Closed(connection) | Notice::Moved(connection) | Notice::Full(connection))) => {
                    self.take(worker, connection, now)
                }
                Ok(Some(Notice::Available(_) | Notice::TurnOver)) => true,
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                    false
                }
                Err(_) => return false,
            };
            if !may {
                worker.give_up();
            }
        }
        false
    }

    /// At most `limit` notices, and no more when a fair number of connections from this worker are held here.
    fn read_notices(&mut self, worker: &mut Worker, place: usize, limit: usize) {
        if !worker.is_sound() {
            return;
        }
        let now = clock::monotonic_ns();
        let held_up = mem::take(&mut worker.holds_too_many);
        let mut room = held_up.then(|| self.room_for(worker.number));
        for _ in 0..limit {
            let queue = worker.ends().queue.as_fd();
            if !descriptors::room_for(1, queue) {
                self.read_later(worker, place, now + RETRY.as_nanos() as u64);
                return self.shortage(now);
            }
            if room == Some(0) {
                worker.holds_too_many = true;
                return self.read_later(worker, place, now + RETRY_SOON.as_nanos() as u64);
            }
            let notice = match connection_queue::receive_notice(queue, Some(worker.number)) {
                Ok(None) => return worker.received(),
                Ok(Some(notice)) => notice,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.give_up(worker, place, "it has written nonsense into its connection queue");
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.give_up(worker, place, SHUT);
                }
                Err(_) => return self.receiving_failed(worker, place, now),
            };
            let may = match notice {
                Notice::TurnOver => worker.told(now),
                Notice::Available(listener) => self.set_full(listener, place, false) || worker.account.say(now),
                Notice::Full(connection) => {
                    self.set_full(connection.listener, place, true);
                    self.hold(&mut room, worker.number);
                    self.take(worker, connection, now)
                }
                // A worker that passes a connection on is leaving. It is not to get that one, nor others.
                Notice::Closed(connection) | Notice::Moved(connection) => {
                    if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                        listener.remove_member(place);
                    }
                    self.hold(&mut room, worker.number);
                    self.take(worker, connection, now)
                }
            };
            if !may {
                return self.give_up(
                    worker,
                    place,
                    "it floods its connection queue, or gives back what it was not given",
                );
            }
        }
    }

    /// One more is held here. `room`: for how many more there is, once that is known.
    fn hold(&self, room: &mut Option<usize>, number: u32) {
        *room = Some(room.unwrap_or_else(|| self.room_for(number)).saturating_sub(1));
    }

    /// A connection that the worker gives back. Returns whether it may.
    fn take(&mut self, worker: &mut Worker, connection: Connection, now: u64) -> bool {
        let listener = self.listeners.get(&connection.listener);
        let fit = listener.map_or(Fit::Well, |listener| listener.fits(connection.fd.as_fd()));
        let may = fit != Fit::Not
            && worker.has_served(connection.listener)
            && worker.returns_one(fit == Fit::Well, connection.listener, now);
        if may {
            self.homeless.push(Homeless { connection, heir: worker.heir });
        }
        may
    }

    /// How many more connections may wait here that this worker gives back.
    fn room_for(&self, number: u32) -> usize {
        let homeless = self.homeless.iter().filter(|homeless| homeless.connection.from == Some(number)).count();
        let held = self.listeners.values().map(|listener| listener.held_from(number)).sum::<usize>() + homeless;
        descriptors::fair_share().clamp(1, MOST_HELD).saturating_sub(held)
    }

    /// The kernel has refused to receive from the worker.
    fn receiving_failed(&mut self, worker: &mut Worker, place: usize, now: u64) {
        match worker.receiving_failed(now) {
            Some(until) => self.read_later(worker, place, until),
            None => self.give_up(worker, place, DEFECT),
        }
    }

    /// What the worker says waits until then.
    fn read_later(&mut self, worker: &Worker, place: usize, until: u64) {
        let _ = self.poller.set_interest(worker.ends().queue.as_fd(), place as u64, Interest::None);
        self.unread.retain(|(unread, _)| *unread != place);
        self.unread.push((place, until));
    }

    /// Notices that had to wait are reported again by the poller.
    pub(super) fn read_again(&mut self, now: u64) {
        if self.unread.iter().all(|(_, until)| now < *until) {
            return;
        }
        for (place, until) in mem::take(&mut self.unread) {
            let Some(worker) = self.workers.get(place).filter(|worker| worker.is_sound()) else { continue };
            let queue = worker.ends().queue.as_fd();
            if now < until {
                self.unread.push((place, until));
            } else if self.poller.set_interest(queue, place as u64, Interest::Each).is_err() {
                self.unread.push((place, now + RETRY_SOON.as_nanos() as u64));
            }
        }
    }

    /// The worker gets nothing any more and is not listened to. What it has not taken goes to others.
    pub(super) fn give_up(&mut self, worker: &mut Worker, place: usize, why: &'static str) {
        if !worker.give_up() {
            return;
        }
        let queue = worker.ends().queue.as_fd();
        let _ = self.poller.remove(queue);
        // It need not wait for somebody to read what it says.
        socket::shut_down(queue);
        self.unread.retain(|(unread, _)| *unread != place);
        for listener in self.listeners.values_mut() {
            listener.lose_worker(place);
        }
        if !take_back(worker, &mut self.homeless) {
            self.unemptied.push(place);
        }
        // One that is gone is nobody's any more.
        if self.workers.place_of(worker.number).is_some() {
            (self.on_given_up)(worker.number, why);
        }
    }

    /// The same, if it has shut its queue down so that nothing can be sent to it.
    pub(super) fn give_up_if_shut(&mut self, place: usize) {
        if self.workers.get(place).is_some_and(Worker::has_shut_queue)
            && let Some(mut worker) = self.workers.borrow(place)
        {
            self.give_up(&mut worker, place, SHUT);
            self.workers.give_back(place, worker);
        }
    }

    /// Takes back what could not be taken back before from those that get nothing any more.
    pub(super) fn empty_queues(&mut self, now: u64) {
        let (workers, homeless) = (&mut self.workers, &mut self.homeless);
        self.unemptied.retain(|place| workers.get_mut(*place).is_some_and(|worker| !take_back(worker, homeless)));
        let mut given_up = false;
        let mut departed = mem::take(&mut self.departed);
        departed.retain_mut(|(worker, until)| {
            let leaves_some = !self.take_rest(worker);
            given_up |= leaves_some && now >= *until;
            leaves_some && now < *until
        });
        self.departed = departed;
        if given_up {
            (self.warn)("connections that waited for a worker which is gone could not be taken back");
        }
    }

    fn set_full(&mut self, listener: u32, place: usize, full: bool) -> bool {
        self.listeners.get_mut(&listener).is_some_and(|listener| listener.set_full(place, full))
    }
}
