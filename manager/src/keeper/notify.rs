//! What programs tell of themselves, in systemd's words (sd_notify(3)).

use std::os::fd::OwnedFd;

use super::Keeper;
use super::life::Event;
use crate::sys::datagram::Told;
use crate::sys::procfs;

/// The most sockets that a program may leave with its keeper.
const MOST_STORED: usize = 512;

impl Keeper {
    /// Programs have told something.
    pub(super) fn on_told(&mut self) {
        while let Ok(Some(told)) = self.notify.next() {
            if let Some(number) = self.sender(told.pid) {
                self.apply(number, told);
            }
        }
    }

    /// The instance that a process belongs to.
    fn sender(&self, pid: i32) -> Option<usize> {
        // Usually the process itself, or its child; only else the whole tree is looked at.
        let parent = procfs::stat(pid).map(|stat| stat.parent);
        let known = |wanted: i32| {
            self.instances.iter().position(|one| one.running.as_ref().is_some_and(|running| running.pid == wanted))
        };
        known(pid)
            .or_else(|| known(parent?))
            .or_else(|| self.trees().iter().position(|tree| tree.iter().any(|stat| stat.pid == pid)))
    }

    fn apply(&mut self, number: usize, told: Told) {
        let value = |name: &str| told.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        if value("READY") == Some("1") {
            self.event(number, Event::Ready);
        }
        if let Some(time) = value("EXTEND_TIMEOUT_USEC").and_then(|text| text.parse::<u64>().ok()) {
            self.event(number, Event::Extend(time / 1000));
        }
        let name = value("FDNAME").unwrap_or("stored").to_owned();
        if value("FDSTORE") == Some("1") {
            self.store(&name, told.fds);
        } else if value("FDSTOREREMOVE") == Some("1") {
            self.sockets.retain(|(known, _)| *known != name || self.app.sockets.contains(known));
        }
    }

    /// Keeps sockets for the program that comes after this one.
    fn store(&mut self, name: &str, fds: Vec<OwnedFd>) {
        let is_name =
            !name.is_empty() && name.len() <= 255 && !name.contains(':') && !name.chars().any(char::is_control);
        for fd in fds {
            if is_name && self.sockets.len() < MOST_STORED {
                self.sockets.push((name.to_owned(), fd));
            }
        }
    }
}
