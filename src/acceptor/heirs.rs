//! Who goes on with the connections of a worker that leaves.
//!
//! Its heir, so that each connection moves once. But when the heir has more than its part by then, the member with the fewest: what
//! has become uneven, as a worker was too busy to take its turn, would otherwise go from generation to generation.

use super::members::Member;
use super::workers::Workers;

/// The most connections that wait for one heir: as many as one worker may give back before somebody has them. What is more goes to
/// others.
const MAX_INHERITED: usize = 1024;

/// What is to be known of a connection that has come back.
#[derive(Clone, Copy)]
pub struct Estate {
    /// The number of the worker that it is for.
    pub heir: Option<u32>,
    /// Whether the policy lets others have it as well.
    pub divisible: bool,
    /// Whether somebody has served it before.
    pub served: bool,
}

/// The member for which the connection waits, if there is one.
pub fn successor(members: &[Member], workers: &Workers, estate: Estate, now: u64) -> Option<usize> {
    let can =
        |member: &Member| may_inherit(member, workers, estate.served, now) && member.inherited.len() < MAX_INHERITED;
    let heir = workers.heirs(estate.heir).find_map(|place| {
        let index = members.iter().position(|member| member.place == place)?;
        can(&members[index]).then_some(index)
    })?;
    let load = |member: &Member| {
        let load = workers.get(member.place).map_or(0, super::worker::Worker::load);
        u128::from(load) + member.inherited.len() as u128
    };
    let all: u128 = members.iter().map(load).sum();
    if !estate.divisible || load(&members[heir]) * members.len() as u128 <= all {
        return Some(heir);
    }
    (0..members.len()).filter(|index| can(&members[*index])).min_by_key(|index| load(&members[*index]))
}

/// Whether what comes back from its predecessor may wait for this member.
pub fn may_inherit(member: &Member, workers: &Workers, served: bool, now: u64) -> bool {
    !member.full && workers.get(member.place).is_some_and(|worker| worker.can_soon_take(served, now))
}
