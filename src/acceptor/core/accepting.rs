//! From the kernel to those who wait.

use std::time::Duration;

use super::super::errand::End;
use super::super::listener::listener_of_late;
use super::super::sockets::MOST_AT_THE_END;
use super::super::times::RETRY;
use super::{Core, EPISODE};

/// Connections accepted from one socket before the others have their turn.
const BURST: usize = 32;

impl Core {
    /// Something has come to one of a listener's sockets.
    pub(super) fn on_listener(&mut self, id: u32, index: usize, now: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let Some(socket) = listener.sockets.get_mut(index) else { return };
        if socket.is_ours() {
            self.accept(id, index, now);
        } else if let Some(owner) = socket.owner().and_then(|owner| self.workers.get(owner)) {
            socket.arrived(owner, now);
        }
    }

    /// More has come on a connection whose header is waited for.
    pub(super) fn on_late(&mut self, token: u64, now: u64) {
        let (id, number) = listener_of_late(token);
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.on_late(number);
            self.serve(id, now);
        }
    }

    fn accept(&mut self, id: u32, index: usize, now: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if !listener.accepts() || !listener.has_room() {
            return;
        }
        if let Some(socket) = listener.sockets.get_mut(index).filter(|socket| socket.was_given()) {
            return socket.send_errand(BURST, &self.poller, now);
        }
        let end = listener.accept(index, BURST, now);
        let has_some = !listener.has_room() || !self.dirty.is_empty();
        match end {
            End::Enough | End::Empty => {}
            // There will be room when what has been accepted in this turn has been sent.
            End::OutOfDescriptors if has_some => {}
            End::OutOfDescriptors => {
                listener.pause(now);
                return self.shortage(now);
            }
            End::Later => listener.pause_shortly(now),
            End::Dead => {
                listener.close_socket(index, &self.poller);
                self.deaf(now);
            }
        }
        self.serve(id, now);
    }

    /// What has been accepted elsewhere is given to members. Returns how long to wait for what has not come back.
    pub(super) fn see_to_sockets(&mut self, now: u64) -> Option<Duration> {
        let (mut wait, mut shortage, mut late) = (None, false, Vec::new());
        for listener in self.listeners.values_mut().filter(|listener| listener.has_sockets_to_see_to()) {
            let mut seen = listener.see_to_sockets(&self.poller, now);
            late.append(&mut seen.late);
            shortage |= seen.shortage;
            if seen.failed && !listener.is_finished() {
                if seen.shortage { listener.pause(now) } else { listener.pause_shortly(now) }
            }
            if seen.unfinished {
                wait = Some(RETRY);
            }
        }
        if shortage {
            self.shortage(now);
        }
        for place in late {
            if let Some(mut worker) = self.workers.borrow(place) {
                self.give_up(&mut worker, place, "it makes the primary wait at its listening socket");
                self.workers.give_back(place, worker);
            }
        }
        wait
    }

    /// Accepts what has come to sockets that are about to be closed, and closes those where nothing is left.
    pub(super) fn drain_finished(&mut self, now: u64) {
        let (mut ran_out, mut deaf) = (false, false);
        for listener in self.listeners.values_mut().filter(|listener| listener.is_to_drain(now)) {
            let mut done = true;
            for index in 0..listener.sockets.len() {
                if listener.sockets[index].was_given() {
                    done &= listener.sockets[index].is_useless();
                    continue;
                }
                match listener.accept(index, MOST_AT_THE_END, now) {
                    End::Enough | End::Empty => {}
                    End::Dead => deaf = true,
                    End::OutOfDescriptors => (done, ran_out) = (false, true),
                    End::Later => done = false,
                }
            }
            if done {
                // Nothing is to be accepted any more.
                listener.forget(&self.poller);
                listener.sockets.clear();
            } else {
                listener.pause_shortly(now);
            }
        }
        if ran_out {
            self.shortage(now);
        }
        if deaf {
            self.deaf(now);
        }
    }

    pub(super) fn shortage(&mut self, now: u64) {
        if is_new(&mut self.shortage_at, now) {
            (self.warn)("the primary has run out of file descriptors: new connections wait until some are closed");
        }
    }

    fn deaf(&mut self, now: u64) {
        if is_new(&mut self.deaf_at, now) {
            (self.warn)(
                "a listening socket does not listen any more, as somebody has changed it: nothing comes from it",
            );
        }
    }
}

/// Whether this is not part of an episode that has been told of.
fn is_new(last: &mut Option<u64>, now: u64) -> bool {
    let before = last.replace(now);
    before.is_none_or(|before| now.saturating_sub(before) > EPISODE.as_nanos() as u64)
}
