//! What requests say: read strictly, so that a wrong word is an error that names it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::daemon::link::Failure;
use crate::daemon::plan::Options;
use crate::daemon::web;
use crate::model::App;

/// Apps to be started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// As they shall be.
    pub apps: Vec<App>,
    /// How that is brought about.
    #[serde(default)]
    pub options: Options,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Environment {
    env: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signal {
    signal: String,
    instances: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[serde(deserialize_with = "anything")]
    message: Value,
    instances: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
    instances: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    executable: Option<PathBuf>,
}

/// A value that must be there, `null` included.
fn anything<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer)
}

/// Apps, each of which makes sense.
pub fn start(body: Value) -> Result<Start, Failure> {
    let start: Start = parse(body)?;
    for (index, app) in start.apps.iter().enumerate() {
        app.check().map_err(|error| {
            Failure::new("ERR_RCLUSTER_BAD_APP", format!("apps[{index}] (\"{}\"): {error}", app.name))
        })?;
    }
    Ok(start)
}

/// No words at all.
pub fn nothing(body: Value) -> Result<(), Failure> {
    parse(body).map(|Nothing {}| ())
}

/// Variables that are to be set.
pub fn environment(body: Value) -> Result<Option<BTreeMap<String, String>>, Failure> {
    parse(body).map(|Environment { env }| env)
}

/// How many there shall be.
pub fn count(body: Value) -> Result<u32, Failure> {
    parse(body).map(|Count { count }| count)
}

/// The request to send a signal.
pub fn signal(body: Value) -> Result<Value, Failure> {
    parse(body).map(|Signal { signal, instances }| json!({ "signal": signal, "instances": instances }))
}

/// The request to send a message.
pub fn message(body: Value) -> Result<Value, Failure> {
    parse(body).map(|Message { message, instances }| json!({ "message": message, "instances": instances }))
}

/// The request to write to the standard input.
pub fn text(body: Value) -> Result<Value, Failure> {
    parse(body).map(|Text { text, instances }| json!({ "text": text, "instances": instances }))
}

/// The page that is wanted.
pub fn web(body: Value) -> Result<web::Asked, Failure> {
    parse(body)
}

/// The executable that takes our place.
pub fn update(body: Value) -> Result<Option<PathBuf>, Failure> {
    parse(body).map(|Update { executable }| executable)
}

/// Nothing at all is an object without members.
fn parse<T: DeserializeOwned>(body: Value) -> Result<T, Failure> {
    let body = if body.is_null() { json!({}) } else { body };
    if !body.is_object() {
        let text = shortened(&format!("the body must be an object. Received {body}"));
        return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
    }
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        let code = if path.starts_with("apps") { "ERR_RCLUSTER_BAD_APP" } else { "ERR_RCLUSTER_BAD_REQUEST" };
        let text = error.inner().to_string();
        // All members that there are would not help.
        let text = text.split(", expected one of").next().unwrap_or_default();
        Failure::new(code, if path == "." { text.to_owned() } else { format!("{path}: {text}") })
    })
}

/// A value that somebody has sent, as far as it helps.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_word_is_named() {
        let app = |change: Value| {
            let mut app = json!({ "name": "a", "mode": "program", "script": "a.js", "cwd": "/" });
            for (name, value) in change.as_object().unwrap() {
                app[name] = value.clone();
            }
            let failure = start(json!({ "apps": [app] })).unwrap_err();
            assert_eq!(failure.code, "ERR_RCLUSTER_BAD_APP");
            failure.message
        };
        assert_eq!(app(json!({ "instnces": 2 })), "apps[0].instnces: unknown field `instnces`");
        assert_eq!(app(json!({ "instances": "two" })), "apps[0].instances: invalid type: string \"two\", expected u32");
        assert!(app(json!({ "cwd": "x" })).contains("\"cwd\" must be an absolute path"));
        assert_eq!(count(json!({})).unwrap_err().message, "missing field `count`");
        assert_eq!(nothing(json!({ "a": 1 })).unwrap_err().code, "ERR_RCLUSTER_BAD_REQUEST");
        assert_eq!(nothing(json!([1])).unwrap_err().message, "the body must be an object. Received [1]");
        assert!(message(json!({ "message": null })).is_ok() && message(json!({})).is_err());
    }
}
