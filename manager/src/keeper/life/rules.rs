//! What an app wants of its processes' lives, in milliseconds.

use crate::model::{App, Mode};

/// What an app wants of each of its processes. Times are milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Whether it is started again when it ends by itself.
    pub autorestart: bool,
    /// So many ends in a row that came too soon are a crash loop.
    pub max_restarts: u32,
    /// A process that ends before that has ended too soon.
    pub min_uptime: u64,
    /// One that says nothing and lives for so long is online.
    pub alive_after: u64,
    /// One that says when it is ready has so long; `None` where it need not say so.
    pub ready_within: Option<u64>,
    /// Whether one that was not ready by then may still come to it: it goes on launching, and whoever waits for it waits no longer.
    pub may_be_late: bool,
    /// Before each restart.
    pub restart_delay: u64,
    /// Before the first restart of a row, growing with each; 0 for none.
    pub exp_backoff: u64,
    /// Exit codes after which it is not started again.
    pub stop_exit_codes: Vec<i32>,
    /// After so long a process that was asked to stop is killed.
    pub kill_timeout: u64,
    /// Whether the next one may begin while what the one before has started is still there: workers of a primary that has died
    /// finish what they have, and end by themselves.
    pub leaves_rest: bool,
}

/// The longest pause that backing off leads to.
const LONGEST_PAUSE: u64 = 15_000;
/// How much longer each pause is than the one before, in tenths.
const GROWTH: u64 = 15;
/// What counts as too soon, and as alive, where an app does not say.
const MIN_UPTIME: u64 = 1000;
const ALIVE_AFTER: u64 = 50;

impl From<&App> for Rules {
    fn from(app: &App) -> Rules {
        // A cluster says when its workers listen. Ending those that are slow would keep them from ever doing so; the primary ends
        // workers that have to be ready and are not.
        let is_cluster = app.mode == Mode::Cluster;
        Rules {
            autorestart: app.autorestart,
            max_restarts: app.max_restarts,
            min_uptime: app.min_uptime.unwrap_or(MIN_UPTIME),
            alive_after: app.min_uptime.unwrap_or(ALIVE_AFTER),
            ready_within: (app.wait_ready || is_cluster).then_some(app.listen_timeout),
            may_be_late: is_cluster && !app.wait_ready,
            restart_delay: app.restart_delay,
            exp_backoff: app.exp_backoff,
            stop_exit_codes: app.stop_exit_codes.clone(),
            kill_timeout: app.kill_timeout,
            leaves_rest: is_cluster,
        }
    }
}

impl Rules {
    /// The pause before the next restart, after so many ends in a row that came too soon.
    pub fn pause(&self, unstable: u32) -> u64 {
        self.restart_delay.max(backoff(self.exp_backoff, unstable))
    }

    /// Whether one that ends has had so many ends in a row that it is given up, this one included.
    pub fn is_crash_loop(&self, unstable: u32) -> bool {
        unstable >= self.max_restarts.max(1)
    }
}

fn backoff(first: u64, unstable: u32) -> u64 {
    (1..unstable).fold(first, |pause, _| (pause.saturating_mul(GROWTH) / 10).min(LONGEST_PAUSE.max(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow() {
        let pauses: Vec<_> = (1..5).map(|unstable| backoff(100, unstable)).collect();
        assert_eq!(pauses, [100, 150, 225, 337]);
        assert_eq!(backoff(100, 1000), LONGEST_PAUSE);
        assert_eq!(backoff(0, 1000), 0);
    }
}
