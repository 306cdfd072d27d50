//! The files of a log, the oldest first, and where in the log each of them stands.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::archive;
use super::super::margin;

/// Looks at a folder in which a file is just being set aside.
const ATTEMPTS: u32 = 5;
/// Between them.
const PAUSE: Duration = Duration::from_millis(2);

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// Whether it is compressed.
    pub is_compressed: bool,
    /// Its margin; it may not be there.
    pub margin: PathBuf,
    /// The position of its first byte.
    pub base: u64,
    /// The position behind its last byte, at the moment.
    pub end: u64,
    /// Whether it is the one that is being written.
    pub is_current: bool,
}

/// All files that are there without a gap between them. What was moved away or emptied is a gap: nothing before it is shown.
pub fn pieces(log: &Path, home: &Path) -> Vec<Piece> {
    let mut archives = archive::list(log);
    for _ in 0..ATTEMPTS {
        let current = current(log, home);
        let again = archive::list(log);
        let is_same =
            again.len() == archives.len() && again.iter().zip(&archives).all(|(one, other)| one.plain == other.plain);
        archives = again;
        // Its margin follows a file that is set aside a moment later.
        let is_known = archives.last().is_none_or(|newest| newest.margin(home).exists());
        if is_same && is_known {
            return connect(current, &archives, home);
        }
        std::thread::sleep(PAUSE);
    }
    connect(current(log, home), &archives, home)
}

fn current(log: &Path, home: &Path) -> Option<Piece> {
    let data = fs::metadata(log).ok().filter(|data| data.is_file())?;
    let margin = margin::path_of(log, home);
    let head = File::open(&margin).ok().and_then(|file| margin::head(&file)).filter(|head| head.inode == data.ino());
    // Whatever it is, the files before it are not known to be next to it.
    let base = head.map_or(0, |head| head.base);
    Some(Piece { path: log.to_owned(), is_compressed: false, margin, base, end: base + data.len(), is_current: true })
}

fn connect(current: Option<Piece>, archives: &[archive::Archive], home: &Path) -> Vec<Piece> {
    let mut next = current.as_ref().map(|piece| piece.base);
    let mut pieces: Vec<Piece> = current.into_iter().collect();
    for archive in archives.iter().rev() {
        let (path, margin) = (archive.path(), archive.margin(home));
        let head = File::open(&margin).ok().and_then(|file| margin::head(&file));
        let length = || fs::metadata(&path).ok().filter(|_| !archive.is_compressed).map(|data| data.len());
        let place = match head {
            Some(head) => head.end.or_else(|| Some(head.base + length()?)).map(|end| (head.base, end)),
            None => None,
        };
        let Some((base, end)) = place.filter(|(_, end)| next.is_none_or(|next| next == *end)) else { break };
        pieces.push(Piece { path, is_compressed: archive.is_compressed, margin, base, end, is_current: false });
        next = Some(base);
    }
    pieces.reverse();
    pieces
}
