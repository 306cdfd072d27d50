//! Whether to read again at once what may have come while messages were being delivered.
//!
//! A way through the event loop costs several times what a read costs that finds nothing. Who sends many messages sends them in
//! pieces, so that the next piece has mostly come by then; who waits for the answer to a few has sent nothing. So it is tried as
//! long as it pays, and then now and then.

use std::cell::Cell;

/// What a read that brought something counts for; one that did not counts 1 less than nothing.
const HIT: i32 = 2;
/// Where counting ends, in both directions: so soon it is noticed that it has begun, or has ceased, to pay.
const LIMIT: i32 = 6;
/// When it does not pay it is tried with one delivery of so many.
const NOW_AND_THEN: u32 = 64;

/// How reading again has paid lately.
#[derive(Default)]
pub(super) struct Again {
    score: Cell<i32>,
    passed: Cell<u32>,
}

impl Again {
    /// Whether to read again after a delivery.
    pub(super) fn pays(&self) -> bool {
        if self.score.get() >= 0 {
            return true;
        }
        self.passed.set((self.passed.get() + 1) % NOW_AND_THEN);
        self.passed.get() == 0
    }

    /// What such a read brought: something, or nothing.
    pub(super) fn found(&self, something: bool) {
        let step = if something { HIT } else { -1 };
        self.score.set((self.score.get() + step).clamp(-LIMIT, LIMIT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_while_two_of_three_pay() {
        let again = Again::default();
        for round in 0..100 {
            assert!(again.pays(), "{round}");
            again.found(round % 3 != 2);
        }
    }

    #[test]
    fn what_never_pays_is_hardly_tried() {
        let again = Again::default();
        let tried = (0..6400).filter(|_| again.pays()).inspect(|_| again.found(false)).count();
        assert!(tried <= 101, "{tried} of 6400");
    }

    #[test]
    fn what_pays_again_is_noticed() {
        let again = Again::default();
        (0..1000).filter(|_| again.pays()).for_each(|_| again.found(false));
        let deliveries = (0..)
            .take_while(|_| {
                !(again.pays() && {
                    again.found(true);
                    again.score.get() >= 0
                })
            })
            .count();
        assert!(deliveries < 4 * NOW_AND_THEN as usize, "{deliveries}");
    }
}
