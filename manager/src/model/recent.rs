//! What workers have done of late: the difference between two looks at their boards.

use serde::{Deserialize, Serialize};

use super::stats::percentile;
use crate::board_layout::{self as board, BUCKETS, Figures};

/// What a worker, or all of an app together, has done since the look before, and has now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    /// How long that was.
    pub seconds: f64,
    /// Connections that came, each second.
    pub connections: f64,
    /// Connections that are open now.
    pub active: u64,
    /// Connections that wait in queues now.
    pub queued: u64,
    /// ms from being accepted to its server; nothing where no connection came.
    pub waiting: Option<Percentiles>,
    /// The part (0 to 1) of the time that the event loop was running: of an app the mean of its workers.
    pub utilization: f64,
    /// ms that turns of the event loop took; nothing where it has not turned.
    pub delay: Option<Percentiles>,
    /// HTTP requests, where they are counted.
    pub http: Option<Http>,
}

/// Half, and 99 of 100, took so long (ms) at most: estimated from the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of them.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
}

/// HTTP requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Each second.
    pub requests: f64,
    /// Answered with a status of 500 or more, each second.
    pub errors: f64,
    /// ms until the response was given to the kernel; nothing where there was none.
    pub time: Option<Percentiles>,
}

/// What has been added to a board within a time.
#[derive(Clone, Debug)]
pub struct Change {
    seconds: f64,
    connections: u64,
    waits: [u64; BUCKETS],
    utilization: f64,
    turned: [u64; BUCKETS],
    http: Option<(u64, u64, [u64; BUCKETS])>,
}

impl Change {
    /// From one look to the next, so many seconds later. Whatever a board says: it may have been written by anybody.
    pub fn between(before: &Figures, now: &Figures, seconds: f64) -> Change {
        let (running, idle) = (since(before.running, now.running), since(before.idle, now.idle));
        // A turn is counted when it is over.
        let is_in_a_turn = now.turns == before.turns && (now.running_since > 0 || now.queued > 0);
        let utilization = if running + idle > 0.0 { running / (running + idle) } else { f64::from(is_in_a_turn) };
        let before_http = before.http.unwrap_or_default();
        Change {
            seconds,
            connections: now.total.saturating_sub(before.total),
            waits: added(&before.waits, &now.waits),
            utilization: if is_in_a_turn { 1.0 } else { utilization },
            turned: added(&before.turned, &now.turned),
            http: now.http.map(|http| {
                let requests = http.requests.saturating_sub(before_http.requests);
                let errors = http.errors.saturating_sub(before_http.errors);
                (requests, errors, added(&before_http.times, &http.times))
            }),
        }
    }
}

impl Recent {
    /// Of several workers together: what each has done, and what its board says now. Nothing of none.
    pub fn of(all: &[(&Change, &Figures)]) -> Option<Recent> {
        let (first, _) = all.first()?;
        let each = |number: fn(&Change) -> f64| all.iter().map(|(change, _)| number(change)).sum::<f64>();
        let buckets = |of: fn(&Change) -> Option<&[u64; BUCKETS]>| {
            let all = all.iter().filter_map(|(change, _)| of(change));
            let sum: [u64; BUCKETS] =
                all.fold([0; BUCKETS], |sum, one| std::array::from_fn(|index| sum[index].saturating_add(one[index])));
            percentiles(&sum)
        };
        let http = all.iter().any(|(change, _)| change.http.is_some()).then(|| Http {
            requests: each(|change| change.http.map_or(0.0, |(requests, ..)| rate(requests, change.seconds))),
            errors: each(|change| change.http.map_or(0.0, |(_, errors, _)| rate(errors, change.seconds))),
            time: buckets(|change| change.http.as_ref().map(|(_, _, times)| times)),
        });
        Some(Recent {
            seconds: all.iter().map(|(change, _)| change.seconds).fold(first.seconds, f64::max),
            connections: each(|change| rate(change.connections, change.seconds)),
            active: all.iter().fold(0, |sum, (_, now)| sum.saturating_add(now.active)),
            queued: all.iter().fold(0, |sum, (_, now)| sum.saturating_add(now.queued)),
            waiting: buckets(|change| Some(&change.waits)),
            utilization: each(|change| change.utilization) / all.len() as f64,
            delay: buckets(|change| Some(&change.turned)),
            http,
        })
    }
}

fn since(before: f64, now: f64) -> f64 {
    (now - before).max(0.0)
}

fn added(before: &board::Histogram, now: &board::Histogram) -> [u64; BUCKETS] {
    std::array::from_fn(|index| now.counts[index].saturating_sub(before.counts[index]))
}

/// Each second, to a hundredth: of few in a long time something is left.
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds * 100.0).round() / 100.0 } else { 0.0 }
}

fn percentiles(counts: &[u64; BUCKETS]) -> Option<Percentiles> {
    let count = counts.iter().fold(0_u64, |all, one| all.saturating_add(*one));
    let at = |part| (percentile(counts, count, part) * 100.0).round() / 100.0;
    (count > 0).then(|| Percentiles { p50: at(0.5), p99: at(0.99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(total: u64, running: f64, idle: f64, waits: &[(usize, u64)]) -> Figures {
        let mut figures = Figures { total, running, idle, turns: total, ..Figures::default() };
        waits.iter().for_each(|(bucket, count)| figures.waits.counts[*bucket] = *count);
        figures
    }

    #[test]
    fn only_what_came_between_two_looks_counts() {
        // A thousand that waited for seconds are history.
        let before = figures(1000, 100.0, 100.0, &[(11, 1000)]);
        let now = Figures { active: 7, queued: 1, ..figures(1020, 600.0, 1600.0, &[(11, 1000), (0, 20)]) };
        let change = Change::between(&before, &now, 2.0);
        let recent = Recent::of(&[(&change, &now)]).unwrap();
        assert_eq!((recent.connections, recent.active, recent.queued, recent.utilization), (10.0, 7, 1, 0.25));
        assert_eq!(recent.waiting, Some(Percentiles { p50: 0.25, p99: 0.5 }));
        assert_eq!((&recent.delay, &recent.http), (&None, &None));
    }

    #[test]
    fn an_app_is_all_its_workers_and_percentiles_are_of_all_connections() {
        let none = Figures::default();
        let fast = figures(99, 0.0, 100.0, &[(0, 99)]);
        let slow = figures(1, 100.0, 0.0, &[(10, 1)]);
        let changes = [Change::between(&none, &fast, 1.0), Change::between(&none, &slow, 1.0)];
        let recent = Recent::of(&[(&changes[0], &fast), (&changes[1], &slow)]).unwrap();
        assert_eq!((recent.connections, recent.utilization), (100.0, 0.5));
        let waiting = recent.waiting.unwrap();
        assert!(waiting.p50 < 0.5 && waiting.p99 <= 0.5, "{waiting:?}");
        assert!(Recent::of(&[]).is_none());
    }

    #[test]
    fn a_loop_that_does_not_turn_is_busy_when_it_is_in_a_turn_or_something_waits() {
        let of =
            |now: Figures| Recent::of(&[(&Change::between(&Figures::default(), &now, 1.0), &now)]).unwrap().utilization;
        assert_eq!(of(Figures::default()), 0.0);
        assert_eq!(of(Figures { running_since: 5, ..Figures::default() }), 1.0);
        assert_eq!(of(Figures { queued: 1, ..Figures::default() }), 1.0);
    }

    #[test]
    fn a_board_that_lies_makes_no_nonsense() {
        let wild = Figures {
            total: u64::MAX,
            running: f64::MAX,
            idle: f64::MAX,
            waits: board::Histogram { sum: f64::NAN, counts: [u64::MAX; BUCKETS] },
            http: Some(board::Http::default()),
            ..Figures::default()
        };
        for (before, now) in [(Figures::default(), wild), (wild, Figures::default()), (wild, wild)] {
            let change = Change::between(&before, &now, 1.0);
            let text = serde_json::to_string(&Recent::of(&[(&change, &now), (&change, &now)])).unwrap();
            assert!(serde_json::from_str::<Recent>(&text).is_ok(), "{text}");
        }
    }
}
