//! What a line looks like in a log file.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::feed::{Batch, Mark};
use super::margin::Source;
use super::place::NO_INSTANCE;
use crate::model::LogFormat;

/// How PM2 writes a time where nothing is said.
const DEFAULT_DATE: &str = "YYYY-MM-DDTHH:mm:ss";

/// Signs of moment.js, the longer ones first.
const SIGNS: [&str; 12] = ["YYYY", "SSS", "YY", "MM", "DD", "HH", "hh", "mm", "ss", "ZZ", "Z", "A"];

/// What stands beside the lines of a stream.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// What they look like.
    pub format: LogFormat,
    /// How times are written; nothing for PM2's own way.
    pub date: Option<String>,
    /// The app.
    pub app: String,
    /// Who writes.
    pub source: Source,
}

impl Stamp {
    /// Whether lines stay as they are.
    pub fn is_raw(&self) -> bool {
        self.format == LogFormat::Raw
    }

    /// Lines as they go into the file.
    pub fn dress(&self, batch: &Batch) -> Batch {
        self.dress_behind("", batch)
    }

    /// The same, each behind a text.
    pub fn dress_behind(&self, name: &str, batch: &Batch) -> Batch {
        let mut out =
            Batch { bytes: Vec::with_capacity(batch.bytes.len() * 2), marks: Vec::with_capacity(batch.marks.len()) };
        let mut start = 0;
        let app = serde_json::to_string(&self.app).unwrap_or_default();
        for mark in &batch.marks {
            let time = Timestamp::from_millisecond(mark.at).unwrap_or_default().to_zoned(TimeZone::system());
            let head = format!("{name}{}", self.head(&time, &app));
            for line in batch.bytes[start..mark.end].split_inclusive(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                out.bytes.extend_from_slice(head.as_bytes());
                if self.format == LogFormat::Json {
                    // Writing to memory does not fail.
                    let _ = serde_json::to_writer(&mut out.bytes, &String::from_utf8_lossy(line));
                    out.bytes.push(b'}');
                } else {
                    out.bytes.extend_from_slice(line);
                }
                out.bytes.push(b'\n');
            }
            start = mark.end;
            out.marks.push(Mark { end: out.bytes.len(), at: mark.at });
        }
        out
    }

    /// What stands before lines that were read at that time.
    fn head(&self, time: &Zoned, app: &str) -> String {
        match self.format {
            LogFormat::Raw => String::new(),
            LogFormat::Time => prefix(time, self.date.as_deref()),
            LogFormat::Json => {
                let ts = self.date.as_ref().map_or_else(|| iso(time.timestamp()), |date| written(time, date));
                let ts = serde_json::to_string(&ts).unwrap_or_default();
                let Source { instance, pid, stream } = self.source;
                let instance = if instance == NO_INSTANCE { "null".into() } else { instance.to_string() };
                format!(
                    r#"{{"ts":{ts},"app":{app},"instance":{instance},"pid":{pid},"stream":"{}","msg":"#,
                    stream.name()
                )
            }
        }
    }
}

/// What stands before each line of a log with times.
pub fn prefix(time: &Zoned, date: Option<&str>) -> String {
    written(time, date.unwrap_or(DEFAULT_DATE)) + ": "
}

/// A time as JSON has it.
pub fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A time in the signs of moment.js.
fn written(time: &Zoned, format: &str) -> String {
    let mut out = String::new();
    let mut rest = format;
    'signs: while !rest.is_empty() {
        for sign in SIGNS {
            if let Some(after) = rest.strip_prefix(sign) {
                out.push_str(&part(time, sign));
                rest = after;
                continue 'signs;
            }
        }
        let mut letters = rest.chars();
        out.extend(letters.next());
        rest = letters.as_str();
    }
    out
}

fn part(time: &Zoned, sign: &str) -> String {
    let offset = time.offset().seconds() / 60;
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let minus = if offset < 0 { '-' } else { '+' };
    match sign {
        "YYYY" => format!("{:04}", time.year()),
        "YY" => format!("{:02}", time.year().rem_euclid(100)),
        "MM" => format!("{:02}", time.month()),
        "DD" => format!("{:02}", time.day()),
        "HH" => format!("{:02}", time.hour()),
        "hh" => format!("{:02}", (time.hour() + 11) % 12 + 1),
        "mm" => format!("{:02}", time.minute()),
        "ss" => format!("{:02}", time.second()),
        "SSS" => format!("{:03}", time.millisecond()),
        "A" => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        "Z" => format!("{minus}{hours:02}:{minutes:02}"),
        _ => format!("{minus}{hours:02}{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::place::Stream;

    fn stamp(format: LogFormat, date: Option<&str>) -> Stamp {
        let source = Source { pid: 7, instance: 2, stream: Stream::Out };
        Stamp { format, date: date.map(str::to_owned), app: "web".into(), source }
    }

    fn batch(bytes: &[u8]) -> Batch {
        let end = bytes.len();
        Batch { bytes: bytes.to_vec(), marks: vec![Mark { end: end - 5, at: 0 }, Mark { end, at: 1_500_000_000_007 }] }
    }

    #[test]
    fn times_are_written_in_the_signs_of_moment() {
        let time: Zoned = "2026-03-04T15:06:07.089+02:30[+02:30]".parse().unwrap();
        assert_eq!(written(&time, "YYYY-MM-DD HH:mm:ss.SSS Z"), "2026-03-04 15:06:07.089 +02:30");
        assert_eq!(written(&time, "DD/MM/YY hh:mm A ZZ"), "04/03/26 03:06 PM +0230");
    }

    #[test]
    fn each_line_has_the_time_when_it_was_read_and_keeps_its_bytes() {
        let dressed = stamp(LogFormat::Time, Some("YYYY SSS")).dress(&batch(b"one\n\xff two\nlast\n"));
        assert_eq!(dressed.bytes, b"1970 000: one\n1970 000: \xff two\n2017 007: last\n");
        assert_eq!(dressed.marks, [Mark { end: 30, at: 0 }, Mark { end: 45, at: 1_500_000_000_007 }]);
    }

    #[test]
    fn a_line_of_json_says_where_it_came_from() {
        let text =
            String::from_utf8(stamp(LogFormat::Json, None).dress(&batch(b"say \"x\"\n\xffast\n")).bytes).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let wanted = serde_json::json!({
            "ts": "1970-01-01T00:00:00.000Z", "app": "web", "instance": 2, "pid": 7, "stream": "out", "msg": "say \"x\""
        });
        assert_eq!(lines[0], wanted);
        assert_eq!((&lines[1]["msg"], &lines[1]["ts"]), (&"\u{fffd}ast".into(), &"2017-07-14T02:40:00.007Z".into()));
    }
}
