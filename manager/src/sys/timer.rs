//! A timer by the wall clock: it is told when that is set, and counts the time in which the machine slept.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Becomes readable at the time that it was set to, and when somebody sets the clock.
pub struct Timer {
    fd: TimerFd,
}

impl Timer {
    /// One that is not set.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Timer { fd: TimerFd::new(ClockId::CLOCK_REALTIME, flags)? })
    }

    /// Sets it to a time: seconds since 1970, and nanoseconds.
    pub fn set(&self, seconds: i64, nanoseconds: i64) -> io::Result<()> {
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        Ok(self.fd.set(Expiration::OneShot(TimeSpec::new(seconds, nanoseconds)), flags)?)
    }

    /// Takes what has made it readable: whoever looks at the clock then knows which of both it was.
    pub fn read(&self) {
        let _ = self.fd.wait();
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
