//! Waiting until something happens to the files of logs, or until whoever reads them has gone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// How often (ms) we look by ourselves where the system does not tell: a folder that is not there yet, or no more watches.
const LOOK: u16 = 250;

/// What has happened.
pub enum Happened {
    /// Something to files of these names, or to any where none is known.
    Files(Vec<(PathBuf, OsString)>),
    /// Nothing that we were told of.
    Nothing,
    /// There is something for us to take up.
    Told,
    /// Nobody reads any more.
    Gone,
}

/// Watches folders.
pub struct Watch {
    inotify: Option<Inotify>,
    folders: BTreeMap<PathBuf, Option<WatchDescriptor>>,
    told: UnixStream,
}

impl Watch {
    /// Of none yet. `told` is readable when there is something to take up, and closed when nobody reads any more.
    pub fn new(told: UnixStream) -> Watch {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        Watch { inotify, folders: BTreeMap::new(), told }
    }

    /// From now on the folder of this file as well.
    pub fn add(&mut self, file: &Path) {
        let folder = file.parent().unwrap_or(file).to_owned();
        let descriptor = self.watch(&folder);
        self.folders.entry(folder).or_insert(descriptor);
    }

    fn watch(&self, folder: &Path) -> Option<WatchDescriptor> {
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF;
        self.inotify.as_ref()?.add_watch(folder, flags).ok()
    }

    /// Waits until something happens.
    pub fn wait(&mut self) -> Happened {
        let missing: Vec<PathBuf> =
            self.folders.iter().filter(|(_, known)| known.is_none()).map(|(folder, _)| folder.clone()).collect();
        for folder in missing {
            let descriptor = self.watch(&folder);
            self.folders.insert(folder, descriptor);
        }
        let is_complete = self.folders.values().all(Option::is_some);
        let timeout = if is_complete { PollTimeout::NONE } else { PollTimeout::from(LOOK) };
        let mut fds = vec![PollFd::new(self.told.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.inotify.as_ref().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
        let is_ready = |fd: &PollFd| fd.revents().is_some_and(|events| !events.is_empty());
        if poll(&mut fds, timeout).is_err() {
            return Happened::Nothing;
        }
        let is_told = fds.first().is_some_and(is_ready);
        drop(fds);
        if is_told {
            return match (&self.told).read(&mut [0; 64]) {
                Ok(0) => Happened::Gone,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Happened::Gone,
                _ => Happened::Told,
            };
        }
        self.files()
    }

    fn files(&mut self) -> Happened {
        let mut files = Vec::new();
        let mut is_all = false;
        while let Some(events) = self.inotify.as_ref().and_then(|inotify| inotify.read_events().ok()) {
            for event in events {
                let folder =
                    self.folders.iter().find(|(_, known)| **known == Some(event.wd)).map(|(folder, _)| folder.clone());
                if event.mask.intersects(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_DELETE_SELF) {
                    if let Some(folder) = &folder {
                        self.folders.insert(folder.clone(), None);
                    }
                    is_all = true;
                }
                match (folder, event.name) {
                    (Some(folder), Some(name)) => files.push((folder, name)),
                    // More than could be told.
                    _ => is_all = true,
                }
            }
        }
        files.sort();
        files.dedup();
        if is_all || files.is_empty() { Happened::Nothing } else { Happened::Files(files) }
    }
}
