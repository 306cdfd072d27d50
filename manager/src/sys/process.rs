//! This process, and processes that end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use super::libc;
use crate::keeper::life::End;

/// Whatever our children leave behind becomes ours: see PR_SET_CHILD_SUBREAPER in prctl(2). Where the system does not know that, which is
/// so where qemu emulates another processor, it becomes process 1's.
pub fn adopt_orphans() -> io::Result<()> {
    match prctl::set_child_subreaper(true) {
        Err(Errno::EINVAL) => Ok(()),
        other => Ok(other?),
    }
}

/// The next child that has ended, and how; `None` when no other has.
pub fn next_ended() -> Option<(i32, End)> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => return Some((pid.as_raw(), End::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => return Some((pid.as_raw(), End::Signal(signal as i32))),
            Err(Errno::EINTR) | Ok(WaitStatus::Stopped(..) | WaitStatus::Continued(_)) => {}
            _ => return None,
        }
    }
}

/// Whether there is any child, be it one that has ended and was not asked how.
pub fn has_children() -> bool {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) != Err(Errno::ECHILD)
}

/// How a process has ended, as far as that can be known: one that is not our child tells only its parent.
pub fn end_of(pid: i32) -> End {
    match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => End::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => End::Signal(signal as i32),
        _ => End::Code(0),
    }
}

/// A descriptor of a process: readable when that has ended (pidfd_open(2)).
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: two numbers; it touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel has just made it, close-on-exec, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal, by its number. One that has gone already is no error.
pub fn signal(pid: i32, number: i32) -> io::Result<()> {
    // 0 and negative numbers mean groups, our own among them.
    if pid <= 1 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let signal = Signal::try_from(number)?;
    match kill(Pid::from_raw(pid), signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => Ok(other?),
    }
}

/// Kills all of the group that this process leads.
pub fn kill_group(leader: i32) -> io::Result<()> {
    // 0 and 1 mean other things than a group.
    if leader <= 1 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(killpg(Pid::from_raw(leader), Signal::SIGKILL)?)
}

/// This process is asked to end when the one that has started it does.
pub fn end_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGTERM)?)
}

/// Stops all processes that were started together with this one, as Control-Z does, until they are told to go on.
pub fn stop_own_group() -> io::Result<()> {
    Ok(kill(Pid::from_raw(0), Signal::SIGTSTP)?)
}

/// What [`detach`] has become.
pub enum Detached {
    /// The process that goes on in the background, with no terminal and as nobody's child.
    Background,
    /// The process that was started.
    Foreground,
}

/// Goes on in the background. Must be called while there is one thread only.
pub fn detach() -> io::Result<Detached> {
    // SAFETY: there is one thread, so that the child may do whatever the parent may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            // It ends at once, when it has started the other one.
            while waitpid(child, None) == Err(Errno::EINTR) {}
            return Ok(Detached::Foreground);
        }
        ForkResult::Child => {}
    }
    setsid()?;
    // SAFETY: as above.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => std::process::exit(0),
        ForkResult::Child => Ok(Detached::Background),
    }
}

/// Who goes on after [`copy`].
pub enum Side {
    /// The process that was there before.
    Original,
    /// Its copy.
    Copy,
}

/// Makes a copy of this process, a child, in a session of its own. Must be called while there is one thread only.
pub fn copy() -> io::Result<Side> {
    // SAFETY: there is one thread, so that the child may do whatever the parent may.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Original),
        ForkResult::Child => {
            // It fails for those who lead a group: a copy does not.
            let _ = setsid();
            Ok(Side::Copy)
        }
    }
}

/// The memory in which the kernel finds the words of this process's call, for those who look at it (`ps`).
#[derive(Clone, Copy, Debug)]
pub struct CallWords {
    start: usize,
    bytes: usize,
}

impl CallWords {
    /// Where they are; `None` where the system does not tell.
    pub fn find() -> Option<CallWords> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // `arg_start` and `arg_end` of proc(5), behind the name, which may hold anything.
        let mut fields = stat.get(stat.rfind(')')? + 2..)?.split_ascii_whitespace().skip(45);
        let (start, end): (usize, usize) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (start > 0 && end > start).then(|| CallWords { start, bytes: end - start })
    }

    /// Puts other words in their place, as far as there is room. Must be called while there is one thread only.
    pub fn replace(self, words: &[&OsStr]) {
        let mut text = words.join(OsStr::new("\0")).into_vec();
        text.truncate(self.bytes - 1);
        text.resize(self.bytes, 0);
        // SAFETY: the kernel has put the words there for us to use, as many bytes, the last of them a zero; nobody else reads them meanwhile.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), std::ptr::with_exposed_provenance_mut(self.start), self.bytes)
        };
    }
}

/// From now on what this process prints goes to the end of a file, and it reads nothing.
pub fn redirect_output(path: &Path) -> io::Result<()> {
    let log = File::options().append(true).create(true).mode(0o600).open(path)?;
    let null = File::open("/dev/null")?;
    dup2_stdin(null)?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    Ok(())
}

/// Executes another file in this process, which keeps these descriptors under their numbers. Comes back with the error only; then
/// all is as before.
pub fn become_other(executable: &Path, words: &[OsString], kept: &[BorrowedFd]) -> io::Error {
    let set = |flags: FdFlag| kept.iter().try_for_each(|fd| fcntl(fd, FcntlArg::F_SETFD(flags)).map(drop));
    if let Err(errno) = set(FdFlag::empty()) {
        return errno.into();
    }
    let error = Command::new(executable).args(words).exec();
    // Other programs shall not get them.
    let _ = set(FdFlag::FD_CLOEXEC);
    error
}

/// A descriptor that [`become_other`] has kept for us.
pub fn handed(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 || !Path::new("/proc/self/fd").join(number.to_string()).exists() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no descriptor {number}")));
    }
    // SAFETY: it is open, and nothing else in this process has been told of it: it came with the words of the call.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::received::tests::in_own_process;

    #[test]
    fn a_process_is_called_as_it_says() {
        in_own_process("sys::process::tests::a_process_is_called_as_it_says", || {
            let shown = || fs::read_to_string("/proc/self/cmdline").unwrap().trim_end_matches('\0').to_owned();
            let (place, room) = (CallWords::find().unwrap(), shown().len());
            place.replace(&["a".as_ref(), "b c".as_ref()]);
            assert_eq!(shown(), "a\0b c");
            // What is behind it is left alone.
            place.replace(&["x".repeat(2 * room).as_ref()]);
            assert_eq!(shown(), "x".repeat(room));
            assert!(std::env::var_os("RCLUSTERD_ALONE").is_some());
        });
    }
}
