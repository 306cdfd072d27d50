//! Whether to read again at once what may have come while messages were being delivered.
//!
//! A way through the event loop costs several times as much as a read that finds nothing. Who sends many messages sends them in
//! pieces, so that the next piece has mostly come by then; who waits for the answer to a few has sent nothing more. So it is tried
//! as long as it pays, and later only now and then.

use std::cell::Cell;

/// What a read adds to the score when it brings something; otherwise it takes 1 away.
const HIT: i32 = 2;
/// The score stays within this, in both directions, so that it is soon noticed when reading again begins, or ceases, to pay.
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
        let mut deliveries = 0;
        while again.score.get() < 0 {
            deliveries += 1;
            if again.pays() {
                again.found(true);
            }
        }
        assert!(deliveries < 4 * NOW_AND_THEN, "{deliveries}");
    }
}
