//! Round-robin: each in turn.

use super::rotation::Rotation;
use super::{Pick, Policy, View};

/// The most turns that a member is owed: as many as a machine under full load gives away while a worker has to wait for a
/// processor.
const MAX_OWED: u16 = 512;

/// Strict rotation over the members that can take a connection. One that was skipped only because it was busy, or that did
/// not take what it got, is owed the turn, so that in the end all have had the same number, as long as none is slower than
/// the others for long.
#[derive(Default)]
pub struct RoundRobin {
    rotation: Rotation,
    /// Turns owed to each member; shorter than the list of members when the last ones are owed none.
    owed: Vec<u16>,
    owed_in_all: usize,
    /// Whether the last pick paid a debt. Every other one does, so that the others do not have to wait for it.
    paid: bool,
}

impl RoundRobin {
    fn owe(&mut self, member: usize) {
        if self.owed.len() <= member {
            self.owed.resize(member + 1, 0);
        }
        if self.owed[member] < MAX_OWED {
            self.owed[member] += 1;
            self.owed_in_all += 1;
        }
    }

    /// A member that is owed a turn and can take it now.
    fn pay(&mut self, view: &dyn View) -> Option<usize> {
        self.paid = !self.paid && self.owed_in_all > 0;
        if !self.paid {
            return None;
        }
        let member = (0..self.owed.len()).find(|member| self.owed[*member] > 0 && view.can_take(*member))?;
        self.owed[member] -= 1;
        self.owed_in_all -= 1;
        Some(member)
    }
}

impl Policy for RoundRobin {
    fn pick(&mut self, view: &dyn View) -> Pick {
        if let Some(member) = self.pay(view) {
            return Pick::Give(member);
        }
        let Some(member) = self.rotation.order(view.len()).find(|member| view.can_take(*member)) else {
            return Pick::WaitForAny;
        };
        for skipped in self.rotation.order(view.len()).take_while(|skipped| *skipped != member) {
            if view.is_busy(skipped) {
                self.owe(skipped);
            }
        }
        self.rotation.served(member);
        Pick::Give(member)
    }

    fn returned(&mut self, member: usize) {
        self.owe(member);
    }

    fn member_left(&mut self, index: usize) {
        self.rotation.member_left(index);
        if index < self.owed.len() {
            self.owed_in_all -= usize::from(self.owed.remove(index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Fake;
    use super::*;

    fn picks(policy: &mut RoundRobin, view: &Fake, count: usize) -> Vec<Pick> {
        (0..count).map(|_| policy.pick(view)).collect()
    }

    #[test]
    fn goes_round() {
        let picked = picks(&mut RoundRobin::default(), &Fake::new(3), 7);
        assert_eq!(picked, [0, 1, 2, 0, 1, 2, 0].map(Pick::Give));
    }

    #[test]
    fn skips_those_that_cannot_take() {
        let mut view = Fake::new(3);
        view.open[1] = false;
        assert_eq!(picks(&mut RoundRobin::default(), &view, 4), [0, 2, 0, 2].map(Pick::Give));
        view.open = vec![false; 3];
        assert_eq!(RoundRobin::default().pick(&view), Pick::WaitForAny);
        assert_eq!(RoundRobin::default().pick(&Fake::new(0)), Pick::WaitForAny);
    }

    #[test]
    fn a_busy_member_gets_its_turns_later() {
        let mut view = Fake::new(2);
        let mut policy = RoundRobin::default();
        view.open[0] = false;
        view.busy[0] = true;
        assert_eq!(picks(&mut policy, &view, 3), [1, 1, 1].map(Pick::Give));
        view.open[0] = true;
        assert_eq!(picks(&mut policy, &view, 6), [0, 0, 0, 1, 0, 0].map(Pick::Give));
        assert_eq!(picks(&mut policy, &view, 4), [1, 0, 1, 0].map(Pick::Give));
    }

    #[test]
    fn what_a_member_did_not_take_is_made_up_for() {
        let mut view = Fake::new(2);
        let mut policy = RoundRobin::default();
        assert_eq!(picks(&mut policy, &view, 2), [0, 1].map(Pick::Give));
        view.open[1] = false;
        policy.returned(1);
        assert_eq!(policy.pick(&view), Pick::Give(0));
        view.open[1] = true;
        assert_eq!(picks(&mut policy, &view, 3), [1, 1, 0].map(Pick::Give));
    }

    #[test]
    fn one_that_may_not_take_any_is_owed_nothing_and_no_debt_grows_for_ever() {
        let mut view = Fake::new(2);
        let mut policy = RoundRobin::default();
        view.open[0] = false;
        picks(&mut policy, &view, 500);
        view.open[0] = true;
        assert_eq!(picks(&mut policy, &view, 4), [0, 1, 0, 1].map(Pick::Give));
        view.open[0] = false;
        view.busy[0] = true;
        picks(&mut policy, &view, 5000);
        view.open[0] = true;
        let zeros = picks(&mut policy, &view, 2000).iter().filter(|pick| **pick == Pick::Give(0)).count();
        assert_eq!(zeros, 512 + (2000 - 512) / 2);
        view.open[0] = false;
        picks(&mut policy, &view, 5);
        policy.member_left(0);
        assert_eq!(policy.owed_in_all, 0);
    }

    #[test]
    fn a_member_that_leaves_costs_nobody_a_turn() {
        let mut policy = RoundRobin::default();
        assert_eq!(picks(&mut policy, &Fake::new(4), 2), [0, 1].map(Pick::Give));
        policy.member_left(0);
        assert_eq!(picks(&mut policy, &Fake::new(3), 3), [1, 2, 0].map(Pick::Give));
    }
}
