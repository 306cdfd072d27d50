//! `rclusterd list`: the table of `rcluster list`, for the command's first lines (`bin/rcluster.js`), which ask us before they start Node: that takes
//! five times as long as all else. We do the usual: a daemon of our version that answers, and plain texts. All else fails, and then
//! JavaScript does it (`manager/cli/table.js` has the same table). A test holds the two against each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ratatui::crossterm::terminal;
use serde::Deserialize;

use crate::monit::ask::Daemon;

/// How long the daemon is waited for: JavaScript knows what to say of one that is silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// A name is not made shorter than that, where the terminal is narrow.
const SHORTEST: usize = 8;
/// Where a name is among the columns, and the state.
const NAME: usize = 1;
const STATE: usize = 7;
const HEADS: [&str; 10] = ["id", "name", "namespace", "mode", "pid", "uptime", "↺", "status", "cpu", "memory"];
/// What goes first where the terminal is too narrow.
const FIRST: [usize; 7] = [2, 3, 8, 9, 5, 4, 6];

#[derive(Deserialize)]
struct App {
    name: String,
    namespace: String,
    mode: String,
    processes: Vec<One>,
    workers: Vec<One>,
    #[serde(default)]
    watching: Option<Watching>,
    #[serde(default, rename = "notSaved")]
    not_saved: Option<String>,
}

#[derive(Deserialize)]
struct Watching {
    problem: Option<String>,
}

/// A process, or a worker.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    seat: Option<u32>,
    pid: Option<i32>,
    started_at: Option<u64>,
    restarts: u64,
    state: String,
    #[serde(default)]
    upgrading: bool,
    cpu: f64,
    memory: u64,
}

type Row = [String; HEADS.len()];

/// Prints what runs in the home at `path`.
pub fn run(path: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async { tokio::time::timeout(PATIENCE, Daemon::of(path).ask_alike("/v1/apps?stats=false")).await };
    let answer: Result<Vec<App>, String> =
        tokio::task::LocalSet::new().block_on(&runtime, asked).unwrap_or_else(|_| Err("it is silent".to_owned()));
    let apps = answer.map_err(io::Error::other)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let rows = rows(&apps, u64::try_from(now).unwrap_or(u64::MAX));
    let has_problem =
        |app: &App| app.not_saved.is_some() || app.watching.as_ref().is_some_and(|watching| watching.problem.is_some());
    if apps.iter().any(has_problem) || !rows.iter().flatten().all(|cell| is_plain(cell)) {
        return Err(io::Error::other("there is something that is not shown here"));
    }
    let is_terminal = io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let has_colours = is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb");
    // 0 is what a terminal says that does not know.
    let width = terminal::size().ok().filter(|(width, _)| is_terminal && *width > 0).map(|(width, _)| width.into());
    match io::stdout().write_all(table(&rows, width, has_colours).as_bytes()) {
        // Whoever reads what we say may be gone: that is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Whether each character takes one column.
fn is_plain(text: &str) -> bool {
    text.chars().all(|letter| matches!(letter, ' '..='~' | '…' | '↺'))
}

fn rows(apps: &[App], now: u64) -> Vec<Row> {
    let row = |app: &App, id: String, one: &One| -> Row {
        [
            id,
            app.name.clone(),
            app.namespace.clone(),
            app.mode.clone(),
            one.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            age(one.started_at, now),
            one.restarts.to_string(),
            if one.upgrading { "upgrading".to_owned() } else { one.state.clone() },
            format!("{}%", one.cpu),
            size(one.memory),
        ]
    };
    let of = |app: &App| -> Vec<Row> {
        let id = |one: &One| one.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let processes = app.processes.iter().map(|one| row(app, id(one), one));
        let workers = app.workers.iter().map(|one| row(app, format!(" {}", one.seat.unwrap_or(0)), one));
        processes.chain(workers).collect()
    };
    apps.iter().flat_map(of).collect()
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["b", "kb", "mb", "gb", "tb"];
    let power = (0..UNITS.len() - 1).take_while(|power| bytes >> (10 * (power + 1)) > 0).count();
    if power == 0 {
        return format!("{bytes}b");
    }
    let value = bytes as f64 / 1024_f64.powi(i32::try_from(power).unwrap_or(0));
    // As JavaScript rounds: 1.25 becomes 1.3.
    format!("{:.1}{}", (value * 10.0 + 0.5).floor() / 10.0, UNITS[power])
}

/// `since`: ms since 1970, as `now`.
fn age(since: Option<u64>, now: u64) -> String {
    let Some(since) = since else { return "0".to_owned() };
    let seconds = now.saturating_sub(since) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `width`: of the terminal; `None` where there is none.
fn table(rows: &[Row], width: Option<usize>, has_colours: bool) -> String {
    let length = |text: &str| text.chars().count();
    let longest = |column: usize| rows.iter().map(|row| length(&row[column])).chain([length(HEADS[column])]).max();
    let mut widths: Vec<usize> = (0..HEADS.len()).map(|column| longest(column).unwrap_or(0)).collect();
    let mut shown: BTreeSet<usize> = (0..HEADS.len()).collect();
    let excess = |shown: &BTreeSet<usize>| {
        let needed = shown.iter().map(|column| widths[*column] + 2).sum::<usize>() - 2;
        width.map_or(0, |width| needed.saturating_sub(width))
    };
    // The name gives way: everything else has its use at full length only.
    let most = widths[NAME].saturating_sub(SHORTEST);
    for column in FIRST {
        if excess(&shown) > most {
            shown.remove(&column);
        }
    }
    let cut = excess(&shown).min(most);
    widths[NAME] -= cut;
    let mut text = String::new();
    let mut line = |cells: [&str; HEADS.len()], paints: bool| {
        let cells = shown.iter().map(|&column| {
            let cell = fitted(cells[column], widths[column]);
            let colour = if paints && column == STATE { colour(cells[column]) } else { None };
            colour.map_or_else(|| cell.clone(), |colour| format!("\u{1b}[{colour}m{cell}\u{1b}[0m"))
        });
        // Writing into a text does not fail.
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(HEADS, false);
    for row in rows {
        line(row.each_ref().map(String::as_str), has_colours);
    }
    text
}

fn colour(state: &str) -> Option<u8> {
    match state {
        "online" => Some(32),
        "launching" | "upgrading" | "stopping" | "waiting restart" => Some(33),
        "stopped" => Some(90),
        "errored" => Some(31),
        _ => None,
    }
}

/// A text that takes so many columns, and ends with … where it does not fit.
fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_those_of_the_other_table() {
        let sizes = [
            (0, "0b"),
            (1023, "1023b"),
            (1024, "1.0kb"),
            (1280 << 10, "1.3mb"),
            (1 << 40, "1.0tb"),
            (1 << 50, "1024.0tb"),
        ];
        assert_eq!(sizes.map(|(bytes, _)| size(bytes)), sizes.map(|(_, text)| text.to_owned()));
        let ages =
            [(0, "0s"), (59_999, "59s"), (60_000, "1m"), (3_600_000, "1h"), (172_799_000, "47h"), (172_800_000, "2d")];
        assert_eq!(ages.map(|(ms, _)| age(Some(1000), 1000 + ms)), ages.map(|(_, text)| text.to_owned()));
        assert_eq!((age(None, 5), age(Some(10), 5)), ("0".to_owned(), "0s".to_owned()));
    }

    #[test]
    fn a_cluster_whose_primary_is_being_replaced_is_upgrading() {
        let one = serde_json::json!({ "id": 0, "pid": 7, "startedAt": 0, "restarts": 0, "state": "online", "upgrading": true, "cpu": 0.5, "memory": 0 });
        let app = serde_json::json!([{ "name": "web", "namespace": "default", "mode": "cluster", "processes": [one], "workers": [] }]);
        let apps: Vec<App> = serde_json::from_value(app).unwrap();
        assert_eq!(rows(&apps, 1000)[0][STATE..], ["upgrading", "0.5%", "0b"]);
        assert!(table(&rows(&apps, 1000), None, true).contains("\u{1b}[33mupgrading"));
    }

    #[test]
    fn what_may_take_two_columns_is_left_to_others() {
        assert!(is_plain("a-name with … ↺"));
        assert!(!is_plain("日本") && !is_plain("é") && !is_plain("a\tb") && !is_plain("a\u{1b}[0m"));
    }
}
