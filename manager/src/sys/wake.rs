//! Waking one thread from another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Something to wait for in a [`super::poll::Poller`] that any thread can set off.
pub struct Wake {
    fd: EventFd,
}

impl Wake {
    /// Not set off.
    pub fn new() -> io::Result<Wake> {
        Ok(Wake { fd: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)? })
    }

    /// Sets it off. Doing so several times is as good as once.
    pub fn wake(&self) {
        // It only fails when it has been set off too often to be counted.
        let _ = self.fd.write(1);
    }

    /// Takes back that it was set off.
    pub fn clear(&self) {
        // It only fails when it was not.
        let _ = self.fd.read();
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
