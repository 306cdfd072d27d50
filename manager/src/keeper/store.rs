//! Descriptors that programs have left with their keeper, for the one that comes after them (`FDSTORE` in sd_notify(3)).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::token;
use crate::sys::poll::Poller;
use crate::sys::received::room_for_descriptors;
use crate::sys::socket;

/// The most descriptors that an app may leave, where this process may have as many.
const MOST: usize = 4096;
/// The most boards of one place: a worker that leaves, the one that takes its place, and some that have ended and nobody has noticed yet. Whoever
/// shows more loses the oldest, so that what a program says of its workers takes no room from what it has left.
const MOST_BOARDS: usize = 8;
/// The most boards of all places: a cluster may have 1024 workers, and as many that leave.
const MOST_BOARDS_IN_ALL: usize = 2048;
/// Characters of a name (FDNAME_MAX of systemd).
const LONGEST_NAME: usize = 255;

/// What a descriptor is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The instance that has left it; none for a socket that the app itself asks for.
    pub instance: Option<u32>,
    /// What its program calls it, or as the app asks for it.
    pub name: String,
    /// Whether it is forgotten when its other side has gone, or it listens no longer.
    pub watched: bool,
    /// It is a worker's board, for who wants to see its numbers; no program gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<Whose>,
}

/// The worker that a board belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// Its place.
    pub seat: u32,
    /// Its process.
    pub pid: i32,
}

/// What becomes of a descriptor that somebody leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    New,
    /// It is kept already.
    Known,
    /// There are too many: it is closed.
    NoRoom,
}

/// The most descriptors that an app may leave here: a quarter of what this process may have open. The start of the next process needs as many
/// again for a moment, and what processes write and whoever asks need the rest.
pub fn most() -> usize {
    MOST.min(room_for_descriptors() / 4)
}

/// One that is kept.
struct Kept {
    about: About,
    fd: OwnedFd,
    identity: (u64, u64),
}

/// All that an app asks for, and that its processes have left.
#[derive(Default)]
pub struct Store {
    /// By a number that is never used again.
    kept: BTreeMap<u32, Kept>,
    last: u32,
    /// What has changed since it was last asked for: numbers that have come or gone.
    pub news: Vec<u32>,
}

impl Store {
    /// Keeps a descriptor, unless it is known. Returns what has become of it.
    pub fn keep(&mut self, about: About, fd: OwnedFd, poller: &Poller) -> Taken {
        let Ok(identity) = socket::identity(&fd) else { return Taken::NoRoom };
        let is_it = |kept: &Kept| kept.about.instance == about.instance && kept.identity == identity;
        if self.kept.values().any(is_it) {
            return Taken::Known;
        }
        match about.board {
            Some(whose) => self.make_room_for_board(whose.seat, poller),
            // Boards have room of their own.
            None if self.kept.values().filter(|kept| kept.about.board.is_none()).count() >= most() => {
                return Taken::NoRoom;
            }
            None => {}
        }
        self.last += 1;
        if about.watched {
            // A file cannot be watched, and need not be.
            let _ = poller.add_end(&fd, token::STORED + u64::from(self.last));
        }
        self.news.push(self.last);
        self.kept.insert(self.last, Kept { about, fd, identity });
        Taken::New
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Makes room for one more board of a place.
    fn make_room_for_board(&mut self, seat: u32, poller: &Poller) {
        let boards = |is_meant: &dyn Fn(Whose) -> bool| -> Vec<u32> {
            let is_one = |kept: &Kept| kept.about.board.is_some_and(is_meant);
            self.kept.iter().filter(|(_, kept)| is_one(kept)).map(|(number, _)| *number).collect()
        };
        let (all, of_place) = (boards(&|_| true), boards(&|whose| whose.seat == seat));
        let oldest = if of_place.len() >= MOST_BOARDS {
            of_place.first()
        } else if all.len() >= MOST_BOARDS_IN_ALL {
            all.first()
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.on_gone(*oldest, poller);
        }
    }

    /// Forgets all that an instance has left under this name.
    pub fn remove(&mut self, instance: u32, name: &str, poller: &Poller) {
        self.forget(|about| about.instance == Some(instance) && about.name == name, poller);
    }

    /// The other side of this one has gone.
    pub fn on_gone(&mut self, number: u32, poller: &Poller) {
        if let Some(kept) = self.kept.remove(&number) {
            self.news.push(number);
            poller.remove(&kept.fd);
        }
    }

    /// No other process will come that wants what this instance has left. Files of Unix sockets that nobody listens on any more go,
    /// too: else the next one that wants to listen there could not.
    pub fn abandon(&mut self, instance: u32, cwd: &Path, poller: &Poller) {
        self.forget_with_files(|about| about.instance == Some(instance), cwd, poller);
    }

    /// Forgets the boards of workers of which this is true.
    pub fn forget_boards(&mut self, gone: impl Fn(Whose) -> bool, poller: &Poller) {
        self.forget(|about| about.board.is_some_and(&gone), poller);
    }

    /// Opens the sockets that an app asks for, and closes those that it does not ask for any more. The error names the one that it is about.
    pub fn open(&mut self, names: &[String], cwd: &Path, poller: &Poller) -> io::Result<()> {
        self.open_missing(names, cwd, poller)?;
        self.close_others(names, cwd, poller);
        Ok(())
    }

    /// Opens those that are not there yet.
    pub fn open_missing(&mut self, names: &[String], cwd: &Path, poller: &Poller) -> io::Result<()> {
        for name in names {
            if !self.kept.values().any(|kept| kept.about.instance.is_none() && kept.about.name == *name) {
                let fd = socket::open_for_programs(name, cwd).map_err(|error| {
                    io::Error::new(error.kind(), format!("the socket \"{name}\" cannot be opened: {error}"))
                })?;
                self.keep(About { instance: None, name: name.clone(), watched: false, board: None }, fd, poller);
            }
        }
        Ok(())
    }

    /// Closes all that have other names.
    pub fn close_others(&mut self, names: &[String], cwd: &Path, poller: &Poller) {
        self.forget_with_files(|about| about.instance.is_none() && !names.contains(&about.name), cwd, poller);
    }

    fn forget_with_files(&mut self, which: impl Fn(&About) -> bool, cwd: &Path, poller: &Poller) {
        let gone = self.kept.values().filter(|kept| which(&kept.about));
        let files: Vec<_> = gone.filter_map(|kept| socket::file_of(&kept.fd)).collect();
        self.forget(which, poller);
        for file in files {
            socket::remove_if_abandoned(&cwd.join(file));
        }
    }

    fn forget(&mut self, which: impl Fn(&About) -> bool, poller: &Poller) {
        for (number, kept) in self.kept.iter().filter(|(_, kept)| which(&kept.about)) {
            self.news.push(*number);
            poller.remove(&kept.fd);
        }
        self.kept.retain(|_, kept| !which(&kept.about));
    }

    /// What this instance is given, the app's own sockets first: names and descriptors.
    pub fn of(&self, instance: u32) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        let own = self.kept.values().filter(|kept| kept.about.instance.is_none());
        let is_left = move |kept: &&Kept| kept.about.instance == Some(instance) && kept.about.board.is_none();
        let left = self.kept.values().filter(is_left);
        let own = own.map(|kept| (name_for_programs(&kept.about.name), kept.fd.as_fd()));
        own.chain(left.map(|kept| (kept.about.name.clone(), kept.fd.as_fd())))
    }

    /// What there is to be told of one: what it is and itself, or that it has gone.
    pub fn get(&self, number: u32) -> Option<(&About, BorrowedFd<'_>)> {
        self.kept.get(&number).map(|kept| (&kept.about, kept.fd.as_fd()))
    }

    /// All numbers.
    pub fn numbers(&self) -> Vec<u32> {
        self.kept.keys().copied().collect()
    }
}

/// A name that makes sense, or the one that stands for none.
pub fn valid_or_default(name: &str) -> &str {
    let is_valid = name.len() <= LONGEST_NAME && name.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b':');
    if is_valid { name } else { "stored" }
}

/// The name of a socket that the app itself asks for, such as `tcp:3000`, as a program finds it in `LISTEN_FDNAMES`: colons stand
/// between names there.
fn name_for_programs(name: &str) -> String {
    let printable = |letter: char| if letter == ':' || !(' '..'\x7f').contains(&letter) { '-' } else { letter };
    name.chars().map(printable).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn left(instance: u32, name: &str) -> About {
        About { instance: Some(instance), name: name.into(), watched: true, board: None }
    }

    #[test]
    fn what_is_left_is_there_once_until_its_other_side_goes() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        let file = std::fs::File::open("/dev/null").unwrap();
        let (socket, other) = UnixStream::pair().unwrap();
        assert_eq!(store.keep(left(0, "a"), file.try_clone().unwrap().into(), &poller), Taken::New);
        assert_eq!(store.keep(left(0, "b"), file.into(), &poller), Taken::Known);
        assert_eq!(store.keep(left(0, "c"), socket.try_clone().unwrap().into(), &poller), Taken::New);
        assert_eq!(store.keep(left(1, "a"), socket.into(), &poller), Taken::New);
        assert_eq!(store.of(0).map(|(name, _)| name).collect::<Vec<_>>(), ["a", "c"]);
        store.remove(0, "a", &poller);
        assert_eq!((store.of(0).count(), store.of(1).count()), (1, 1));
        drop(other);
        let mut ready = Vec::new();
        poller.wait(Some(1000), &mut ready).unwrap();
        for token in ready {
            store.on_gone(token::parts(token).1, &poller);
        }
        assert_eq!((store.of(0).count(), store.of(1).count()), (0, 0));
        store.news[4..].sort_unstable();
        assert_eq!(store.news, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn the_file_of_a_socket_that_nobody_has_any_more_goes() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        let path = std::env::temp_dir().join(format!("rclusterd-left-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        store.keep(left(0, "a"), listener.try_clone().unwrap().into(), &poller);
        store.abandon(0, Path::new("/"), &poller);
        assert!(path.exists());
        store.keep(left(0, "a"), listener.into(), &poller);
        store.abandon(0, Path::new("/"), &poller);
        assert!(!path.exists());
    }

    #[test]
    fn a_board_is_kept_for_those_who_look_and_given_to_no_program() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        for (file, pid) in [("/dev/null", 7), ("/dev/zero", 8)] {
            let about = About { board: Some(Whose { seat: 0, pid }), watched: false, ..left(0, "") };
            assert_eq!(store.keep(about, std::fs::File::open(file).unwrap().into(), &poller), Taken::New);
        }
        assert_eq!((store.of(0).count(), store.numbers().len()), (0, 2));
        store.forget_boards(|whose| whose.pid == 7, &poller);
        assert_eq!((store.numbers(), &store.news), (vec![2], &vec![1, 2, 1]));
    }

    #[test]
    fn whoever_shows_many_boards_takes_no_room_from_what_is_left_to_be_kept() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        let board = |seat, pid| About { board: Some(Whose { seat, pid }), watched: false, ..left(0, "") };
        let memory = || nix::sys::memfd::memfd_create(c"x", nix::sys::memfd::MFdFlags::empty()).unwrap();
        for pid in 0..100 {
            assert_eq!(store.keep(board(0, pid), memory(), &poller), Taken::New);
        }
        assert_eq!(store.keep(board(1, 7), memory(), &poller), Taken::New);
        // The last ones: of who is there now.
        let pids: Vec<i32> = store.kept.values().filter_map(|kept| Some(kept.about.board?.pid)).collect();
        assert_eq!(pids, (92..100).chain([7]).collect::<Vec<_>>());
        // Whoever listens hears that the others have gone.
        assert_eq!(store.news.iter().filter(|number| store.get(**number).is_none()).count(), 2 * 92);
        assert_eq!(store.of(0).count(), 0);
    }

    #[test]
    fn names_hold_no_colon() {
        assert_eq!(name_for_programs("tcp:[::1]:3000"), "tcp-[--1]-3000");
        assert_eq!(
            [valid_or_default("a b"), valid_or_default("a:b"), valid_or_default("\u{e9}")],
            ["a b", "stored", "stored"]
        );
    }

    #[test]
    fn an_app_s_own_sockets_are_given_to_each_instance() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        store.open(&["tcp:127.0.0.1:0".into()], Path::new("/"), &poller).unwrap();
        let identity = store.kept[&1].identity;
        store.open(&["tcp:127.0.0.1:0".into()], Path::new("/"), &poller).unwrap();
        assert_eq!((store.of(0).count(), store.of(7).count(), store.kept[&1].identity), (1, 1, identity));
        store.open(&[], Path::new("/"), &poller).unwrap();
        assert_eq!(store.of(0).count(), 0);
    }
}
