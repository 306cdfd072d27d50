//! What a worker may say to the acceptor: as much as there is reason for, and some more.

/// Notices without a reason that a worker may send at once: connections that came to it in other ways than through its queue,
/// by a socket of its own or in a message, and are passed on; what it says to be on the safe side.
const SPARE: u64 = 65_536;

/// So many more per second.
const PER_SECOND: u64 = 1000;

/// One worker's.
pub struct Account {
    /// Connections that it has given back.
    returned: u64,
    spare: u64,
    /// When (ns) `spare` was last added to.
    filled_at: u64,
}

impl Account {
    pub fn new(now: u64) -> Account {
        Account { returned: 0, spare: SPARE, filled_at: now }
    }

    /// It gives a connection back, having been given so many. Returns whether it may.
    pub fn give_back(&mut self, given: u64, now: u64) -> bool {
        if self.returned < given {
            self.returned += 1;
            return true;
        }
        self.say(now)
    }

    /// It says something for which there is no reason. Returns whether it may.
    pub fn say(&mut self, now: u64) -> bool {
        if self.spare == 0 {
            let more = now.saturating_sub(self.filled_at) / (1_000_000_000 / PER_SECOND);
            self.filled_at = now;
            self.spare = more.min(SPARE);
        }
        let may = self.spare > 0;
        self.spare = self.spare.saturating_sub(1);
        may
    }

    /// So many of those that it had been given were not taken by it.
    pub fn took_back(&mut self, left: u64) {
        self.returned = self.returned.min(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_may_come_back_and_not_much_more() {
        let mut account = Account::new(0);
        let given = 1_000_000;
        assert!((0..given + SPARE).all(|_| account.give_back(given, 0)));
        assert!(!account.give_back(given, 0));
        assert!(account.give_back(given + 1, 0));
        assert!(!account.say(999_999));
        assert!((0..PER_SECOND).all(|_| account.say(2_000_000_000)));
    }
}
