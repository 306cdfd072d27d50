//! What the apps are doing, for Prometheus: in OpenMetrics' text, or in the older one.
//!
//! There are as many series as processes times what is told of one, whatever these do: nothing that a client of theirs sends
//! becomes a label. What apps count themselves comes besides, where that was asked for, and is bounded: see [`own`].

mod dropped;
mod own;

use std::fmt::{Error, Write};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::board_layout::BOUNDS;
use crate::model::{Histogram, State, Stats, Status};
pub use dropped::Dropped;
pub use own::{OwnMetrics, TIME};

/// The types of what is answered.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older one.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One process, and what is told of it.
#[derive(Debug)]
struct Sample {
    app: String,
    instance: String,
    /// Whether it does its work.
    is_up: bool,
    restarts: u64,
    memory: u64,
    /// ms
    cpu_time: u64,
    threads: u64,
    descriptors: u64,
    /// ms since 1970
    started_at: Option<u64>,
    runs: bool,
    stats: Option<Stats>,
}

/// All of them at one moment.
#[derive(Debug)]
struct All(Vec<Sample>);

/// The processes of an app. Of a cluster the instances are its workers, and there is `primary` besides.
fn samples(app: &str, namespace: &str, status: &Status) -> impl Iterator<Item = Sample> {
    // As on the command line.
    let app = escaped(&label(app, namespace));
    let is_cluster = status.mode == crate::model::Mode::Cluster;
    let name = app.clone();
    let processes = status.processes.iter().map(move |one| Sample {
        app: name.clone(),
        instance: if is_cluster { "primary".into() } else { one.instance.to_string() },
        is_up: one.state == State::Online,
        restarts: one.restarts,
        memory: one.memory,
        cpu_time: one.cpu_time,
        threads: one.threads,
        descriptors: one.descriptors,
        started_at: one.started_at,
        runs: one.pid.is_some(),
        stats: None,
    });
    let workers = status.workers.iter().map(move |one| Sample {
        app: app.clone(),
        instance: one.seat.to_string(),
        is_up: one.state == "ready",
        restarts: one.restarts,
        memory: one.memory,
        cpu_time: one.cpu_time,
        threads: one.threads,
        descriptors: one.descriptors,
        started_at: one.started_at,
        runs: one.pid.is_some(),
        stats: one.stats.clone(),
    });
    processes.chain(workers).collect::<Vec<_>>().into_iter()
}

/// About so many bytes are told of a process that has a board, and of one that has none.
const WITH_BOARD: usize = 6144;
const WITHOUT: usize = 768;

/// What an app is called.
pub fn label(app: &str, namespace: &str) -> String {
    if namespace == "default" { app.to_owned() } else { format!("{namespace}:{app}") }
}

/// A label's value as both texts have it. The library writes it as it is.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

type Number = Box<dyn Fn(&Sample) -> Option<f64>>;
type Times = Box<dyn Fn(&Stats) -> Option<&Histogram>>;

impl All {
    fn numbers(
        &self,
        encoder: &mut DescriptorEncoder,
        kind: MetricType,
        name: &str,
        help: &str,
        number: Number,
    ) -> Result<(), Error> {
        let known: Vec<_> = self.0.iter().filter_map(|one| Some((one, number(one)?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for (one, value) in known {
            let labels = [("app", one.app.as_str()), ("instance", one.instance.as_str())];
            let mut family = metric.encode_family(&labels)?;
            match kind {
                MetricType::Counter => family.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
                _ => family.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn histograms(&self, encoder: &mut DescriptorEncoder, name: &str, help: &str, times: Times) -> Result<(), Error> {
        let known: Vec<_> = self.0.iter().filter_map(|one| Some((one, times(one.stats.as_ref()?)?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (one, Histogram { count, sum, counts, .. }) in known {
            let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
            let labels = [("app", one.app.as_str()), ("instance", one.instance.as_str())];
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum / 1e3, *count, &buckets, None)?;
        }
        Ok(())
    }
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        use MetricType::{Counter, Gauge};
        fn process(number: impl Fn(&Sample) -> f64 + 'static) -> Number {
            Box::new(move |one| one.runs.then(|| number(one)))
        }
        fn board(number: impl Fn(&Stats) -> Option<f64> + 'static) -> Number {
            Box::new(move |one| one.stats.as_ref().and_then(&number))
        }
        let seconds = |ms: u64| ms as f64 / 1e3;
        let all: [(MetricType, &str, &str, Number); 16] = [
            (Gauge, "up", "Whether it is online", Box::new(|one| Some(f64::from(u8::from(one.is_up))))),
            (Counter, "restarts", "How often it was started again", Box::new(|one| Some(one.restarts as f64))),
            (
                Counter,
                "process_cpu_seconds",
                "Processor time used, with all that it has started",
                process(move |one| seconds(one.cpu_time)),
            ),
            (
                Gauge,
                "process_resident_memory_bytes",
                "Memory used, with all that it has started",
                process(|one| one.memory as f64),
            ),
            (
                Gauge,
                "process_threads",
                "Threads, with those of all that it has started",
                process(|one| one.threads as f64),
            ),
            (
                Gauge,
                "process_open_fds",
                "Open descriptors, with those of all that it has started",
                process(|one| one.descriptors as f64),
            ),
            (
                Gauge,
                "process_start_time_seconds",
                "When it was started, since 1970",
                Box::new(move |one| one.started_at.map(seconds)),
            ),
            (
                Gauge,
                "connections_active",
                "Connections that are open",
                board(|stats| Some(stats.connections.active as f64)),
            ),
            (
                Gauge,
                "connections_queued",
                "Connections that wait in its queue",
                board(|stats| Some(stats.connections.queued as f64)),
            ),
            (
                Counter,
                "connections",
                "Connections that it has had",
                board(|stats| Some(stats.connections.total as f64)),
            ),
            (
                Counter,
                "event_loop_running_seconds",
                "Time that the event loop has been running",
                board(|stats| Some(stats.event_loop.running / 1e3)),
            ),
            (
                Counter,
                "event_loop_idle_seconds",
                "Time that the event loop has waited for events",
                board(|stats| Some(stats.event_loop.idle / 1e3)),
            ),
            (
                Counter,
                "event_loop_turns",
                "Turns of the event loop",
                board(|stats| Some(stats.event_loop.turns as f64)),
            ),
            (
                Gauge,
                "event_loop_longest_turn_seconds",
                "The longest turn of the event loop",
                board(|stats| Some(stats.event_loop.longest_turn / 1e3)),
            ),
            (
                Counter,
                "http_requests",
                "HTTP requests that have come",
                board(|stats| stats.http.as_ref().map(|http| http.requests as f64)),
            ),
            (
                Counter,
                "http_errors",
                "HTTP requests that were answered with a status of 500 or more",
                board(|stats| stats.http.as_ref().map(|http| http.errors as f64)),
            ),
        ];
        for (kind, name, help, number) in all {
            self.numbers(&mut encoder, kind, &format!("rcluster_{name}"), help, number)?;
        }
        let all: [(&str, &str, Times); 3] = [
            (
                "connection_wait_seconds",
                "From being accepted to its server, of each connection that came out of the queue",
                Box::new(|stats| Some(&stats.waiting)),
            ),
            (
                "event_loop_delay_seconds",
                "How long turns of the event loop took",
                Box::new(|stats| Some(&stats.event_loop.delay)),
            ),
            (
                "http_response_seconds",
                "From the headers of an HTTP request until its response was given to the kernel",
                Box::new(|stats| stats.http.as_ref().map(|http| &http.time)),
            ),
        ];
        for (name, help, times) in all {
            self.histograms(&mut encoder, &format!("rcluster_{name}"), help, times)?;
        }
        Ok(())
    }
}

/// All that is known of these apps: name, namespace, processes; what they count themselves, and what of that was left out. `open`: as OpenMetrics.
pub fn text<'a>(
    apps: impl Iterator<Item = (&'a str, &'a str, &'a Status)>,
    own: &OwnMetrics,
    dropped: &Dropped,
    open: bool,
) -> Result<String, Error> {
    let all = All(apps.flat_map(|(app, namespace, status)| samples(app, namespace, status)).collect());
    // A text of megabytes is not to be copied again and again as it grows.
    let all_lines = all.0.iter().map(|one| if one.stats.is_some() { WITH_BOARD } else { WITHOUT }).sum();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(all));
    let mut text = String::with_capacity(all_lines);
    encode(&mut text, &registry)?;
    let mut own = own.text(open)?;
    dropped.write(&mut own, open)?;
    if !open {
        return Ok(older(&text)? + &own);
    }
    let end = text.rfind("# EOF").unwrap_or(text.len());
    text.insert_str(end, &own);
    Ok(text)
}

/// The same in the older text, in which a counter is called in its description as in its samples.
fn older(text: &str) -> Result<String, Error> {
    let mut result = String::with_capacity(text.len() + 1024);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_counter = |line: &&str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let described = line.strip_prefix("# HELP ").filter(|_| lines.peek().is_some_and(is_counter));
        if let Some((name, help)) = described.and_then(|rest| rest.split_once(' ')) {
            writeln!(result, "# HELP {name}_total {help}")?;
        } else if is_counter(&line) {
            let name = line.trim_start_matches("# TYPE ").trim_end_matches(" counter");
            writeln!(result, "# TYPE {name}_total counter")?;
        } else {
            writeln!(result, "{line}")?;
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board_layout::{BUCKETS, Figures};
    use serde_json::json;

    fn cluster() -> Status {
        let mut status: Status = serde_json::from_value(json!({
            "app": "we\"b", "namespace": "default", "mode": "cluster", "keeper": 1,
            "processes": [{ "instance": 0, "pid": 7, "state": "online", "restarts": 0, "unstableRestarts": 0 }],
            "workers": [{ "seat": 0, "pid": 8, "state": "ready", "restarts": 2 }, { "seat": 1, "state": "restarting", "restarts": 0 }],
        }))
        .unwrap();
        let mut figures = Figures { total: 5, ..Figures::default() };
        figures.waits.counts = std::array::from_fn(|index| u64::from(index == 0 || index + 1 == BUCKETS));
        figures.waits.sum = 12_000.0;
        status.workers[0].stats = Some(figures.into());
        status
    }

    #[test]
    fn a_histogram_is_cumulative_and_its_names_are_prometheus_own() {
        let status = cluster();
        let open = text([("we\"b", "default", &status)].into_iter(), &OwnMetrics::default(), &Dropped::default(), true)
            .unwrap();
        for line in [
            "# TYPE rcluster_restarts counter",
            "rcluster_restarts_total{app=\"we\\\"b\",instance=\"0\"} 2.0",
            "rcluster_up{app=\"we\\\"b\",instance=\"1\"} 0.0",
            "rcluster_connection_wait_seconds_bucket{le=\"0.0005\",app=\"we\\\"b\",instance=\"0\"} 1",
            "rcluster_connection_wait_seconds_bucket{le=\"10.0\",app=\"we\\\"b\",instance=\"0\"} 1",
            "rcluster_connection_wait_seconds_bucket{le=\"+Inf\",app=\"we\\\"b\",instance=\"0\"} 2",
            "rcluster_connection_wait_seconds_sum{app=\"we\\\"b\",instance=\"0\"} 12.0",
        ] {
            assert!(open.lines().any(|one| one == line), "{line} is not in\n{open}");
        }
        assert!(open.ends_with("# EOF\n") && !open.contains("http"));
        let plain =
            text([("we\"b", "x", &status)].into_iter(), &OwnMetrics::default(), &Dropped::default(), false).unwrap();
        assert!(plain.contains("# TYPE rcluster_restarts_total counter") && !plain.contains("EOF"), "{plain}");
        assert!(plain.contains("# HELP rcluster_restarts_total ") && plain.contains("app=\"x:we\\\"b\""), "{plain}");
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(text(std::iter::empty(), &OwnMetrics::default(), &Dropped::default(), true).unwrap(), "# EOF\n");
        assert_eq!(text(std::iter::empty(), &OwnMetrics::default(), &Dropped::default(), false).unwrap(), "");
    }
}
