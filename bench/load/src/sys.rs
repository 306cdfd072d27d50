//! The only unsafe code here: what nix leaves unsafe, or gives as a bare number.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{accept4, SockFlag};
use nix::unistd::{fork, ForkResult};

/// Accepts one connection, non-blocking and close-on-exec; `None` when none is waiting.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    match accept4(listener.as_fd().as_raw_fd(), flags) {
        // SAFETY: the kernel has just made this descriptor for us, and nothing else knows it.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(Errno::EAGAIN) => Ok(None),
        // The peer gave up while it was queued: the next one may be fine.
        Err(Errno::ECONNABORTED | Errno::EINTR) => accept(listener),
        Err(errno) => Err(errno),
    }
}

/// Takes ownership of the descriptors of one SCM_RIGHTS message.
pub fn adopt(received: Vec<RawFd>) -> impl Iterator<Item = OwnedFd> {
    // SAFETY: recvmsg has just installed them in this process, and the caller passes each on only once.
    received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forks. Must be called while the process has one thread only.
pub fn fork_single_threaded() -> Result<ForkResult, Errno> {
    // SAFETY: with one thread no lock can be held by a thread that does not exist in the child.
    unsafe { fork() }
}

/// From now on this thread waits for a free processor instead of interrupting another (SCHED_BATCH, sched(7)).
pub fn never_preempt() {
    let parameters = nix::libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the kernel reads one structure. It may refuse, and nothing is changed.
    unsafe { nix::libc::sched_setscheduler(0, nix::libc::SCHED_BATCH, &raw const parameters) };
}
