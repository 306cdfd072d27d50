//! From the kernel to those who wait.

use crate::connection_queue::Connection;
use crate::sys::socket::Accepted;

use super::super::listener::{Listener, Watch};
use super::{Core, EPISODE, RETRY, RETRY_SOON};

/// Connections accepted from one socket before the others have their turn.
const BURST: usize = 32;

/// Connections accepted from a socket that is being closed: more than the backlogs that are common.
const MOST_AT_THE_END: usize = 4096;

/// Connections in a row that were over before they could be accepted, after which something else may be wrong.
const MOST_FAILURES: usize = 16;

/// Why no more was accepted from a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// So many are enough for one turn.
    Enough,
    /// There is nothing more.
    Empty,
    /// For want of a descriptor.
    OutOfDescriptors,
    /// The kernel does not want to, for now.
    Later,
    /// The socket is of no use any more.
    Dead,
}

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

    fn accept(&mut self, id: u32, index: usize, now: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if listener.watch != Watch::Accepting || !listener.has_room() {
            return;
        }
        let end = accept_from(listener, id, index, BURST);
        let has_some = !listener.has_room() || !self.dirty.is_empty();
        match end {
            End::Enough | End::Empty => {}
            // There will be room when what has been accepted in this turn has been sent.
            End::OutOfDescriptors if has_some => {}
            End::OutOfDescriptors => {
                listener.watch = Watch::Paused(now + RETRY.as_nanos() as u64);
                return self.shortage(now);
            }
            End::Later => listener.watch = Watch::Paused(now + RETRY_SOON.as_nanos() as u64),
            End::Dead => self.deaf(now),
        }
        self.serve(id, now);
    }

    /// Accepts what has come to sockets that are about to be closed, and closes those where nothing is left.
    pub(super) fn drain_finished(&mut self, now: u64) {
        let (mut ran_out, mut deaf) = (false, false);
        for (id, listener) in self.listeners.iter_mut().filter(|(_, listener)| listener.is_to_drain(now)) {
            let mut done = true;
            for index in 0..listener.sockets.len() {
                match accept_from(listener, *id, index, MOST_AT_THE_END) {
                    End::Enough | End::Empty => {}
                    End::Dead => deaf = true,
                    End::OutOfDescriptors => (done, ran_out) = (false, true),
                    End::Later => done = false,
                }
            }
            if done {
                listener.forget(&self.poller);
                listener.sockets.clear();
            } else {
                listener.watch = Watch::Paused(now + RETRY_SOON.as_nanos() as u64);
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

/// Accepts so many connections at most.
fn accept_from(listener: &mut Listener, id: u32, index: usize, most: usize) -> End {
    let mut failures = 0;
    for _ in 0..most {
        let Some(socket) = listener.sockets.get_mut(index) else { return End::Empty };
        match socket.accept() {
            Accepted::Connection(fd) => {
                failures = 0;
                listener.add(Connection::fresh(fd, id));
            }
            Accepted::Again if failures < MOST_FAILURES => failures += 1,
            Accepted::Again | Accepted::Later => return End::Later,
            Accepted::Empty => return End::Empty,
            Accepted::OutOfDescriptors => return End::OutOfDescriptors,
            Accepted::Dead => {
                socket.set_useless();
                return End::Dead;
            }
        }
    }
    End::Enough
}
