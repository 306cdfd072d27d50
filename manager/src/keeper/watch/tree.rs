//! Folders that are watched: inotify(7) tells of one folder at a time, so each folder below a path has a watch of its own.
//!
//! New folders are found as they come, a few at a time where there are many; those that go are forgotten. Links to folders are followed, but a folder is
//! watched once, by whatever way it was reached first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use crate::model::Watched;

/// Folders that are looked at in one go.
const AT_ONCE: usize = 256;
/// The most folders of an app.
pub const MOST: usize = 65_536;
/// Times when the app stops reading what has happened, so that other things have their turn.
const READS: usize = 16;
/// Times of files are a little behind the clock.
const COARSE: Duration = Duration::from_millis(20);

/// A file or folder that is not as it was.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: PathBuf,
    /// Whether it is there, as far as was told.
    pub is_there: bool,
}

/// Why nothing can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// This user has no watches left.
    Watches,
    /// This user has no inotify instances left, or we no descriptors.
    Instances,
    /// There are more folders than an app may have.
    Folders,
    /// The kernel has no memory, or no inotify.
    Other(Errno),
}

struct Folder {
    path: PathBuf,
    /// Whether what is in it was looked for.
    is_known: bool,
}

/// Folders that are watched.
pub struct Tree {
    inotify: Inotify,
    folders: BTreeMap<WatchDescriptor, Folder>,
    /// Folders that are to be looked at.
    waiting: VecDeque<PathBuf>,
    /// Paths that were named and are not there.
    missing: BTreeSet<PathBuf>,
    /// Links to folders that are among them.
    links: BTreeSet<PathBuf>,
    most: usize,
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn flags() -> AddWatchFlags {
    // A file that is held open, such as a log or a database, has no end of writing; `touch` has one.
    AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

impl Tree {
    /// Begins with the paths that were named: [`Tree::go_on`] finds what is below.
    pub fn new(watched: &Watched, most: usize) -> Result<Tree, Limit> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(|errno| match errno {
            Errno::EMFILE | Errno::ENFILE => Limit::Instances,
            other => Limit::Other(other),
        })?;
        let (folders, waiting) = (BTreeMap::new(), VecDeque::new());
        let mut tree = Tree { inotify, folders, waiting, missing: BTreeSet::new(), links: BTreeSet::new(), most };
        for root in watched.roots() {
            tree.visit_root(root)?;
        }
        Ok(tree)
    }

    /// How many folders are watched.
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// A path that was named and is not there.
    pub fn missing(&self) -> Option<&Path> {
        self.missing.first().map(PathBuf::as_path)
    }

    /// Whether there are folders to be looked at.
    pub fn is_searching(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Looks at some folders that have not been looked at.
    pub fn go_on(&mut self, watched: &Watched) -> Result<(), Limit> {
        for _ in 0..AT_ONCE {
            let Some(folder) = self.waiting.pop_front() else { break };
            self.visit(&folder, watched)?;
        }
        Ok(())
    }

    /// A folder itself, or the one that a file is in, which may be replaced by another one of its name.
    fn visit_root(&mut self, root: &Path) -> Result<(), Limit> {
        if root.is_dir() {
            self.missing.remove(root);
            self.waiting.push_back(root.to_owned());
            return Ok(());
        }
        if !root.exists() {
            self.missing.insert(root.to_owned());
        }
        root.parent().map_or(Ok(None), |folder| self.add(folder)).map(drop)
    }

    fn visit(&mut self, path: &Path, watched: &Watched) -> Result<(), Limit> {
        let Some(descriptor) = self.add(path)? else { return Ok(()) };
        let Some(folder) = self.folders.get_mut(&descriptor) else { return Ok(()) };
        if std::mem::replace(&mut folder.is_known, true) {
            return Ok(());
        }
        if path.is_symlink() {
            self.links.insert(path.to_owned());
        }
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let path = entry.path();
            if !is_file && watched.may_hold(&path) && path.is_dir() {
                self.waiting.push_back(path);
            }
        }
        Ok(())
    }

    /// Watches a folder. One that is not there any more, or not for us, is none.
    fn add(&mut self, path: &Path) -> Result<Option<WatchDescriptor>, Limit> {
        if self.folders.len() >= self.most {
            return Err(Limit::Folders);
        }
        match self.inotify.add_watch(path, flags()) {
            Ok(descriptor) => {
                self.folders.entry(descriptor).or_insert_with(|| Folder { path: path.to_owned(), is_known: false });
                Ok(Some(descriptor))
            }
            Err(Errno::ENOSPC) => Err(Limit::Watches),
            Err(errno @ Errno::ENOMEM) => Err(Limit::Other(errno)),
            Err(_) => Ok(None),
        }
    }

    /// What has changed. `since`: files that were last written before that have not, whoever has had them open.
    pub fn changes(&mut self, watched: &Watched, since: SystemTime) -> Result<Vec<Change>, Limit> {
        let mut changes = Vec::new();
        for _ in 0..READS {
            let Ok(events) = self.inotify.read_events() else { break };
            for event in events {
                self.take(&event, watched, since, &mut changes)?;
            }
        }
        Ok(changes)
    }

    fn take(
        &mut self,
        event: &InotifyEvent,
        watched: &Watched,
        since: SystemTime,
        changes: &mut Vec<Change>,
    ) -> Result<(), Limit> {
        let has = |flags| event.mask.intersects(flags);
        if has(AddWatchFlags::IN_Q_OVERFLOW) {
            return self.begin_anew(watched, changes);
        }
        let Some(folder) = self.folders.get(&event.wd).map(|folder| folder.path.clone()) else { return Ok(()) };
        if has(AddWatchFlags::IN_IGNORED) {
            self.folders.remove(&event.wd);
        } else if has(AddWatchFlags::IN_MOVE_SELF) {
            self.forget(&folder);
        }
        if has(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF) && watched.roots().any(|root| root == folder) {
            return self.visit_root(&folder);
        }
        let Some(name) = &event.name else { return Ok(()) };
        let path = folder.join(name);
        if self.links.remove(&path) {
            // It may lead elsewhere now.
            self.forget(&path);
        }
        if has(AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO) {
            self.missing.remove(&path);
            if watched.may_hold(&path) && path.is_dir() {
                self.visit(&path, watched)?;
            }
        } else if has(AddWatchFlags::IN_MOVED_FROM) && has(AddWatchFlags::IN_ISDIR) {
            self.forget(&path);
        }
        let is_there = !has(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM);
        let is_change = match () {
            () if has(AddWatchFlags::IN_CLOSE_WRITE) => was_written(&path, since),
            // A file that is new is about to be written; a name of one that is there is not.
            () if has(AddWatchFlags::IN_CREATE) && !has(AddWatchFlags::IN_ISDIR) => is_name(&path),
            () => true,
        };
        if is_change && watched.counts(&path) {
            changes.push(Change { path, is_there });
        }
        Ok(())
    }

    /// More has happened than could be told: anything may be another.
    fn begin_anew(&mut self, watched: &Watched, changes: &mut Vec<Change>) -> Result<(), Limit> {
        for folder in self.folders.values_mut() {
            folder.is_known = false;
        }
        for root in watched.roots() {
            self.visit_root(root)?;
            changes.push(Change { path: root.to_owned(), is_there: true });
        }
        Ok(())
    }

    /// Does not watch what was below this name any more.
    fn forget(&mut self, path: &Path) {
        let inotify = &self.inotify;
        self.folders.retain(|descriptor, folder| {
            let stays = !folder.path.starts_with(path);
            if !stays {
                // It may have gone by itself.
                let _ = inotify.rm_watch(*descriptor);
            }
            stays
        });
    }
}

fn was_written(path: &Path, since: SystemTime) -> bool {
    let Ok(data) = fs::symlink_metadata(path) else { return false };
    let changed =
        UNIX_EPOCH + Duration::new(data.ctime().max(0).unsigned_abs(), data.ctime_nsec().unsigned_abs() as u32);
    changed + COARSE >= since
}

/// Whether it is a link, or another name of a file.
fn is_name(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink() || data.nlink() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Place {
        folder: PathBuf,
        watched: Watched,
        tree: Tree,
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    impl Place {
        fn new(name: &str, watch: &[&str], make: impl Fn(&Path)) -> Place {
            let folder = std::env::temp_dir().join(format!("rclusterd-watch-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            make(&folder);
            let app =
                serde_json::json!({ "name": "a", "mode": "program", "script": "a.js", "cwd": folder, "watch": watch });
            let watched = Watched::of(&serde_json::from_value(app).unwrap(), Vec::new()).unwrap();
            let tree = Tree::new(&watched, MOST).unwrap();
            let mut place = Place { folder, watched, tree };
            place.search();
            place
        }

        fn search(&mut self) {
            while self.tree.is_searching() {
                self.tree.go_on(&self.watched).unwrap();
            }
        }

        /// What has changed, relative to the folder; the kernel has told by the time a call that changes something returns.
        fn changes(&mut self) -> Vec<String> {
            let changes = self.tree.changes(&self.watched, UNIX_EPOCH).unwrap();
            self.search();
            let name = |change: Change| change.path.strip_prefix(&self.folder).unwrap().to_string_lossy().into_owned();
            let mut names: Vec<String> = changes.into_iter().map(name).collect();
            names.dedup();
            names
        }
    }

    #[test]
    fn new_folders_are_watched_and_those_that_have_gone_forgotten() {
        let mut place = Place::new("new", &["."], |folder| fs::create_dir(folder.join("lib")).unwrap());
        let at = |name: &str| place.folder.join(name);
        let (deep, moved) = (at("lib/one/two"), at("moved"));
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(place.changes(), ["lib/one"]);
        assert_eq!(place.tree.len(), 4);
        fs::write(deep.join("a.js"), "").unwrap();
        assert_eq!(place.changes(), ["lib/one/two/a.js"]);
        fs::rename(place.folder.join("lib"), &moved).unwrap();
        assert_eq!(place.changes(), ["lib", "moved"]);
        fs::write(moved.join("one/two/b.js"), "").unwrap();
        assert_eq!(place.changes(), ["moved/one/two/b.js"]);
        fs::remove_dir_all(&moved).unwrap();
        place.changes();
        assert_eq!(place.tree.len(), 1);
    }

    #[test]
    fn a_file_that_is_named_may_be_replaced_and_its_neighbours_do_not_count() {
        let mut place = Place::new("file", &["a.js"], |folder| fs::write(folder.join("a.js"), "").unwrap());
        fs::write(place.folder.join("b.js"), "").unwrap();
        assert!(place.changes().is_empty());
        fs::rename(place.folder.join("b.js"), place.folder.join("a.js")).unwrap();
        assert_eq!(place.changes(), ["a.js"]);
    }

    #[test]
    fn a_path_that_is_not_there_is_watched_when_it_comes() {
        let mut place = Place::new("missing", &["lib"], |_| ());
        assert_eq!(place.tree.missing(), Some(place.folder.join("lib").as_path()));
        for _ in 0..2 {
            fs::create_dir(place.folder.join("lib")).unwrap();
            assert_eq!((place.changes(), place.tree.missing()), (vec!["lib".to_owned()], None));
            fs::write(place.folder.join("lib/a.js"), "").unwrap();
            assert_eq!(place.changes(), ["lib/a.js"]);
            fs::remove_dir_all(place.folder.join("lib")).unwrap();
            place.changes();
        }
    }

    #[test]
    fn links_in_circles_end_and_those_to_elsewhere_are_followed() {
        let mut place = Place::new("links", &["app"], |folder| {
            fs::create_dir_all(folder.join("app/lib")).unwrap();
            fs::create_dir_all(folder.join("shared/deep")).unwrap();
            symlink("..", folder.join("app/lib/up")).unwrap();
            symlink("../shared", folder.join("app/shared")).unwrap();
        });
        assert_eq!(place.tree.len(), 4);
        fs::write(place.folder.join("shared/deep/a.js"), "").unwrap();
        assert_eq!(place.changes(), ["app/shared/deep/a.js"]);
        // As a deployment has it: another link takes its place.
        fs::create_dir(place.folder.join("next")).unwrap();
        symlink("../next", place.folder.join("link")).unwrap();
        fs::rename(place.folder.join("link"), place.folder.join("app/shared")).unwrap();
        assert_eq!((place.changes(), place.tree.len()), (vec!["app/shared".to_owned()], 3));
        fs::write(place.folder.join("shared/deep/a.js"), "again").unwrap();
        fs::write(place.folder.join("next/b.js"), "").unwrap();
        assert_eq!(place.changes(), ["app/shared/b.js"]);
    }

    #[test]
    fn a_file_that_was_only_opened_for_writing_has_not_changed() {
        let mut place = Place::new("opened", &["."], |folder| fs::write(folder.join("a.db"), "").unwrap());
        let later = SystemTime::now() + Duration::from_secs(1);
        drop(fs::File::options().append(true).open(place.folder.join("a.db")).unwrap());
        assert_eq!(place.tree.changes(&place.watched, later).unwrap(), []);
        fs::write(place.folder.join("a.db"), "new").unwrap();
        assert_eq!(place.changes(), ["a.db"]);
    }

    #[test]
    fn more_folders_than_there_may_be_are_an_error() {
        let place = Place::new("most", &["."], |folder| {
            (0..5).for_each(|number| fs::create_dir(folder.join(number.to_string())).unwrap())
        });
        let mut tree = Tree::new(&place.watched, 4).unwrap();
        assert_eq!(tree.go_on(&place.watched), Err(Limit::Folders));
    }
}
