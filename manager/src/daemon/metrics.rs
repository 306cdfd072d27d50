//! What the apps are doing, for Prometheus: in OpenMetrics' text, or in the older one.
//!
//! There are as many series as processes times what is told of one, whatever these do: nothing that a client of theirs sends
//! becomes a label. What apps count themselves comes besides, where that was asked for, and is bounded: see [`own`].

mod dropped;
mod own;
mod text;

use super::figures::{Machine, Used};
use crate::board_layout::{Figures, Histogram};
use crate::keeper::Whose;
use crate::model::{App, Mode, State, Status};
pub use dropped::Dropped;
pub use own::{OwnMetrics, TIME};
use text::{Kind, Number, Text, escaped};

/// The types of what is answered.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older one.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One process, and what is told of it.
pub struct Sample {
    /// `app="…",instance="…"`
    labels: String,
    /// Whether it does its work.
    is_up: bool,
    restarts: u64,
    /// While it runs, with all that it has started.
    used: Option<Used>,
    /// ms since 1970
    started_at: Option<u64>,
    /// What its board says, if there is one that we can read.
    figures: Option<Figures>,
}

/// The processes of an app. Of a cluster the instances are its workers, and there is `primary` besides.
pub fn samples(app: &App, status: &Status, boards: &[(Whose, Figures)], machine: &Machine) -> Vec<Sample> {
    // As on the command line.
    let app = escaped(&label(&app.name, &app.namespace));
    let labels = |instance: &str| format!("app=\"{app}\",instance=\"{instance}\"");
    let used = |pid: Option<i32>| pid.map(|pid| machine.used(pid));
    let processes = status.processes.iter().map(|one| Sample {
        labels: match status.mode {
            Mode::Cluster => labels("primary"),
            Mode::Program => labels(&one.instance.to_string()),
        },
        is_up: one.state == State::Online,
        restarts: one.restarts,
        used: used(one.pid),
        started_at: one.started_at,
        figures: None,
    });
    let workers = status.workers.iter().map(|one| Sample {
        labels: labels(&one.seat.to_string()),
        is_up: one.state == "ready",
        restarts: one.restarts,
        used: used(one.pid),
        started_at: one.started_at,
        figures: boards.iter().find(|(whose, _)| Some(whose.pid) == one.pid).map(|(_, figures)| *figures),
    });
    processes.chain(workers).collect()
}

/// What an app is called.
pub fn label(app: &str, namespace: &str) -> String {
    if namespace == "default" { app.to_owned() } else { format!("{namespace}:{app}") }
}

/// About so many bytes are told of a process that has a board, and of one that has none.
const WITH_BOARD: usize = 6144;
const WITHOUT: usize = 768;

/// A metric: its name without the prefix, what it means, and what it is of a process.
type Metric<T> = (&'static str, &'static str, fn(&Sample) -> Option<T>);

/// Of each process.
const NUMBERS: [(Kind, Metric<Number>); 16] = {
    use Kind::{Counter, Gauge};
    use Number::{Real, Whole};
    [
        (Gauge, ("up", "Whether it is online", |one| Some(Whole(u64::from(one.is_up))))),
        (Counter, ("restarts", "How often it was started again", |one| Some(Whole(one.restarts)))),
        (
            Counter,
            ("process_cpu_seconds", "Processor time used, with all that it has started", |one| {
                Some(seconds(one.used.as_ref()?.cpu_time()))
            }),
        ),
        (
            Gauge,
            ("process_resident_memory_bytes", "Memory used, with all that it has started", |one| {
                Some(Whole(one.used.as_ref()?.memory()))
            }),
        ),
        (
            Gauge,
            ("process_threads", "Threads, with those of all that it has started", |one| {
                Some(Whole(one.used.as_ref()?.threads))
            }),
        ),
        (
            Gauge,
            ("process_open_fds", "Open descriptors, with those of all that it has started", |one| {
                Some(Whole(one.used.as_ref()?.descriptors))
            }),
        ),
        (Gauge, ("process_start_time_seconds", "When it was started, since 1970", |one| one.started_at.map(seconds))),
        (Gauge, ("connections_active", "Connections that are open", |one| Some(Whole(one.figures.as_ref()?.active)))),
        (
            Gauge,
            ("connections_queued", "Connections that wait in its queue", |one| {
                Some(Whole(one.figures.as_ref()?.queued))
            }),
        ),
        (Counter, ("connections", "Connections that it has had", |one| Some(Whole(one.figures.as_ref()?.total)))),
        (
            Counter,
            ("event_loop_running_seconds", "Time that the event loop has been running", |one| {
                Some(Real(one.figures.as_ref()?.running / 1e3))
            }),
        ),
        (
            Counter,
            ("event_loop_idle_seconds", "Time that the event loop has waited for events", |one| {
                Some(Real(one.figures.as_ref()?.idle / 1e3))
            }),
        ),
        (Counter, ("event_loop_turns", "Turns of the event loop", |one| Some(Whole(one.figures.as_ref()?.turns)))),
        (
            Gauge,
            ("event_loop_longest_turn_seconds", "The longest turn of the event loop", |one| {
                Some(Real(one.figures.as_ref()?.longest / 1e3))
            }),
        ),
        (
            Counter,
            ("http_requests", "HTTP requests that have come", |one| {
                Some(Whole(one.figures.as_ref()?.http.as_ref()?.requests))
            }),
        ),
        (
            Counter,
            ("http_errors", "HTTP requests that were answered with a status of 500 or more", |one| {
                Some(Whole(one.figures.as_ref()?.http.as_ref()?.errors))
            }),
        ),
    ]
};

/// Of each process: how long things took.
const TIMES: [Metric<Histogram>; 3] = [
    (
        "connection_wait_seconds",
        "From being accepted to its server, of each connection that came out of the queue",
        |one| Some(one.figures.as_ref()?.waits),
    ),
    ("event_loop_delay_seconds", "How long turns of the event loop took", |one| Some(one.figures.as_ref()?.turned)),
    (
        "http_response_seconds",
        "From the headers of an HTTP request until its response was given to the kernel",
        |one| Some(one.figures.as_ref()?.http.as_ref()?.times),
    ),
];

fn seconds(ms: u64) -> Number {
    Number::Real(ms as f64 / 1e3)
}

/// All that is known of these processes; what apps count themselves, and what of that was left out. `open`: as OpenMetrics.
pub fn text(all: &[Sample], own: &OwnMetrics, dropped: &Dropped, open: bool) -> Result<String, std::fmt::Error> {
    // A text of megabytes is not to be copied again and again as it grows.
    let room = all.iter().map(|one| if one.figures.is_some() { WITH_BOARD } else { WITHOUT }).sum();
    let mut text = Text::with_capacity(room, open);
    for (kind, (name, help, of)) in &NUMBERS {
        text.numbers(*kind, name, help, all.iter().filter_map(|one| Some((one.labels.as_str(), of(one)?))));
    }
    for (name, help, of) in &TIMES {
        text.histograms(name, help, all.iter().filter_map(|one| Some((one.labels.as_str(), of(one)?))));
    }
    let mut text = text.into_string();
    text.push_str(&own.text(open)?);
    dropped.write(&mut text, open)?;
    if open {
        text.push_str("# EOF\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board_layout::{BUCKETS, Http};
    use serde_json::json;

    /// What is told of a cluster of this namespace, with one worker that has counted and one that is not there.
    fn told(namespace: &str, open: bool) -> String {
        let status: Status = serde_json::from_value(json!({
            "app": "we\"b", "namespace": namespace, "mode": "cluster", "keeper": 1,
            "processes": [{ "instance": 0, "pid": std::process::id(), "state": "online", "restarts": 0, "unstableRestarts": 0 }],
            "workers": [
                { "seat": 0, "pid": 8, "state": "ready", "restarts": 2, "startedAt": 1500 },
                { "seat": 1, "state": "restarting", "restarts": 0 },
            ],
        }))
        .unwrap();
        let app = json!({ "name": "we\"b", "namespace": namespace, "script": "a.js", "cwd": "/", "mode": "cluster" });
        let app: App = serde_json::from_value(app).unwrap();
        let mut figures = Figures { total: 5, running: 250.0, ..Figures::default() };
        figures.waits.counts = std::array::from_fn(|index| u64::from(index == 0 || index + 1 == BUCKETS));
        figures.waits.sum = 12_500.0;
        // What another process has had is not this one's.
        let boards = [(Whose { seat: 0, pid: 7 }, Figures::default()), (Whose { seat: 0, pid: 8 }, figures)];
        let all = samples(&app, &status, &boards, &Machine::look(status.pids()));
        text(&all, &OwnMetrics::default(), &Dropped::default(), open).unwrap()
    }

    #[test]
    fn a_histogram_is_cumulative_and_its_names_are_prometheus_own() {
        let open = told("default", true);
        for line in [
            "# HELP rcluster_restarts How often it was started again",
            "# TYPE rcluster_restarts counter",
            "rcluster_restarts_total{app=\"we\\\"b\",instance=\"0\"} 2",
            "rcluster_restarts_total{app=\"we\\\"b\",instance=\"primary\"} 0",
            "rcluster_up{app=\"we\\\"b\",instance=\"primary\"} 1",
            "rcluster_up{app=\"we\\\"b\",instance=\"1\"} 0",
            "rcluster_process_start_time_seconds{app=\"we\\\"b\",instance=\"0\"} 1.5",
            "rcluster_connections_total{app=\"we\\\"b\",instance=\"0\"} 5",
            "rcluster_event_loop_running_seconds_total{app=\"we\\\"b\",instance=\"0\"} 0.25",
            "# TYPE rcluster_connection_wait_seconds histogram",
            "rcluster_connection_wait_seconds_bucket{le=\"0.0005\",app=\"we\\\"b\",instance=\"0\"} 1",
            "rcluster_connection_wait_seconds_bucket{le=\"10.0\",app=\"we\\\"b\",instance=\"0\"} 1",
            "rcluster_connection_wait_seconds_bucket{le=\"+Inf\",app=\"we\\\"b\",instance=\"0\"} 2",
            "rcluster_connection_wait_seconds_count{app=\"we\\\"b\",instance=\"0\"} 2",
            "rcluster_connection_wait_seconds_sum{app=\"we\\\"b\",instance=\"0\"} 12.5",
        ] {
            assert!(open.lines().any(|one| one == line), "{line} is not in\n{open}");
        }
        assert!(open.ends_with("# EOF\n") && !open.contains("http"));
        let plain = told("x", false);
        assert!(plain.contains("# TYPE rcluster_restarts_total counter") && !plain.contains("EOF"), "{plain}");
        assert!(plain.contains("# HELP rcluster_restarts_total ") && plain.contains("app=\"x:we\\\"b\""), "{plain}");
    }

    #[test]
    fn what_a_process_uses_is_told_while_it_runs() {
        let told = told("default", true);
        let instances = |metric: &str| {
            let start = format!("rcluster_{metric}{{");
            let lines = told.lines().filter_map(|line| line.strip_prefix(&start)?.split_once(','));
            lines.map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
        };
        let all = ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_threads", "process_open_fds"];
        for metric in all {
            let told = instances(metric);
            // No process of that number is there, or it is another one by now; a worker that has none is not told of at all.
            assert!(told.len() == 2 && told[1].starts_with("instance=\"0\"} "), "{metric}: {told:?}");
            let value: f64 = told[0].strip_prefix("instance=\"primary\"} ").unwrap().parse().unwrap();
            assert!(value > 0.0 || metric == "process_cpu_seconds_total", "{metric}: {value}");
        }
        assert_eq!(instances("connections_total").len(), 1);
    }

    #[test]
    fn requests_are_told_where_they_are_counted() {
        let sample = |http| Sample {
            labels: "a=\"\"".into(),
            is_up: true,
            restarts: 0,
            used: None,
            started_at: None,
            figures: Some(Figures { http, ..Figures::default() }),
        };
        let http = Http { requests: u64::MAX, errors: 3, times: Histogram { sum: 1.0, counts: [u64::MAX; BUCKETS] } };
        let told =
            text(&[sample(Some(http)), sample(None)], &OwnMetrics::default(), &Dropped::default(), true).unwrap();
        let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("rcluster_http")).collect();
        assert!(lines.len() == 2 + BUCKETS + 2, "{lines:?}");
        for line in [
            "rcluster_http_requests_total{a=\"\"} 18446744073709551615",
            "rcluster_http_errors_total{a=\"\"} 3",
            "rcluster_http_response_seconds_sum{a=\"\"} 0.001",
            "rcluster_http_response_seconds_count{a=\"\"} 18446744073709551615",
        ] {
            assert!(lines.contains(&line), "{line} is not in {lines:?}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(text(&[], &OwnMetrics::default(), &Dropped::default(), true).unwrap(), "# EOF\n");
        assert_eq!(text(&[], &OwnMetrics::default(), &Dropped::default(), false).unwrap(), "");
    }
}
