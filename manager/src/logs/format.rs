//! What a line looks like in a log file.

use jiff::Zoned;
use serde_json::json;

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
    /// The number of the instance.
    pub instance: u32,
    /// `out` or `error`.
    pub stream: &'static str,
    /// The process.
    pub pid: i32,
}

impl Stamp {
    /// Whether lines stay as they are.
    pub fn is_raw(&self) -> bool {
        self.format == LogFormat::Raw
    }

    /// Whole lines as they go into the file.
    pub fn lines(&self, text: &[u8]) -> Vec<u8> {
        let now = Zoned::now();
        let mut out = Vec::with_capacity(text.len() + 64);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            match self.format {
                LogFormat::Raw => out.extend_from_slice(line),
                LogFormat::Time => {
                    out.extend_from_slice(written(&now, self.date.as_deref().unwrap_or(DEFAULT_DATE)).as_bytes());
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(line);
                }
                LogFormat::Json => {
                    let ts = match &self.date {
                        Some(date) => written(&now, date),
                        None => now.timestamp().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
                    };
                    let line = json!({
                        "ts": ts, "app": self.app, "instance": self.instance, "pid": self.pid, "stream": self.stream,
                        "msg": String::from_utf8_lossy(line),
                    });
                    out.extend_from_slice(line.to_string().as_bytes());
                }
            }
            out.push(b'\n');
        }
        out
    }
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

    fn stamp(format: LogFormat, date: Option<&str>) -> Stamp {
        Stamp { format, date: date.map(str::to_owned), app: "web".into(), instance: 2, stream: "out", pid: 7 }
    }

    #[test]
    fn times_are_written_in_the_signs_of_moment() {
        let time: Zoned = "2026-03-04T15:06:07.089+02:30[+02:30]".parse().unwrap();
        assert_eq!(written(&time, "YYYY-MM-DD HH:mm:ss.SSS Z"), "2026-03-04 15:06:07.089 +02:30");
        assert_eq!(written(&time, "DD/MM/YY hh:mm A ZZ"), "04/03/26 03:06 PM +0230");
    }

    #[test]
    fn each_line_has_its_time_and_keeps_its_bytes() {
        let text = stamp(LogFormat::Time, Some("YYYY")).lines(b"one\n\xff two\n");
        let year = Zoned::now().year().to_string();
        let wanted = [year.as_bytes(), b": one\n", year.as_bytes(), b": \xff two\n"].concat();
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_line_of_json_says_where_it_came_from() {
        let text = String::from_utf8(stamp(LogFormat::Json, None).lines(b"say \"x\"\n")).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let parts = (&line["app"], &line["instance"], &line["pid"], &line["stream"], &line["msg"]);
        assert_eq!(parts, (&json!("web"), &json!(2), &json!(7), &json!("out"), &json!("say \"x\"")));
        assert!(line["ts"].as_str().unwrap().ends_with('Z'));
    }
}
