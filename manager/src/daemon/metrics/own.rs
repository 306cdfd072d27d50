//! What apps count themselves with prom-client, as the primaries of clusters have put it together: with the app's name as a label of each.

use std::collections::BTreeMap;
use std::fmt::{Error, Write};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::dropped::Dropped;
use super::text::escaped;

/// How long the primary of a cluster has to answer. It waits for each of its workers for a second.
pub const TIME: Duration = Duration::from_millis(1500);
/// Bytes of all of them together.
const MOST: usize = 16 << 20;

/// A metric as prom-client has it.
#[derive(Deserialize)]
struct Metric {
    name: String,
    help: String,
    #[serde(rename = "type")]
    kind: String,
    values: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    /// Nothing is a number that is none.
    value: Option<f64>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
    metric_name: Option<String>,
}

/// The same metric of all apps that have it.
struct Family {
    help: String,
    kind: String,
    /// What it is called in each sample beyond its name, labels, value.
    samples: Vec<(String, String, f64)>,
}

/// All of it.
#[derive(Default)]
pub struct OwnMetrics {
    families: BTreeMap<String, Family>,
    bytes: usize,
}

impl OwnMetrics {
    /// What an app's primary has told; nothing where it has not. What is left out is counted in `dropped`.
    pub fn add(&mut self, app: &str, told: Option<&Value>, dropped: &mut Dropped) {
        let Some(told) = told else { return dropped.add(app, "no-answer") };
        for (reason, count) in told["dropped"].as_object().into_iter().flatten() {
            dropped.told(app, reason, count.as_u64().unwrap_or(0));
        }
        for metric in told["metrics"].as_array().into_iter().flatten() {
            let is_taken = Metric::deserialize(metric).is_ok_and(|metric| self.take(app, metric));
            if !is_taken {
                dropped.add(app, "malformed");
            }
        }
    }

    /// Returns whether it can be told with what other apps have told.
    fn take(&mut self, app: &str, metric: Metric) -> bool {
        let Metric { name, help, kind, values } = metric;
        let is_one = is_name(&name) && !name.starts_with("rcluster_");
        let family = self.families.get(&name);
        // What is a counter with one app and a gauge with another cannot have one name.
        if !is_one || family.is_some_and(|family| family.kind != kind) {
            return false;
        }
        let mut samples = Vec::new();
        for Sample { value, labels, metric_name } in values {
            let Some(suffix) = metric_name.as_deref().map_or(Some(""), |whole| whole.strip_prefix(&name)) else {
                return false;
            };
            if !["", "_bucket", "_sum", "_count"].contains(&suffix) || !labels.keys().all(|label| is_name(label)) {
                return false;
            }
            let mut text = format!("app=\"{}\"", escaped(app));
            for (label, value) in &labels {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                // As Prometheus calls a label that is in its way.
                let label = if label == "app" { "exported_app" } else { label };
                if write!(text, ",{label}=\"{}\"", escaped(&value)).is_err() {
                    return false;
                }
            }
            self.bytes += name.len() + text.len() + 32;
            samples.push((suffix.to_owned(), text, value.unwrap_or(f64::NAN)));
        }
        if self.bytes > MOST {
            return false;
        }
        let family = self.families.entry(name).or_insert_with(|| Family { help, kind, samples: Vec::new() });
        family.samples.extend(samples);
        true
    }

    /// As text, without its end.
    pub fn text(&self, open: bool) -> Result<String, Error> {
        let mut text = String::new();
        for (name, family) in &self.families {
            // OpenMetrics calls a counter by what comes before its ending, and knows none that has none.
            let (title, kind) = match (open && family.kind == "counter", name.strip_suffix("_total")) {
                (true, Some(title)) => (title, "counter"),
                (true, None) => (name.as_str(), "unknown"),
                (false, _) => (name.as_str(), family.kind.as_str()),
            };
            writeln!(text, "# HELP {title} {}\n# TYPE {title} {kind}", explained(&family.help, open))?;
            for (suffix, labels, value) in &family.samples {
                writeln!(text, "{name}{suffix}{{{labels}}} {}", number(*value))?;
            }
        }
        Ok(text)
    }
}

/// The older text has quotes as they are there.
fn explained(help: &str, open: bool) -> String {
    if open { escaped(help) } else { help.replace('\\', "\\\\").replace('\n', "\\n") }
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    text.len() <= 256
        && text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counter(name: &str, value: f64) -> Value {
        json!({ "name": name, "help": "how\nmany", "type": "counter", "values": [{ "value": value, "labels": { "app": "x\"y", "code": 200 } }] })
    }

    #[test]
    fn the_metrics_of_two_apps_are_one_family_each_with_its_app() {
        let (mut own, mut dropped) = (OwnMetrics::default(), Dropped::default());
        own.add(
            "one",
            Some(&json!({ "metrics": [counter("jobs_total", 2.0)], "dropped": { "late": 3 } })),
            &mut dropped,
        );
        own.add("shop:two", Some(&json!({ "metrics": [counter("jobs_total", 0.5)] })), &mut dropped);
        let plain = "# HELP jobs_total how\\nmany\n# TYPE jobs_total counter\n\
                     jobs_total{app=\"one\",exported_app=\"x\\\"y\",code=\"200\"} 2\n\
                     jobs_total{app=\"shop:two\",exported_app=\"x\\\"y\",code=\"200\"} 0.5\n";
        let mut text = own.text(false).unwrap();
        assert!(text.starts_with(plain), "{text}");
        dropped.write(&mut text, false).unwrap();
        assert!(text.contains("rcluster_app_metrics_dropped_total{app=\"one\",reason=\"late\"} 3\n"), "{text}");
        assert!(own.text(true).unwrap().starts_with("# HELP jobs how\\nmany\n# TYPE jobs counter\njobs_total{"));
    }

    #[test]
    fn what_cannot_be_told_is_left_out_and_counted() {
        let (mut own, mut dropped) = (OwnMetrics::default(), Dropped::default());
        let gauge = json!({ "name": "jobs_total", "help": "", "type": "gauge", "values": [] });
        let label =
            json!({ "name": "x", "help": "", "type": "gauge", "values": [{ "value": 1, "labels": { "a b": "" } }] });
        let other = json!({ "name": "x", "help": "", "type": "gauge", "values": [{ "value": 1, "metricName": "y" }] });
        own.add("one", Some(&json!({ "metrics": [counter("jobs_total", 2.0), gauge, label, other, counter("rcluster_up", 1.0), counter("a b", 1.0), 7] })), &mut dropped);
        own.add("two", None, &mut dropped);
        let mut text = own.text(false).unwrap();
        dropped.write(&mut text, false).unwrap();
        assert!(text.contains("{app=\"one\",reason=\"malformed\"} 6\n"), "{text}");
        assert!(text.contains("{app=\"two\",reason=\"no-answer\"} 1\n"), "{text}");
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 3, "{text}");
    }

    #[test]
    fn all_of_it_is_bounded() {
        let (mut own, mut dropped) = (OwnMetrics::default(), Dropped::default());
        let values: Vec<Value> =
            (0..10_000).map(|_| json!({ "value": 1, "labels": { "a": "x".repeat(1000) } })).collect();
        for name in ["a", "b", "c"] {
            own.add(
                "one",
                Some(&json!({ "metrics": [{ "name": name, "help": "", "type": "gauge", "values": values }] })),
                &mut dropped,
            );
        }
        assert!(own.text(false).unwrap().len() < MOST);
    }
}
