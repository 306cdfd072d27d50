//! What should run, kept so that it survives the daemon, a full disk and a power failure.
//!
//! ```text
//!   state.next → state.json → state.json.1 → state.json.2 ─┐
//!       ↑                                                  │
//!       └───────────────── written over ───────────────────┘
//! ```
//!
//! The oldest file becomes the next one. It has room on the disk, a little more than is needed now, so that whoever stops or deletes something on a full
//! disk is not told to make room first.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::App;

/// The version of the file's format.
const VERSION: u32 = 1;
/// How many states from before are kept.
const GENERATIONS: u32 = 2;
/// Files are made of blocks of this size, and each has one more than it needs.
const BLOCK: usize = 4096;

/// All that a daemon has to remember.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    version: u32,
    /// The number that the next process gets.
    pub next_id: u64,
    /// The apps, in the order in which they came.
    pub apps: Vec<Known>,
}

/// An app, and whether it should run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// What it is.
    pub app: App,
    /// Whether somebody has stopped it.
    #[serde(default)]
    pub stopped: bool,
}

/// A file that holds a state, and those from before beside it.
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// In this file.
    pub fn new(path: PathBuf) -> Store {
        Store { path }
    }

    /// The last state that can be read. A file that makes no sense is set aside and said to be so.
    pub fn load(&self) -> (Remembered, Vec<String>) {
        let mut troubles = Vec::new();
        for path in std::iter::once(self.path.clone()).chain((1..=GENERATIONS).map(|number| self.generation(number))) {
            match read(&path) {
                Ok(Some(state)) => return (state, troubles),
                Ok(None) => {}
                Err(error) => troubles.push(set_aside(&path, &error)),
            }
        }
        (Remembered::default(), troubles)
    }

    /// Whether there is a state that is not for us to set aside: one of a later version, or one that the system does not let us read.
    pub fn check(&self) -> io::Result<()> {
        match read(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                Err(io::Error::new(error.kind(), format!("\"{}\" cannot be used: {error}", self.path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Keeps a state. On an error the one before is what is kept.
    pub fn save(&self, state: &Remembered) -> io::Result<()> {
        let saved = self.try_save(state);
        // Nothing needs no file.
        if saved.is_err() && state.apps.is_empty() { self.remove() } else { saved }
    }

    fn try_save(&self, state: &Remembered) -> io::Result<()> {
        let state = Remembered { version: VERSION, ..state.clone() };
        let text = serde_json::to_vec(&state)?;
        // What is in the new one is on the disk before any older one is touched.
        let (next, oldest) = (self.path.with_extension("next"), self.generation(GENERATIONS + 1));
        let size = write_over(&next, &text)
            .or_else(|error| self.oldest_as(&next).and_then(|()| write_over(&next, &text)).map_err(|_| error))?;
        for number in (1..=GENERATIONS).rev() {
            rename_if_there(&self.generation(number), &self.generation(number + 1))?;
        }
        if self.path.exists() {
            fs::hard_link(&self.path, self.generation(1))?;
        }
        fs::rename(&next, &self.path)?;
        rename_if_there(&oldest, &next)?;
        // Each is the next one some time. Where there is no room now, there may be when it is needed.
        for path in (1..=GENERATIONS).map(|number| self.generation(number)).filter(|path| path.exists()).chain([next]) {
            let _ = reserve(&path, size);
        }
        self.settle()
    }

    /// There was no room for a next one when it should have been made: rather no state from before than none from now.
    fn oldest_as(&self, next: &Path) -> io::Result<()> {
        let found = (1..=GENERATIONS).rev().map(|number| self.generation(number)).find(|path| path.exists());
        found.map_or(Err(io::ErrorKind::NotFound.into()), |oldest| fs::rename(oldest, next))
    }

    /// The last goes last: as long as it is there, it counts.
    fn remove(&self) -> io::Result<()> {
        for path in (1..=GENERATIONS).rev().map(|number| self.generation(number)).chain([self.path.clone()]) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.settle()
    }

    fn settle(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    }

    fn generation(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("json.{number}"))
    }
}

/// Writes a text where something else was, and spaces behind it, so that there is room for a longer one. Returns how much room that is to be.
fn write_over(path: &Path, text: &[u8]) -> io::Result<usize> {
    // Who died between two names has left one file under both, and the other one may be what counts.
    if fs::metadata(path).is_ok_and(|data| data.nlink() > 1) {
        fs::remove_file(path)?;
    }
    let file = open(path)?;
    let there = length(&file)?;
    let needed = (text.len() / BLOCK + 2) * BLOCK;
    file.write_all_at(text, 0)?;
    // Nothing of what was there is left; more than that can wait.
    file.write_all_at(&vec![b' '; there.saturating_sub(text.len())], text.len() as u64)?;
    let end = there.max(text.len());
    let _ = file.write_all_at(&vec![b' '; needed.saturating_sub(end)], end as u64);
    // What a thousand apps have left is given back.
    if there > 2 * needed {
        file.set_len(needed as u64)?;
    }
    file.sync_all()?;
    Ok(needed)
}

/// Sees to it that a file has this much room.
fn reserve(path: &Path, size: usize) -> io::Result<()> {
    let file = open(path)?;
    let there = length(&file)?;
    if there < size {
        file.write_all_at(&vec![b' '; size - there], there as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

fn length(file: &fs::File) -> io::Result<usize> {
    Ok(usize::try_from(file.metadata()?.len()).unwrap_or(0))
}

fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::options().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn read(path: &Path) -> io::Result<Option<Remembered>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let nonsense = |error: serde_json::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let Versioned { version } = serde_json::from_slice(&text).map_err(nonsense)?;
    if version > VERSION {
        let text =
            format!("it was written by a later version of rcluster (its format is {version}, and this is {VERSION})");
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    serde_json::from_slice(&text).map(Some).map_err(nonsense)
}

/// What each version of the file has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Keeps a file that makes no sense where nobody reads it. Returns what has happened, in words.
fn set_aside(path: &Path, error: &io::Error) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = path.with_file_name(format!("{name}.corrupt-{seconds}"));
    match fs::rename(path, &aside) {
        Ok(()) => format!("{} makes no sense ({error}); it is {} now", path.display(), aside.display()),
        Err(problem) => format!("{} makes no sense ({error}), and could not be set aside: {problem}", path.display()),
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cut_anywhere_is_set_aside_and_the_one_before_is_used() {
        let folder = std::env::temp_dir().join(format!("rclusterd-store-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let store = Store::new(folder.join("state.json"));
        assert_eq!(store.load(), (Remembered::default(), Vec::new()));
        for next_id in 1..=4 {
            store.save(&Remembered { next_id, ..Remembered::default() }).unwrap();
        }
        let whole = fs::read_to_string(folder.join("state.json")).unwrap();
        assert!(whole.len() > BLOCK);
        for cut in 0..whole.trim_end().len() {
            fs::write(folder.join("state.json"), &whole[..cut]).unwrap();
            let (state, troubles) = store.load();
            assert_eq!((state.next_id, troubles.len()), (3, 1), "cut at {cut}");
        }
        assert!(!folder.join("state.json").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn that_there_is_nothing_is_kept_where_nothing_can_be_written() {
        let folder = std::env::temp_dir().join(format!("rclusterd-nothing-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let store = Store::new(folder.join("state.json"));
        let app = serde_json::from_str(r#"{"name":"a","mode":"program","script":"a","cwd":"/"}"#).unwrap();
        let one = Remembered { next_id: 1, apps: vec![Known { app, stopped: false }], ..Remembered::default() };
        for _ in 0..3 {
            store.save(&one).unwrap();
        }
        // What is to be written over is no file.
        fs::remove_file(folder.join("state.next")).unwrap();
        fs::create_dir(folder.join("state.next")).unwrap();
        assert!(store.save(&Remembered { next_id: 2, ..one }).is_err());
        assert_eq!(store.load().0.next_id, 1);
        store.save(&Remembered::default()).unwrap();
        assert_eq!(store.load(), (Remembered::default(), Vec::new()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn whoever_dies_between_two_names_leaves_no_file_that_is_written_over_while_it_counts() {
        let folder = std::env::temp_dir().join(format!("rclusterd-names-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let store = Store::new(folder.join("state.json"));
        let save = |next_id| store.save(&Remembered { next_id, ..Remembered::default() }).unwrap();
        (1..=3).for_each(save);
        let name = |end: &str| folder.join(format!("state.{end}"));
        fs::rename(name("json.1"), name("json.2")).unwrap();
        fs::hard_link(name("json"), name("json.1")).unwrap();
        for next_id in 4..=9 {
            save(next_id);
            let inodes = ["json", "json.1", "next"].map(|end| fs::metadata(name(end)).map_or(0, |data| data.ino()));
            assert!(inodes[0] != inodes[1] && inodes[0] != inodes[2], "{next_id}: {inodes:?}");
            assert_eq!(store.load().0.next_id, next_id);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_of_a_later_version_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("rclusterd-later-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let store = Store::new(folder.join("state.json"));
        store.check().unwrap();
        fs::write(folder.join("state.json"), r#"{"version":2,"all":"different"}"#).unwrap();
        assert!(store.check().unwrap_err().to_string().contains("later version"));
        fs::write(folder.join("state.json"), r#"{"version":1,"nex"#).unwrap();
        store.check().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
