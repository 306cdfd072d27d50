//! Round-robin: each in turn.

use super::rotation::Rotation;
use super::{Pick, Policy, View};

/// Strict rotation over the members that can take a connection.
#[derive(Default)]
pub struct RoundRobin {
    rotation: Rotation,
}

impl Policy for RoundRobin {
    fn pick(&mut self, view: &dyn View) -> Pick {
        let Some(member) = self.rotation.order(view.len()).find(|member| view.can_take(*member)) else {
            return Pick::WaitForAny;
        };
        self.rotation.served(member);
        Pick::Give(member)
    }

    fn member_left(&mut self, index: usize) {
        self.rotation.member_left(index);
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
    fn a_member_that_leaves_costs_nobody_a_turn() {
        let mut policy = RoundRobin::default();
        assert_eq!(picks(&mut policy, &Fake::new(4), 2), [0, 1].map(Pick::Give));
        policy.member_left(0);
        assert_eq!(picks(&mut policy, &Fake::new(3), 3), [1, 2, 0].map(Pick::Give));
    }
}
