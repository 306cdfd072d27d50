//! How keepers come into being.
//!
//! ```text
//!   daemon ── executes, once for all that it is starting ──▶ nursery ── copies itself ──▶ keeper
//!      │                                                        │      (fork(2))
//!      └──────── for each keeper a packet: descriptors ─────────┘
//! ```
//!
//! To execute the file, link it and make it ready takes four times as long as to copy a process that has done so, and each keeper would have
//! the memory that this takes for itself. The nursery has one thread and nothing of its own; it ends when the daemon needs it no more, or ends.
//!
//! What a keeper is to know is in a file that is in memory alone ([`Birth`]); with it come the keeper's line to the daemon, and what the keeper before
//! had in its store.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::About;
use crate::model::App;
use crate::sys::process::{self, CallWords, Side};
use crate::sys::received::{self, MOST_FDS};
use crate::sys::{memory, procfs, socket};

/// What a packet says of the descriptors that come with it: there are more of this keeper's, or these are the last.
const MORE: &[u8] = b"+";
const LAST: &[u8] = b".";

/// What a keeper does before anybody asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Begin {
    /// Nothing: the app is stopped.
    Nothing,
    /// It starts what ran when the keeper before ended: all, where nobody knows.
    Resume,
    /// It starts all instances: somebody has asked for that, and waits.
    Start,
}

/// What a keeper is told of its app.
#[derive(Debug, Serialize, Deserialize)]
pub struct Birth<'a> {
    /// The folder that is its own.
    pub folder: Cow<'a, Path>,
    /// What the app is.
    pub app: Cow<'a, App>,
    /// What the keeper before had in its store: as many descriptors come along.
    pub kept: Vec<Cow<'a, About>>,
    /// What it begins with.
    pub begin: Begin,
}

impl Birth<'_> {
    /// As a file, for [`packets`].
    pub fn file(&self) -> io::Result<File> {
        memory::file(c"rcluster-app", &serde_json::to_vec(self)?)
    }

    /// From that.
    pub fn read(file: File) -> io::Result<Birth<'static>> {
        Ok(serde_json::from_slice(io::read_to_string(file)?.as_bytes())?)
    }
}

/// A part of what the nursery is told of a keeper.
pub struct Packet<'a> {
    fds: &'a [BorrowedFd<'a>],
    is_last: bool,
}

impl Packet<'_> {
    /// Does not wait.
    pub fn send(&self, nursery: BorrowedFd) -> io::Result<()> {
        socket::send_with(nursery, if self.is_last { LAST } else { MORE }, self.fds).map(drop)
    }
}

/// All that the nursery is told of a keeper with these descriptors: its line, its [`Birth`], and what was kept.
pub fn packets<'a>(fds: &'a [BorrowedFd<'a>]) -> impl Iterator<Item = Packet<'a>> {
    let count = fds.len().div_ceil(MOST_FDS);
    fds.chunks(MOST_FDS).enumerate().map(move |(number, fds)| Packet { fds, is_last: number + 1 == count })
}

/// What a keeper is born with.
pub struct Born {
    /// Where the daemon asks it.
    pub line: OwnedFd,
    /// See [`Birth`].
    pub birth: File,
    /// What the keeper before had.
    pub kept: Vec<OwnedFd>,
}

impl Born {
    fn from(mut fds: Vec<OwnedFd>) -> Option<Born> {
        let kept = fds.split_off(fds.len().min(2));
        let birth = File::from(fds.pop()?);
        Some(Born { line: fds.pop()?, birth, kept })
    }
}

/// Is the nursery, until the daemon at the other end of `orders` wants no more keepers: `None`. In each copy, which is a keeper, it returns what
/// that is born with.
pub fn nursery(orders: &OwnedFd) -> io::Result<Option<Born>> {
    // All of them know it then.
    procfs::boot();
    call_ourselves(&["keepers".as_ref()]);
    while let Some((fds, lost)) = next(orders)? {
        // Those that could not begin.
        while process::next_ended().is_some() {}
        let Some(born) = Born::from(fds) else { continue };
        if lost {
            refuse(born.line, "there is no room for its descriptors (see \"ulimit -n\")");
            continue;
        }
        match process::copy() {
            Ok(Side::Original) => {}
            Ok(Side::Copy) => return Ok(Some(born)),
            Err(error) => refuse(born.line, &error.to_string()),
        }
    }
    Ok(None)
}

/// Puts words in the place of those of our call, where people look for them. The daemon has left room.
pub fn call_ourselves(words: &[&OsStr]) {
    let command = std::env::args_os().next().unwrap_or_default();
    if let Some(place) = CallWords::find() {
        let all: Vec<&OsStr> = std::iter::once(command.as_os_str()).chain(words.iter().copied()).collect();
        place.replace(&all);
    }
}

/// The descriptors of the next keeper, and whether some of them were lost; `None` when no more are wanted.
fn next(orders: &OwnedFd) -> io::Result<Option<(Vec<OwnedFd>, bool)>> {
    let (mut fds, mut lost) = (Vec::new(), false);
    loop {
        let mut byte = [0];
        let received = received::wait_and_receive(orders.as_fd(), &mut byte)?;
        if received.bytes == 0 {
            return Ok(None);
        }
        fds.extend(received.fds);
        lost |= received.lost_fds;
        if byte == LAST {
            return Ok(Some((fds, lost)));
        }
    }
}

/// Tells the daemon why there is no keeper.
pub fn refuse(line: OwnedFd, why: &str) {
    let words = json!({ "event": "failed", "words": why });
    // A daemon that has gone has no need to know.
    let _ = File::from(line).write_all(format!("{words}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_gets_all_that_was_kept_however_much_it_is() {
        let (ours, theirs) = socket::packets().unwrap();
        let file = File::open("/dev/null").unwrap();
        for count in [2, MOST_FDS, MOST_FDS + 1, 2 * MOST_FDS + 7] {
            let fds = vec![file.as_fd(); count];
            packets(&fds).for_each(|packet| packet.send(ours.as_fd()).unwrap());
            let (got, lost) = next(&theirs).unwrap().unwrap();
            assert_eq!((got.len(), lost), (count, false));
            assert_eq!(Born::from(got).unwrap().kept.len(), count - 2);
        }
        // One without a line can tell nobody, and is none.
        packets(&[file.as_fd()]).for_each(|packet| packet.send(ours.as_fd()).unwrap());
        assert!(Born::from(next(&theirs).unwrap().unwrap().0).is_none());
        // A daemon that has gone wants no more, not even what it has told of in part.
        Packet { fds: &[file.as_fd()], is_last: false }.send(ours.as_fd()).unwrap();
        drop(ours);
        assert!(next(&theirs).unwrap().is_none());
    }
}
