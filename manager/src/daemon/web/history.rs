//! The last hour of each app, a figure every ten seconds, for as long as there is a page.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

/// How far two figures are apart.
pub const STEP: Duration = Duration::from_secs(10);
/// An hour of them.
const MOST: usize = 360;

/// Members of processes that are kept, as their sum over an app.
const KEPT: [&str; 2] = ["cpu", "memory"];

/// The figures of an app, one for each time that [`History`] has.
type Series = [VecDeque<Option<f64>>; KEPT.len()];

/// What is kept.
#[derive(Default)]
pub struct History {
    /// Seconds since 1970.
    times: VecDeque<f64>,
    apps: BTreeMap<String, Series>,
}

impl History {
    /// Keeps what `GET /v1/apps` tells at a time (seconds since 1970). An app that has gone is forgotten with its last figure.
    pub fn keep(&mut self, at: f64, apps: &[Value]) {
        self.times.push_back(at);
        let surplus = self.times.len().saturating_sub(MOST);
        self.times.drain(..surplus);
        let length = self.times.len();
        let figures = |app: &Value| (target(app), KEPT.map(|member| sum(app, member)));
        let now: BTreeMap<String, [f64; KEPT.len()]> = apps.iter().map(figures).collect();
        for name in now.keys() {
            // One that is new was not there before.
            self.apps
                .entry(name.clone())
                .or_insert_with(|| std::array::from_fn(|_| std::iter::repeat_n(None, length - 1).collect()));
        }
        for (name, series) in &mut self.apps {
            let figures = now.get(name);
            for (index, one) in series.iter_mut().enumerate() {
                one.push_back(figures.map(|figures| figures[index]));
                let surplus = one.len().saturating_sub(length);
                one.drain(..surplus);
            }
        }
        self.apps.retain(|_, [first, ..]| first.iter().any(Option::is_some));
    }

    /// All of it.
    pub fn tell(&self) -> Value {
        let series = |series: &Series| -> Map<String, Value> {
            KEPT.iter().zip(series).map(|(member, one)| ((*member).to_owned(), json!(one))).collect()
        };
        let apps: Map<String, Value> =
            self.apps.iter().map(|(name, one)| (name.clone(), Value::Object(series(one)))).collect();
        json!({ "step": STEP.as_secs(), "times": self.times, "apps": apps })
    }
}

fn target(app: &Value) -> String {
    let word = |name: &str| app[name].as_str().unwrap_or_default();
    format!("{}:{}", word("namespace"), word("name"))
}

fn sum(app: &Value, member: &str) -> f64 {
    let all = app["processes"].as_array().into_iter().flatten();
    all.filter_map(|process| process[member].as_f64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let app = |name: &str, cpu: f64| {
            let processes = json!([{ "cpu": cpu, "memory": 5 }, { "cpu": 1, "memory": 6 }]);
            json!({ "name": name, "namespace": "default", "processes": processes })
        };
        let mut history = History::default();
        history.keep(1.0, &[app("a", 2.0)]);
        history.keep(11.0, &[app("a", 3.0), app("b", 0.5)]);
        let told = history.tell();
        assert_eq!(told["times"], json!([1.0, 11.0]));
        assert_eq!(told["apps"]["default:a"], json!({ "cpu": [3.0, 4.0], "memory": [11.0, 11.0] }));
        assert_eq!(told["apps"]["default:b"]["cpu"], json!([null, 1.5]));
        for step in 0..MOST - 1 {
            history.keep(21.0 + step as f64, &[app("a", 0.0)]);
        }
        let told = history.tell();
        assert_eq!(told["times"].as_array().unwrap().len(), MOST);
        assert_eq!(told["apps"]["default:b"]["cpu"].as_array().unwrap().len(), MOST);
        history.keep(9999.0, &[app("a", 0.0)]);
        assert_eq!(history.tell()["apps"].as_object().unwrap().len(), 1);
    }
}
