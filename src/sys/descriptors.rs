//! Is there room in the descriptor table?
//!
//! The kernel drops descriptors that a `recvmsg` cannot install, and with them the connections behind. So before
//! receiving any we ask whether there is room, and leave them queued if not. The kernel gives out the lowest free
//! number: as long as the highest numbers below the limit are free, that many descriptors fit. Where the limit is
//! high, and none near it was ever seen, that is not worth system calls for each packet, but for one in a while.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit};

use super::fault::may_fail;
use super::{clock, libc};

/// The most descriptors that one message carries.
pub const MAX_FDS: usize = 16;

/// From this limit on, a table whose upper half was never used is taken to have room.
const HIGH_LIMIT: i32 = 4096;

/// So long (ns) it holds what was found out: not even half of a high limit is used up in that time.
const FRESH: u64 = 1_000_000;

// What threads have found out, each word by itself: one that is read a moment late leads to a look too many, or to one that `FRESH` would have
// put off as well. `Relaxed` is enough.
static HIGHEST_SEEN: AtomicI32 = AtomicI32::new(0);
static LIMIT_SEEN: AtomicI32 = AtomicI32::new(0);
/// When the highest numbers were last found free.
static FREE_AT: AtomicU64 = AtomicU64::new(0);

/// Remembers the number of a descriptor that the kernel just gave us.
pub fn note(fd: RawFd) {
    HIGHEST_SEEN.fetch_max(fd, Ordering::Relaxed);
}

/// Whether so many are free that looking for room with each connection is not worth it.
pub fn are_plenty() -> bool {
    let limit = LIMIT_SEEN.load(Ordering::Relaxed);
    limit >= HIGH_LIMIT && HIGHEST_SEEN.load(Ordering::Relaxed) < limit / 2
}

/// Whether `count` more descriptors fit, as far as one process can tell while other threads open some too.
pub fn room_for(count: usize, sample: BorrowedFd) -> bool {
    let now = clock::monotonic_ns();
    let fresh = now.saturating_sub(FREE_AT.load(Ordering::Relaxed)) <= FRESH;
    if fresh && are_plenty() {
        return true;
    }
    let free = top_is_free(self::limit(), count);
    FREE_AT.store(if free { now } else { 0 }, Ordering::Relaxed);
    free || can_open(count, sample)
}

/// A pipe, close-on-exec: its end to read from, and its end to write to.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    note(read.as_raw_fd().max(write.as_raw_fd()));
    Ok((read, write))
}

/// Opens as many, to see whether that is possible.
fn can_open(count: usize, sample: BorrowedFd) -> bool {
    let mut trial = Vec::with_capacity(count);
    while trial.len() < count {
        match duplicate(sample) {
            Ok(fd) => trial.push(fd),
            Err(_) => return false,
        }
    }
    true
}

/// What one who is not trusted may make this process keep open: a part of the table.
pub fn fair_share() -> usize {
    usize::try_from(limit()).unwrap_or(0) / 8
}

fn limit() -> i32 {
    let limit = may_fail("prlimit64").and_then(|()| Ok(getrlimit(Resource::RLIMIT_NOFILE)?));
    let limit = limit.map_or(1024, |(soft, _)| i32::try_from(soft).unwrap_or(i32::MAX));
    LIMIT_SEEN.store(limit, Ordering::Relaxed);
    limit
}

/// Whether none of the `count` highest numbers is in use: poll(2) tells without opening anything.
fn top_is_free(limit: i32, count: usize) -> bool {
    let mut tops = [libc::pollfd { fd: -1, events: 0, revents: 0 }; MAX_FDS];
    let Some(tops) = tops.get_mut(..count) else { return false };
    for (top, fd) in tops.iter_mut().zip((0..limit).rev()) {
        top.fd = fd;
    }
    if may_fail("poll").is_err() {
        return false;
    }
    // SAFETY: poll writes to these entries only; a number that is not open is just what it is asked about.
    unsafe { libc::poll(tops.as_mut_ptr(), count as libc::nfds_t, 0) };
    tops.iter().all(|top| top.revents & libc::POLLNVAL != 0)
}

/// How many numbers below `LIMIT` are open. One system call.
#[cfg(feature = "fuzzing")]
pub fn open_below<const LIMIT: usize>() -> usize {
    let mut all: [libc::pollfd; LIMIT] =
        std::array::from_fn(|number| libc::pollfd { fd: number as RawFd, events: 0, revents: 0 });
    // SAFETY: poll writes to these entries only; a number that is not open is just what it is asked about.
    unsafe { libc::poll(all.as_mut_ptr(), LIMIT as libc::nfds_t, 0) };
    all.iter().filter(|one| one.revents & libc::POLLNVAL == 0).count()
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
    may_fail("fcntl")?;
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
