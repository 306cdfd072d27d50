//! Waiting until something happens to the files of logs, or until whoever reads them has gone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// How often (ms) we look by ourselves where the system does not tell: a folder that is not there yet, or no more watches.
const LOOK: u16 = 250;

/// What tells of something in a folder that it is not there any more.
const GOES: AddWatchFlags = AddWatchFlags::IN_DELETE.union(AddWatchFlags::IN_MOVED_FROM);

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

/// A folder that is watched. The one above it tells when it goes: of itself the system says so only when nobody has a file of it open any more.
#[derive(Clone, Copy)]
struct Watched {
    own: WatchDescriptor,
    above: Option<WatchDescriptor>,
}

/// Watches folders.
pub struct Watch {
    inotify: Option<Inotify>,
    folders: BTreeMap<PathBuf, Option<Watched>>,
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
        let watched = self.watch(&folder);
        self.folders.entry(folder).or_insert(watched);
    }

    fn watch(&self, folder: &Path) -> Option<Watched> {
        let inotify = self.inotify.as_ref()?;
        // One may be above another.
        let more = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let add = |folder: &Path, flags: AddWatchFlags| inotify.add_watch(folder, flags | more).ok();
        let above = folder.parent().and_then(|above| add(above, GOES));
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF;
        Some(Watched { own: add(folder, flags)?, above })
    }

    /// Waits until something happens.
    pub fn wait(&mut self) -> Happened {
        let missing: Vec<PathBuf> =
            self.folders.iter().filter(|(_, known)| known.is_none()).map(|(folder, _)| folder.clone()).collect();
        for folder in missing {
            let watched = self.watch(&folder);
            self.folders.insert(folder, watched);
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
                let is_above = self.forget_gone(&event, &mut is_all);
                let is_own = |known: &Option<Watched>| known.is_some_and(|known| known.own == event.wd);
                let folder = self.folders.iter().find(|(_, known)| is_own(known)).map(|(folder, _)| folder.clone());
                if event.mask.intersects(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_DELETE_SELF) {
                    if let Some(folder) = &folder {
                        self.folders.insert(folder.clone(), None);
                    }
                    is_all = true;
                }
                match (folder, event.name) {
                    (_, Some(_)) if event.mask.intersects(GOES) => {}
                    (None, _) if is_above => {}
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

    /// A folder that is not there any more under its name is looked for anew. Returns whether the event is one of a folder above.
    fn forget_gone(&mut self, event: &InotifyEvent, is_all: &mut bool) -> bool {
        let mut is_above = false;
        for (folder, known) in &mut self.folders {
            if known.is_none_or(|known| known.above != Some(event.wd)) {
                continue;
            }
            is_above = true;
            if event.mask.intersects(GOES) && event.name.as_deref() == folder.file_name() {
                *known = None;
                *is_all = true;
            }
        }
        is_above
    }
}
