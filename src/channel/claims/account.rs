//! What the messages of one worker may claim, one after the other.

use super::excess;
use crate::channel::frame::{Kind, Malformed};
use crate::sys::clock;

/// Places that are free with each message: no more than it costs anyway.
const FREE: u64 = 1 << 12;
/// The places that all may claim at once, and how many more per second: 16 lists of a million holes, and 2 per second. A busy primary makes
/// few more of them in that time: who sends more of them without end is to be found out there as well.
const MOST: u64 = 1 << 24;
const PER_SECOND: u64 = 1 << 21;

/// One worker's.
pub struct Account {
    left: u64,
    /// When (ns) it was last added to.
    filled_at: u64,
}

impl Default for Account {
    fn default() -> Account {
        Account { left: MOST, filled_at: clock::monotonic_ns() }
    }
}

impl Account {
    /// Looks through a message. Returns how many places it claims beyond those for its size.
    pub fn admit(&mut self, kind: Kind, payload: &[u8]) -> Result<u64, Malformed> {
        let claimed = match kind {
            Kind::Advanced => excess(payload, 1)?,
            Kind::HandleAdvanced => excess(payload, 2)?,
            _ => 0,
        };
        if claimed > FREE && !self.spend(claimed - FREE, clock::monotonic_ns()) {
            return Err(Malformed("messages in V8's format claim more than their size allows, too often"));
        }
        Ok(claimed)
    }

    fn spend(&mut self, places: u64, now: u64) -> bool {
        let passed = u128::from(now.saturating_sub(self.filled_at));
        let more = passed * u128::from(PER_SECOND) / 1_000_000_000;
        self.filled_at = now;
        self.left = MOST.min(self.left + u64::try_from(more).unwrap_or(MOST));
        let left = self.left.checked_sub(places);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_may_be_claimed_at_once_and_less_for_long() {
        let mut account = Account { left: MOST, filled_at: 0 };
        let million = 1_000_000;
        assert!((0..16).all(|_| account.spend(million, 0)));
        assert!(!account.spend(million, 0));
        assert!((0..2).all(|_| account.spend(million, 1_000_000_000)));
        assert!(!account.spend(million, 1_000_000_000));
        assert!((0..16).all(|_| account.spend(million, u64::MAX)));
        assert!(!account.spend(million, u64::MAX));
    }
}
