//! When changes of files are acted upon: not before there has been none for a while, and not again and again when the app makes them itself.
//!
//! Pure: changes and the time (ms) go in, a verdict comes out.

use std::path::{Path, PathBuf};

/// However often something changes, it is acted upon after so many delays, and after so long (ms) at least.
const DELAYS: u64 = 10;
const LONGEST: u64 = 2000;

/// A change that comes so soon (ms) after the app was started anew is likely to be its own.
const SOON: u64 = 2000;
/// So many of those in a row, within that time (ms), are a loop.
const MOST: usize = 5;
const WITHIN: u64 = 60_000;

/// Changes that have not been acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// When the first came.
    pub first: u64,
    /// When the last did.
    pub last: u64,
    /// What has changed: the last that is there now, as editors remove what they only need for saving.
    pub path: PathBuf,
    is_there: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The app is started anew.
    Act(Changes),
    /// It would be so again and again: it is left alone.
    Loop(Changes),
}

/// What has changed, and what was done about it.
#[derive(Debug, Default)]
pub struct Pace {
    changes: Option<Changes>,
    /// When the app was last seen through starting anew because of a change.
    acted: Option<u64>,
    /// When changes came soon after that.
    soon: Vec<u64>,
}

impl Pace {
    /// Something has changed, and is there or has gone.
    pub fn changed(&mut self, path: &Path, is_there: bool, now: u64) {
        let changes =
            self.changes.get_or_insert_with(|| Changes { first: now, last: now, path: path.to_owned(), is_there });
        changes.last = now;
        if is_there || !changes.is_there {
            (changes.path, changes.is_there) = (path.to_owned(), is_there);
        }
    }

    /// When it is to be acted upon.
    pub fn due(&self, delay: u64) -> Option<u64> {
        let longest = LONGEST.max(delay.saturating_mul(DELAYS));
        self.changes
            .as_ref()
            .map(|changes| changes.last.saturating_add(delay).min(changes.first.saturating_add(longest)))
    }

    /// It is due.
    pub fn take(&mut self) -> Option<Verdict> {
        let changes = self.changes.take()?;
        if self.acted.is_none_or(|acted| changes.first > acted.saturating_add(SOON)) {
            self.soon.clear();
            return Some(Verdict::Act(changes));
        }
        self.soon.retain(|at| changes.first.saturating_sub(*at) <= WITHIN);
        if self.soon.len() >= MOST {
            return Some(Verdict::Loop(changes));
        }
        self.soon.push(changes.first);
        Some(Verdict::Act(changes))
    }

    /// The app was started anew, and that is over.
    pub fn acted(&mut self, now: u64) {
        self.acted = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(pace: &mut Pace, now: u64) {
        pace.changed(Path::new("/a"), true, now);
    }

    #[test]
    fn many_changes_at_once_are_one() {
        let mut pace = Pace::default();
        assert_eq!(pace.due(200), None);
        changed(&mut pace, 1000);
        changed(&mut pace, 1150);
        assert_eq!(pace.due(200), Some(1350));
        assert!(matches!(pace.take(), Some(Verdict::Act(Changes { first: 1000, last: 1150, .. }))));
        assert_eq!((pace.due(200), pace.take()), (None, None));
    }

    #[test]
    fn what_changes_all_the_time_does_not_put_it_off_for_ever() {
        let mut pace = Pace::default();
        for now in (0..100_000).step_by(100) {
            changed(&mut pace, now);
        }
        assert_eq!((pace.due(200), pace.due(1000)), (Some(2000), Some(10_000)));
    }

    #[test]
    fn what_is_there_afterwards_is_named() {
        let mut pace = Pace::default();
        for (path, is_there) in [("/4913", true), ("/4913", false), ("/a.js", true), ("/a.js~", false)] {
            pace.changed(Path::new(path), is_there, 0);
        }
        assert!(matches!(pace.take(), Some(Verdict::Act(changes)) if changes.path == Path::new("/a.js")));
    }

    /// Changes that come so long (ms) after each start, which takes 100 ms. Returns how often it was started anew until it is left alone.
    fn starts(after: u64, most: u64) -> Option<u64> {
        let (mut pace, mut now) = (Pace::default(), 0);
        for starts in 0..most {
            now += after;
            changed(&mut pace, now);
            match pace.take() {
                Some(Verdict::Act(_)) => now += 100,
                other => return matches!(other, Some(Verdict::Loop(_))).then_some(starts),
            }
            pace.acted(now);
        }
        None
    }

    #[test]
    fn an_app_that_changes_its_own_files_is_left_alone_after_five_times() {
        assert_eq!(starts(10, 100), Some(6));
        assert_eq!(starts(2000, 100), Some(6));
        // Somebody edits.
        assert_eq!(starts(2001, 100), None);
    }

    #[test]
    fn a_change_that_comes_late_ends_the_row() {
        let mut pace = Pace::default();
        for now in [0, 1000, 2000, 3000, 4000, 10_000, 11_000, 12_000, 13_000, 14_000, 15_000] {
            changed(&mut pace, now);
            assert!(matches!(pace.take(), Some(Verdict::Act(_))), "{now}");
            pace.acted(now);
        }
        changed(&mut pace, 16_000);
        assert!(matches!(pace.take(), Some(Verdict::Loop(_))));
    }
}
