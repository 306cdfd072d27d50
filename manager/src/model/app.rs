//! An app: what is to run, and how.

mod check;
mod key;
mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use key::key;
pub use webhook::{HIDDEN, Webhook};

/// How an app is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Any program; each instance is a process that the keeper starts.
    Program,
    /// A Node server: one primary that the keeper starts, whose workers are the instances.
    Cluster,
}

/// What a line in a log file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// As the program wrote it.
    Raw,
    /// Behind the time when it was read.
    Time,
    /// An object of JSON with time, app, instance, process and stream.
    Json,
}

/// How often a log file is set aside, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rotate {
    /// At each full hour.
    Hourly,
    /// At midnight.
    Daily,
    /// At the midnight before Monday.
    Weekly,
}

/// What is to run, as the client has read it from its arguments or a configuration file. Paths and the interpreter stay as
/// they were written and are resolved at each start. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// Unique within its namespace.
    pub name: String,
    /// A group of apps.
    #[serde(default = "App::default_namespace")]
    pub namespace: String,
    /// Program or cluster.
    pub mode: Mode,
    /// The file to run.
    pub script: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// The folder that it runs in; absolute.
    pub cwd: String,
    /// What runs the script; `none` for the script itself, nothing for what its extension says.
    #[serde(default)]
    pub interpreter: Option<String>,
    /// Arguments of the interpreter, before the script.
    #[serde(default)]
    pub interpreter_args: Vec<String>,
    /// The whole environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Which of its variables were said of this app, rather than being those of whoever started it; nothing for all.
    #[serde(default)]
    pub stated_env: Option<Vec<String>>,
    /// How many of them.
    #[serde(default = "one")]
    pub instances: u32,
    /// The variable that tells each instance its number, from 0.
    #[serde(default = "App::default_instance_var")]
    pub instance_var: String,
    /// One of its variables that is a number, and one more for each further instance.
    #[serde(default)]
    pub increment_var: Option<String>,
    /// Whether it is started when it becomes known, and not only listed.
    #[serde(default = "yes")]
    pub autostart: bool,
    /// Whether it is started again when it ends by itself.
    #[serde(default = "yes")]
    pub autorestart: bool,
    /// So many ends within [`App::min_uptime`] in a row are a crash loop.
    #[serde(default = "App::default_max_restarts")]
    pub max_restarts: u32,
    /// A process that lived for so long has started well.
    #[serde(default)]
    pub min_uptime: Option<u64>,
    /// Before each restart.
    #[serde(default)]
    pub restart_delay: u64,
    /// Before the first restart, growing with each; 0 for none.
    #[serde(default)]
    pub exp_backoff: u64,
    /// Exit codes after which it is not started again.
    #[serde(default)]
    pub stop_exit_codes: Vec<i32>,
    /// How it is asked to end.
    #[serde(default = "App::default_kill_signal")]
    pub kill_signal: String,
    /// After so long its whole tree is killed.
    #[serde(default = "App::default_kill_timeout")]
    pub kill_timeout: u64,
    /// Whether what it has started ends with it.
    #[serde(default = "yes")]
    pub treekill: bool,
    /// Whether it is asked to end by the message `shutdown` instead of a signal.
    #[serde(default)]
    pub shutdown_with_message: bool,
    /// Whether it says itself when it is ready.
    #[serde(default)]
    pub wait_ready: bool,
    /// How long that may take.
    #[serde(default = "App::default_listen_timeout")]
    pub listen_timeout: u64,
    /// So often it has to say that it lives (`WATCHDOG=1` in sd_notify(3)); 0 for never.
    #[serde(default)]
    pub watchdog: u64,
    /// When a run of it begins, as a line of cron; it ends by itself.
    #[serde(default)]
    pub cron: Option<String>,
    /// When it starts anew, as a line of cron.
    #[serde(default)]
    pub cron_restart: Option<String>,
    /// The time zone of these lines; nothing for the machine's.
    #[serde(default)]
    pub cron_timezone: Option<String>,
    /// Whether it is started by the clock though somebody has stopped it.
    #[serde(default)]
    pub cron_when_stopped: bool,
    /// Paths and patterns: it starts anew when something changes there; nothing for no watching.
    #[serde(default)]
    pub watch: Vec<String>,
    /// Paths and patterns whose changes do not count.
    #[serde(default)]
    pub ignore_watch: Vec<String>,
    /// When nothing has changed for so long after a change, it starts anew.
    #[serde(default = "App::default_watch_delay")]
    pub watch_delay: u64,
    /// What is run by `/bin/sh` when something has happened that somebody may have to see to.
    #[serde(default)]
    pub on_event: Option<String>,
    /// Where that is sent.
    #[serde(default)]
    pub webhook: Option<Webhook>,
    /// Where its output goes; nothing for `logs/<name>-out.log`.
    #[serde(default)]
    pub out_file: Option<String>,
    /// Where its errors go; nothing for `logs/<name>-error.log`.
    #[serde(default)]
    pub error_file: Option<String>,
    /// Where both go besides.
    #[serde(default)]
    pub log_file: Option<String>,
    /// Whether instances share the files.
    #[serde(default)]
    pub merge_logs: bool,
    /// What a line looks like.
    #[serde(default = "App::default_log_format")]
    pub log_format: LogFormat,
    /// How times are written in front of lines, in the signs of moment.js; nothing for ISO 8601.
    #[serde(default)]
    pub log_date_format: Option<String>,
    /// A log file of so many bytes is set aside.
    #[serde(default = "App::default_max_size")]
    pub max_size: u64,
    /// So many files that were set aside are kept for each stream.
    #[serde(default = "App::default_retain")]
    pub retain: u32,
    /// Bytes of all its log files together, those that were set aside included.
    #[serde(default = "App::default_max_total")]
    pub max_total: u64,
    /// How often a log file is set aside, whatever its size; nothing for by size alone.
    #[serde(default)]
    pub rotate: Option<Rotate>,
    /// Whether they are compressed.
    #[serde(default = "yes")]
    pub compress: bool,
    /// Bytes that an instance with all that it has started may use; 0 for no limit.
    #[serde(default)]
    pub max_memory: u64,
    /// The user that it runs as, by number or name.
    #[serde(default)]
    pub uid: Option<String>,
    /// The group that it runs as, by number or name.
    #[serde(default)]
    pub gid: Option<String>,
    /// Sockets that it is given, such as `tcp:3000` or `unix:app.sock`.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// Options of the command `rcluster` for a cluster's primary.
    #[serde(default)]
    pub cluster_args: Vec<String>,
    /// Whether a Node program gets a message channel.
    #[serde(default = "yes")]
    pub ipc: bool,
    /// The number of each instance in listings, given by the daemon.
    #[serde(default)]
    pub ids: Vec<u64>,
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}

impl App {
    /// What has been parsed, as an app; else what is wrong with it. All that is parsed comes this way, and all text by `serde_json::from_slice`:
    /// each other way would take tens of kilobytes of the executable, for the same.
    pub fn of(value: serde_json::Value) -> Result<App, String> {
        serde_path_to_error::deserialize(value).map_err(|error| error.to_string())
    }

    fn default_namespace() -> String {
        "default".into()
    }

    fn default_instance_var() -> String {
        "NODE_APP_INSTANCE".into()
    }

    const fn default_max_restarts() -> u32 {
        16
    }

    fn default_kill_signal() -> String {
        "SIGINT".into()
    }

    const fn default_kill_timeout() -> u64 {
        1600
    }

    const fn default_listen_timeout() -> u64 {
        3000
    }

    const fn default_watch_delay() -> u64 {
        200
    }

    const fn default_log_format() -> LogFormat {
        LogFormat::Raw
    }

    const fn default_max_size() -> u64 {
        10 << 20
    }

    const fn default_retain() -> u32 {
        10
    }

    const fn default_max_total() -> u64 {
        1 << 30
    }

    /// How many processes its keeper starts: of a cluster the primary alone.
    pub fn processes(&self) -> u32 {
        if self.mode == Mode::Cluster { 1 } else { self.instances }
    }

    /// Whether another description is of the same app: the two have the same key.
    pub fn is_called_as(&self, other: &App) -> bool {
        self.name == other.name && self.namespace == other.namespace
    }

    /// What names it in the file system.
    pub fn key(&self) -> String {
        key(&self.namespace, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let app: App = serde_json::from_str(r#"{"name":"a","mode":"program","script":"a.js","cwd":"/"}"#).unwrap();
        assert_eq!((app.instances, app.max_restarts, app.kill_timeout), (1, 16, 1600));
        assert_eq!(app.namespace, "default");
    }

    #[test]
    fn an_unknown_member_is_an_error() {
        let text = r#"{"name":"a","mode":"program","script":"a.js","cwd":"/","instnces":2}"#;
        assert!(serde_json::from_str::<App>(text).unwrap_err().to_string().contains("instnces"));
    }
}
