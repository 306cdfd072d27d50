//! What is shown of apps: the daemon's figures as rows of a table, sorted and filtered. No terminal in here.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::model::{Mode, Process, Recent, State, Worker};

/// An app as `GET /v1/apps` tells of it.
#[derive(Clone, Debug, Deserialize)]
pub struct AppStatus {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Program or cluster.
    pub mode: Mode,
    /// How many there shall be.
    pub instances: u32,
    /// One for each instance; of a cluster the primary alone.
    pub processes: Vec<Process>,
    /// The workers of a cluster.
    #[serde(default)]
    pub workers: Vec<Worker>,
    /// What these have done of late.
    #[serde(default)]
    pub recent: Option<Recent>,
}

impl AppStatus {
    /// What it is called in requests: the same name may be in two namespaces.
    pub fn target(&self) -> String {
        format!("{}:{}", self.namespace, self.name)
    }
}

/// One line of the table: an app, or a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which app it is of, by [`AppStatus::target`].
    pub target: String,
    /// Which instance or worker; `None` for the app.
    pub part: Option<u32>,
    /// What it is called.
    pub name: String,
    /// How many are as they should be, and how many there are.
    pub ready: Option<(usize, usize)>,
    /// What it is doing.
    pub state: String,
    /// How that is to be seen.
    pub mood: Mood,
    /// The process.
    pub pid: Option<i32>,
    /// Percent of a processor.
    pub cpu: f64,
    /// Bytes.
    pub memory: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// When (ms since 1970) it was started.
    pub since: Option<u64>,
    /// What its board says of the time since it was looked at before, if it has one.
    pub recent: Option<Recent>,
    /// Whether its parts are shown: `None` for what has none.
    pub is_open: Option<bool>,
}

impl Row {
    /// HTTP requests each second, where they are counted.
    pub fn requests(&self) -> Option<f64> {
        Some(self.recent.as_ref()?.http.as_ref()?.requests)
    }

    /// The same, or else connections.
    pub fn rate(&self) -> Option<f64> {
        self.requests().or_else(|| Some(self.recent.as_ref()?.connections))
    }

    /// Errors each second, where they are counted.
    pub fn errors(&self) -> Option<f64> {
        Some(self.recent.as_ref()?.http.as_ref()?.errors)
    }

    /// ms that 99 of 100 connections waited for their server at most.
    pub fn waiting(&self) -> Option<f64> {
        Some(self.recent.as_ref()?.waiting?.p99)
    }

    /// ms that 99 of 100 turns of the event loop took at most.
    pub fn delay(&self) -> Option<f64> {
        Some(self.recent.as_ref()?.delay?.p99)
    }

    /// Percent of the time that the event loop was running.
    pub fn utilization(&self) -> Option<f64> {
        Some(self.recent.as_ref()?.utilization * 100.0)
    }

    /// Connections that are open.
    pub fn active(&self) -> Option<u64> {
        Some(self.recent.as_ref()?.active)
    }
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mood {
    /// It does its work.
    Good,
    /// Nobody wants it to.
    Off,
    /// On its way.
    Changing,
    /// It does not.
    Bad,
}

impl Mood {
    fn of(state: &str) -> Mood {
        match state {
            "online" | "ready" | "running" => Mood::Good,
            "stopped" => Mood::Off,
            "errored" | "waiting restart" | "failed" | "exited" | "restarting" => Mood::Bad,
            _ => Mood::Changing,
        }
    }
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As `rcluster list` has them.
    #[default]
    Listed,
    /// By name.
    Name,
    /// What uses most processor time first.
    Cpu,
    /// What uses most memory first.
    Memory,
    /// What has most requests (or connections) each second first.
    Rate,
    /// Where connections wait longest first.
    Waiting,
    /// What turns its event loop least first.
    Loop,
    /// What was restarted most first.
    Restarts,
    /// What was started last first.
    Age,
    /// What needs a look first.
    State,
}

impl Order {
    /// The one after it.
    pub fn next(self) -> Order {
        use Order::{Age, Cpu, Listed, Loop, Memory, Name, Rate, Restarts, State, Waiting};
        match self {
            Listed => Name,
            Name => Cpu,
            Cpu => Memory,
            Memory => Rate,
            Rate => Waiting,
            Waiting => Loop,
            Loop => Restarts,
            Restarts => Age,
            Age => State,
            State => Listed,
        }
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Order::Listed => "as listed",
            Order::Name => "by name",
            Order::Cpu => "by cpu",
            Order::Memory => "by memory",
            Order::Rate => "by requests",
            Order::Waiting => "by waiting time",
            Order::Loop => "by event loop",
            Order::Restarts => "by restarts",
            Order::Age => "by uptime",
            Order::State => "by state",
        }
    }
}

/// The rows of all apps that a filter leaves, in an order. Those in `closed` show no parts.
pub fn rows(apps: &[AppStatus], filter: &str, order: Order, is_reversed: bool, closed: &BTreeSet<String>) -> Vec<Row> {
    let filter = filter.to_lowercase();
    let is_wanted = |app: &&AppStatus| {
        let state = of_app(app, None).state;
        filter.is_empty()
            || [&app.name, &app.namespace, &state].iter().any(|text| text.to_lowercase().contains(&filter))
    };
    let mut groups: Vec<(Row, Vec<Row>)> = apps
        .iter()
        .filter(is_wanted)
        .map(|app| {
            let parts = parts(app);
            let has_parts = parts.len() > 1 || app.mode == Mode::Cluster;
            let is_open = has_parts.then(|| !closed.contains(&app.target()));
            (of_app(app, is_open), if is_open == Some(true) { parts } else { Vec::new() })
        })
        .collect();
    let by = |of: fn(&Row) -> Option<f64>, one: &Row, other: &Row| {
        // What has no such figure comes last.
        of(other).unwrap_or(-1.0).total_cmp(&of(one).unwrap_or(-1.0))
    };
    groups.sort_by(|(one, _), (other, _)| match order {
        Order::Listed => std::cmp::Ordering::Equal,
        Order::Name => one.name.to_lowercase().cmp(&other.name.to_lowercase()),
        Order::Cpu => other.cpu.total_cmp(&one.cpu),
        Order::Memory => other.memory.cmp(&one.memory),
        Order::Rate => by(Row::rate, one, other),
        Order::Waiting => by(Row::waiting, one, other),
        Order::Loop => by(Row::utilization, one, other),
        Order::Restarts => other.restarts.cmp(&one.restarts),
        Order::Age => other.since.cmp(&one.since),
        Order::State => other.mood.cmp(&one.mood),
    });
    if is_reversed {
        groups.reverse();
    }
    groups.into_iter().flat_map(|(row, parts)| std::iter::once(row).chain(parts)).collect()
}

fn of_app(app: &AppStatus, is_open: Option<bool>) -> Row {
    let parts = parts(app);
    let is_ready = |row: &&Row| row.mood == Mood::Good;
    // The worst of them is what matters.
    let worst = parts.iter().max_by_key(|row| row.mood);
    let running = app.processes.iter().filter(|process| process.pid.is_some());
    let of_primary = app.processes.iter().find(|_| app.mode == Mode::Cluster);
    // A cluster is what its primary is while that is not online.
    let primary = of_primary.filter(|process| process.state != State::Online).map(|process| word(process.state));
    let state = primary.or_else(|| worst.map(|row| row.state.clone())).unwrap_or_else(|| "stopped".to_owned());
    let mood = Mood::of(&state);
    let name = if app.namespace == "default" { app.name.clone() } else { app.target() };
    Row {
        target: app.target(),
        part: None,
        name: printable(&name),
        ready: Some((parts.iter().filter(is_ready).count(), parts.len())),
        state: if app.mode == Mode::Cluster && mood == Mood::Good { "online".to_owned() } else { state },
        mood,
        pid: running.clone().next().and_then(|process| process.pid),
        cpu: app.processes.iter().map(|process| process.cpu).sum(),
        memory: app.processes.iter().map(|process| process.memory).sum(),
        restarts: parts.iter().map(|row| row.restarts).sum::<u64>() + of_primary.map_or(0, |process| process.restarts),
        since: running.filter_map(|process| process.started_at).min(),
        recent: app.recent.clone(),
        is_open,
    }
}

/// The instances of an app, or the workers of a cluster.
fn parts(app: &AppStatus) -> Vec<Row> {
    let row = |part: u32, state: String, pid: Option<i32>| Row {
        target: app.target(),
        part: Some(part),
        name: part.to_string(),
        ready: None,
        mood: Mood::of(&state),
        state,
        pid,
        cpu: 0.0,
        memory: 0,
        restarts: 0,
        since: None,
        recent: None,
        is_open: None,
    };
    if app.mode == Mode::Cluster {
        let workers = app.workers.iter().map(|worker| Row {
            cpu: worker.cpu,
            memory: worker.memory,
            restarts: worker.restarts,
            since: worker.started_at,
            recent: worker.recent.clone(),
            ..row(worker.seat, printable(&worker.state), worker.pid)
        });
        return workers.collect();
    }
    let processes = app.processes.iter().map(|process| Row {
        cpu: process.cpu,
        memory: process.memory,
        restarts: process.restarts,
        since: process.started_at.filter(|_| process.pid.is_some()),
        ..row(process.instance, word(process.state), process.pid)
    });
    processes.collect()
}

/// A state as listings have it.
fn word(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A text without anything that a terminal would obey: what programs write, and what they are called, is shown and never done.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' | '\u{9b}' => {
                // CSI ends with a letter, OSC and its like with BEL or ST; anything else is two characters long.
                let kind = if letter == '\u{9b}' { Some('[') } else { letters.next() };
                match kind {
                    Some('[') => while letters.next().is_some_and(|one| !('@'..='~').contains(&one)) {},
                    Some(']' | 'P' | '_' | '^' | 'X') => {
                        while let Some(one) = letters.next() {
                            let is_end = one == '\u{7}' || one == '\u{9c}';
                            if is_end || (one == '\u{1b}' && letters.next_if_eq(&'\\').is_some()) {
                                break;
                            }
                        }
                    }
                    _ => {}
                }
            }
            '\t' => shown.push_str("    "),
            // Letters that turn the direction of a line round belong to those that are not shown.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            other if other.is_control() => {}
            other => shown.push(other),
        }
    }
    shown
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "K", "M", "G", "T"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0}{}", UNITS[unit])
    } else {
        format!("{value:.1}{}", UNITS[unit])
    }
}

/// So many each second, in five letters at most.
pub fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        ..9.95 => format!("{value:.1}"),
        ..9999.5 => format!("{value:.0}"),
        ..99_950.0 => format!("{:.1}k", value / 1e3),
        ..999_500.0 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.1}M", value / 1e6),
    }
}

/// A time in ms, in six letters at most.
pub fn time(ms: f64) -> String {
    match ms {
        ..9.95 => format!("{ms:.1}ms"),
        ..999.5 => format!("{ms:.0}ms"),
        ..9950.0 => format!("{:.1}s", ms / 1e3),
        _ => format!("{:.0}s", ms / 1e3),
    }
}

/// How long something has been there.
pub fn age(since: Option<u64>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let Some(since) = since else { return "-".to_owned() };
    let seconds = u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(since) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::json;

    /// Three apps as the daemon tells of them.
    pub fn some() -> Vec<AppStatus> {
        let process = |instance: u32, state: &str, cpu: f64, memory: u64| {
            json!({ "instance": instance, "id": instance, "pid": 100 + instance, "state": state, "startedAt": 1,
                    "restarts": 2, "unstableRestarts": 0, "cpu": cpu, "memory": memory })
        };
        let worker = |seat: u32, state: &str| json!({ "seat": seat, "pid": 50, "state": state, "startedAt": 1, "restarts": 1, "cpu": 1.5 });
        let apps = json!([
            { "name": "web", "namespace": "default", "mode": "cluster", "instances": 2,
              "processes": [process(0, "online", 3.0, 9 << 20)], "workers": [worker(0, "ready"), worker(1, "ready")],
              "recent": { "seconds": 2.0, "connections": 5.0, "active": 12, "queued": 0, "waiting": { "p50": 0.3, "p99": 41.0 },
                          "utilization": 0.42, "delay": null, "http": { "requests": 1234.0, "errors": 0.5, "time": null } } },
            { "name": "bot", "namespace": "shop", "mode": "program", "instances": 1,
              "processes": [process(0, "errored", 0.0, 0)] },
            { "name": "jobs", "namespace": "default", "mode": "program", "instances": 2,
              "processes": [process(0, "online", 40.0, 1 << 20), process(1, "waiting restart", 0.5, 2 << 20)] },
        ]);
        serde_json::from_value(apps).unwrap()
    }

    fn names(rows: &[Row]) -> String {
        rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn apps_have_their_parts_below_them_in_every_order() {
        let (apps, none) = (some(), BTreeSet::new());
        let of = |order, reversed| names(&rows(&apps, "", order, reversed, &none));
        assert_eq!(of(Order::Listed, false), "web 0 1 shop:bot jobs 0 1");
        assert_eq!(of(Order::Cpu, false), "jobs 0 1 web 0 1 shop:bot");
        assert_eq!(of(Order::Cpu, true), "shop:bot web 0 1 jobs 0 1");
        assert_eq!(of(Order::Memory, false), "web 0 1 jobs 0 1 shop:bot");
        assert!(of(Order::State, false).ends_with("web 0 1"));
        // What has no board is not less than what has nothing to do.
        for order in [Order::Rate, Order::Waiting, Order::Loop] {
            assert!(of(order, false).starts_with("web") && of(order, true).ends_with("web 0 1"));
        }
        let closed = BTreeSet::from(["default:web".to_owned()]);
        assert_eq!(names(&rows(&apps, "", Order::Listed, false, &closed)), "web shop:bot jobs 0 1");
    }

    #[test]
    fn a_filter_looks_at_names_namespaces_and_states() {
        let (apps, none) = (some(), BTreeSet::new());
        let of = |filter| names(&rows(&apps, filter, Order::Listed, false, &none));
        assert_eq!((of("WEB").as_str(), of("shop").as_str(), of("nothing").as_str()), ("web 0 1", "shop:bot", ""));
        assert_eq!((of("errored").as_str(), of("waiting").as_str()), ("shop:bot", "jobs 0 1"));
    }

    #[test]
    fn an_app_is_as_well_as_the_worst_of_it() {
        let rows = rows(&some(), "", Order::Listed, false, &BTreeSet::new());
        let of = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
        assert_eq!((of("web").state.as_str(), of("web").ready, of("web").restarts), ("online", Some((2, 2)), 4));
        assert_eq!((of("jobs").state.as_str(), of("jobs").ready), ("waiting restart", Some((1, 2))));
        assert_eq!((of("jobs").cpu, of("jobs").memory, of("jobs").is_open), (40.5, 3 << 20, Some(true)));
        assert_eq!((of("shop:bot").mood, of("shop:bot").is_open), (Mood::Bad, None));
    }

    #[test]
    fn nothing_that_a_program_writes_moves_the_terminal() {
        let hostile =
            "a\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}b\u{1b}]52;c;x\u{1b}\\c\u{9b}2Jd\rx\u{8}\u{1b}ce\tf\u{202e}g";
        assert_eq!(printable(hostile), "aredbcdxe    fg");
        assert_eq!(printable("\u{1b}"), "");
        assert_eq!(printable("\u{1b}[1;2"), "");
    }

    #[test]
    fn figures_are_short() {
        let shown: Vec<String> = [0, 999, 1024, 10 << 20, 130 << 20, 3 << 30].map(size).into();
        assert_eq!(shown, ["0B", "999B", "1.0K", "10.0M", "130M", "3.0G"]);
        assert_eq!(age(None), "-");
        let rates: Vec<String> = [0.0, 0.04, 3.26, 9.96, 1234.4, 12_345.0, 123_456.0, 1.25e6].map(rate).into();
        assert_eq!(rates, ["0", "0.0", "3.3", "10", "1234", "12.3k", "123k", "1.2M"]);
        let times: Vec<String> = [0.0, 0.49, 9.96, 41.2, 999.6, 9960.0].map(time).into();
        assert_eq!(times, ["0.0ms", "0.5ms", "10ms", "41ms", "1.0s", "10s"]);
    }
}
