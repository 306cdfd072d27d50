//! What workers have done since they were looked at before: nobody has to keep two listings to know it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::board_layout::Figures;
use crate::keeper::Whose;
use crate::model::{Change, Recent, Status};

/// Two looks are at least so far apart: whoever looks again sooner sees the same. What happened in less says little.
const APART: Duration = Duration::from_millis(900);

/// The last look at a worker's board, and what had changed since the one before.
struct Look {
    at: Instant,
    figures: Figures,
    change: Change,
}

/// The last looks at all boards, by app and process.
#[derive(Default)]
pub struct Looks(RefCell<BTreeMap<String, BTreeMap<i32, Look>>>);

impl Looks {
    /// Fills in what the boards of an app's workers say, and what has changed. Those that are not among these boards are forgotten.
    pub fn fill(&self, key: &str, status: &mut Status, boards: Vec<(Whose, Figures)>) {
        let mut all = self.0.borrow_mut();
        if boards.is_empty() {
            all.remove(key);
            return;
        }
        let before = all.remove(key).unwrap_or_default();
        let mut after = BTreeMap::new();
        let mut known = Vec::new();
        for (Whose { pid, .. }, figures) in boards {
            let look = next(before.get(&pid), figures);
            if let Some(worker) = status.workers.iter_mut().find(|worker| worker.pid == Some(pid)) {
                worker.recent = Recent::of(&[(&look.change, &figures)]);
                worker.stats = Some(figures.into());
                known.push((look.change.clone(), figures));
            }
            after.insert(pid, look);
        }
        let known: Vec<_> = known.iter().map(|(change, figures)| (change, figures)).collect();
        status.recent = Recent::of(&known);
        all.insert(key.to_owned(), after);
    }

    /// The app is no more.
    pub fn forget(&self, key: &str) {
        self.0.borrow_mut().remove(key);
    }
}

fn next(before: Option<&Look>, figures: Figures) -> Look {
    let at = Instant::now();
    // A number of another process that has ended says nothing of this one.
    match before.filter(|before| before.figures.turns <= figures.turns) {
        Some(before) if at - before.at < APART => {
            Look { at: before.at, figures: before.figures, change: before.change.clone() }
        }
        Some(before) => {
            let change = Change::between(&before.figures, &figures, (at - before.at).as_secs_f64());
            Look { at, figures, change }
        }
        // Since it was started.
        None => {
            let seconds = ((figures.running + figures.idle) / 1000.0).max(1.0);
            Look { at, figures, change: Change::between(&Figures::default(), &figures, seconds) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_looks_again_at_once_sees_the_same_and_who_has_gone_is_forgotten() {
        let status = json!({
            "app": "web", "namespace": "default", "mode": "cluster", "keeper": 1, "processes": [],
            "workers": [{ "seat": 0, "pid": 8, "state": "ready", "restarts": 0 }],
        });
        let mut status: Status = serde_json::from_value(status).unwrap();
        let looks = Looks::default();
        let board = |pid, total| (Whose { seat: 0, pid }, Figures { total, active: total, ..Figures::default() });
        looks.fill("web", &mut status, vec![board(8, 10)]);
        let rate =
            |status: &Status| status.workers[0].recent.as_ref().map(|recent| (recent.connections, recent.active));
        assert_eq!(rate(&status), Some((10.0, 10)));
        // What has changed is as it was, and what is so now is told.
        looks.fill("web", &mut status, vec![board(8, 30), board(9, 7)]);
        assert_eq!(rate(&status), Some((10.0, 30)));
        assert_eq!(status.recent.as_ref().map(|recent| recent.active), Some(30));
        std::thread::sleep(APART);
        looks.fill("web", &mut status, vec![board(8, 1010)]);
        // A busy machine may sleep for longer.
        assert!(rate(&status).is_some_and(|(rate, _)| rate > 10.0 && rate < 1120.0), "{:?}", rate(&status));
        assert_eq!(looks.0.borrow()["web"].len(), 1);
        looks.fill("web", &mut status, Vec::new());
        assert!(looks.0.borrow().is_empty());
    }
}
