//! Least connections: the one that has the fewest.

use super::rotation::Rotation;
use super::{Pick, Policy, View};

/// The member with the fewest connections, open or queued; among equals each in turn.
#[derive(Default)]
pub struct Least {
    rotation: Rotation,
}

impl Policy for Least {
    fn pick(&mut self, view: &dyn View) -> Pick {
        let candidates = self.rotation.order(view.len()).filter(|member| view.can_take(*member));
        // Of equal ones `min_by_key` gives the first.
        let Some(member) = candidates.min_by_key(|member| view.load(*member)) else { return Pick::WaitForAny };
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

    #[test]
    fn equals_take_turns() {
        let mut policy = Least::default();
        let picked: Vec<_> = (0..5).map(|_| policy.pick(&Fake::new(3))).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1].map(Pick::Give));
    }

    #[test]
    fn the_one_with_the_fewest_is_next() {
        let mut view = Fake::new(3);
        view.loads = vec![7, 5, 6];
        assert_eq!(Least::default().pick(&view), Pick::Give(1));
        view.open[1] = false;
        assert_eq!(Least::default().pick(&view), Pick::Give(2));
        view.open = vec![false; 3];
        assert_eq!(Least::default().pick(&view), Pick::WaitForAny);
    }

    #[test]
    fn churn_keeps_members_level() {
        let mut view = Fake::new(4);
        let mut policy = Least::default();
        let mut state = 1u64;
        for step in 0..5000 {
            // After the first 1,000 one that ends, of a member at random, for each that begins.
            if step >= 1000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                view.loads[(state >> 33) as usize % 4] -= 1;
            }
            let Pick::Give(member) = policy.pick(&view) else { panic!("all can take") };
            view.loads[member] += 1;
            let (most, fewest) = (view.loads.iter().max().unwrap(), view.loads.iter().min().unwrap());
            assert!(most - fewest <= 1, "{:?} at {step}", view.loads);
        }
    }
}
