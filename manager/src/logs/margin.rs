//! The margin of a log file: when its lines were read and from whom, whatever they look like, and where in its log it stands.
//!
//! ```text
//!  head    magic 8 | inode of the file 8 | position of its first byte 8 | position behind its last byte 8, while it grows 0
//!  record  position 8 | ms since 1970 8 | process 4 | instance << 1 | stream 4        (all little-endian)
//! ```
//!
//! A record holds from its position to the next record's. There is one where the writer changes, and otherwise at most each 10 ms.
//! A margin that is missing or broken costs times and sources of lines, never lines.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::place::Stream;

const MAGIC: &[u8; 8] = b"rcmargn1";
/// Bytes of the head.
pub const HEAD: u64 = 32;
/// Bytes of a record.
pub const RECORD: u64 = 24;
/// The shortest time between records of one source (ms).
const STEP: i64 = 10;

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its process.
    pub pid: i32,
    /// The number of the instance.
    pub instance: u32,
    /// The stream.
    pub stream: Stream,
}

/// Where a file stands in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The file's inode: another file of the same name has another one.
    pub inode: u64,
    /// The position of its first byte.
    pub base: u64,
    /// The position behind its last byte; nothing while it grows.
    pub end: Option<u64>,
}

/// What holds from a position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The position.
    pub position: u64,
    /// When it was read (ms since 1970).
    pub at: i64,
    /// Who wrote it.
    pub source: Source,
}

/// The margin's own path: below the home, so that no other folder gets files that nobody expects there.
pub fn path_of(log: &Path, home: &Path) -> PathBuf {
    let name = log.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = log.parent().unwrap_or(log);
    let hash = fnv1a(folder.as_os_str().as_encoded_bytes());
    home.join("logs").join(".margins").join(format!("{hash:016x}-{name}"))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The head of a margin, if it is one.
pub fn head(file: &File) -> Option<Head> {
    let mut bytes = [0; HEAD as usize];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let end = number(&bytes[24..32]);
    (&bytes[..8] == MAGIC).then(|| Head {
        inode: number(&bytes[8..16]),
        base: number(&bytes[16..24]),
        end: (end > 0).then_some(end),
    })
}

/// A record, by its number.
pub fn record(file: &File, index: u64) -> Option<Record> {
    let mut bytes = [0; RECORD as usize];
    file.read_exact_at(&mut bytes, HEAD + index * RECORD).ok()?;
    let source = number(&bytes[20..24]) as u32;
    Some(Record {
        position: number(&bytes[..8]),
        at: number(&bytes[8..16]).cast_signed(),
        source: Source {
            pid: (number(&bytes[16..20]) as u32).cast_signed(),
            instance: source >> 1,
            stream: if source & 1 == 0 { Stream::Out } else { Stream::Error },
        },
    })
}

/// How many records there are.
pub fn count(file: &File) -> u64 {
    file.metadata().map_or(0, |data| data.len().saturating_sub(HEAD) / RECORD)
}

/// A margin that is being written.
pub struct Margin {
    path: PathBuf,
    file: Option<File>,
    base: u64,
    last: Option<(i64, Source)>,
    pending: Vec<u8>,
}

impl Margin {
    /// The margin of a file of that inode. It goes on where it belongs to that file; otherwise the file is the next one of
    /// its log: what it has of lines already follows what the last one had, `after`.
    pub fn open(path: PathBuf, inode: u64, after: Option<u64>) -> Margin {
        let mut margin = Margin { path, file: None, base: 0, last: None, pending: Vec::new() };
        if let Some(folder) = margin.path.parent() {
            // Without it there is no margin, and there are lines all the same.
            let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        }
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&margin.path);
        margin.file = file.ok();
        let known = margin.file.as_ref().and_then(head);
        match known {
            Some(known) if known.inode == inode => margin.base = known.base,
            other => {
                let before = other.map(|known| known.end.unwrap_or_else(|| margin.last_position(known.base)));
                margin.begin(inode, after.or(before).unwrap_or(0));
            }
        }
        margin
    }

    fn last_position(&self, base: u64) -> u64 {
        let last = self.file.as_ref().and_then(|file| record(file, count(file).checked_sub(1)?));
        // Lines of which we know only the beginning: anything behind it will do, as positions need not be dense.
        last.map_or(base, |last| last.position + (1 << 40))
    }

    /// Begins anew, for another file or for one that was emptied.
    pub fn begin(&mut self, inode: u64, base: u64) {
        (self.base, self.last) = (base, None);
        self.pending.clear();
        let head = [*MAGIC, inode.to_le_bytes(), base.to_le_bytes(), [0; 8]].concat();
        if let Some(file) = &self.file
            && (file.set_len(0).is_err() || file.write_all_at(&head, 0).is_err())
        {
            self.file = None;
        }
    }

    /// The position of the file's first byte.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Notes that lines from `offset` of the file on were read at `at`, from `source`.
    pub fn note(&mut self, offset: u64, at: i64, source: Source) {
        if self.last.is_some_and(|(last, who)| who == source && (at - last).abs() < STEP) {
            return;
        }
        self.last = Some((at, source));
        let stream = u32::from(source.stream == Stream::Error);
        self.pending.extend_from_slice(&(self.base + offset).to_le_bytes());
        self.pending.extend_from_slice(&at.to_le_bytes());
        self.pending.extend_from_slice(&source.pid.to_le_bytes());
        self.pending.extend_from_slice(&(source.instance << 1 | stream).to_le_bytes());
    }

    /// Writes what was noted; before the lines themselves, so that nobody meets a line without it.
    pub fn write(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| !self.pending.is_empty()) else { return };
        // A record that was written in part, as the disk was full, is written over.
        let end = HEAD + count(file) * RECORD;
        if file.write_all_at(&self.pending, end).is_err() {
            self.last = None;
        }
        self.pending.clear();
    }

    /// The file is set aside under another name, and grows no further.
    pub fn set_aside(&mut self, end_offset: u64, name: &Path) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.write_all_at(&(self.base + end_offset).to_le_bytes(), 24)?;
            fs::rename(&self.path, name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_for_the_same_file_and_begins_behind_it_for_another() {
        let folder = std::env::temp_dir().join(format!("rclusterd-margin-{}", std::process::id()));
        let path = path_of(Path::new("/x/a.log"), &folder);
        let source = Source { pid: 7, instance: 3, stream: Stream::Error };
        let mut margin = Margin::open(path.clone(), 1, None);
        for (offset, at) in [(0, 1000), (5, 1001), (9, 1010), (20, 2000)] {
            margin.note(offset, at, source);
        }
        margin.write();
        drop(margin);
        let file = File::open(&path).unwrap();
        assert_eq!(head(&file), Some(Head { inode: 1, base: 0, end: None }));
        let all: Vec<_> = (0..count(&file)).filter_map(|index| record(&file, index)).collect();
        assert_eq!(
            all.iter().map(|one| (one.position, one.at)).collect::<Vec<_>>(),
            [(0, 1000), (9, 1010), (20, 2000)]
        );
        assert_eq!(all[0].source, source);
        assert_eq!(Margin::open(path.clone(), 1, None).base(), 0);
        assert_eq!(Margin::open(path.clone(), 2, Some(30)).base(), 30);
        fs::remove_dir_all(&folder).unwrap();
    }
}
