//! A log file: whole lines go in, and it is set aside when it has grown too large or its time is over.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::{ToSpan, Zoned};
use nix::libc;

use super::archive::{self, Compressor};
use super::feed::Mark;
use super::margin::{self, Margin, Source};
use super::place;
use crate::model::Rotate;

/// While we have no descriptor, as for a moment when a program sends us hundreds, lines wait so many times so long (ms).
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What is to become of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its file.
    pub path: PathBuf,
    /// The manager's folder, where its margin is.
    pub home: PathBuf,
    /// A file of so many bytes is set aside; 0 for whatever its size.
    pub max_size: u64,
    /// So many of those are kept.
    pub retain: u32,
    /// Bytes of all logs of the app together; 0 for no limit.
    pub max_total: u64,
    /// How often it is set aside, whatever its size.
    pub rotate: Option<Rotate>,
    /// Whether what was set aside is compressed.
    pub compress: bool,
    /// All logs of the app.
    pub family: Vec<PathBuf>,
}

/// A file that is open.
struct Open {
    file: File,
    inode: u64,
    size: u64,
    /// Nothing where it is no file but a pipe or a device, which is neither measured nor set aside.
    margin: Option<Margin>,
    /// When (ms since 1970) it is set aside.
    until: Option<i64>,
}

/// A log that is being written.
pub struct Sink {
    plan: Arc<Plan>,
    open: Option<Open>,
    compressor: Compressor,
    /// The position behind what was written last, for the next file.
    position: Option<u64>,
    /// Lines that could not be written, and why.
    lost: Option<(u64, String)>,
}

impl Sink {
    /// Nothing is opened before something is written.
    pub fn new(plan: Arc<Plan>, compressor: Compressor) -> Sink {
        Sink { plan, open: None, compressor, position: None, lost: None }
    }

    /// What holds from now on.
    pub fn set_plan(&mut self, plan: &Arc<Plan>) {
        if self.plan != *plan {
            if let (Some(open), true) = (&mut self.open, self.plan.rotate != plan.rotate) {
                open.until = plan.rotate.and_then(|rotate| end_of_period(rotate, &Zoned::now()));
            }
            self.plan = Arc::clone(plan);
        }
    }

    /// The file is opened anew by its name, as soon as there is something to write.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.close();
        self.opened().map(drop)
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take()
            && let Some(margin) = open.margin
        {
            self.position = Some(margin.base() + open.size);
        }
    }

    /// Empties it.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.open.is_none() && !self.plan.path.exists() {
            return Ok(());
        }
        let open = self.opened()?;
        if let Some(margin) = &mut open.margin {
            open.file.set_len(0)?;
            let base = margin.base() + open.size;
            // Whoever reads backwards stops here, as what was before is not there any more.
            margin.begin(open.inode, base + 1);
            open.size = 0;
        }
        Ok(())
    }

    /// Writes whole lines of one source. What cannot be written is counted, and said in the log as soon as that can be.
    pub fn write(&mut self, bytes: &[u8], marks: &[Mark], source: Source) {
        if let Some((count, why)) = self.lost.take() {
            let text = format!("[rcluster] {count} lines were lost: {why}\n");
            let mark = Mark { end: text.len(), at: marks.first().map_or(0, |mark| mark.at) };
            // Once it has lasted for so long nobody waits for it again.
            if let Err((_, error)) = self.write_all(text.as_bytes(), &[mark], source, 0) {
                self.lost = Some((count + lines(bytes), error));
                return;
            }
        }
        if let Err((written, error)) = self.write_all(bytes, marks, source, TRIES) {
            self.lost = Some((lines(&bytes[written..]), error));
        }
    }

    /// `tries`: how often more where there is no descriptor. On an error: how many bytes, whole lines, were written all the same.
    fn write_all(
        &mut self,
        bytes: &[u8],
        marks: &[Mark],
        source: Source,
        mut tries: u32,
    ) -> Result<(), (usize, String)> {
        let mut done = 0;
        let mut is_second = false;
        while done < bytes.len() {
            match self.write_some(bytes, done, marks, source) {
                Ok(count) => {
                    done += count;
                    is_second = false;
                }
                Err(error) if place::is_full(&error) && archive::remove_oldest(&self.plan.family, &self.plan.home) => {}
                Err(error) if error.raw_os_error() == Some(libc::EFBIG) && !is_second && self.rotate().is_ok() => {
                    is_second = true
                }
                Err(error) if place::is_short_of_descriptors(&error) && tries > 0 => {
                    tries -= 1;
                    thread::sleep(PAUSE);
                }
                Err(error) => {
                    if !place::is_full(&error) {
                        // Another file, or another attempt, may do better.
                        self.close();
                    }
                    return Err((done, error.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Writes as many lines as belong into the file that is open.
    fn write_some(&mut self, bytes: &[u8], from: usize, marks: &[Mark], source: Source) -> io::Result<usize> {
        let at = |place: usize| marks.iter().find(|mark| mark.end > place).or(marks.last()).map_or(0, |mark| mark.at);
        self.look()?;
        let now = at(from);
        let is_over = |open: &Open| open.size > 0 && open.until.is_some_and(|until| now >= until);
        if self.open.as_ref().is_some_and(is_over) {
            // A name that cannot be changed is no reason to lose lines.
            let _ = self.rotate();
        }
        let mut end = bytes.len();
        if let Some(room) = self.room()
            && (bytes.len() - from) as u64 > room
        {
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            match memchr::memrchr(b'\n', &bytes[from..from + room]) {
                Some(last) => end = from + last + 1,
                None => {
                    if self.open.as_ref().is_some_and(|open| open.size > 0) {
                        let _ = self.rotate();
                    }
                    end = memchr::memchr(b'\n', &bytes[from..]).map_or(end, |first| from + first + 1);
                }
            }
        }
        let open = self.opened()?;
        if let Some(margin) = &mut open.margin {
            let starts = std::iter::once(from)
                .chain(marks.iter().map(|mark| mark.end).filter(|place| (from + 1..end).contains(place)));
            for start in starts {
                margin.note(open.size + (start - from) as u64, at(start), source);
            }
            margin.write();
        }
        open.append(&bytes[from..end])
    }

    /// Bytes until the file is full.
    fn room(&self) -> Option<u64> {
        let open = self.open.as_ref().filter(|open| open.margin.is_some())?;
        let most = [self.plan.max_size, self.plan.max_total].into_iter().filter(|most| *most > 0).min()?;
        Some(most.saturating_sub(open.size))
    }

    /// Finds out what others have done to the file: moved it or its folder away, or emptied it.
    fn look(&mut self) -> io::Result<()> {
        let path = &self.plan.path;
        if let Some(open) = &mut self.open
            && let Some(margin) = &mut open.margin
        {
            match fs::metadata(path) {
                Ok(data) if data.ino() == open.inode => {
                    if data.len() < open.size {
                        margin.begin(open.inode, margin.base() + open.size + 1);
                    }
                    open.size = data.len();
                }
                // It cannot be looked at, but it can be written.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                _ => self.close(),
            }
        }
        self.opened().map(drop)
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        if self.open.is_none() {
            self.open = Some(self.open_file()?);
            let is_over = |open: &Open| {
                let changed = open
                    .file
                    .metadata()
                    .and_then(|data| data.modified())
                    .ok()
                    .and_then(|time| Zoned::try_from(time).ok());
                let until = self.plan.rotate.zip(changed).and_then(|(rotate, changed)| end_of_period(rotate, &changed));
                open.margin.is_some() && open.size > 0 && until.is_some_and(|until| now() >= until)
            };
            if self.open.as_ref().is_some_and(is_over) {
                let _ = self.rotate();
            }
            if self.plan.compress {
                // Of those that were left by whoever wrote this log before.
                self.compress();
            }
        }
        if self.open.is_none() {
            self.open = Some(self.open_file()?);
        }
        self.open.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn open_file(&self) -> io::Result<Open> {
        let path = &self.plan.path;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        // A terminal is not to become ours.
        options.append(true).mode(0o600).custom_flags(libc::O_NOCTTY);
        let opened = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(&mut options),
            other => other,
        };
        let file = opened?;
        let data = file.metadata()?;
        if !data.is_file() {
            return Ok(Open { file, inode: data.ino(), size: 0, margin: None, until: None });
        }
        let margin = Margin::open(margin::path_of(path, &self.plan.home), data.ino(), self.position);
        let until = self.plan.rotate.and_then(|rotate| end_of_period(rotate, &Zoned::now()));
        Ok(Open { file, inode: data.ino(), size: data.len(), margin: Some(margin), until })
    }

    /// A new file gets its name when it has its margin, so that whoever finds it knows where it stands.
    fn create(&self, options: &mut fs::OpenOptions) -> io::Result<File> {
        let path = &self.plan.path;
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".new-{}", std::process::id()));
        let file = options.create(true).open(&temporary)?;
        drop(Margin::open(margin::path_of(path, &self.plan.home), file.metadata()?.ino(), self.position));
        // Somebody else may have been faster, and a file system may have one name for each file.
        let _ = fs::hard_link(&temporary, path);
        let _ = fs::remove_file(&temporary);
        // By the name that it has now: whoever watches the folder is told of no other.
        options.open(path)
    }

    /// The file gets another name, and there is a new one.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(Open { inode, size, margin: Some(mut margin), .. }) = self.open.take() else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        self.position = Some(margin.base() + size);
        let path = &self.plan.path;
        if fs::metadata(path).is_ok_and(|data| data.ino() == inode) {
            let name = archive::next_name(path);
            fs::rename(path, &name)?;
            // Without its margin there are no times, and all lines.
            let _ = margin.set_aside(size, &margin::path_of(&name, &self.plan.home));
        }
        self.open = Some(self.open_file()?);
        let plan = &self.plan;
        archive::keep_within(&plan.path, plan.retain, &plan.family, plan.max_total, &plan.home);
        if plan.compress {
            self.compress();
        }
        Ok(())
    }

    fn compress(&self) {
        if self.plan.family.iter().any(|log| archive::list(log).iter().any(|archive| !archive.is_compressed)) {
            self.compressor.look_at(&self.plan.family);
        }
    }
}

impl Open {
    /// Appends whole lines. Returns how many bytes; a part of a line does not stay.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let whole = memchr::memrchr(b'\n', &bytes[..done]).map_or(0, |last| last + 1);
                    if whole < done && self.margin.is_some() {
                        let _ = self.file.set_len(self.size + whole as u64);
                    }
                    self.size += whole as u64;
                    return if whole > 0 { Ok(whole) } else { Err(error) };
                }
            }
        }
        self.size += done as u64;
        Ok(done)
    }
}

fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// When the hour, the day or the week ends that a time is in (ms since 1970), as the clocks here show it.
fn end_of_period(rotate: Rotate, time: &Zoned) -> Option<i64> {
    let end = match rotate {
        Rotate::Hourly => {
            let hour = time.with().minute(0).second(0).subsec_nanosecond(0).build().ok()?;
            hour.checked_add(1.hour()).ok()?
        }
        Rotate::Daily => time.tomorrow().ok()?.start_of_day().ok()?,
        Rotate::Weekly => {
            let left = 7 - i64::from(time.weekday().to_monday_zero_offset());
            time.checked_add(left.days()).ok()?.start_of_day().ok()?
        }
    };
    Some(end.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests;
