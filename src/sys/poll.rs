//! Waiting for many descriptors at once (epoll), and waking a thread that waits (eventfd).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::fault::may_fail;

/// Waiting for descriptors to become readable. Each is known by a token of the caller's choice.
pub struct Poller {
    epoll: Epoll,
    wake: EventFd,
}

/// What to report of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing.
    None,
    /// That it is readable, whenever it is.
    Each,
    /// That it is readable, once; then [`Interest::None`].
    Once,
}

impl Interest {
    fn flags(self) -> EpollFlags {
        match self {
            // The kernel always watches for hang-ups. Without `ONESHOT` it would report one for ever.
            Interest::None => EpollFlags::EPOLLONESHOT,
            Interest::Each => EpollFlags::EPOLLIN,
            Interest::Once => EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT,
        }
    }
}

/// How often it is tried to wake a thread. Once would do, if system calls did not fail.
const WAKES: usize = 4;

/// The token by which [`Poller::wait`] reports a call of [`Poller::wake`].
pub const WAKE: u64 = u64::MAX;

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Poller> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Poller { epoll, wake })
    }

    /// Takes `fd` into the set.
    pub fn add(&self, fd: BorrowedFd, token: u64, interest: Interest) -> io::Result<()> {
        may_fail("epoll_ctl")?;
        Ok(self.epoll.add(fd, EpollEvent::new(interest.flags(), token))?)
    }

    /// Changes what is reported of `fd`.
    pub fn set_interest(&self, fd: BorrowedFd, token: u64, interest: Interest) -> io::Result<()> {
        may_fail("epoll_ctl")?;
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(interest.flags(), token))?)
    }

    /// Forgets `fd`; must come before it is closed if a duplicate of it stays open anywhere.
    pub fn remove(&self, fd: BorrowedFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Makes the thread in [`Poller::wait`] return. A counter that is full does so as well.
    pub fn wake(&self) {
        // A counter that is full wakes as well.
        for _ in 0..WAKES {
            match may_fail("write").and_then(|()| Ok(self.wake.write(1)?)) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }

    /// Waits until something is ready or `timeout` is over (`None`: for ever) and calls `ready` with each token.
    /// A [`WAKE`] has been acknowledged by then.
    pub fn wait(&self, timeout: Option<Duration>, tokens: &mut Vec<u64>) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            // Rounded up, so that a deadline has passed when the wait for it ends.
            Some(time) => {
                EpollTimeout::try_from(time.saturating_add(Duration::from_nanos(999_999))).unwrap_or(EpollTimeout::MAX)
            }
        };
        tokens.clear();
        may_fail("epoll_wait")?;
        let count = match self.epoll.wait(&mut events, timeout) {
            Err(nix::errno::Errno::EINTR) => 0,
            other => other?,
        };
        for event in events.iter().take(count) {
            if event.data() == WAKE {
                let _ = self.wake.read();
            }
            tokens.push(event.data());
        }
        Ok(())
    }
}

/// Whether `fd` can be read right now.
pub fn is_readable(fd: BorrowedFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    may_fail("poll").is_ok() && poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Blocks until `fd` can be read, or `time` is over.
pub fn wait_readable(fd: BorrowedFd, time: Duration) {
    wait_for(fd, PollFlags::POLLIN, time);
}

/// Blocks until `fd` can be written, or `time` is over.
pub fn wait_writable(fd: BorrowedFd, time: Duration) {
    wait_for(fd, PollFlags::POLLOUT, time);
}

fn wait_for(fd: BorrowedFd, flags: PollFlags, time: Duration) {
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    // The caller looks again in any case.
    let _ = poll(&mut [PollFd::new(fd, flags)], timeout);
}
