//! `GET /v1/logs`: what apps have written, and what they write, a line of JSON each.
//!
//! A thread of its own reads for each request, and waits while its reader does: nothing is gathered here but a few pieces on their way.

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use tokio::sync::mpsc;

use super::api::{Service, decode};
use super::apps::Apps;
use super::link::Failure;
use crate::logs::console::Look;
use crate::logs::place::{self, Stream};
use crate::logs::read::{self, Log, Query, Reader};
use crate::model::{App, LogFormat, Mode};
use crate::pattern::Pattern;

/// Pieces on their way to a reader.
const ON_THE_WAY: usize = 4;
/// How often it is looked whether there are more logs, while somebody follows.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of a thread's stack.
const STACK: usize = 1 << 20;
/// So many may read at the same time.
const MOST_READERS: usize = 64;
/// The most lines that can be asked for.
const MOST_LINES: u64 = 1_000_000_000;

// A count that guards no other memory: `Relaxed` is enough.
static READERS: AtomicUsize = AtomicUsize::new(0);

/// The lines, as they come.
pub struct Lines {
    pieces: mpsc::Receiver<Bytes>,
    /// Closed with this: the thread ends.
    _told: Rc<UnixStream>,
}

impl Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.pieces.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

struct Sender(mpsc::Sender<Bytes>);

impl Reader for Sender {
    fn take(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.0.blocking_send(bytes.into()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// Counts those who read.
struct Place;

impl Place {
    fn take() -> Option<Place> {
        let taken = READERS.fetch_add(1, Ordering::Relaxed);
        let place = Place;
        (taken < MOST_READERS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Begins to read what a query string asks for.
pub fn read(service: &Rc<Service>, query: &str) -> Result<Lines, Failure> {
    let mut asked = Asked::parse(query)?;
    let (target, instances) = (std::mem::take(&mut asked.target), asked.instances.take());
    asked.query.logs = logs(&service.apps, &target, instances.as_deref(), asked.query.stream)?;
    asked.query.home = service.apps.home().path().to_owned();
    let failed = |error: io::Error| Failure::new("ERR_RCLUSTER_LOG", format!("logs cannot be read now: {error}"));
    let place = Place::take();
    let place = place.ok_or_else(|| failed(io::Error::other(format!("{MOST_READERS} others read them"))))?;
    let (told, tell) = UnixStream::pair().map_err(failed)?;
    told.set_nonblocking(true).map_err(failed)?;
    tell.set_nonblocking(true).map_err(failed)?;
    let (sender, pieces) = mpsc::channel(ON_THE_WAY);
    let (more, new) = std::sync::mpsc::channel();
    let tell = Rc::new(tell);
    if asked.query.follow {
        tokio::task::spawn_local(look(
            Rc::clone(service),
            target,
            instances,
            asked.query.stream,
            more,
            Rc::downgrade(&tell),
        ));
    }
    let work = move || {
        // Whatever ends it, there is no more to read.
        let _ = read::run(&asked.query, Sender(sender), told, &new);
        drop(place);
    };
    std::thread::Builder::new().name("logs".into()).stack_size(STACK).spawn(work).map_err(failed)?;
    Ok(Lines { pieces, _told: tell })
}

/// Tells whoever follows of apps and instances that are new.
async fn look(
    service: Rc<Service>,
    target: String,
    instances: Option<Vec<u32>>,
    stream: Option<Stream>,
    more: std::sync::mpsc::Sender<Vec<Log>>,
    tell: std::rc::Weak<UnixStream>,
) {
    let mut known = Vec::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(tell) = tell.upgrade() else { return };
        // One that was deleted may come back.
        let now = logs(&service.apps, &target, instances.as_deref(), stream).unwrap_or_default();
        if now != known {
            known.clone_from(&now);
            if more.send(now).is_err() || io::Write::write(&mut &*tell, b"m").is_err() {
                return;
            }
        }
    }
}

/// The logs of what a word means, or of some instances of it.
fn logs(apps: &Apps, word: &str, instances: Option<&[u32]>, stream: Option<Stream>) -> Result<Vec<Log>, Failure> {
    let home = apps.home().path();
    let mut logs: Vec<Log> = Vec::new();
    let targets = apps.targets(word)?;
    let has_apps = !targets.is_empty();
    for target in targets {
        let app = App::of(apps.describe(&target, false)?).map_err(|error| Failure::new("ERR_RCLUSTER_LOG", error))?;
        let prefix =
            if app.log_format == LogFormat::Time { read::prefix_width(app.log_date_format.as_deref()) } else { 0 };
        let of_number = number_in_cluster(&app, word).map(|one| vec![one]);
        let wanted = instances.map(<[u32]>::to_vec).or(target.instances).or(of_number);
        let files = |stream: Option<Stream>| place::all(&app, home, stream, wanted.as_deref());
        let of_one = [Stream::Out, Stream::Error].into_iter().filter(|one| stream.is_none_or(|wanted| wanted == *one));
        let mut found: Vec<_> =
            of_one.flat_map(|one| files(Some(one)).into_iter().map(move |file| (Some(one), file))).collect();
        if found.is_empty() {
            // What both streams write is in one file alone.
            found = files(None).into_iter().map(|file| (None, file)).collect();
        }
        for (stream, (path, instance)) in found {
            if let Some(known) = logs.iter_mut().find(|log| log.path == path) {
                known.stream = known.stream.filter(|known| stream == Some(*known));
                continue;
            }
            let kind = stream.map_or("log", Stream::name);
            let number = instance.map_or_else(String::new, |instance| format!("/{instance}"));
            let id = format!("{}/{kind}{number}", app.key());
            let only = wanted.clone();
            logs.push(Log { id, path, app: app.name.clone(), instance, only, stream, format: app.log_format, prefix });
        }
    }
    if logs.is_empty() && has_apps && Look::wanted().is_some() {
        let text = "lines go to the standard output of rcluster run, and into no file: docker logs, kubectl logs and the like show them";
        return Err(Failure::new("ERR_RCLUSTER_LOG", text));
    }
    Ok(logs)
}

/// The worker that a number of a listing names: for all else it stands for its cluster.
fn number_in_cluster(app: &App, word: &str) -> Option<u32> {
    let id = word.parse::<u64>().ok().filter(|_| app.mode == Mode::Cluster && app.name != word)?;
    app.ids.iter().position(|one| *one == id).and_then(|instance| u32::try_from(instance).ok())
}

/// What a query string says.
struct Asked {
    target: String,
    /// Those of some instances alone.
    instances: Option<Vec<u32>>,
    query: Query,
}

impl Asked {
    fn parse(text: &str) -> Result<Asked, Failure> {
        let mut asked = Asked { target: "all".into(), instances: None, query: Query::default() };
        let query = &mut asked.query;
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            let value = decode(&value.replace('+', " "));
            let bad = |rule: &str| {
                Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("\"{name}\" must be {rule}. Received {value:?}"))
            };
            let flag = || match value.as_str() {
                "true" | "1" | "" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(bad("true or false")),
            };
            match name {
                "target" => asked.target.clone_from(&value),
                "instance" => {
                    let numbers: Result<_, _> = value.split(',').map(str::parse).collect();
                    asked.instances = Some(numbers.map_err(|_| bad("a number, or several parted by commas"))?);
                }
                "follow" => query.follow = flag()?,
                "positions" => query.positions = flag()?,
                // There is one format.
                "json" => drop(flag()?),
                "lines" => {
                    let lines = value.parse().ok().filter(|lines| *lines <= MOST_LINES);
                    query.lines = Some(lines.ok_or_else(|| bad("a whole number, 0 or more"))?);
                }
                "since" => {
                    query.since = Some(since(&value).ok_or_else(|| bad("a time such as 10m or 2026-03-04T15:06:07Z"))?)
                }
                "grep" => {
                    let grep = Pattern::new(&value).map_err(|why| bad(&format!("a regular expression ({why})")))?;
                    query.grep = Some(grep);
                }
                "stream" => {
                    query.stream = Some(match value.as_str() {
                        "out" => Stream::Out,
                        "error" => Stream::Error,
                        _ => return Err(bad("out or error")),
                    });
                }
                "after" => {
                    for part in value.split(',').filter(|part| !part.is_empty()) {
                        let (id, position) = part.rsplit_once(':').ok_or_else(|| bad("positions as they were told"))?;
                        query
                            .after
                            .insert(id.to_owned(), position.parse().map_err(|_| bad("positions as they were told"))?);
                    }
                }
                _ => {
                    let text = format!("there is no parameter \"{name}\" of logs");
                    return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
                }
            }
        }
        Ok(asked)
    }
}

/// A time (ms since 1970): one that was so long ago, a date, or a number of milliseconds.
fn since(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => Some(1.0),
        "s" => Some(1e3),
        "m" | "min" => Some(60e3),
        "h" => Some(3600e3),
        "d" => Some(86_400e3),
        "w" => Some(604_800e3),
        _ => None,
    };
    if let (Some(unit), Ok(number)) = (unit, number.parse::<f64>()) {
        return Some(Timestamp::now().as_millisecond().saturating_sub((number * unit) as i64));
    }
    if text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let local = text.parse::<civil::DateTime>().ok()?;
    local.to_zoned(TimeZone::system()).ok().map(|time| time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_understood_as_people_write_them() {
        let now = Timestamp::now().as_millisecond();
        for (text, ago) in [("90s", 90_000), ("10m", 600_000), ("1.5h", 5_400_000), ("2d", 172_800_000), ("0s", 0)] {
            assert!((now - ago - since(text).unwrap()).abs() < 1000, "{text}");
        }
        assert_eq!(since("2026-03-04T15:06:07Z"), Some(1_772_636_767_000));
        assert_eq!(since("1772636767000"), Some(1_772_636_767_000));
        assert!(since("2026-03-04 15:06").is_some() && since("2026-03-04").is_some());
        for text in ["", "soon", "10", "10x", "-5m", "m", "2026-13-01", "1e9s"] {
            assert_eq!(since(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_asked_wrongly_is_said() {
        let refused = |text| Asked::parse(text).err().map(|failure| failure.message).unwrap_or_default();
        assert_eq!(refused("lines=many"), "\"lines\" must be a whole number, 0 or more. Received \"many\"");
        assert_eq!(refused("grep=(a"), "\"grep\" must be a regular expression (unclosed group). Received \"(a\"");
        assert_eq!(refused("lnes=1"), "there is no parameter \"lnes\" of logs");
        let asked = Asked::parse("target=a%20b&lines=3&follow&after=default.a%2Fout%2F0:7,x:9&grep=a+b").unwrap();
        let query = asked.query;
        assert_eq!(
            (asked.target.as_str(), query.lines, query.follow, query.after["default.a/out/0"]),
            ("a b", Some(3), true, 7)
        );
        assert!(query.grep.unwrap().is_match("a b"));
    }
}
