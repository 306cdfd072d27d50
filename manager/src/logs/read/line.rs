//! One line of a log, and what is told of it.

use std::borrow::Cow;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::Value;

use super::super::format;
use super::super::margin::Source;
use super::super::place::{NO_INSTANCE, Stream};
use crate::model::LogFormat;

/// A log that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// By what a reader knows it that comes back.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// The app.
    pub app: String,
    /// The instance that it belongs to, where it belongs to one.
    pub instance: Option<u32>,
    /// The instances whose lines are of interest, where others write there as well.
    pub only: Option<Vec<u32>>,
    /// The stream, where it has one alone.
    pub stream: Option<Stream>,
    /// What its lines look like.
    pub format: LogFormat,
    /// Bytes of the time that stands before each of them, where one does.
    pub prefix: usize,
}

/// Bytes of a time as it is written before lines: all signs have a fixed width.
pub fn prefix_width(date: Option<&str>) -> usize {
    format::prefix(&Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC), date).len()
}

/// A line as it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Without its end.
    pub text: Vec<u8>,
    /// When it was read (ms since 1970), as far as that is known.
    pub at: Option<i64>,
    /// Who wrote it, as far as that is known.
    pub source: Option<Source>,
    /// Its position.
    pub start: u64,
    /// The position behind it.
    pub after: u64,
}

/// What a line says.
pub struct Said<'a> {
    /// What the program wrote.
    pub message: Cow<'a, str>,
    /// What stands before it in the file.
    pub prefix: Option<Cow<'a, str>>,
    /// What the line itself says about where it comes from.
    about: Value,
}

/// Takes a line apart.
pub fn parse<'a>(log: &Log, text: &'a [u8]) -> Said<'a> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let plain = |text: &'a [u8]| Said { message: String::from_utf8_lossy(text), prefix: None, about: Value::Null };
    match log.format {
        LogFormat::Raw => plain(text),
        LogFormat::Json => match serde_json::from_slice::<Value>(text) {
            Ok(mut about) if about.get("msg").is_some_and(Value::is_string) => {
                let Value::String(message) = about["msg"].take() else { return plain(text) };
                Said { message: Cow::Owned(message), prefix: None, about }
            }
            _ => plain(text),
        },
        LogFormat::Time => match text.split_at_checked(log.prefix).filter(|(prefix, _)| prefix.ends_with(b": ")) {
            Some((prefix, message)) => Said { prefix: Some(String::from_utf8_lossy(prefix)), ..plain(message) },
            None => plain(text),
        },
    }
}

/// Who wrote a line, as its margin and the line itself tell.
pub fn stream(log: &Log, line: &Line, said: &Said) -> Option<Stream> {
    let told = said.about.get("stream").and_then(|stream| serde_json::from_value(stream.clone()).ok());
    line.source.map(|source| source.stream).or(told).or(log.stream)
}

/// The instance that wrote a line, as far as that is known.
pub fn instance(log: &Log, line: &Line, said: &Said) -> Option<u32> {
    let told = || said.about.get("instance").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    line.source.map(|source| source.instance).or_else(told).or(log.instance)
}

/// What is told of a line.
#[derive(Serialize)]
struct Told<'a> {
    ts: Value,
    app: &'a str,
    instance: Value,
    pid: Value,
    stream: Option<Stream>,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// Appends a line of JSON about it.
pub fn tell(out: &mut Vec<u8>, log: &Log, line: &Line, said: &Said, with_position: bool) {
    let time = line.at.and_then(|at| Timestamp::from_millisecond(at).ok()).map(format::iso);
    let told = |name: &str| said.about.get(name).cloned().unwrap_or(Value::Null);
    let told = Told {
        ts: time.map_or_else(|| told("ts"), Value::from),
        app: &log.app,
        instance: instance(log, line, said).filter(|number| *number != NO_INSTANCE).into(),
        pid: line.source.map_or_else(|| told("pid"), |source| source.pid.into()),
        stream: stream(log, line, said),
        msg: &said.message,
        prefix: said.prefix.as_deref(),
        log: with_position.then_some(log.id.as_str()),
        position: with_position.then_some(line.after),
    };
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut *out, &told);
    out.push(b'\n');
}
