//! What workers listen on together: one listening socket or several, those who serve it, and those who wait.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::connection_queue::Connection;
use crate::policy::{Pick, Policy, View};
use crate::sys::poll::{Interest, Poller};
use crate::sys::socket::{self, LocalName};
use crate::sys::{descriptors, listen};

use super::errand::{End, accept_some};
use super::heirs::{Estate, may_inherit, successor};
use super::members::{Member, Members};
use super::sockets::{MOST_AT_THE_END, Socket};
use super::worker::QUEUE_DEPTH;
use super::workers::Workers;

/// Tokens of listening sockets have this bit, those of workers do not.
const LISTENER: u64 = 1 << 32;

/// The most connections that wait for one worker while others could take them, unless descriptors are few. What waits is no longer
/// counted by the kernel's backlog, and this is twice that of Node.
const MAX_LINE: usize = 1024;

/// Where descriptors are few, a line may at least be so long.
const MIN_LINE: usize = 16;

/// Of many members, so many per processor get something in one turn. More than one, as the kernel may have put both on the same
/// processor, or the first may be busy.
const AT_ONCE_PER_PROCESSOR: usize = 2;

/// The most connections that a member gets in its turn: half of what may wait for it.
const MAX_QUANTUM: usize = QUEUE_DEPTH as usize / 2;

/// While somebody waits for room: how long until we look by ourselves, in case a worker does not tell.
const LOOK: Duration = Duration::from_millis(50);

/// Whether the acceptor waits for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// The poller reports new connections.
    Accepting,
    /// Nobody can take one; the kernel's backlog holds them until somebody can.
    Waiting,
    /// Descriptors have run out, or the kernel refuses for another reason; tried again at this time (ns).
    Paused(u64),
}

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
    /// How many wait in the lines of members.
    in_lines: usize,
    pub watch: Watch,
    /// What was last asked for, for a socket that nobody asks for.
    backlog: i32,
    /// It is closed as soon as what has come has been accepted.
    finished: bool,
}

impl Listener {
    /// A listener with its first socket, which listens already.
    pub fn new(id: u32, socket: Socket, policy: Box<dyn Policy>, poller: &Poller) -> io::Result<Listener> {
        let mut listener = Listener {
            id,
            sockets: Vec::new(),
            name: socket.fd().and_then(socket::local_name),
            members: Vec::new(),
            policy,
            quantum: 1,
            parked: VecDeque::new(),
            in_lines: 0,
            watch: Watch::Waiting,
            backlog: 0,
            finished: false,
        };
        listener.add_socket(socket, poller)?;
        Ok(listener)
    }

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
    pub fn own_socket(&mut self, worker: usize, backlog: i32, poller: &Poller) -> io::Result<OwnedFd> {
        let free = self.sockets.iter().position(|socket| socket.owner() == Some(worker));
        let free = free.or_else(|| self.sockets.iter().position(Socket::is_free));
        let index = match free {
            Some(index) => index,
            None => self.another_socket(backlog, poller)?,
        };
        self.sockets[index].give(worker)
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

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Those who wait for others are asked for anew: the newcomer may be the one that they belong to.
    pub fn add_member(&mut self, worker: usize) {
        if self.has_member(worker) {
            return;
        }
        self.members.push(Member::new(worker));
        for member in &mut self.members {
            self.in_lines -= member.line.len();
            self.parked.extend(member.line.drain());
        }
    }

    /// The worker has no socket of its own any more.
    pub fn disown(&mut self, worker: usize) {
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(worker)) {
            socket.release();
        }
    }

    /// Its process is gone. A socket that it had left before is the next one's.
    pub fn lose_process(&mut self, worker: usize) {
        let backlog = self.backlog;
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(worker)) {
            socket.inherit(backlog);
        }
        self.lose_worker(worker);
    }

    /// Nothing that it does is trusted any more: it is no member, and its socket is used no longer than what has come needs.
    pub fn lose_worker(&mut self, worker: usize) {
        self.remove_member(worker);
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(worker)) {
            socket.leave(true);
        }
    }

    /// Returns whether the worker was a member. Those who waited for it wait for the others, and so do those in the
    /// backlog of its own socket.
    pub fn remove_member(&mut self, worker: usize) -> bool {
        self.disown(worker);
        let Some(index) = self.members.iter().position(|member| member.worker == worker) else { return false };
        let mut gone = self.members.remove(index);
        self.in_lines -= gone.line.len() + gone.inherited.len();
        self.parked.append(&mut gone.inherited);
        self.parked.extend(gone.line.drain());
        self.policy.member_left(index);
        true
    }

    /// The worker's server has as many connections as it may have, or has room again.
    /// Returns whether that is news.
    pub fn set_full(&mut self, worker: usize, full: bool) -> bool {
        let member = self.members.iter_mut().find(|member| member.worker == worker);
        let news = member.is_some_and(|member| mem::replace(&mut member.full, full) != full);
        for socket in self.sockets.iter_mut().filter(|socket| socket.owner() == Some(worker)) {
            socket.set_full(full);
        }
        news
    }

    /// The connection has come back: it is the first to be given to the heir of the worker that it comes from (heirs.rs), or to
    /// anybody.
    pub fn return_connection(&mut self, connection: Connection, heir: Option<u32>, workers: &Workers, now: u64) {
        let estate = Estate { heir, divisible: self.policy.may_divide(), served: connection.left != 0 };
        match successor(&self.members, workers, estate, now) {
            Some(index) => {
                self.members[index].inherited.push_front(connection);
                self.in_lines += 1;
            }
            None => self.parked.push_front(connection),
        }
    }

    /// What waits for an heir that cannot take it soon any more goes to anybody.
    fn disinherit(&mut self, workers: &Workers, now: u64) {
        for member in self.members.iter_mut().filter(|member| !member.inherited.is_empty()) {
            let [fresh, served] = [false, true].map(|served| may_inherit(member, workers, served, now));
            let goes = |one: &Connection| !served || one.left == 0;
            if !fresh && member.inherited.iter().any(goes) {
                let (mut go, stay): (VecDeque<_>, _) = mem::take(&mut member.inherited).into_iter().partition(goes);
                member.inherited = stay;
                self.in_lines -= go.len();
                self.parked.append(&mut go);
            }
        }
    }

    /// Whether another member could serve now what this worker does not take.
    pub fn can_serve_instead(&self, worker: usize, workers: &Workers, now: u64) -> bool {
        let members = Members::new(&self.members, workers, now, self.quantum, None);
        let can = |index: usize| self.members[index].worker != worker && members.can_take(index);
        self.has_member(worker) && self.policy.may_move() && (0..self.members.len()).any(can)
    }

    /// Whether this worker is the only one that could serve now what came to it here.
    pub fn serves_alone(&self, worker: usize, workers: &Workers, now: u64) -> bool {
        self.has_member(worker) && !self.can_serve_instead(worker, workers, now)
    }

    /// A connection that was given to this worker is about to come back, as it was too busy to take it.
    pub fn was_not_taken(&mut self, worker: usize) {
        if let Some(index) = self.members.iter().position(|member| member.worker == worker) {
            self.policy.returned(index);
        }
    }

    /// Accepts so many connections at most from a socket that no worker has had.
    pub fn accept(&mut self, index: usize, most: usize) -> End {
        let Listener { id, sockets, parked, .. } = self;
        let Some(socket) = sockets.get(index) else { return End::Empty };
        accept_some(most, || socket.accept(), |fd| parked.push_back(Connection::fresh(fd, *id)))
    }

    /// That one is of no use any more.
    pub fn close_socket(&mut self, index: usize, poller: &Poller) {
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.close(poller);
        }
    }

    /// Whether somebody accepts from one of its sockets elsewhere, or is about to.
    pub fn has_sockets_to_see_to(&self) -> bool {
        self.sockets.iter().any(Socket::is_to_be_seen_to)
    }

    /// Nothing that comes from now on is accepted, but what has come is.
    pub fn finish(&mut self) {
        self.finished = true;
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

    /// Whether the worker has, or had, a socket of its own here, so that connections come to it of which nobody knows.
    pub fn has_own_socket(&self, worker: usize) -> bool {
        self.sockets.iter().any(|socket| socket.owner() == Some(worker))
    }

    /// How many wait here that this worker has given back.
    pub fn held_from(&self, worker: u32) -> usize {
        let waiting = self.parked.iter().chain(self.members.iter().flat_map(Member::waiting));
        waiting.filter(|connection| connection.from == Some(worker)).count()
    }

    /// Whether, besides, nobody is left who could serve what has come.
    pub fn is_over(&self) -> bool {
        self.is_finished() && self.members.is_empty()
    }

    /// Whether it is about to be closed, but what has come could not all be accepted yet.
    pub fn is_to_drain(&self, now: u64) -> bool {
        let paused = matches!(self.watch, Watch::Paused(at) if now < at);
        self.finished && !self.sockets.is_empty() && !paused
    }

    pub fn has_member(&self, worker: usize) -> bool {
        self.members.iter().any(|member| member.worker == worker)
    }

    /// Those who wait now are about to be given to members.
    pub fn share_out(&mut self, processors: usize) {
        self.quantum = quantum(self.parked.len(), self.members.len(), processors);
    }

    /// The next of those who wait that somebody can take now.
    pub fn next_served(&mut self, workers: &Workers, now: u64) -> Option<(usize, Connection)> {
        if self.in_lines > 0 {
            self.disinherit(workers, now);
            let members = Members::new(&self.members, workers, now, self.quantum, None);
            let ready = |index: &usize| self.members[*index].holds_any() && members.can_take(*index);
            if let Some(index) = (0..self.members.len()).find(ready) {
                let member = &mut self.members[index];
                self.in_lines -= 1;
                return member.next().map(|connection| (member.worker, connection));
            }
        }
        while let Some(connection) = self.parked.pop_front() {
            let (pick, client) = self.pick(&connection, workers, now);
            match pick {
                Pick::Give(member) => return Some((self.members.get(member)?.worker, connection)),
                Pick::WaitFor(member) => self.line_up(member, client, connection),
                Pick::WaitForAny => {
                    self.parked.push_front(connection);
                    break;
                }
            }
        }
        None
    }

    fn pick(&mut self, connection: &Connection, workers: &Workers, now: u64) -> (Pick, Option<IpAddr>) {
        let members = Members::new(&self.members, workers, now, self.quantum, Some(connection.fd.as_fd()));
        let pick = self.policy.pick(&members);
        // Known already to whoever says so.
        let client = if matches!(pick, Pick::WaitFor(_)) { members.client() } else { None };
        (pick, client)
    }

    /// One too many is closed: what waits for one member neither keeps others from being accepted nor takes all descriptors.
    fn line_up(&mut self, member: usize, client: Option<IpAddr>, connection: Connection) {
        let share = descriptors::fair_share() * 2 / self.members.len().max(1);
        let most = if self.finished { usize::MAX } else { share.clamp(MIN_LINE, MAX_LINE) };
        if self.members[member].line.push(client, connection, most).is_none() {
            self.in_lines += 1;
        }
    }

    /// Whether nobody waits whom anybody could serve, so that one more may be accepted if somebody could take it.
    pub fn has_room(&self) -> bool {
        self.parked.is_empty()
    }

    /// Whether the next connection may be accepted.
    pub fn may_accept(&self, workers: &Workers, now: u64) -> bool {
        let members = Members::new(&self.members, workers, now, self.quantum, None);
        self.has_room() && (0..members.len()).any(|member| members.can_take(member))
    }

    /// Whether connections wait here.
    pub fn holds_any(&self) -> bool {
        !self.parked.is_empty() || self.in_lines > 0
    }

    /// Whether there is nothing to be done for it until something happens.
    pub fn is_settled(&self) -> bool {
        !self.holds_any() && (self.watch == Watch::Accepting || !self.sockets.iter().any(Socket::is_ours))
    }

    /// How long nothing needs to be done for it, unless something happens.
    pub fn patience(&self, now: u64) -> Option<Duration> {
        match self.watch {
            _ if self.members.is_empty() || self.is_settled() => None,
            Watch::Paused(at) => Some(Duration::from_nanos(at.saturating_sub(now).max(1))),
            Watch::Accepting | Watch::Waiting => Some(LOOK),
        }
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
            self.parked.extend(found.into_iter().map(|fd| Connection::fresh(fd, self.id)));
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

    /// Brings the poller up to date. Returns whether that was possible.
    pub fn sync(&mut self, poller: &Poller, now: u64) -> bool {
        let accepting = self.watch == Watch::Accepting;
        let id = self.id;
        let sockets = self.sockets.iter_mut().enumerate();
        sockets.fold(true, |done, (index, socket)| socket.sync(poller, token(id, index), accepting, now) && done)
    }

    /// Forgets the sockets before they are closed.
    pub fn forget(&mut self, poller: &Poller) {
        for socket in &mut self.sockets {
            socket.forget(poller);
        }
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

/// How many of those who wait a member gets in its turn. With more members than processors, giving each member one would cost a
/// packet and a wake-up per connection, and none would be served sooner.
fn quantum(waiting: usize, members: usize, processors: usize) -> usize {
    let at_once = AT_ONCE_PER_PROCESSOR * processors.max(1);
    if members <= at_once { 1 } else { waiting.div_ceil(at_once).clamp(1, MAX_QUANTUM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_worth_more_only_where_members_are_more_than_can_run() {
        let cases =
            [((9, 4, 2), 1), ((9, 5, 2), 3), ((4, 64, 2), 1), ((5, 64, 2), 2), ((0, 64, 2), 1), ((32, 64, 64), 1)];
        for ((waiting, members, processors), turn) in cases {
            assert_eq!(quantum(waiting, members, processors), turn, "{waiting} for {members} on {processors}");
        }
        assert_eq!(quantum(4096, 64, 2), MAX_QUANTUM);
    }
}
