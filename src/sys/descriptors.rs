//! Is there room in the descriptor table?
//!
//! The kernel drops descriptors that a `recvmsg` cannot install, and with them the connections behind. So before
//! receiving any we ask whether there is room, and leave them queued if not. The kernel gives out the lowest free
//! number, so the number given last tells how full the table is; only near the limit, or when none was given for a
//! while, is it worth system calls.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit};

use super::{clock, libc};

/// Below this distance to the limit the answer is found by trying.
const NEAR: u64 = 64;

/// After so long (ns) the number given last is out of date: the program may have opened what it likes.
const FRESH: u64 = 10_000_000;

static LAST_GIVEN: AtomicI32 = AtomicI32::new(0);
static LIMIT_SEEN: AtomicI32 = AtomicI32::new(0);
static ASKED_AT: AtomicU64 = AtomicU64::new(0);

/// Remembers the number of a descriptor that the kernel just gave us.
pub fn note(fd: RawFd) {
    LAST_GIVEN.store(fd, Ordering::Relaxed);
}

/// Whether `count` more descriptors fit, as far as one process can tell while other threads open some too.
pub fn room_for(count: usize, sample: BorrowedFd) -> bool {
    let now = clock::monotonic_ns();
    if now.saturating_sub(ASKED_AT.swap(now, Ordering::Relaxed)) > FRESH
        && let Ok(fd) = duplicate(sample)
    {
        note(fd.as_raw_fd());
    }
    let last = LAST_GIVEN.load(Ordering::Relaxed);
    if i64::from(last) + (NEAR as i64) < i64::from(LIMIT_SEEN.load(Ordering::Relaxed)) {
        return true;
    }
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    LIMIT_SEEN.store(i32::try_from(limit).unwrap_or(i32::MAX), Ordering::Relaxed);
    if u64::try_from(last).unwrap_or(0) + NEAR < limit {
        return true;
    }
    let mut trial = Vec::with_capacity(count);
    while trial.len() < count {
        match duplicate(sample) {
            Ok(fd) => trial.push(fd),
            Err(_) => return false,
        }
    }
    // The lowest of the free numbers, which is what the next call will be given.
    if let Some(first) = trial.first() {
        note(first.as_raw_fd());
    }
    true
}

/// Whether `error` says that descriptors, in this process or in flight between processes, have run out.
pub fn ran_out(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ETOOMANYREFS | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// A second descriptor for what `fd` names, close-on-exec.
pub fn duplicate(fd: BorrowedFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(0))?;
    // SAFETY: the call just made `copy`, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Looks at a descriptor that Node knows by the number `fd`, without taking it.
pub fn look_at<T>(fd: RawFd, look: impl FnOnce(BorrowedFd) -> io::Result<T>) -> io::Result<T> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the borrow ends with this call; what is done with a number that is not open fails with EBADF.
    look(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A second descriptor for the one that Node knows by the number `fd`.
pub fn duplicate_number(fd: RawFd) -> io::Result<OwnedFd> {
    look_at(fd, duplicate)
}

/// Takes possession of a descriptor that was handed to this process by number (inherited at its start).
pub fn adopt_number(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: only looks at the descriptor's flags; a number that is not open makes it fail with EBADF.
    fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and its only user is the caller who was told the number by the parent process.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
