//! One listening socket and the workers that serve it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::connection_queue::Connection;
use crate::policy::{Policy, View};
use crate::sys::socket;

use super::worker::Worker;

/// A worker that listens.
pub struct Member {
    /// Its place in the table of workers.
    pub worker: usize,
    /// Its server has reached `maxConnections`.
    pub full: bool,
}

/// Whether the acceptor waits for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// The poller reports new connections.
    Accepting,
    /// Nobody can take one; the kernel's backlog holds them until somebody can.
    Waiting,
    /// Descriptors have run out; tried again at this time (ns).
    OutOfDescriptors(u64),
}

/// A listening socket in the acceptor's books.
pub struct Listener {
    pub fd: OwnedFd,
    pub members: Vec<Member>,
    pub policy: Box<dyn Policy>,
    /// Accepted, or come back from a worker, and not yet given to anyone.
    pub parked: VecDeque<Connection>,
    pub watch: Watch,
}

impl Listener {
    pub fn new(fd: OwnedFd, policy: Box<dyn Policy>) -> Listener {
        Listener { fd, members: Vec::new(), policy, parked: VecDeque::new(), watch: Watch::Waiting }
    }

    /// The worker that gets this connection, if any can take it.
    pub fn pick(&mut self, workers: &[Option<Worker>], now: u64, connection: BorrowedFd) -> Option<usize> {
        let members = Members { members: &self.members, workers, now, connection, client: Cell::new(None) };
        let index = self.policy.pick(&members)?;
        self.members.get(index).map(|member| member.worker)
    }

    /// Whether some member could take a connection now.
    pub fn has_taker(&self, workers: &[Option<Worker>], now: u64) -> bool {
        let members =
            Members { members: &self.members, workers, now, connection: self.fd.as_fd(), client: Cell::new(None) };
        (0..members.len()).any(|member| members.can_take(member))
    }

    pub fn member_mut(&mut self, worker: usize) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.worker == worker)
    }

    /// Returns whether the worker was a member.
    pub fn remove_member(&mut self, worker: usize) -> bool {
        let Some(index) = self.members.iter().position(|member| member.worker == worker) else { return false };
        self.members.remove(index);
        self.policy.member_left(index);
        true
    }
}

struct Members<'a> {
    members: &'a [Member],
    workers: &'a [Option<Worker>],
    now: u64,
    connection: BorrowedFd<'a>,
    client: Cell<Option<Option<IpAddr>>>,
}

impl Members<'_> {
    fn worker(&self, member: usize) -> Option<&Worker> {
        self.workers.get(self.members.get(member)?.worker)?.as_ref()
    }
}

impl View for Members<'_> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn can_take(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| !member.full)
            && self.worker(member).is_some_and(|worker| worker.can_take(self.now))
    }

    fn load(&self, member: usize) -> u64 {
        self.worker(member).map_or(u64::MAX, Worker::load)
    }

    fn identity(&self, member: usize) -> u64 {
        self.worker(member).map_or(0, |worker| worker.identity)
    }

    fn client(&self) -> Option<IpAddr> {
        let known = self.client.get().unwrap_or_else(|| socket::peer_address(self.connection));
        self.client.set(Some(known));
        known
    }
}
