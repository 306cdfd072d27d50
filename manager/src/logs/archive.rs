//! Log files that were set aside: `app.log.20260304-150607-089`, or the same with `.gz` when it is compressed. The time is that of
//! setting aside, in UTC, so that names in order are files in order.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::margin;
use crate::sys::priority;

/// `20260304-150607-089`, where `0` is any digit.
const SHAPE: &str = "00000000-000000-000";
/// How hard to press: half of the best costs a third of the time.
const LEVEL: u32 = 4;
/// Bytes of a read.
const CHUNK: usize = 64 * 1024;
/// Bytes of the stack of the thread that compresses.
const STACK: usize = 1 << 20;

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Its name before it was compressed.
    pub plain: PathBuf,
    /// Whether it is compressed.
    pub is_compressed: bool,
}

impl Archive {
    /// The file as it is now.
    pub fn path(&self) -> PathBuf {
        if self.is_compressed { with_end(&self.plain, ".gz") } else { self.plain.clone() }
    }

    /// Its margin.
    pub fn margin(&self, home: &Path) -> PathBuf {
        margin::path_of(&self.plain, home)
    }

    /// Removes it. Returns whether it was there.
    pub fn remove(&self, home: &Path) -> bool {
        // The margin goes with it, if there is one.
        let _ = fs::remove_file(self.margin(home));
        fs::remove_file(self.path()).is_ok()
    }

    fn stamp(&self) -> &str {
        self.plain.extension().and_then(|stamp| stamp.to_str()).unwrap_or_default()
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn is_stamp(text: &str) -> bool {
    text.len() == SHAPE.len()
        && text
            .bytes()
            .zip(SHAPE.bytes())
            .all(|(byte, shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
}

/// The archives of a log, the oldest first. One that is there in both forms was being compressed when something died: what is
/// compressed is whole.
pub fn list(log: &Path) -> Vec<Archive> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut archives: Vec<Archive> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name();
            let rest = file.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
            let stamp = rest.strip_suffix(".gz").unwrap_or(rest);
            let plain = folder.join(format!("{name}.{stamp}"));
            is_stamp(stamp).then_some(Archive { plain, is_compressed: rest.len() > stamp.len() })
        })
        .collect();
    archives.sort_by(|one, other| (&one.plain, other.is_compressed).cmp(&(&other.plain, one.is_compressed)));
    archives.dedup_by(|one, other| one.plain == other.plain);
    archives
}

/// The name for a file that is set aside now: behind all that were before, whatever the clock says.
pub fn next_name(log: &Path) -> PathBuf {
    let newest = list(log).pop();
    let newest = newest.as_ref().map(Archive::stamp).and_then(parse);
    let now = Timestamp::now().as_millisecond();
    let at = newest.map_or(now, |newest| now.max(newest + 1));
    let time = Timestamp::from_millisecond(at).unwrap_or_default();
    with_end(log, &time.strftime(".%Y%m%d-%H%M%S-%3f").to_string())
}

fn parse(stamp: &str) -> Option<i64> {
    let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}.{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        part(14, 17)?
    );
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Removes the oldest archive of these logs. Returns whether there was one.
pub fn remove_oldest(logs: &[PathBuf], home: &Path) -> bool {
    let oldest =
        logs.iter().filter_map(|log| list(log).into_iter().next()).min_by(|one, other| one.stamp().cmp(other.stamp()));
    oldest.is_some_and(|oldest| oldest.remove(home))
}

/// Removes archives of a log until there are `retain`, and the oldest of all these logs until they use no more than `most` bytes
/// together.
pub fn keep_within(log: &Path, retain: u32, logs: &[PathBuf], most: u64, home: &Path) {
    let own = list(log);
    for archive in own.iter().take(own.len().saturating_sub(retain as usize)) {
        archive.remove(home);
    }
    let size = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
    let total = || -> u64 {
        let archived = logs.iter().flat_map(|log| list(log)).map(|archive| size(&archive.path()));
        archived.chain(logs.iter().map(|log| size(log))).sum()
    };
    if most > 0 {
        while total() > most && remove_oldest(logs, home) {}
    }
}

/// Compresses a file in place: at each moment there is the file or the whole archive.
pub fn compress(plain: &Path) -> io::Result<()> {
    let (whole, part) = (with_end(plain, ".gz"), with_end(plain, ".gz.part"));
    let done = compress_to(plain, &part).and_then(|()| {
        // It may have been removed meanwhile, and must not come back.
        fs::metadata(plain)?;
        fs::rename(&part, &whole)?;
        plain.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        fs::remove_file(plain)
    });
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done
}

fn compress_to(plain: &Path, part: &Path) -> io::Result<()> {
    let source = File::open(plain)?;
    let target = File::options().write(true).create(true).truncate(true).mode(0o600).open(part)?;
    let mut encoder = GzEncoder::new(target, Compression::new(LEVEL));
    io::copy(&mut io::BufReader::with_capacity(CHUNK, &source), &mut encoder)?;
    let target = encoder.finish()?;
    target.set_modified(source.metadata()?.modified()?)?;
    target.sync_all()
}

/// Compresses what was set aside, one file after the other, at the lowest priority, in a thread that is there as long as there is
/// something to do.
#[derive(Clone, Default)]
pub struct Compressor {
    /// The logs whose archives are looked at; nothing while no thread runs.
    logs: Arc<Mutex<Option<Vec<PathBuf>>>>,
}

impl Compressor {
    /// There are archives of these logs.
    pub fn look_at(&self, logs: &[PathBuf]) {
        let mut running = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_running = running.is_some();
        *running = Some(logs.to_vec());
        if is_running {
            return;
        }
        let state = Arc::clone(&self.logs);
        let started = std::thread::Builder::new().name("compress".into()).stack_size(STACK).spawn(move || {
            priority::lowest();
            while let Some(archive) = next(&state) {
                if compress(&archive).is_err() {
                    // The disk may be full, or it is gone: with the next archive there is another chance.
                    *state.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
            }
        });
        if started.is_err() {
            *running = None;
        }
    }
}

/// The oldest archive that is not compressed; where there is none, the thread has nothing to do any more.
fn next(state: &Mutex<Option<Vec<PathBuf>>>) -> Option<PathBuf> {
    let mut logs = state.lock().unwrap_or_else(PoisonError::into_inner);
    let archive = logs.as_ref()?.iter().flat_map(|log| list(log)).find(|archive| !archive.is_compressed);
    if archive.is_none() {
        *logs = None;
    }
    archive.map(|archive| archive.plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rclusterd-archive-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn names_are_in_order_though_the_clock_goes_back() {
        let folder = folder("names");
        let log = folder.join("app.log");
        let future = folder.join("app.log.29990101-000000-999");
        fs::write(&future, "x").unwrap();
        fs::write(folder.join("app.log.old"), "x").unwrap();
        fs::write(folder.join("app.log.29990101-000000-999.gz.part"), "x").unwrap();
        let next = next_name(&log);
        assert_eq!(next, folder.join("app.log.29990101-000001-000"));
        fs::write(&next, "y").unwrap();
        let all: Vec<PathBuf> = list(&log).into_iter().map(|archive| archive.plain).collect();
        assert_eq!(all, [future, next]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_compressed_is_the_same_and_there_once() {
        let folder = folder("gz");
        let (log, plain) = (folder.join("app.log"), folder.join("app.log.20260101-000000-000"));
        fs::write(&plain, "line\n".repeat(1000)).unwrap();
        // As after a crash between the last two steps.
        fs::write(folder.join("app.log.20260101-000000-000.gz"), "").unwrap();
        assert_eq!(list(&log).len(), 1);
        assert!(list(&log)[0].is_compressed);
        compress(&plain).unwrap();
        let archives = list(&log);
        assert!(!plain.exists() && archives.len() == 1);
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(File::open(archives[0].path()).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n".repeat(1000));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_much() {
        let folder = folder("keep");
        let logs = [folder.join("a.log"), folder.join("b.log")];
        for (name, day) in [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5)] {
            fs::write(folder.join(format!("{name}.log.2026010{day}-000000-000")), "12345").unwrap();
        }
        let days = || logs.iter().flat_map(|log| list(log)).map(|one| one.stamp()[7..8].to_owned()).collect::<String>();
        keep_within(&logs[0], 2, &logs, 0, &folder);
        assert_eq!(days(), "3524");
        keep_within(&logs[0], 2, &logs, 12, &folder);
        assert_eq!(days(), "54");
        fs::remove_dir_all(&folder).unwrap();
    }
}
