//! Waiting for many descriptors at once (epoll), and waking a thread that waits (eventfd).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::fault::may_fail;
use super::{insist, libc};

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
    /// That more has come, each time once.
    More,
}

impl Interest {
    fn flags(self) -> EpollFlags {
        match self {
            // The kernel always watches for hang-ups. Without `ONESHOT` it would report one for ever.
            Interest::None => EpollFlags::EPOLLONESHOT,
            Interest::Each => EpollFlags::EPOLLIN,
            Interest::Once => EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT,
            Interest::More => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET,
        }
    }
}

/// The token by which [`Poller::wait`] reports a call of [`Poller::wake`].
pub const WAKE: u64 = u64::MAX;

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Poller> {
        may_fail("epoll_create1")?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        may_fail("eventfd2")?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        may_fail("epoll_ctl")?;
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

    /// Forgets `fd`; must come before it is closed if a duplicate of it stays open anywhere: that would be reported for ever.
    pub fn remove(&self, fd: BorrowedFd) -> io::Result<()> {
        insist(|| {
            may_fail("epoll_ctl")?;
            Ok(self.epoll.delete(fd)?)
        })
    }

    /// Makes the thread in [`Poller::wait`] return. A counter that is full does so as well.
    pub fn wake(&self) {
        let _ = insist(|| match may_fail("write").and_then(|()| Ok(self.wake.write(1)?)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        });
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
                let _ = may_fail("read").and_then(|()| Ok(self.wake.read()?));
            }
            tokens.push(event.data());
        }
        Ok(())
    }
}

impl AsFd for Poller {
    /// Readable when something is ready.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// Whether the other side of a connection will send nothing more.
pub fn has_ended(fd: BorrowedFd) -> bool {
    let mut ends = [PollFd::new(fd, PollFlags::from_bits_retain(libc::POLLRDHUP))];
    let asked = may_fail("poll").and_then(|()| Ok(poll(&mut ends, PollTimeout::ZERO)?));
    asked.is_ok_and(|count| count > 0)
}

/// Whether `fd` can be read right now.
pub fn readable(fd: BorrowedFd) -> io::Result<bool> {
    may_fail("poll")?;
    Ok(poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO)? > 0)
}

/// The same for those to whom it is all one whether it cannot be read or cannot be asked.
pub fn is_readable(fd: BorrowedFd) -> bool {
    readable(fd).unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{descriptors, fault, scm, socket};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_forgotten_is_not_reported_though_the_kernel_refuses_at_first() {
        let poller = Poller::new().unwrap();
        let (near, far) = socket::stream_pair().unwrap();
        // Another process has it as well.
        let _copy = descriptors::duplicate(far.as_fd()).unwrap();
        poller.add(far.as_fd(), 7, Interest::Each).unwrap();
        scm::send(near.as_fd(), &[io::IoSlice::new(b"x")], &[]).unwrap();
        fault::inject("epoll_ctl", libc::ENOMEM, 0, 1);
        poller.remove(far.as_fd()).unwrap();
        assert!(fault::none());
        drop(far);
        let mut tokens = Vec::new();
        poller.wait(Some(Duration::ZERO), &mut tokens).unwrap();
        assert!(tokens.is_empty());
    }
}
