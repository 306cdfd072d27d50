//! From those who wait to workers.

use std::mem;

use crate::connection_queue::Connection;

use super::super::listener::Listener;
use super::super::worker::{Unsent, Worker};
use super::super::workers::Workers;
use super::notices::DEFECT;
use super::{Core, Homeless, take_back};

impl Core {
    /// Connections that came back go to the head of their listener's line; without a listener they are closed.
    pub(super) fn place_homeless(&mut self, now: u64) {
        for Homeless { connection, heir } in self.homeless.drain(..).rev() {
            if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                listener.return_connection(connection, heir, &self.workers, now);
            }
        }
    }

    /// Gives those who wait for this listener to whom can take them.
    pub(super) fn serve(&mut self, id: u32, now: u64) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            serve(listener, &mut self.workers, &mut self.dirty, self.processors, now);
        }
    }

    /// Gives those who wait to whom can take them, and decides whether to accept more.
    pub(super) fn serve_parked(&mut self, now: u64) {
        for listener in self.listeners.values_mut().filter(|listener| !listener.is_settled()) {
            serve(listener, &mut self.workers, &mut self.dirty, self.processors, now);
            if !listener.may_accept(&self.workers, now) || listener.holds_any() {
                // Ask first and look again afterwards, so that a turn that ends in between is not missed.
                for member in listener.members() {
                    if let Some(worker) = self.workers.get_mut(member.place) {
                        worker.ask_to_be_told();
                    }
                }
                serve(listener, &mut self.workers, &mut self.dirty, self.processors, now);
            }
            listener.decide(&self.workers, now);
        }
    }

    pub(super) fn flush(&mut self, now: u64) {
        let mut dirty = mem::take(&mut self.dirty);
        let (mut sent, mut ran_out) = (false, false);
        for place in dirty.drain(..) {
            let Some(worker) = self.workers.get_mut(place) else { continue };
            self.lookout.watch(place, worker, now);
            let Err((why, unsent)) = worker.flush(now) else {
                sent = true;
                continue;
            };
            for connection in &unsent {
                if let Some(listener) = self.listeners.get_mut(&connection.listener) {
                    listener.was_not_taken(place);
                }
            }
            let again = |connection: Connection| Homeless { heir: who_waits(worker, &connection), connection };
            self.homeless.extend(unsent.into_iter().map(again));
            match why {
                // Tried again by and by, with others that can take what could not be sent.
                Unsent::Full | Unsent::Failed => {}
                Unsent::OutOfDescriptors => ran_out = true,
                Unsent::FailedForGood => {
                    if let Some(mut worker) = self.workers.borrow(place) {
                        self.give_up(&mut worker, place, DEFECT);
                        self.workers.give_back(place, worker);
                    }
                }
            }
        }
        self.dirty = dirty;
        if ran_out {
            self.shortage(now);
        }
        for listener in self.listeners.values_mut() {
            if ran_out {
                listener.pause(now);
            } else if sent {
                listener.has_room_again();
            }
        }
    }

    /// Takes back what waits for workers that are stuck.
    pub(super) fn watch_workers(&mut self, now: u64) {
        for place in self.lookout.look(&mut self.workers, self.crowding, now) {
            // At the end of it all it keeps what it has got: the others may be about to leave.
            if self.listeners.values().any(|listener| listener.is_finished() && listener.has_member(place)) {
                continue;
            }
            // Where nobody would serve them sooner they stay: one whose every turn takes that long would never find any. But what a
            // worker has no descriptors for comes to it one by one the next time.
            let one_by_one = self.workers.get(place).is_some_and(Worker::is_out_of_descriptors);
            if !one_by_one
                && !self.listeners.values().any(|listener| listener.can_serve_instead(place, &self.workers, now))
            {
                continue;
            }
            let known = self.homeless.len();
            let Some(worker) = self.workers.get_mut(place) else { continue };
            take_back(worker, &mut self.homeless);
            let taken_back = self.homeless.split_off(known);
            for homeless in taken_back {
                let Some(listener) = self.listeners.get_mut(&homeless.connection.listener) else { continue };
                // What only this one serves is sent to it again at once, so that the end of its turn finds it there.
                let is_only_its = !one_by_one
                    && (listener.serves_alone(place, &self.workers, now)
                        || listener.waits_for(place, &homeless.connection, &self.workers, now));
                if is_only_its {
                    enqueue(&mut self.workers, &mut self.dirty, place, homeless.connection);
                    continue;
                }
                listener.was_not_taken(place);
                let heir = self.workers.get(place).and_then(|worker| who_waits(worker, &homeless.connection));
                self.homeless.push(Homeless { heir, ..homeless });
            }
            self.give_up_if_shut(place);
        }
    }

    /// Looks whether workers accept from the sockets that they have as their own. Returns when (ns) the next look is due.
    pub(super) fn look_at_sockets(&mut self, now: u64) -> Option<u64> {
        let workers = &mut self.workers;
        self.listeners.values_mut().filter_map(|listener| listener.look_at_sockets(workers, now)).min()
    }
}

/// Who is to have what this worker has not taken: one that has been served stays its own, or it moves once more in vain.
fn who_waits(worker: &Worker, connection: &Connection) -> Option<u32> {
    if connection.left == 0 { worker.heir } else { Some(worker.number) }
}

fn serve(listener: &mut Listener, workers: &mut Workers, dirty: &mut Vec<usize>, processors: usize, now: u64) {
    listener.share_out(processors);
    while let Some((place, connection)) = listener.next_served(workers, now) {
        enqueue(workers, dirty, place, connection);
    }
}

fn enqueue(workers: &mut Workers, dirty: &mut Vec<usize>, place: usize, connection: Connection) {
    if let Some(worker) = workers.get_mut(place)
        && worker.enqueue(connection)
    {
        dirty.push(place);
    }
}
