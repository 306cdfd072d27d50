//! Signals as something to read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that this process gets by reading them.
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks these signals and opens what they are read from. The processes that are started must have them unblocked again
    /// ([`super::spawn`] does).
    pub fn open(signals: &[Signal]) -> io::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in signals {
            set.add(*signal);
        }
        set.thread_block()?;
        Ok(Signals { fd: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }

    /// The next one that has come.
    pub fn next(&self) -> Option<Signal> {
        loop {
            match self.fd.read_signal() {
                Ok(Some(info)) => return Signal::try_from(info.ssi_signo as i32).ok(),
                Err(Errno::EINTR) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// A file that must not grow further is an error (EFBIG) where it is written, and not the end of this process.
pub fn survive_full_files() -> io::Result<()> {
    // SAFETY: nothing of ours is called when it comes.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    Ok(())
}

/// From now on this thread may set the terminal, also when that has been given to others: tcsetattr(3) is refused or stops a process in
/// the background, unless it blocks SIGTTOU.
pub fn own_terminal() -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTTOU);
    Ok(set.thread_block()?)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
