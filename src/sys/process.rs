//! Processes that are not ours, and the manager that started us.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socket};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::libc;

/// Sends one datagram, and descriptors, to a Unix socket, named by its path or, after an `@`, by its abstract name (sd_notify(3)).
pub fn notify(address: &str, text: &str, fds: &[RawFd]) -> io::Result<()> {
    let peer = match address.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
        None => UnixAddr::new(address)?,
    };
    let fd = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let with = [ControlMessage::ScmRights(fds)];
    let with = if fds.is_empty() { &[][..] } else { &with[..] };
    sendmsg(fd.as_raw_fd(), &[IoSlice::new(text.as_bytes())], with, MsgFlags::MSG_NOSIGNAL, Some(&peer))?;
    Ok(())
}

/// How long (s) this process may outlive its parent. `Relaxed`: it is one value, and the system call that installs its reader comes after it.
static AFTERLIFE: AtomicU32 = AtomicU32::new(0);

/// Runs when the parent has died, even if the event loop hangs. Calls nothing but what a signal handler may call
/// (signal-safety(7)).
extern "C" fn on_parent_death(_: libc::c_int) {
    // SAFETY: SIGALRM gets its default action, which ends the process; both functions are async-signal-safe.
    unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::alarm(AFTERLIFE.load(Ordering::Relaxed));
    }
}

/// Ends this process `seconds` after its parent has died, whatever it is doing then; see PR_SET_PDEATHSIG in prctl(2).
/// The kernel tells by SIGURG, which nobody misses when it is ignored.
pub fn end_after_parent(seconds: u32) -> io::Result<()> {
    AFTERLIFE.store(seconds.max(1), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(on_parent_death), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler only calls async-signal-safe functions.
    unsafe { sigaction(Signal::SIGURG, &action) }?;
    prctl::set_pdeathsig(Signal::SIGURG)?;
    Ok(())
}

/// From now on this thread, when it wakes, waits for a processor that is free, or for its turn, rather than take one from a
/// thread that is just running; see SCHED_BATCH in sched(7). Its share of the processors stays the same. A thread with a policy of
/// its own (`chrt`) keeps that. Where the system knows no such thing, nothing changes.
pub fn never_preempt() {
    #[cfg(target_os = "linux")]
    {
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: 0 is the calling thread; the kernel reads one structure. It may refuse.
        unsafe {
            if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
                libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
            }
        }
    }
}

/// Collects processes that have ended and were not started by us, as the first process of a container has to. Those in
/// `children` are left to whoever waits for them. Returns how many were collected.
pub fn reap_orphans(children: &[i32]) -> io::Result<i32> {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let mut count = 0;
    loop {
        let ended = match waitid(Id::All, look) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(count),
            other => other?.pid().map_or(0, Pid::as_raw),
        };
        // One of ours is first in line; the rest has its turn when that one has been collected.
        if ended == 0 || children.contains(&ended) {
            return Ok(count);
        }
        waitpid(Pid::from_raw(ended), Some(WaitPidFlag::WNOHANG))?;
        count += 1;
    }
}
