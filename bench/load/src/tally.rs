//! What was counted, and the JSON object that says so.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// More slow requests than this are counted, not listed.
const MOST_LISTED: usize = 20_000;

/// One listed request: when it was due since the start, how long it took (both µs), who answered.
type Listed = (u64, u64, u32);

pub struct Tally {
    start: Instant,
    last: Instant,
    report_over: Option<Duration>,
    pub connections: u64,
    latencies_us: Vec<u32>,
    workers: BTreeMap<u32, u64>,
    failed: BTreeMap<String, u64>,
    over: Vec<Listed>,
    held: Option<Held>,
}

/// How held connections were spread over the workers.
pub struct Held {
    pub active: BTreeMap<u32, u64>,
    /// The largest `max − min` seen after all connections had been opened.
    pub widest: u64,
    /// The same in the second half of the time.
    pub widest_late: u64,
}

impl Tally {
    pub fn new(report_over: Option<Duration>) -> Self {
        let start = Instant::now();
        Self {
            start,
            last: start,
            report_over,
            connections: 0,
            latencies_us: Vec::new(),
            workers: BTreeMap::new(),
            failed: BTreeMap::new(),
            over: Vec::new(),
            held: None,
        }
    }

    /// An answer came. `due` is when the request should have been sent, not when it was.
    pub fn answered(&mut self, due: Instant, now: Instant, worker: Option<u32>) {
        let latency = now.saturating_duration_since(due);
        self.last = now;
        self.latencies_us.push(latency.as_micros().min(u128::from(u32::MAX)) as u32);
        *self.workers.entry(worker.unwrap_or(0)).or_default() += 1;
        if self.report_over.is_some_and(|limit| latency > limit) && self.over.len() < MOST_LISTED {
            let at = due.saturating_duration_since(self.start).as_micros() as u64;
            self.over.push((at, latency.as_micros() as u64, worker.unwrap_or(0)));
        }
    }

    pub fn failed(&mut self, kind: &str) {
        self.last = Instant::now();
        *self.failed.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn held(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// The report as one line of JSON; latencies in microseconds.
    pub fn to_json(&mut self) -> String {
        self.latencies_us.sort_unstable();
        let seconds = self.last.saturating_duration_since(self.start).as_secs_f64();
        let mut json = format!(
            "{{\"requests\":{},\"connections\":{},\"seconds\":{seconds:.6},\"failed\":{{{}}},\
             \"workers\":{{{}}},\"latency_us\":{{{}}}",
            self.latencies_us.len(),
            self.connections,
            members(&self.failed),
            members(&self.workers),
            self.percentiles(),
        );
        if self.report_over.is_some() {
            let rows: Vec<_> = self.over.iter().map(|(at, us, pid)| format!("[{at},{us},{pid}]")).collect();
            let _ = write!(json, ",\"over\":[{}]", rows.join(","));
        }
        if let Some(held) = &self.held {
            let _ = write!(
                json,
                ",\"held\":{{\"active\":{{{}}},\"widest\":{},\"widest_late\":{}}}",
                members(&held.active),
                held.widest,
                held.widest_late
            );
        }
        json.push('}');
        json
    }

    fn percentiles(&self) -> String {
        let named = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
        let texts: Vec<_> =
            named.iter().map(|(name, part)| format!("\"{name}\":{}", percentile(&self.latencies_us, *part))).collect();
        texts.join(",")
    }
}

/// The nearest-rank percentile of a sorted list; 0 when it is empty.
fn percentile(sorted: &[u32], part: f64) -> u32 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn members<K: std::fmt::Display>(map: &BTreeMap<K, u64>) -> String {
    let texts: Vec<_> = map.iter().map(|(key, count)| format!("\"{key}\":{count}")).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::{percentile, Tally};
    use std::time::Duration;

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&sorted, 0.5), 50);
        assert_eq!(percentile(&sorted, 0.99), 99);
        assert_eq!(percentile(&sorted, 1.0), 100);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn the_report_counts_from_the_scheduled_start() {
        let mut tally = Tally::new(Some(Duration::from_millis(5)));
        let due = tally.start + Duration::from_millis(1);
        tally.answered(due, due + Duration::from_millis(9), Some(42));
        tally.answered(due, due, None);
        tally.failed("ECONNRESET");
        let json = tally.to_json();
        assert!(json.contains("\"workers\":{\"0\":1,\"42\":1}"), "{json}");
        assert!(json.contains("\"over\":[[1000,9000,42]]"), "{json}");
        assert!(json.contains("\"failed\":{\"ECONNRESET\":1}"), "{json}");
    }
}
