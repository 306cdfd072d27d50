//! Scheduling policies: which worker gets the next connection.
//!
//! The page to read before adding one. A policy is pure logic: it sees a listener's members by their index, and
//! answers with an index. What it must do:
//!
//! - give a connection only to a member that [`View::can_take`] it, and otherwise say what it waits for,
//! - keep no descriptor, make no system call, allocate nothing per connection,
//! - cost the same with 64 members as with 2, unless its very idea is to compare them all.
//!
//! | constant of `cluster` | number | here |
//! |---|---|---|
//! | `SCHED_RR` | 2 | [`RoundRobin`] |
//! | `SCHED_LEAST` | 3 | [`Least`] |
//! | `SCHED_STICKY` | 4 | [`Sticky`] |
//! | `SCHED_REUSEPORT` | 5 | none: the kernel distributes. [`RoundRobin`] for what the acceptor has to accept itself |

mod least;
mod rotation;
mod round_robin;
mod sticky;

pub use least::Least;
pub use round_robin::RoundRobin;
pub use sticky::{Sticky, adopt_key, key};

use std::net::IpAddr;
use std::sync::Arc;

use crate::trusted::Trusted;

/// A listener's members as a policy sees them.
pub trait View {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether the member is connected, its queue not full, its server below `maxConnections`, and its loop not stuck.
    fn can_take(&self, member: usize) -> bool;
    /// Whether all that keeps the member from taking a connection is that it is busy at the moment.
    fn is_busy(&self, member: usize) -> bool;
    /// Whether a member that cannot take a connection may do so later. One that cannot gets none until it has left.
    fn is_sound(&self, member: usize) -> bool;
    /// Connections open in the member or queued for it.
    fn load(&self, member: usize) -> u64;
    /// The number of the place that the member's worker has among the living: the smallest that was free.
    fn seat(&self, member: usize) -> u64;
    /// How many of the connections that wait now a member should get in its turn: more than one only where more wait than
    /// there are processors to serve them.
    fn quantum(&self) -> usize;
    /// The client's address, `None` for Unix sockets and where it is not known. Costs a system call.
    fn client(&self) -> Option<IpAddr>;
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This member gets it.
    Give(usize),
    /// It waits for this member, and nobody else gets it as long as that one is a member.
    WaitFor(usize),
    /// It waits for whoever can take it first.
    WaitForAny,
}

/// A scheduling policy, one per listener.
pub trait Policy: Send {
    /// Who gets the connection.
    fn pick(&mut self, view: &dyn View) -> Pick;
    /// Whether what a member does not take in time may be given to another one.
    fn may_move(&self) -> bool {
        true
    }
    /// Whether what a member that leaves has had may go to others than its heir.
    fn may_divide(&self) -> bool {
        true
    }
    /// The member had been picked, but did not take the connection in time. Another one is picked next.
    fn returned(&mut self, _member: usize) {}
    /// Who is believed when it says whom a connection is from, for a policy that goes by that.
    fn trusted(&self) -> Option<Arc<Trusted>> {
        None
    }
    /// The member at `index` has left; those behind it have moved up by one.
    fn member_left(&mut self, index: usize);
}

/// The policy for a number of `cluster.schedulingPolicy` under which the acceptor accepts. `trusted`: who is believed when it says whom a
/// connection is from, if anybody.
pub fn by_number(number: u32, trusted: Option<Trusted>) -> Option<Box<dyn Policy>> {
    Some(match number {
        2 | 5 => Box::new(RoundRobin::default()),
        3 => Box::new(Least::default()),
        4 => Box::new(Sticky::new(trusted)),
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Members made of plain numbers.
    pub struct Fake {
        pub open: Vec<bool>,
        pub busy: Vec<bool>,
        pub sound: Vec<bool>,
        pub loads: Vec<u64>,
        pub seats: Vec<u64>,
        pub quantum: usize,
        pub client: Option<IpAddr>,
    }

    impl Fake {
        pub fn new(count: usize) -> Fake {
            Fake {
                open: vec![true; count],
                busy: vec![false; count],
                sound: vec![true; count],
                loads: vec![0; count],
                seats: (0..count as u64).collect(),
                quantum: 1,
                client: None,
            }
        }
    }

    impl View for Fake {
        fn len(&self) -> usize {
            self.open.len()
        }
        fn can_take(&self, member: usize) -> bool {
            self.open[member]
        }
        fn is_busy(&self, member: usize) -> bool {
            self.busy[member]
        }
        fn is_sound(&self, member: usize) -> bool {
            self.sound[member]
        }
        fn load(&self, member: usize) -> u64 {
            self.loads[member]
        }
        fn seat(&self, member: usize) -> u64 {
            self.seats[member]
        }
        fn quantum(&self) -> usize {
            self.quantum
        }
        fn client(&self) -> Option<IpAddr> {
            self.client
        }
    }
}
