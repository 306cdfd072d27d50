//! Scheduling policies: which worker gets the next connection.
//!
//! The page to read before adding one. A policy is pure logic: it sees a listener's members by their index, and
//! answers with an index. What it must do:
//!
//! - answer only with a member that [`View::can_take`] a connection, and `None` when there is none: the connection
//!   then waits,
//! - keep no descriptor, make no system call, allocate nothing per connection,
//! - cost the same with 64 members as with 2, unless its very idea is to compare them all.

mod round_robin;

pub use round_robin::RoundRobin;

use std::net::IpAddr;

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
    /// Connections open in the member or queued for it.
    fn load(&self, member: usize) -> u64;
    /// A number that names the member's worker for as long as it lives.
    fn identity(&self, member: usize) -> u64;
    /// The client's address, `None` for Unix sockets. Costs a system call.
    fn client(&self) -> Option<IpAddr>;
}

/// A scheduling policy, one per listener.
pub trait Policy: Send {
    /// The member that gets the connection.
    fn pick(&mut self, view: &dyn View) -> Option<usize>;
    /// The member at `index` has left; those behind it have moved up by one.
    fn member_left(&mut self, index: usize);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Members made of plain numbers.
    pub struct Fake {
        pub open: Vec<bool>,
        pub loads: Vec<u64>,
        pub client: Option<IpAddr>,
    }

    impl Fake {
        pub fn new(count: usize) -> Fake {
            Fake { open: vec![true; count], loads: vec![0; count], client: None }
        }
    }

    impl View for Fake {
        fn len(&self) -> usize {
            self.open.len()
        }
        fn can_take(&self, member: usize) -> bool {
            self.open[member]
        }
        fn load(&self, member: usize) -> u64 {
            self.loads[member]
        }
        fn identity(&self, member: usize) -> u64 {
            member as u64
        }
        fn client(&self) -> Option<IpAddr> {
            self.client
        }
    }
}
