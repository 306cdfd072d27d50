//! Descriptors that programs have left with their keeper, for the one that comes after them (`FDSTORE` in sd_notify(3)).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::token;
use crate::sys::poll::Poller;
use crate::sys::socket;

/// The most descriptors that an app may leave.
pub const MOST: usize = 4096;
/// Characters of a name (FDNAME_MAX of systemd).
const LONGEST_NAME: usize = 255;

/// One that is kept.
struct Kept {
    instance: u32,
    name: String,
    fd: OwnedFd,
    identity: (u64, u64),
}

/// All that an app's processes have left.
#[derive(Default)]
pub struct Store {
    /// By a number that is never used again.
    kept: BTreeMap<u32, Kept>,
    last: u32,
}

impl Store {
    /// Keeps a descriptor, unless it is known. `watched`: it is forgotten when its other side has gone, or it listens no longer.
    /// Returns whether it is new.
    pub fn keep(&mut self, instance: u32, name: &str, fd: OwnedFd, watched: bool, poller: &Poller) -> bool {
        let Ok(identity) = socket::identity(&fd) else { return false };
        let is_known = self.kept.values().any(|kept| kept.instance == instance && kept.identity == identity);
        if is_known || self.kept.len() >= MOST {
            return false;
        }
        self.last += 1;
        if watched {
            // A file cannot be watched, and need not be.
            let _ = poller.add_end(&fd, token::STORED + u64::from(self.last));
        }
        self.kept.insert(self.last, Kept { instance, name: valid_or_default(name).to_owned(), fd, identity });
        true
    }

    /// Forgets all of this name.
    pub fn remove(&mut self, instance: u32, name: &str, poller: &Poller) {
        self.forget(|kept| kept.instance == instance && kept.name == name, poller);
    }

    /// The other side of this one has gone.
    pub fn on_gone(&mut self, number: u32, poller: &Poller) {
        if let Some(kept) = self.kept.remove(&number) {
            poller.remove(&kept.fd);
        }
    }

    /// No other process will come that wants what this instance has left. Files of Unix sockets that nobody listens on any more go,
    /// too: else the next one that wants to listen there could not.
    pub fn abandon(&mut self, instance: u32, cwd: &Path, poller: &Poller) {
        let files: Vec<_> = self
            .kept
            .values()
            .filter(|kept| kept.instance == instance)
            .filter_map(|kept| socket::file_of(&kept.fd))
            .collect();
        self.forget(|kept| kept.instance == instance, poller);
        for file in files {
            socket::remove_if_abandoned(&cwd.join(file));
        }
    }

    fn forget(&mut self, which: impl Fn(&Kept) -> bool, poller: &Poller) {
        for kept in self.kept.values().filter(|kept| which(kept)) {
            poller.remove(&kept.fd);
        }
        self.kept.retain(|_, kept| !which(kept));
    }

    /// What this instance has left: names and descriptors.
    pub fn of(&self, instance: u32) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        let own = self.kept.values().filter(move |kept| kept.instance == instance);
        own.map(|kept| (kept.name.as_str(), kept.fd.as_fd()))
    }
}

/// A name that makes sense, or the one that stands for none.
fn valid_or_default(name: &str) -> &str {
    let is_valid = name.len() <= LONGEST_NAME && name.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b':');
    if is_valid { name } else { "stored" }
}

/// The name of a socket that the app itself asks for, such as `tcp:3000`, as a program finds it in `LISTEN_FDNAMES`: colons stand
/// between names there.
pub fn name_for_programs(name: &str) -> String {
    let printable = |letter: char| if letter == ':' || !(' '..'\x7f').contains(&letter) { '-' } else { letter };
    name.chars().map(printable).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn what_is_left_is_there_once_under_a_name_that_is_one() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        let file = std::fs::File::open("/dev/null").unwrap();
        let (socket, other) = UnixStream::pair().unwrap();
        assert!(store.keep(0, "a", file.try_clone().unwrap().into(), true, &poller));
        assert!(!store.keep(0, "b", file.into(), true, &poller));
        assert!(store.keep(0, "a:b", socket.try_clone().unwrap().into(), true, &poller));
        assert!(store.keep(1, "a", socket.into(), true, &poller));
        assert_eq!(store.of(0).map(|(name, _)| name).collect::<Vec<_>>(), ["a", "stored"]);
        store.remove(0, "a", &poller);
        assert_eq!((store.of(0).count(), store.of(1).count()), (1, 1));
        drop(other);
        let mut ready = Vec::new();
        poller.wait(Some(1000), &mut ready).unwrap();
        for token in ready {
            store.on_gone(token::parts(token).1, &poller);
        }
        assert_eq!((store.of(0).count(), store.of(1).count()), (0, 0));
    }

    #[test]
    fn the_file_of_a_socket_that_nobody_has_any_more_goes() {
        let poller = Poller::new().unwrap();
        let mut store = Store::default();
        let path = std::env::temp_dir().join(format!("rclusterd-store-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        store.keep(0, "a", listener.try_clone().unwrap().into(), true, &poller);
        store.abandon(0, Path::new("/"), &poller);
        assert!(path.exists());
        store.keep(0, "a", listener.into(), true, &poller);
        store.abandon(0, Path::new("/"), &poller);
        assert!(!path.exists());
    }

    #[test]
    fn names_of_an_app_s_own_sockets_hold_no_colon() {
        assert_eq!(name_for_programs("tcp:[::1]:3000"), "tcp-[--1]-3000");
    }
}
