//! Whether an app makes sense, as far as that can be seen without running it.

use std::path::Path;

use serde_json::{Value, json};

use super::{App, Mode, Webhook};
use crate::model::socket_name::SocketName;
use crate::model::times::{Times, time_zone};
use crate::model::watched::Watched;

/// The longest name: with what is added, that of its log files must be one that a file may have.
const LONGEST_NAME: usize = 200;

/// The most sockets of an app: each is a descriptor of its keeper, of its processes and of the daemon.
const MOST_SOCKETS: usize = 256;

impl App {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
