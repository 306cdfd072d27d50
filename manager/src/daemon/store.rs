//! What should run, kept so that it survives the daemon, a full disk and a power failure.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::durable::write_through;
use crate::model::App;

/// The version of the file's format.
const VERSION: u32 = 1;
/// How many states from before are kept.
const GENERATIONS: u32 = 2;

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
        if saved.is_err() {
            // A full disk needs the room.
            let _ = fs::remove_file(self.path.with_extension("next"));
        }
        saved
    }

    fn try_save(&self, state: &Remembered) -> io::Result<()> {
        let state = Remembered { version: VERSION, ..state.clone() };
        let text = serde_json::to_vec(&state)?;
        // What is in the new one is on the disk before any older one is touched.
        let next = self.path.with_extension("next");
        write_through(&next, &text)?;
        for number in (1..GENERATIONS).rev() {
            rename_if_there(&self.generation(number), &self.generation(number + 1))?;
        }
        if self.path.exists() {
            let _ = fs::remove_file(self.generation(1));
            fs::hard_link(&self.path, self.generation(1))?;
        }
        fs::rename(next, &self.path)?;
        self.path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    }

    fn generation(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("json.{number}"))
    }
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
        let whole = fs::read(folder.join("state.json")).unwrap();
        for cut in 0..whole.len() {
            fs::write(folder.join("state.json"), &whole[..cut]).unwrap();
            let (state, troubles) = store.load();
            assert_eq!((state.next_id, troubles.len()), (3, 1), "cut at {cut}");
        }
        assert!(!folder.join("state.json").exists());
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
