//! Those who wait at a listener, and whom they are given to.

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::os::fd::AsFd;

use super::{Listener, Proxied};
use crate::acceptor::heirs::{Estate, may_inherit, successor};
use crate::acceptor::members::{Member, Members};
use crate::acceptor::worker::QUEUE_DEPTH;
use crate::acceptor::workers::Workers;
use crate::connection_queue::Connection;
use crate::policy::{Pick, View};
use crate::sys::{descriptors, socket};

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

impl Listener {
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
                return member.next().map(|connection| (member.place, connection));
            }
        }
        // Those are the other primary's: who serves them here would have to pass them on once more.
        if self.handed_over {
            return None;
        }
        while let Some(connection) = self.parked.pop_front() {
            let Some((connection, known)) = self.admit(connection, now) else { continue };
            let (pick, client) = self.pick(&connection, known, workers, now);
            match pick {
                Pick::Give(member) => return Some((self.members.get(member)?.place, connection)),
                Pick::WaitFor(member) => self.line_up(member, client, connection),
                Pick::WaitForAny => {
                    self.parked.push_front(connection);
                    break;
                }
            }
        }
        None
    }

    /// The connection, and its client's address where that is known already. Nothing while that is waited for.
    fn admit(&mut self, connection: Connection, now: u64) -> Option<(Connection, Option<Option<IpAddr>>)> {
        let Some(proxied) = &mut self.proxied else { return Some((connection, None)) };
        proxied.admit(connection, !self.finished, now).map(|(connection, client)| (connection, Some(client)))
    }

    /// More has come on a connection whose header is waited for.
    pub fn on_late(&mut self, number: u32) {
        self.parked.extend(self.proxied.as_mut().and_then(|proxied| proxied.arrived(number)));
    }

    /// Those whose header has been waited for long enough are closed.
    pub fn end_late(&mut self, now: u64) {
        if let Some(proxied) = &mut self.proxied {
            proxied.end_late(now);
        }
    }

    /// When (ns) that is to be done next.
    pub fn next_late(&self) -> Option<u64> {
        self.proxied.as_ref()?.first_due()
    }

    /// No header is waited for here any more.
    pub fn await_no_headers(&mut self) {
        self.parked.extend(self.proxied.iter_mut().flat_map(Proxied::drain));
    }

    fn pick(
        &mut self,
        connection: &Connection,
        known: Option<Option<IpAddr>>,
        workers: &Workers,
        now: u64,
    ) -> (Pick, Option<IpAddr>) {
        let members = Members::new(&self.members, workers, now, self.quantum, Some(connection.fd.as_fd()));
        members.know(known);
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

    /// The connection has come back: it is the first to be given to the heir of the worker that it comes from (heirs.rs), or to
    /// anybody.
    pub fn return_connection(&mut self, connection: Connection, heir: Option<u32>, workers: &Workers, now: u64) {
        if self.handed_over {
            return self.parked.push_front(connection);
        }
        // Whom it is from may be known by now, and whoever it belongs to has the seat of the one that it comes from.
        let heir = heir.filter(|_| self.proxied.is_none() || connection.left != 0);
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
    pub fn can_serve_instead(&self, place: usize, workers: &Workers, now: u64) -> bool {
        let members = Members::new(&self.members, workers, now, self.quantum, None);
        let can = |index: usize| self.members[index].place != place && members.can_take(index);
        self.has_member(place) && self.policy.may_move() && (0..self.members.len()).any(can)
    }

    /// Whether this worker is the only one that could serve now what came to it here.
    pub fn serves_alone(&self, place: usize, workers: &Workers, now: u64) -> bool {
        self.has_member(place) && !self.can_serve_instead(place, workers, now)
    }

    /// Whether a connection that this worker does not take would wait for it again, and for no other, as others of this listener need not.
    pub fn waits_for(&mut self, place: usize, connection: &Connection, workers: &Workers, now: u64) -> bool {
        if self.policy.may_divide() {
            return false;
        }
        let address = match &self.proxied {
            Some(proxied) => proxied.address(connection),
            None => socket::peer_address(connection.fd.as_fd()),
        };
        let waits_for = address.map(|_| self.pick(connection, Some(address), workers, now).0);
        matches!(waits_for, Some(Pick::WaitFor(member)) if self.members.get(member).is_some_and(|one| one.place == place))
    }

    /// A connection that was given to this worker is about to come back, as it was too busy to take it.
    pub fn was_not_taken(&mut self, place: usize) {
        if let Some(index) = self.members.iter().position(|member| member.place == place) {
            self.policy.returned(index);
        }
    }

    /// Whether nobody waits whom anybody could serve, so that one more may be accepted if somebody could take it.
    pub fn has_room(&self) -> bool {
        self.parked.is_empty()
    }

    /// Whether the next connection may be accepted.
    pub fn may_accept(&self, workers: &Workers, now: u64) -> bool {
        let members = Members::new(&self.members, workers, now, self.quantum, None);
        !self.handed_over && self.has_room() && (0..members.len()).any(|member| members.can_take(member))
    }

    /// Those who wait for anybody, as they are another primary's.
    pub fn take_parked(&mut self) -> VecDeque<Connection> {
        self.await_no_headers();
        mem::take(&mut self.parked)
    }

    /// How many wait here.
    pub fn waiting(&self) -> usize {
        self.parked.len() + self.in_lines
    }

    /// Whether connections wait here.
    pub fn holds_any(&self) -> bool {
        !self.parked.is_empty() || self.in_lines > 0
    }

    /// How many wait here that this worker has given back.
    pub fn held_from(&self, number: u32) -> usize {
        let waiting = self.parked.iter().chain(self.members.iter().flat_map(Member::waiting));
        let waiting = waiting.chain(self.proxied.iter().flat_map(Proxied::waiting));
        waiting.filter(|connection| connection.from == Some(number)).count()
    }
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
