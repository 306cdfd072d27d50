//! An app: what is to run, and how.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::socket_name::SocketName;
use super::times::{Times, time_zone};
use super::watched::Watched;

/// The longest key, so that the paths of sockets below `run/` fit into a socket's address.
const LONGEST_KEY: usize = 40;

/// The longest name: with what is added, that of its log files must be one that a file may have.
const LONGEST_NAME: usize = 200;

/// The most sockets of an app: each is a descriptor of its keeper, of its processes and of the daemon.
const MOST_SOCKETS: usize = 256;

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

/// Where events are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// By HTTP or HTTPS.
    pub url: String,
    /// What they are signed with.
    #[serde(default)]
    pub secret: Option<String>,
}

/// What is told instead of a secret.
pub const HIDDEN: &str = "(hidden)";

impl Webhook {
    fn check(&self) -> Result<(), String> {
        let host = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            return Err(format!(
                "\"webhook\" must have a \"url\" that begins with https:// or http://. Received {:?}",
                self.url
            ));
        }
        if self.secret.as_deref() == Some("") {
            return Err("\"webhook\" must have a \"secret\" that is not empty, or none".into());
        }
        Ok(())
    }
}

impl App {
    /// Without what nobody is to see.
    pub fn without_secrets(mut self) -> App {
        if let Some(secret) = self.webhook.as_mut().and_then(|webhook| webhook.secret.as_mut()) {
            *secret = HIDDEN.into();
        }
        self
    }

    /// Whoever has been told of it without its secret, and tells it back, means the one that it has.
    pub fn with_secret_of(mut self, known: Option<&App>) -> App {
        let is_hidden = |webhook: &Webhook| webhook.secret.as_deref() == Some(HIDDEN);
        if let Some(webhook) = self.webhook.as_mut().filter(|webhook| is_hidden(webhook))
            && let Some(known) = known.and_then(|known| known.webhook.as_ref())
        {
            webhook.secret.clone_from(&known.secret);
        }
        self
    }
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

    /// Whether it makes sense, as far as that can be seen without running it. The error names the member, the rule and the value.
    pub fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.contains('\0') {
            return Err(format!("\"name\" must be a text that is not empty. Received {:?}", self.name));
        }
        for (member, text) in [("name", &self.name), ("namespace", &self.namespace)] {
            if text.len() > LONGEST_NAME {
                return Err(format!(
                    "\"{member}\" must be {LONGEST_NAME} bytes at most. Received {} bytes",
                    text.len()
                ));
            }
        }
        for (member, text) in [("name", &self.name), ("namespace", &self.namespace)] {
            // They would break the lines of a listing, or speak to the terminal.
            if text.contains(char::is_control) {
                return Err(format!("\"{member}\" must have no control characters. Received {text:?}"));
            }
        }
        if self.instances == 0 || self.instances > 1024 {
            return Err(format!("\"instances\" must be a whole number from 1 to 1024. Received {}", self.instances));
        }
        if !self.cwd.starts_with('/') {
            return Err(format!("\"cwd\" must be an absolute path. Received {:?}", self.cwd));
        }
        if self.kill_signal.parse::<nix::sys::signal::Signal>().is_err() {
            return Err(format!("\"killSignal\" must be a signal such as SIGINT. Received {:?}", self.kill_signal));
        }
        self.check_texts()?;
        self.check_sockets()?;
        self.check_times()?;
        Watched::of(self, Vec::new())?;
        self.webhook.as_ref().map_or(Ok(()), Webhook::check)
    }

    fn check_texts(&self) -> Result<(), String> {
        let files = [("outFile", &self.out_file), ("errorFile", &self.error_file), ("logFile", &self.log_file)];
        let others = [("interpreter", &self.interpreter), ("uid", &self.uid), ("gid", &self.gid)];
        let given = files.into_iter().chain(others).filter_map(|(member, text)| Some((member, text.as_ref()?)));
        if let Some((member, _)) = given.chain([("script", &self.script)]).find(|(_, text)| text.is_empty()) {
            return Err(format!("\"{member}\" must be a text that is not empty. Received \"\""));
        }
        let is_no_name = |name: &str| name.is_empty() || name.contains('=');
        if let Some(bad) = self.env.keys().find(|name| is_no_name(name)) {
            return Err(format!("\"env\" must have names without \"=\". Received {bad:?}"));
        }
        let variables = [("instanceVar", Some(&self.instance_var)), ("incrementVar", self.increment_var.as_ref())];
        for (member, name) in variables {
            if let Some(bad) = name.filter(|name| is_no_name(name)) {
                return Err(format!("\"{member}\" must be a name without \"=\". Received {bad:?}"));
            }
        }
        // Neither the system nor a program can be given one, whatever it is for.
        let members = json!(self);
        let bad = members.as_object().into_iter().flatten().find(|(_, value)| has_zero_byte(value));
        // What is in the environment may be secret.
        bad.map_or(Ok(()), |(member, value)| {
            let received = if member == "env" { String::new() } else { format!(". Received {value}") };
            Err(format!("\"{member}\" must have no zero byte{received}"))
        })
    }

    fn check_sockets(&self) -> Result<(), String> {
        if self.sockets.len() > MOST_SOCKETS {
            let count = self.sockets.len();
            return Err(format!("\"sockets\" must be {MOST_SOCKETS} at most. Received {count}"));
        }
        for (index, name) in self.sockets.iter().enumerate() {
            SocketName::parse(name, Path::new(&self.cwd)).map_err(|rule| format!("\"sockets\" {rule}"))?;
            if self.sockets[..index].contains(name) {
                return Err(format!("\"sockets\" must be different ones. Received {name:?} twice"));
            }
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), String> {
        if let Some(zone) = &self.cron_timezone {
            time_zone(zone).map_err(|rule| format!("\"cronTimezone\" {rule}"))?;
        }
        for (member, line) in [("cron", &self.cron), ("cronRestart", &self.cron_restart)] {
            if let Some(line) = line {
                Times::parse(line, self.cron_timezone.as_deref()).map_err(|rule| format!("\"{member}\" {rule}"))?;
            }
        }
        if let Some(line) = &self.cron {
            if self.mode == Mode::Cluster {
                return Err(format!(
                    "\"cron\" must be for a program that ends: a cluster has \"cronRestart\". Received {line:?}"
                ));
            }
            if !self.watch.is_empty() {
                return Err(format!(
                    "\"watch\" must not be given with \"cron\", whose runs begin by the clock. Received {:?}",
                    self.watch
                ));
            }
            if let Some(other) = &self.cron_restart {
                return Err(format!("\"cronRestart\" must not be given with \"cron\". Received {other:?}"));
            }
        }
        Ok(())
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

/// Whether there is a zero byte in a text, or in one of many.
fn has_zero_byte(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(has_zero_byte),
        Value::Object(all) => all.iter().any(|(name, value)| name.contains('\0') || has_zero_byte(value)),
        _ => false,
    }
}

/// `<namespace>.<name>` with nothing in it that a path cannot have. Two different apps have different keys.
pub fn key(namespace: &str, name: &str) -> String {
    let mut key = String::new();
    for (index, part) in [namespace, name].into_iter().enumerate() {
        if index > 0 {
            key.push('.');
        }
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => key.push(char::from(byte)),
                other => key.push_str(&format!("%{other:02x}")),
            }
        }
    }
    if key.len() > LONGEST_KEY {
        let hash = fnv1a(key.as_bytes());
        key.truncate(LONGEST_KEY - 17);
        key.push_str(&format!("~{hash:016x}"));
    }
    key
}

/// The FNV-1a hash of 64 bits, the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
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

    #[test]
    fn what_cannot_be_whatever_the_machine_is_like_is_told_before_anything_is_done() {
        let check = |member: &str, value: Value| {
            let mut app = json!({ "name": "a", "mode": "program", "script": "a.js", "cwd": "/" });
            app[member] = value;
            serde_json::from_value::<App>(app).unwrap().check()
        };
        let texts = ["script", "interpreter", "outFile", "errorFile", "logFile", "uid", "gid"];
        for member in texts.into_iter().chain(["instanceVar", "incrementVar"]) {
            for bad in ["", "\0"] {
                assert!(check(member, json!(bad)).unwrap_err().starts_with(&format!("\"{member}\" must ")), "{member}");
            }
            assert_eq!(check(member, json!("x")), Ok(()), "{member}");
        }
        for member in ["args", "interpreterArgs", "clusterArgs", "watch", "ignoreWatch", "statedEnv"] {
            let rule = check(member, json!(["a", "b\0"])).unwrap_err();
            assert_eq!(rule, format!("\"{member}\" must have no zero byte. Received [\"a\",\"b\\u0000\"]"));
        }
        assert_eq!(check("env", json!({ "A": "secret\0" })), Err("\"env\" must have no zero byte".into()));
        assert!(check("instanceVar", json!("A=B")).unwrap_err().contains("without \"=\""));
        assert!(
            check("sockets", json!(["tcp:80", ""])).unwrap_err().starts_with("\"sockets\" must be such as tcp:3000")
        );
        assert!(check("sockets", json!(["tcp:0", "tcp:0"])).unwrap_err().contains("\"tcp:0\" twice"));
        let many: Vec<String> = (0..=MOST_SOCKETS).map(|number| format!("unix:{number}")).collect();
        assert!(check("sockets", json!(many[1..])).is_ok() && check("sockets", json!(many)).is_err());
    }

    #[test]
    fn keys_are_short_and_differ() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let keys = [
            key("default", "app"),
            key("default", "a/b"),
            key("default", "a.b"),
            key("default.a", "b"),
            key("default", &long),
            key("default", &longer),
            key("", ".."),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(one.len() <= LONGEST_KEY && !one.contains('/'), "{one}");
            assert!(keys[index + 1..].iter().all(|other| other != one), "{one}");
        }
        assert_eq!(keys[0], "default.app");
    }
}
