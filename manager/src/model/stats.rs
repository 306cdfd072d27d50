//! What a worker's board says, in the shape of `cluster.workers[id].stats`.

use serde::{Deserialize, Serialize};

use crate::board_layout::{self as board, BOUNDS, BUCKETS, Figures};

/// All of it, since the worker was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Its connections.
    pub connections: Connections,
    /// Its event loop.
    #[serde(rename = "loop")]
    pub event_loop: Loop,
    /// From being accepted to its server.
    pub waiting: Histogram,
    /// Its HTTP requests, where they are counted.
    pub http: Option<Http>,
}

/// Connections of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Open.
    pub active: u64,
    /// In its queue.
    pub queued: u64,
    /// Ever.
    pub total: u64,
}

/// The event loop of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loop {
    /// The part (0 to 1) of its time that it has been running.
    pub utilization: f64,
    /// ms spent running, and waiting for events.
    pub running: f64,
    /// ms spent waiting for events.
    pub idle: f64,
    /// ms
    pub longest_turn: f64,
    /// How many.
    pub turns: u64,
    /// How long they took.
    pub delay: Histogram,
}

/// HTTP requests of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// That have come.
    pub requests: u64,
    /// Answered with a status of 500 or more.
    pub errors: u64,
    /// Until the response was given to the kernel.
    pub time: Histogram,
}

/// How long something took, each time that it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How often it did.
    pub count: u64,
    /// ms of all together.
    pub sum: f64,
    /// ms that half of them took at most, estimated.
    pub p50: f64,
    /// ms
    pub p90: f64,
    /// ms
    pub p99: f64,
    /// How many took up to each bound, and longer than the last.
    pub counts: Vec<u64>,
}

impl From<board::Histogram> for Histogram {
    fn from(board::Histogram { sum, counts }: board::Histogram) -> Histogram {
        let count = counts.iter().fold(0_u64, |all, one| all.saturating_add(*one));
        let at = |part| percentile(&counts, count, part);
        Histogram { count, sum, p50: at(0.5), p90: at(0.9), p99: at(0.99), counts: counts.to_vec() }
    }
}

/// As lib/stats.js has it: evenly spread within a bucket; longer than the last bound cannot be told.
pub(super) fn percentile(counts: &[u64; BUCKETS], count: u64, part: f64) -> f64 {
    let (mut rank, mut from) = (part * count as f64, 0.0);
    for (bound, count) in BOUNDS.iter().zip(counts) {
        let (bound, count) = (*bound as f64 / 1e6, *count as f64);
        if count > 0.0 && rank <= count {
            return from + (bound - from) * (rank / count);
        }
        rank -= count;
        from = bound;
    }
    if count > 0 { from } else { 0.0 }
}

impl From<Figures> for Stats {
    fn from(figures: Figures) -> Stats {
        let Figures { active, queued, total, turns, running, idle, longest, waits, turned, http, .. } = figures;
        let time = running + idle;
        Stats {
            connections: Connections { active, queued, total },
            event_loop: Loop {
                utilization: if time > 0.0 { running / time } else { 0.0 },
                running,
                idle,
                longest_turn: longest,
                turns,
                delay: turned.into(),
            },
            waiting: waits.into(),
            http: http.map(|board::Http { requests, errors, times }| Http { requests, errors, time: times.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_estimated_from_the_buckets() {
        let histogram = |counts: &[(usize, u64)]| {
            let mut all = [0; BUCKETS];
            counts.iter().for_each(|(bucket, count)| all[*bucket] = *count);
            Histogram::from(board::Histogram { sum: 1.0, counts: all })
        };
        let none = histogram(&[]);
        assert_eq!((none.count, none.p50, none.p99), (0, 0.0, 0.0));
        let some = histogram(&[(0, 50), (1, 50)]);
        assert_eq!((some.count, some.p50, some.p90), (100, 0.5, 0.9));
        assert_eq!(histogram(&[(BUCKETS - 1, 1)]).p50, 10_000.0);
        assert_eq!(histogram(&[(0, u64::MAX), (1, u64::MAX)]).count, u64::MAX);
    }
}
