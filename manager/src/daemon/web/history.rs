//! The last hour of each app, a figure every ten seconds, for as long as there is a page.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

/// How far two figures are apart.
pub const STEP: Duration = Duration::from_secs(10);
/// An hour of them.
const MOST: usize = 360;
/// So many apps have a history; others have their figures of now alone.
const MOST_APPS: usize = 1000;

/// A figure that is kept: what it is called, where it is in what `GET /v1/apps` tells of an app, and which one of several looks counts.
struct Kept(&'static str, fn(&Value) -> Option<f64>, Which);

#[derive(Clone, Copy, PartialEq)]
enum Which {
    Last,
    /// What was bad for two seconds is to be seen.
    Highest,
}

const KEPT: [Kept; 8] = [
    Kept("cpu", |app| Some(sum(app, "cpu")), Which::Last),
    Kept("memory", |app| Some(sum(app, "memory")), Which::Last),
    // Of an app whose requests nobody counts it is connections.
    Kept(
        "rate",
        |app| app["recent"]["http"]["requests"].as_f64().or_else(|| app["recent"]["connections"].as_f64()),
        Which::Last,
    ),
    Kept("errors", |app| app["recent"]["http"]["errors"].as_f64(), Which::Highest),
    Kept("waiting", |app| app["recent"]["waiting"]["p99"].as_f64(), Which::Highest),
    Kept("delay", |app| app["recent"]["delay"]["p99"].as_f64(), Which::Highest),
    Kept("utilization", |app| app["recent"]["utilization"].as_f64(), Which::Last),
    Kept("active", |app| app["recent"]["active"].as_f64(), Which::Last),
];

/// Figures at one moment; NaN where there is none. No more digits than can be seen.
type Now = [f32; KEPT.len()];

/// The figures of an app, one for each time that [`History`] has; empty where there never was one.
type Series = [VecDeque<f32>; KEPT.len()];

/// What is kept.
#[derive(Default)]
pub struct History {
    /// Seconds since 1970.
    times: VecDeque<f64>,
    apps: BTreeMap<String, Series>,
    /// What was seen since the last time.
    seen: BTreeMap<String, Now>,
}

impl History {
    /// Looks at what `GET /v1/apps` tells.
    pub fn look(&mut self, apps: &[Value]) {
        for app in apps {
            let target = target(app);
            let before = self.seen.get(&target).copied().unwrap_or([f32::NAN; KEPT.len()]);
            let now = std::array::from_fn(|index| {
                let Kept(_, of, which) = &KEPT[index];
                let now = of(app).map_or(f32::NAN, |value| value as f32);
                // Of a number and none it is the number.
                if *which == Which::Highest { now.max(before[index]) } else { now }
            });
            self.seen.insert(target, now);
        }
    }

    /// Keeps what was seen since the time before (seconds since 1970), and tells it. An app that has gone is forgotten with its last figure.
    pub fn keep(&mut self, at: f64) -> Value {
        let seen = std::mem::take(&mut self.seen);
        self.times.push_back(at);
        let surplus = self.times.len().saturating_sub(MOST);
        self.times.drain(..surplus);
        let length = self.times.len();
        for name in seen.keys() {
            if self.apps.len() < MOST_APPS && !self.apps.contains_key(name) {
                self.apps.insert(name.clone(), Series::default());
            }
        }
        for (name, series) in &mut self.apps {
            let now = seen.get(name).copied().unwrap_or([f32::NAN; KEPT.len()]);
            for (one, value) in series.iter_mut().zip(now) {
                if one.is_empty() && value.is_nan() {
                    continue;
                }
                // What is new was not there before.
                let missing = (length - 1).saturating_sub(one.len().min(length - 1));
                (0..missing).for_each(|_| one.push_front(f32::NAN));
                one.push_back(value);
                let surplus = one.len().saturating_sub(length);
                one.drain(..surplus);
                if one.iter().all(|value| value.is_nan()) {
                    *one = VecDeque::new();
                }
            }
        }
        self.apps.retain(|_, series| series.iter().any(|one| !one.is_empty()));
        let apps: Map<String, Value> = seen
            .into_iter()
            .map(|(name, now)| (name, members(now.iter().map(|value| (!value.is_nan()).then(|| number(*value))))))
            .collect();
        json!({ "at": at, "apps": apps })
    }

    /// All of it.
    pub fn tell(&self) -> Value {
        let all = |one: &VecDeque<f32>| (!one.is_empty()).then(|| one.iter().map(|value| number(*value)).collect());
        let apps: Map<String, Value> =
            self.apps.iter().map(|(name, series)| (name.clone(), members(series.iter().map(all)))).collect();
        json!({ "times": self.times, "apps": apps })
    }
}

/// Those that there are, by their names.
fn members(all: impl Iterator<Item = Option<Value>>) -> Value {
    KEPT.iter().zip(all).filter_map(|(Kept(name, ..), value)| Some(((*name).to_owned(), value?))).collect()
}

fn number(value: f32) -> Value {
    if value.is_nan() { Value::Null } else { json!((f64::from(value) * 1000.0).round() / 1000.0) }
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

    fn app(name: &str, cpu: f64, recent: Value) -> Value {
        let processes = json!([{ "cpu": cpu, "memory": 5 }, { "cpu": 1, "memory": 6 }]);
        json!({ "name": name, "namespace": "default", "processes": processes, "recent": recent })
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = History::default();
        let mut keep = |at: f64, apps: &[Value]| {
            history.look(apps);
            history.keep(at);
            history.tell()
        };
        keep(1.0, &[app("a", 2.0, Value::Null)]);
        let told = keep(11.0, &[app("a", 3.0, Value::Null), app("b", 0.5, json!({ "active": 4 }))]);
        assert_eq!(told["times"], json!([1.0, 11.0]));
        assert_eq!(told["apps"]["default:a"], json!({ "cpu": [3.0, 4.0], "memory": [11.0, 11.0] }));
        assert_eq!(
            (&told["apps"]["default:b"]["cpu"], &told["apps"]["default:b"]["active"]),
            (&json!([null, 1.5]), &json!([null, 4.0]))
        );
        let mut told = Value::Null;
        for step in 0..MOST - 1 {
            told = keep(21.0 + step as f64, &[app("a", 0.0, Value::Null)]);
        }
        assert_eq!(told["times"].as_array().unwrap().len(), MOST);
        assert_eq!(told["apps"]["default:b"]["cpu"].as_array().unwrap().len(), MOST);
        let told = keep(9999.0, &[app("a", 0.0, Value::Null)]);
        assert_eq!(told["apps"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn the_worst_of_several_looks_is_kept_and_begins_anew() {
        let recent = |rate: f64, waiting: Value| json!({ "connections": 9.0, "active": 1, "utilization": 0.5, "delay": null, "waiting": waiting, "http": { "requests": rate, "errors": 0.0 } });
        let mut history = History::default();
        for (rate, waiting) in [(1.0, json!({ "p99": 4.5 })), (2.0, json!({ "p99": 700.0 })), (3.0, Value::Null)] {
            history.look(&[app("a", 0.0, recent(rate, waiting))]);
        }
        let told = history.keep(1.0);
        let figures = &told["apps"]["default:a"];
        assert_eq!((&figures["rate"], &figures["waiting"]), (&json!(3.0), &json!(700.0)));
        history.look(&[app("a", 0.0, recent(0.0, Value::Null))]);
        assert!(history.keep(11.0)["apps"]["default:a"].get("waiting").is_none());
        assert_eq!(history.tell()["apps"]["default:a"]["waiting"], json!([700.0, null]));
    }

    #[test]
    fn of_many_apps_some_have_a_history() {
        let mut history = History::default();
        let apps: Vec<Value> = (0..=MOST_APPS).map(|number| app(&number.to_string(), 0.0, Value::Null)).collect();
        history.look(&apps);
        assert_eq!(history.keep(1.0)["apps"].as_object().unwrap().len(), MOST_APPS + 1);
        assert_eq!(history.tell()["apps"].as_object().unwrap().len(), MOST_APPS);
    }
}
