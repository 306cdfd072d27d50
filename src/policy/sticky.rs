//! Sticky: a client's connections go to one worker, by rendezvous hashing (Thaler and Ravishankar, 1998).
//!
//! Each pair of a client's address and a worker's seat has a weight that looks random; the member with the highest is
//! the client's. So a member that leaves moves its own clients and nobody else's, and whoever takes its seat gets
//! exactly them back.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::{Pick, Policy, RoundRobin, View};
use crate::trusted::Trusted;

/// The same client address, the same member. An IPv4 address counts as itself where it comes in the form of an IPv6
/// address. Connections without an address go round.
#[derive(Default)]
pub struct Sticky {
    without_address: RoundRobin,
    /// Whether there are connections without an address.
    some_without: bool,
    trusted: Option<Arc<Trusted>>,
}

impl Sticky {
    /// `trusted`: who is believed when it says whom a connection is from.
    pub fn new(trusted: Option<Trusted>) -> Sticky {
        Sticky { trusted: trusted.map(Arc::new), ..Sticky::default() }
    }
}

impl Policy for Sticky {
    fn pick(&mut self, view: &dyn View) -> Pick {
        let Some(address) = view.client() else {
            self.some_without = true;
            return self.without_address.pick(view);
        };
        let client = client_hash(address);
        let sound = (0..view.len()).filter(|member| view.is_sound(*member));
        match sound.max_by_key(|member| weight(client, view.seat(*member))) {
            Some(member) if view.can_take(member) => Pick::Give(member),
            Some(member) => Pick::WaitFor(member),
            None => Pick::WaitForAny,
        }
    }

    /// A client's would come back to the same member.
    fn may_move(&self) -> bool {
        self.some_without
    }

    /// The heir has the seat, and with it the clients.
    fn may_divide(&self) -> bool {
        false
    }

    fn trusted(&self) -> Option<Arc<Trusted>> {
        self.trusted.clone()
    }

    fn member_left(&mut self, index: usize) {
        self.without_address.member_left(index);
    }
}

/// The same on all listeners of this process, and of those that take over from it.
fn client_hash(address: IpAddr) -> u64 {
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    // SipHash, of the key first of all.
    let mut hasher = DefaultHasher::new();
    hasher.write(&key().to_le_bytes());
    hasher.write(&address.octets());
    hasher.finish()
}

static KEY: OnceLock<u128> = OnceLock::new();

/// What decides which client gets which seat. It is random, so that no client can choose its worker.
pub fn key() -> u128 {
    let random = || u128::from(RandomState::new().build_hasher().finish());
    *KEY.get_or_init(|| random() << 64 | random())
}

/// Takes the key of the process that was there before, so that clients keep their seats. Returns whether it was in time.
pub fn adopt_key(key: u128) -> bool {
    KEY.set(key).is_ok()
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014) over both.
fn weight(client: u64, seat: u64) -> u64 {
    let mut mixed = client ^ seat.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::super::tests::Fake;
    use super::*;

    /// The seat that each of 1,000 clients gets.
    fn seats(view: &mut Fake) -> Vec<u64> {
        let mut policy = Sticky::default();
        (0..1000u32)
            .map(|client| {
                view.client = Some(Ipv4Addr::from(0x0a00_0000 + client).into());
                match policy.pick(view) {
                    Pick::Give(member) => view.seats[member],
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    }

    fn without(index: usize) -> Fake {
        let mut view = Fake::new(4);
        view.open.remove(index);
        view.sound.remove(index);
        view.loads.remove(index);
        view.seats.remove(index);
        view
    }

    #[test]
    fn clients_are_spread_and_stay() {
        let before = seats(&mut Fake::new(4));
        for seat in 0..4 {
            let share = before.iter().filter(|given| **given == seat).count();
            assert!((150..=350).contains(&share), "{share} of 1000");
        }
        assert_eq!(seats(&mut Fake::new(4)), before);
        let mut shuffled = Fake::new(4);
        shuffled.seats = vec![2, 0, 3, 1];
        assert_eq!(seats(&mut shuffled), before);
    }

    #[test]
    fn a_member_that_leaves_moves_its_own_clients_alone() {
        let before = seats(&mut Fake::new(4));
        let after = seats(&mut without(1));
        for (old, new) in before.iter().zip(&after) {
            assert!(if *old == 1 { *new != 1 } else { new == old });
        }
    }

    #[test]
    fn one_that_cannot_take_is_waited_for_and_a_broken_one_is_not() {
        let mut view = Fake::new(4);
        view.client = Some(Ipv4Addr::LOCALHOST.into());
        let Pick::Give(mine) = Sticky::default().pick(&view) else { panic!("all can take") };
        view.open[mine] = false;
        assert_eq!(Sticky::default().pick(&view), Pick::WaitFor(mine));
        view.sound[mine] = false;
        assert!(matches!(Sticky::default().pick(&view), Pick::Give(other) if other != mine));
        assert_eq!(Sticky::default().pick(&Fake { client: view.client, ..Fake::new(0) }), Pick::WaitForAny);
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_both_forms() {
        let mut view = Fake::new(64);
        for last in 1..50 {
            let address = Ipv4Addr::new(192, 0, 2, last);
            view.client = Some(address.into());
            let plain = Sticky::default().pick(&view);
            view.client = Some(address.to_ipv6_mapped().into());
            assert_eq!(Sticky::default().pick(&view), plain);
        }
        view.client = Some(Ipv6Addr::LOCALHOST.into());
        assert_eq!(Sticky::default().pick(&view), Sticky::default().pick(&view));
    }

    #[test]
    fn without_an_address_it_goes_round() {
        let mut policy = Sticky::default();
        let picked: Vec<_> = (0..3).map(|_| policy.pick(&Fake::new(2))).collect();
        assert_eq!(picked, [0, 1, 0].map(Pick::Give));
    }
}
