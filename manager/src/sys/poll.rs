//! Waiting for many descriptors at once (epoll), until a deadline or for ever.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// The most events of one wait.
const EVENTS: usize = 64;

/// A set of descriptors, each known by a token.
pub struct Poller {
    epoll: Epoll,
}

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    /// Reports `token` whenever `fd` is readable, or its other side has gone.
    pub fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Reports `token` when the other side of `fd` has gone, or when it has been shut down, and nothing else.
    pub fn add_end(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::empty(), token))?)
    }

    /// Whether to report that it is readable and that it is writable.
    pub fn set(&self, fd: impl AsFd, token: u64, readable: bool, writable: bool) -> io::Result<()> {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, readable);
        flags.set(EpollFlags::EPOLLOUT, writable);
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(flags, token))?)
    }

    /// Forgets it; must come before it is closed.
    pub fn remove(&self, fd: impl AsFd) {
        // One that it does not know is forgotten already.
        let _ = self.epoll.delete(fd);
    }

    /// Waits for at most `milliseconds` (`None`: for ever). Appends the tokens of what is ready.
    pub fn wait(&self, milliseconds: Option<u64>, ready: &mut Vec<u64>) -> io::Result<()> {
        let timeout = match milliseconds {
            None => EpollTimeout::NONE,
            Some(time) => EpollTimeout::try_from(time).unwrap_or(EpollTimeout::MAX),
        };
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        ready.extend(events.iter().take(count).map(EpollEvent::data));
        Ok(())
    }
}
