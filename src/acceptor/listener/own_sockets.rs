//! The sockets of a listener: ours, those that workers have, and those that they have had.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::{Listener, token};
use crate::acceptor::errand::{End, accept_some};
use crate::acceptor::sockets::{MOST_AT_THE_END, Socket};
use crate::acceptor::workers::Workers;
use crate::connection_queue::Connection;
use crate::sys::listen;
use crate::sys::poll::{Interest, Poller};

/// How accepting from sockets that workers have or have had goes on.
#[derive(Default)]
pub struct Errands {
    /// Some are on their way, or have to wait.
    pub unfinished: bool,
    /// Descriptors have run out.
    pub shortage: bool,
    /// They have, or the kernel refuses for another reason.
    pub failed: bool,
    /// Workers that have made us wait.
    pub late: Vec<usize>,
}

impl Listener {
    pub fn add_socket(&mut self, socket: Socket, poller: &Poller) -> io::Result<usize> {
        let free = self.sockets.iter().position(Socket::is_useless);
        let index = free.unwrap_or(self.sockets.len());
        let fd = socket.fd().ok_or(io::ErrorKind::NotFound)?;
        poller.add(fd, token(self.id, index), Interest::None)?;
        match self.sockets.get_mut(index) {
            Some(useless) => *useless = socket,
            None => self.sockets.push(socket),
        }
        Ok(index)
    }

    /// A socket of the worker's own on this address: the one that it has, one that nobody has ever had, or a new one.
    pub fn own_socket(&mut self, place: usize, backlog: i32, poller: &Poller) -> io::Result<OwnedFd> {
        let free = self.sockets.iter().position(|socket| socket.owner() == Some(place));
        let free = free.or_else(|| self.sockets.iter().position(Socket::is_free));
        let index = match free {
            Some(index) => index,
            None => self.another_socket(backlog, poller)?,
        };
        self.sockets[index].give(place)
    }

    /// One more on this address.
    fn another_socket(&mut self, backlog: i32, poller: &Poller) -> io::Result<usize> {
        let fd = self.any_socket().ok_or(io::ErrorKind::NotFound)?;
        let socket = Socket::new(listen::another(fd, backlog)?, false);
        self.backlog = backlog;
        self.add_socket(socket, poller)
    }

    /// One of its sockets.
    pub fn any_socket(&self) -> Option<BorrowedFd<'_>> {
        self.sockets.iter().find_map(Socket::fd)
    }

    /// The worker has no socket of its own any more.
    pub fn disown(&mut self, place: usize) {
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(place)) {
            socket.release();
        }
    }

    /// Whether somebody accepts from one of its sockets elsewhere, or is about to.
    pub fn has_sockets_to_see_to(&self) -> bool {
        self.sockets.iter().any(Socket::is_to_be_seen_to)
    }

    /// Looks after the sockets that workers have as their own. Returns when (ns) the next look is due.
    pub fn look_at_sockets(&mut self, workers: &mut Workers, now: u64) -> Option<u64> {
        let next =
            |socket: &mut Socket| [socket.look(workers, now), socket.rests_until(now)].into_iter().flatten().min();
        self.sockets.iter_mut().filter_map(next).min()
    }

    /// What has been accepted from sockets that workers have or have had, and what is left to be. Returns how that ended.
    pub fn see_to_sockets(&mut self, poller: &Arc<Poller>, now: u64) -> Errands {
        let mut seen = Errands::default();
        for index in 0..self.sockets.len() {
            if !self.sockets[index].is_to_be_seen_to() {
                continue;
            }
            let owner = self.sockets[index].owner();
            let (found, end, late) = self.sockets[index].collect(now);
            self.parked.extend(found.into_iter().map(|fd| Connection::accepted(fd, self.id, now)));
            seen.shortage |= end == Some(End::OutOfDescriptors);
            seen.failed |= matches!(end, Some(End::OutOfDescriptors | End::Later));
            seen.late.extend(owner.filter(|_| late));
            if self.sockets[index].is_to_be_seen_to() {
                self.leave_socket(index, poller, now);
                seen.unfinished |= self.sockets[index].is_to_be_seen_to();
            }
        }
        seen
    }

    /// Goes on with closing a socket. Somebody has to listen all the time.
    fn leave_socket(&mut self, index: usize, poller: &Arc<Poller>, now: u64) {
        let socket = &self.sockets[index];
        let alone = (socket.is_last() || socket.is_over()) && !self.finished && !self.sockets.iter().any(Socket::stays);
        if alone && self.another_socket(self.backlog, poller).is_err() {
            return self.sockets[index].wait(now);
        }
        if self.sockets[index].is_over() {
            self.sockets[index].close(poller);
        } else {
            self.sockets[index].send_errand(MOST_AT_THE_END, poller, now);
        }
    }

    /// Accepts so many connections at most from a socket that no worker has had.
    pub fn accept(&mut self, index: usize, most: usize, now: u64) -> End {
        let Listener { id, sockets, parked, .. } = self;
        let Some(socket) = sockets.get(index) else { return End::Empty };
        accept_some(most, || socket.accept(), |fd| parked.push_back(Connection::accepted(fd, *id, now)))
    }

    /// That one is of no use any more.
    pub fn close_socket(&mut self, index: usize, poller: &Poller) {
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.close(poller);
        }
    }

    /// Brings the poller up to date. Returns whether that was possible.
    pub fn sync(&mut self, poller: &Poller, now: u64) -> bool {
        let accepting = self.accepts();
        let id = self.id;
        let sockets = self.sockets.iter_mut().enumerate();
        sockets.fold(true, |done, (index, socket)| socket.sync(poller, token(id, index), accepting, now) && done)
    }

    /// Forgets the sockets before they are closed.
    pub fn forget(&mut self, poller: &Poller) {
        self.await_no_headers();
        for socket in &mut self.sockets {
            socket.forget(poller);
        }
    }
}
