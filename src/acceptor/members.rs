//! The workers that serve a listener, as its policy sees them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use crate::connection_queue::Connection;
use crate::policy::View;
use crate::sys::socket;

use super::line::Line;
use super::worker::Worker;
use super::workers::Workers;

/// A worker that listens.
pub struct Member {
    /// Its place in the table of workers.
    pub place: usize,
    /// Its server has reached `maxConnections`.
    pub full: bool,
    /// Connections that wait for this member and no other.
    pub line: Line,
    /// What came back from the worker whose heir it is, for which its queue has no room at the moment.
    pub inherited: VecDeque<Connection>,
}

impl Member {
    pub fn new(place: usize) -> Member {
        Member { place, full: false, line: Line::default(), inherited: VecDeque::new() }
    }
}

impl Member {
    /// Whether connections wait for it.
    pub fn holds_any(&self) -> bool {
        !self.line.is_empty() || !self.inherited.is_empty()
    }

    /// All that wait for it.
    pub fn waiting(&self) -> impl Iterator<Item = &Connection> {
        self.inherited.iter().chain(self.line.iter())
    }

    /// The first of those.
    pub fn next(&mut self) -> Option<Connection> {
        self.inherited.pop_front().or_else(|| self.line.pop())
    }
}

/// All members of a listener, at one moment, for one connection.
pub struct Members<'a> {
    members: &'a [Member],
    workers: &'a Workers,
    now: u64,
    quantum: usize,
    connection: Option<BorrowedFd<'a>>,
    client: Cell<Option<Option<IpAddr>>>,
}

impl<'a> Members<'a> {
    pub fn new(
        members: &'a [Member],
        workers: &'a Workers,
        now: u64,
        quantum: usize,
        connection: Option<BorrowedFd<'a>>,
    ) -> Members<'a> {
        Members { members, workers, now, quantum, connection, client: Cell::new(None) }
    }

    /// The client's address, from whoever knows it already.
    pub fn know(&self, client: Option<Option<IpAddr>>) {
        self.client.set(client);
    }

    fn worker(&self, member: usize) -> Option<&Worker> {
        self.workers.get(self.members.get(member)?.place)
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

    fn is_busy(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| !member.full)
            && self.worker(member).is_some_and(|worker| worker.is_busy(self.now))
    }

    fn is_sound(&self, member: usize) -> bool {
        self.worker(member).is_some_and(Worker::is_sound)
    }

    fn load(&self, member: usize) -> u64 {
        self.worker(member).map_or(u64::MAX, Worker::load)
    }

    fn seat(&self, member: usize) -> u64 {
        self.worker(member).map_or(u64::MAX, |worker| worker.seat)
    }

    fn quantum(&self) -> usize {
        self.quantum
    }

    fn client(&self) -> Option<IpAddr> {
        let known = self.client.get().unwrap_or_else(|| socket::peer_address(self.connection?));
        self.client.set(Some(known));
        known
    }
}
