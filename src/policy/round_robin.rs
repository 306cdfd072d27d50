//! Round-robin: each in turn.

use super::rotation::Rotation;
use super::{Pick, Policy, View};

/// The most turns that a member is owed: as many as a machine under full load gives away while a worker has to wait for a
/// processor.
const MAX_OWED: i16 = 512;

/// Strict rotation over the members that can take a connection, so that in the end all have had the same number as long as none
/// is slower than the others for long: one that was skipped only because it was busy, or that did not take what it got, is owed
/// the turn, and one that got several in its turn sits out as many.
#[derive(Default)]
pub struct RoundRobin {
    rotation: Rotation,
    /// Turns owed to each member, negative for those that it has had in advance. Shorter than the list of members when the last
    /// ones are even.
    owed: Vec<i16>,
    /// The sum of the positive ones.
    owed_in_all: usize,
    /// Whether the last pick paid a debt. Every other one does, so that the others do not have to wait for it.
    paid: bool,
    /// Whose turn it is, and how many it has got in it.
    current: Option<(usize, usize)>,
}

impl RoundRobin {
    fn owed(&self, member: usize) -> i16 {
        self.owed.get(member).copied().unwrap_or(0)
    }

    fn owe(&mut self, member: usize, turns: i16) {
        if self.owed.len() <= member {
            self.owed.resize(member + 1, 0);
        }
        let before = self.owed[member];
        let after = before.saturating_add(turns).min(MAX_OWED);
        self.owed[member] = after;
        self.owed_in_all = self.owed_in_all + usize::from(after.max(0) as u16) - usize::from(before.max(0) as u16);
    }

    /// A member that is owed a turn and can take it now.
    fn pay(&mut self, view: &dyn View) -> Option<usize> {
        self.paid = !self.paid && self.owed_in_all > 0;
        if !self.paid {
            return None;
        }
        (0..self.owed.len()).find(|member| self.owed[*member] > 0 && view.can_take(*member))
    }

    /// The member whose turn it is, if it should get more in it.
    fn go_on(&mut self, view: &dyn View) -> Option<usize> {
        let (member, got) = self.current.as_mut()?;
        if *got >= view.quantum() || !view.can_take(*member) {
            return None;
        }
        *got += 1;
        Some(*member)
    }

    /// The next member whose turn it is.
    fn next(&mut self, view: &dyn View) -> Option<usize> {
        let mut order = self.rotation.order(view.len());
        let even = order.find(|member| self.owed(*member) >= 0 && view.can_take(*member));
        let next = even.or_else(|| self.let_rounds_go_by(view))?;
        for member in self.rotation.order(view.len()).take_while(|member| *member != next) {
            self.pass_over(member, 1, view);
        }
        self.rotation.served(next);
        self.current = Some((next, 1));
        Some(next)
    }

    /// All who can take one have had turns in advance: the first who is even after the fewest rounds, and those rounds are over.
    fn let_rounds_go_by(&mut self, view: &dyn View) -> Option<usize> {
        let candidates = self.rotation.order(view.len()).filter(|member| view.can_take(*member));
        // Of equal ones `min_by_key` gives the first.
        let next = candidates.min_by_key(|member| -self.owed(*member))?;
        let rounds = -self.owed(next);
        for member in 0..view.len() {
            self.pass_over(member, rounds, view);
        }
        Some(next)
    }

    fn pass_over(&mut self, member: usize, turns: i16, view: &dyn View) {
        if self.owed(member) < 0 || view.is_busy(member) {
            self.owe(member, turns);
        }
    }
}

impl Policy for RoundRobin {
    fn pick(&mut self, view: &dyn View) -> Pick {
        if let Some(member) = self.pay(view).or_else(|| self.go_on(view)) {
            self.owe(member, -1);
            return Pick::Give(member);
        }
        self.next(view).map_or(Pick::WaitForAny, Pick::Give)
    }

    fn returned(&mut self, member: usize) {
        self.owe(member, 1);
    }

    fn member_left(&mut self, index: usize) {
        self.rotation.member_left(index);
        self.current = None;
        if index < self.owed.len() {
            self.owed_in_all -= usize::from(self.owed.remove(index).max(0) as u16);
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
    fn where_a_turn_is_worth_several_it_goes_round_in_runs() {
        let mut view = Fake::new(3);
        let mut policy = RoundRobin::default();
        view.quantum = 3;
        assert_eq!(picks(&mut policy, &view, 5), [0, 0, 0, 1, 1].map(Pick::Give));
        // What comes one by one goes to those who have had fewer.
        view.quantum = 1;
        assert_eq!(picks(&mut policy, &view, 6), [2, 2, 1, 2, 0, 1].map(Pick::Give));
    }

    #[test]
    fn a_run_ends_when_the_member_can_take_no_more() {
        let mut view = Fake::new(2);
        let mut policy = RoundRobin::default();
        view.quantum = 8;
        assert_eq!(picks(&mut policy, &view, 2), [0, 0].map(Pick::Give));
        view.open[0] = false;
        assert_eq!(picks(&mut policy, &view, 9), [1; 9].map(Pick::Give));
        view.open[1] = false;
        assert_eq!(policy.pick(&view), Pick::WaitForAny);
        view.open = vec![true, false];
        assert_eq!(policy.pick(&view), Pick::Give(0));
    }

    #[test]
    fn bursts_of_any_size_keep_members_level() {
        let mut view = Fake::new(64);
        let mut policy = RoundRobin::default();
        let mut given = [0; 64];
        let mut state = 1u64;
        for _ in 0..5000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let waiting = (state >> 33) as usize % 32 + 1;
            view.quantum = waiting.div_ceil(4);
            for _ in 0..waiting {
                let Pick::Give(member) = policy.pick(&view) else { panic!("all can take") };
                given[member] += 1;
            }
            let (most, fewest) = (given.iter().max().unwrap(), given.iter().min().unwrap());
            assert!(most - fewest <= 8, "{given:?}");
            assert!(policy.owed.iter().all(|owed| *owed >= -8), "advances do not pile up: {:?}", policy.owed);
        }
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
