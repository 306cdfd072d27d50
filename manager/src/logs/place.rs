//! Which files the lines of an app go into.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::model::{App, Mode};

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

impl Stream {
    /// As it is called in file names and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Out => "out",
            Stream::Error => "error",
        }
    }
}

/// Stands for the primary of a cluster, which is none of its instances.
pub const NO_INSTANCE: u32 = u32::MAX >> 1;

/// The file for a stream of an instance; `None` where nobody wants it.
pub fn file(app: &App, home: &Path, instance: u32, stream: Stream) -> Option<PathBuf> {
    let one = names(app, home, stream)?;
    Some(if is_shared(app) || instance == NO_INSTANCE { one } else { numbered(&one, instance) })
}

/// The file for both streams of an instance, where there is one.
pub fn common_file(app: &App, instance: u32) -> Option<PathBuf> {
    let file = app.log_file.as_deref().filter(|file| !is_nothing(file))?;
    let path = Path::new(&app.cwd).join(file);
    Some(if is_shared(app) || instance == NO_INSTANCE { path } else { numbered(&path, instance) })
}

/// All files that may hold lines of a stream, or the common ones: those that instances write now, and those that they wrote when
/// there were fewer or more of them. Each with the instance that it belongs to, if it does. `instances`: those of some alone.
pub fn all(app: &App, home: &Path, stream: Option<Stream>, instances: Option<&[u32]>) -> Vec<(PathBuf, Option<u32>)> {
    let base = match stream {
        Some(stream) => names(app, home, stream),
        None => app.log_file.as_deref().filter(|file| !is_nothing(file)).map(|file| Path::new(&app.cwd).join(file)),
    };
    let Some(base) = base else { return Vec::new() };
    let count = app.instances;
    let wanted = |instance: &u32| instances.is_none_or(|wanted| wanted.contains(instance));
    let own = (0..count).filter(wanted).map(|instance| (numbered(&base, instance), Some(instance)));
    let mut files: Vec<_> = own.filter(|(path, _)| !is_shared(app) || path.exists()).collect();
    if is_shared(app) || base.exists() {
        files.push((base, (count == 1 && app.mode == Mode::Program).then_some(0)));
    }
    files
}

/// What has to be there for a file to be written. The error says in words what is not.
pub fn check(path: &Path) -> Result<(), String> {
    let said = |error: io::Error| {
        let why = match error.raw_os_error() {
            Some(libc::EISDIR) => "it is a folder".to_owned(),
            Some(libc::EACCES | libc::EPERM) => "permission is denied".to_owned(),
            Some(libc::ENOTDIR | libc::EEXIST) => "what should be its folder is none".to_owned(),
            _ => error.to_string(),
        };
        format!("the log file \"{}\" cannot be written: {why}", path.display())
    };
    // A pipe without a reader must not hold us up, and may have one later; a terminal is not to become ours.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let open = || File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(path);
    let mut opened = open();
    if let (Err(error), Some(folder)) = (&opened, path.parent())
        && error.kind() == io::ErrorKind::NotFound
    {
        match fs::create_dir_all(folder) {
            Err(error) if !is_full(&error) => return Err(said(error)),
            _ => opened = open(),
        }
    }
    match opened {
        Err(error) if !is_full(&error) && error.raw_os_error() != Some(libc::ENXIO) => Err(said(error)),
        _ => Ok(()),
    }
}

/// Whether a disk has no room, which is no reason not to start a program.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// Whether nothing can be opened now, which may be otherwise a moment later.
pub fn is_short_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// The path of a stream's file where instances share it.
fn names(app: &App, home: &Path, stream: Stream) -> Option<PathBuf> {
    let file = match stream {
        Stream::Out => &app.out_file,
        Stream::Error => &app.error_file,
    };
    match file.as_deref() {
        Some(file) if is_nothing(file) => None,
        Some(file) => Some(Path::new(&app.cwd).join(file)),
        None => {
            let name = app.name.replace(['/', '\0'], "-");
            Some(home.join("logs").join(format!("{name}-{}.log", stream.name())))
        }
    }
}

/// As under PM2, `NULL` is a way to say `/dev/null`.
fn is_nothing(file: &str) -> bool {
    file == "/dev/null" || file == "NULL"
}

fn is_shared(app: &App) -> bool {
    app.instances == 1 || app.merge_logs
}

/// `a.log` becomes `a-1.log`.
fn numbered(path: &Path, instance: u32) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match path.extension() {
        Some(extension) => path.with_file_name(format!("{stem}-{instance}.{}", extension.to_string_lossy())),
        None => path.with_file_name(format!("{stem}-{instance}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(more: &str) -> App {
        let text = format!(r#"{{"name":"we/b","mode":"program","script":"a.js","cwd":"/srv"{more}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn files(app: &App, instance: u32) -> [Option<String>; 3] {
        let text = |path: Option<PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
        [
            text(file(app, Path::new("/home"), instance, Stream::Out)),
            text(file(app, Path::new("/home"), instance, Stream::Error)),
            text(common_file(app, instance)),
        ]
    }

    #[test]
    fn files_are_called_as_under_pm2() {
        let some = |text: &str| Some(text.to_owned());
        let one = app("");
        assert_eq!(files(&one, 0), [some("/home/logs/we-b-out.log"), some("/home/logs/we-b-error.log"), None]);
        let two = app(r#","instances":2,"outFile":"a.b.log","errorFile":"NULL","logFile":"/x/all""#);
        assert_eq!(files(&two, 1), [some("/srv/a.b-1.log"), None, some("/x/all-1")]);
        let merged = app(r#","instances":2,"mergeLogs":true,"errorFile":"/dev/null""#);
        assert_eq!(files(&merged, 1), [some("/home/logs/we-b-out.log"), None, None]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_said_to_be_so() {
        let folder = std::env::temp_dir().join(format!("rclusterd-place-{}", std::process::id()));
        fs::create_dir_all(folder.join("folder")).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        assert!(check(&folder.join("new/deep/a.log")).is_ok());
        assert!(check(&folder.join("folder")).unwrap_err().ends_with("it is a folder"));
        assert!(check(&folder.join("file/a.log")).unwrap_err().ends_with("what should be its folder is none"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
