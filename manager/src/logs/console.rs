//! Where lines go when the daemon runs in the foreground, as process 1 of a container does: its standard output and its standard error, which all
//! its keepers share.
//!
//! Lines come whole: one keeper writes at a time, and waits until somebody has read. Meanwhile what programs write is held, and then dropped and
//! counted, as with a slow disk. Where nobody reads any more, lines are lost, and programs go on.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};

use super::feed::Batch;
use super::format::Stamp;
use super::place::{NO_INSTANCE, Stream};
use crate::model::LogFormat;
use crate::sys::pipe;

/// The variable by which the daemon and its keepers know that there is a console, and what lines look like there.
pub const CONSOLE: &str = "RCLUSTER_CONSOLE";

/// What lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As the program's log file would have them.
    Raw,
    /// Behind the instance and the app.
    Prefixed,
    /// An object per line.
    Json,
}

impl Look {
    /// The one that is asked for; `None` where there is no console.
    pub fn wanted() -> Option<Look> {
        std::env::var_os(CONSOLE).as_deref().and_then(Look::from)
    }

    fn from(word: &OsStr) -> Option<Look> {
        match word.to_str()? {
            "raw" => Some(Look::Raw),
            "prefixed" => Some(Look::Prefixed),
            "json" => Some(Look::Json),
            _ => None,
        }
    }

    /// What is done to the lines of a stream whose file has this stamp.
    fn dress(self, stamp: &Stamp) -> Dress {
        let name = match stamp.source.instance {
            NO_INSTANCE => format!("{} | ", stamp.app),
            instance => format!("{instance}|{} | ", stamp.app),
        };
        match self {
            Look::Json => Dress { stamp: Stamp { format: LogFormat::Json, ..stamp.clone() }, name: String::new() },
            // An object says whose it is by itself.
            Look::Prefixed if stamp.format != LogFormat::Json => Dress { stamp: stamp.clone(), name },
            Look::Raw | Look::Prefixed => Dress { stamp: stamp.clone(), name: String::new() },
        }
    }
}

/// What stands beside the lines of a stream.
pub struct Dress {
    stamp: Stamp,
    name: String,
}

impl Dress {
    /// Lines as they are written; nothing where they stay as they are.
    pub fn on(&self, batch: &Batch) -> Option<Batch> {
        let is_bare = self.stamp.is_raw() && self.name.is_empty();
        (!is_bare).then(|| self.stamp.dress_behind(&self.name, batch))
    }
}

/// The two streams.
pub struct Console {
    look: Look,
    ends: [OwnedFd; 2],
    /// What the thread that writes has to know.
    state: Mutex<State>,
}

struct State {
    /// Held while somebody writes.
    turn: Option<File>,
    /// Lines that could not be written, of each stream.
    lost: [u64; 2],
}

impl Console {
    /// On these descriptors, for the keepers of this home.
    pub fn new(look: Look, ends: [OwnedFd; 2], home: &Path) -> io::Result<Console> {
        let turn = File::options().write(true).create(true).truncate(false).open(home.join("console.lock"))?;
        Ok(Console { look, ends, state: Mutex::new(State { turn: Some(turn), lost: [0; 2] }) })
    }

    /// What is done here to the lines of a stream.
    pub fn dress(&self, stamp: &Stamp) -> Dress {
        self.look.dress(stamp)
    }

    /// Writes whole lines, and waits until they are taken. What cannot be written is counted, and said as soon as something can be.
    pub fn write(&self, batch: &Batch, stream: Stream) {
        let number = usize::from(stream == Stream::Error);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = state.turn.take().map(|file| Flock::lock(file, FlockArg::LockExclusive));
        let end = &self.ends[number];
        let lost = state.lost[number];
        let note = (lost > 0).then(|| format!("[rcluster] {lost} lines were lost here\n"));
        let said = note.map_or(Ok(()), |note| pipe::write_all(end, note.as_bytes()));
        let written = said.and_then(|()| {
            state.lost[number] = 0;
            pipe::write_all(end, &batch.bytes)
        });
        if written.is_err() {
            state.lost[number] += memchr::memchr_iter(b'\n', &batch.bytes).count() as u64;
        }
        state.turn = match turn {
            Some(Ok(held)) => held.unlock().ok(),
            Some(Err((file, _))) => Some(file),
            None => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::feed::Mark;
    use crate::logs::margin::Source;
    use crate::sys::spawn;
    use std::io::Read;

    fn stamp(format: LogFormat) -> Stamp {
        let source = Source { pid: 7, instance: 2, stream: Stream::Out };
        Stamp { format, date: None, app: "web".into(), source }
    }

    #[test]
    fn each_look_is_what_it_says() {
        let text = |look: Look, stamp: &Stamp| {
            let batch = Batch { bytes: b"one\n".to_vec(), marks: vec![Mark { end: 4, at: 0 }] };
            let bytes = look.dress(stamp).on(&batch).map(|batch| batch.bytes);
            bytes.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(text(Look::Raw, &stamp(LogFormat::Raw)), None);
        assert_eq!(text(Look::Prefixed, &stamp(LogFormat::Raw)).unwrap(), "2|web | one\n");
        let timed = Stamp { date: Some("YYYY".into()), ..stamp(LogFormat::Time) };
        assert_eq!(text(Look::Prefixed, &timed).unwrap(), "2|web | 1970: one\n");
        let object = text(Look::Json, &stamp(LogFormat::Raw)).unwrap();
        assert!(object.starts_with("{\"ts\":\"1970-") && object.ends_with("\"msg\":\"one\"}\n"));
        assert_eq!(text(Look::Prefixed, &stamp(LogFormat::Json)).unwrap(), object);
        let mut primary = stamp(LogFormat::Raw);
        primary.source.instance = NO_INSTANCE;
        assert_eq!(text(Look::Prefixed, &primary).unwrap(), "web | one\n");
        assert_eq!(Look::from("colour".as_ref()), None);
    }

    #[test]
    fn lines_are_whole_whoever_else_writes_and_however_little_is_read_at_a_time() {
        let folder = std::env::temp_dir().join(format!("rclusterd-console-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (read, write) = spawn::output_pipe().unwrap();
        let writers: Vec<_> = ["a", "b"]
            .map(|letter| {
                let ends = [write.try_clone().unwrap(), write.try_clone().unwrap()];
                // As Node leaves it.
                spawn::set_nonblocking(&ends[0]).unwrap();
                let console = Console::new(Look::Raw, ends, &folder).unwrap();
                std::thread::spawn(move || {
                    let bytes = (letter.repeat(9999) + "\n").repeat(20).into_bytes();
                    let end = bytes.len();
                    let batch = Batch { bytes, marks: vec![Mark { end, at: 0 }] };
                    console.write(&batch, Stream::Out);
                })
            })
            .into();
        drop(write);
        let (mut file, mut all, mut piece) = (File::from(read), Vec::new(), [0; 777]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => all.extend_from_slice(&piece[..count]),
                Err(_) => std::thread::yield_now(),
            }
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let lines: Vec<&[u8]> = all.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 40);
        assert!(lines.iter().all(|line| line.len() == 9999 && line.iter().all(|byte| *byte == line[0])));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn where_nobody_reads_lines_are_lost_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("rclusterd-closed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (read, write) = spawn::output_pipe().unwrap();
        drop(read);
        let console = Console::new(Look::Raw, [write.try_clone().unwrap(), write], &folder).unwrap();
        let batch = Batch { bytes: b"one\ntwo\n".to_vec(), marks: vec![Mark { end: 8, at: 0 }] };
        console.write(&batch, Stream::Out);
        console.write(&batch, Stream::Out);
        assert_eq!(console.state.lock().unwrap().lost, [4, 0]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
