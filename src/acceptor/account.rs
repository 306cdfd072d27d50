//! What a worker may say to the acceptor: as much as there is reason for, and some more.

/// Notices without a reason that a worker may send at once, and more per second: what it says to be on the safe side. The same goes
/// for connections of one that has a listening socket of its own: nobody knows how many came to it there.
const SPARE: Allowance = Allowance { most: 65_536, per_second: 1000 };

/// Connections that came to a worker neither through its queue nor by a socket of its own: in messages.
const STRANGE: Allowance = Allowance { most: 256, per_second: 50 };

/// How much of something is allowed.
struct Allowance {
    most: u64,
    per_second: u64,
}

/// What is left of an allowance.
struct Purse {
    left: u64,
    /// When (ns) it was last added to.
    filled_at: u64,
}

impl Purse {
    fn spend(&mut self, allowance: &Allowance, now: u64) -> bool {
        if self.left == 0 {
            let more = now.saturating_sub(self.filled_at) / (1_000_000_000 / allowance.per_second);
            self.filled_at = now;
            self.left = more.min(allowance.most);
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// One worker's.
pub struct Account {
    /// Connections that it has given back.
    returned: u64,
    spare: Purse,
    strange: Purse,
}

impl Account {
    pub fn new(now: u64) -> Account {
        let full = |allowance: &Allowance| Purse { left: allowance.most, filled_at: now };
        Account { returned: 0, spare: full(&SPARE), strange: full(&STRANGE) }
    }

    /// It gives a connection back, having been given so many. `own`: it may have come by a socket of its own. Returns whether it may.
    pub fn give_back(&mut self, given: u64, own: bool, now: u64) -> bool {
        if self.returned < given {
            self.returned += 1;
            return true;
        }
        if own { self.say(now) } else { self.strange.spend(&STRANGE, now) }
    }

    /// It says something for which there is no reason. Returns whether it may.
    pub fn say(&mut self, now: u64) -> bool {
        self.spare.spend(&SPARE, now)
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
        assert!((0..given + STRANGE.most).all(|_| account.give_back(given, false, 0)));
        assert!(!account.give_back(given, false, 0));
        assert!(account.give_back(given + 1, false, 0));
        // Who has a socket of its own may have got more.
        assert!((0..SPARE.most).all(|_| account.give_back(given, true, 0)));
        assert!(!account.say(999_999));
        assert!((0..SPARE.per_second).all(|_| account.say(2_000_000_000)));
    }
}
