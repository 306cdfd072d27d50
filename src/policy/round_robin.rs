//! Round-robin: each in turn.

use super::{Policy, View};

/// Strict rotation over the members that can take a connection.
#[derive(Default)]
pub struct RoundRobin {
    next: usize,
}

impl Policy for RoundRobin {
    fn pick(&mut self, view: &dyn View) -> Option<usize> {
        let count = view.len();
        let start = if self.next < count { self.next } else { 0 };
        let member = (start..count).chain(0..start).find(|member| view.can_take(*member))?;
        self.next = member + 1;
        Some(member)
    }

    fn member_left(&mut self, index: usize) {
        if index < self.next {
            self.next -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Fake;
    use super::*;

    fn picks(policy: &mut RoundRobin, view: &Fake, count: usize) -> Vec<Option<usize>> {
        (0..count).map(|_| policy.pick(view)).collect()
    }

    #[test]
    fn goes_round() {
        let picked = picks(&mut RoundRobin::default(), &Fake::new(3), 7);
        assert_eq!(picked, [0, 1, 2, 0, 1, 2, 0].map(Some));
    }

    #[test]
    fn skips_those_that_cannot_take() {
        let mut view = Fake::new(3);
        view.open[1] = false;
        assert_eq!(picks(&mut RoundRobin::default(), &view, 4), [0, 2, 0, 2].map(Some));
        view.open = vec![false; 3];
        assert_eq!(RoundRobin::default().pick(&view), None);
        assert_eq!(RoundRobin::default().pick(&Fake::new(0)), None);
    }

    #[test]
    fn a_member_that_leaves_costs_nobody_a_turn() {
        let mut policy = RoundRobin::default();
        assert_eq!(picks(&mut policy, &Fake::new(4), 2), [0, 1].map(Some));
        policy.member_left(0);
        assert_eq!(picks(&mut policy, &Fake::new(3), 3), [1, 2, 0].map(Some));
    }
}
