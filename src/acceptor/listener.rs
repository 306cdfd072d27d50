//! What workers listen on together: one listening socket or several, those who serve it, and those who wait.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::connection_queue::Connection;
use crate::policy::Policy;
use crate::sys::poll::Poller;
use crate::sys::socket::{self, LocalName};

use super::members::Member;
use super::sockets::Socket;

#[cfg(any(test, feature = "fuzzing"))]
pub use self::proxied::PATIENCE as HEADER_PATIENCE;
use self::proxied::Proxied;
pub use self::proxied::{is_late, listener_of_late};
use self::watch::Watch;

mod own_sockets;
mod proxied;
mod serving;
mod watch;

/// Tokens of listening sockets have this bit, those of workers do not.
const LISTENER: u64 = 1 << 32;

/// Whether a connection can have come to a listener.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It can.
    Well,
    /// It can, where the network is special.
    Oddly,
    /// It cannot.
    Not,
}

/// A listener in the acceptor's books.
pub struct Listener {
    id: u32,
    /// One; or, when the kernel distributes, one for each worker that is or was a member.
    pub sockets: Vec<Socket>,
    /// Where they are bound to.
    name: Option<LocalName>,
    members: Vec<Member>,
    policy: Box<dyn Policy>,
    /// How many of those who wait now go to a member in its turn.
    quantum: usize,
    /// Accepted, or come back from a worker, and waiting for whoever can take it.
    parked: VecDeque<Connection>,
    /// Those of whom is still to be said whom they are from, where that counts.
    proxied: Option<Proxied>,
    /// How many wait in the lines of members.
    in_lines: usize,
    watch: Watch,
    /// What was last asked for, for a socket that nobody asks for.
    backlog: i32,
    /// It is closed as soon as what has come has been accepted.
    finished: bool,
    /// Another primary accepts from its sockets, and serves what waits here.
    handed_over: bool,
}

impl Listener {
    /// A listener with its first socket, which listens already.
    pub fn new(id: u32, socket: Socket, policy: Box<dyn Policy>, poller: &Arc<Poller>) -> io::Result<Listener> {
        let proxied = policy.trusted().map(|trusted| Proxied::new(trusted, id, poller));
        let mut listener = Listener {
            id,
            sockets: Vec::new(),
            name: socket.fd().and_then(socket::local_name),
            members: Vec::new(),
            policy,
            quantum: 1,
            parked: VecDeque::new(),
            proxied,
            in_lines: 0,
            watch: Watch::Waiting,
            backlog: 0,
            finished: false,
            handed_over: false,
        };
        listener.add_socket(socket, poller)?;
        Ok(listener)
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Those who wait for others are asked for anew: the newcomer may be the one that they belong to.
    pub fn add_member(&mut self, place: usize) {
        if self.has_member(place) {
            return;
        }
        self.members.push(Member::new(place));
        for member in &mut self.members {
            self.in_lines -= member.line.len();
            self.parked.extend(member.line.drain());
        }
    }

    /// Its process is gone. A socket that it had left before is the next one's.
    pub fn lose_process(&mut self, place: usize) {
        let backlog = self.backlog;
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(place)) {
            socket.inherit(backlog);
        }
        self.lose_worker(place);
    }

    /// Nothing that it does is trusted any more: it is no member, and its socket is used no longer than what has come needs.
    pub fn lose_worker(&mut self, place: usize) {
        self.remove_member(place);
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(place)) {
            socket.leave(true);
        }
    }

    /// Returns whether the worker was a member. Those who waited for it wait for the others, and so do those in the
    /// backlog of its own socket.
    pub fn remove_member(&mut self, place: usize) -> bool {
        self.disown(place);
        let Some(index) = self.members.iter().position(|member| member.place == place) else { return false };
        let mut gone = self.members.remove(index);
        self.in_lines -= gone.line.len() + gone.inherited.len();
        self.parked.append(&mut gone.inherited);
        self.parked.extend(gone.line.drain());
        self.policy.member_left(index);
        true
    }

    /// The worker's server has as many connections as it may have, or has room again.
    /// Returns whether that is news.
    pub fn set_full(&mut self, place: usize, full: bool) -> bool {
        let member = self.members.iter_mut().find(|member| member.place == place);
        let news = member.is_some_and(|member| mem::replace(&mut member.full, full) != full);
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(place)) {
            socket.set_full(full);
        }
        news
    }

    /// Nothing that comes from now on is accepted, but what has come is.
    pub fn finish(&mut self) {
        self.finished = true;
        self.await_no_headers();
        for socket in self.sockets.iter_mut().filter(|socket| socket.was_given() && !socket.is_last()) {
            socket.leave(false);
        }
    }

    /// Whether it is about to be closed.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the connection can have come to this listener.
    pub fn fits(&self, connection: BorrowedFd) -> Fit {
        match (&self.name, socket::local_name(connection)) {
            (Some(ours), Some(its)) if *ours == its => Fit::Well,
            // What is passed on transparently keeps the port that its client has asked for.
            (Some(LocalName::Port(_)), Some(LocalName::Port(_))) => Fit::Oddly,
            (Some(_), Some(_)) => Fit::Not,
            // Who cannot be asked is believed.
            _ => Fit::Well,
        }
    }

    /// Whether, besides, nobody is left who could serve what has come.
    pub fn is_over(&self) -> bool {
        self.is_finished() && self.members.is_empty()
    }

    pub fn has_member(&self, place: usize) -> bool {
        self.members.iter().any(|member| member.place == place)
    }
}

/// The poller's token of a listener's socket.
fn token(listener: u32, socket: usize) -> u64 {
    (socket as u64) << 33 | LISTENER | u64::from(listener)
}

/// The opposite; `None` when the token is not a listener's.
pub fn listener_of(token: u64) -> Option<(u32, usize)> {
    (token & LISTENER != 0).then_some((token as u32, (token >> 33) as usize))
}
