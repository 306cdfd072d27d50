//! Time that never goes back.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the same in every process of this machine. Costs no system call.
pub fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
    });
    time + passed()
}

#[cfg(not(any(test, feature = "fuzzing")))]
#[inline(always)]
fn passed() -> u64 {
    0
}

#[cfg(any(test, feature = "fuzzing"))]
pub use advanced::advance;
#[cfg(any(test, feature = "fuzzing"))]
use advanced::passed;

/// Time that passes at once, on one thread.
#[cfg(any(test, feature = "fuzzing"))]
mod advanced {
    use std::cell::Cell;

    thread_local! {
        static PASSED: Cell<u64> = const { Cell::new(0) };
    }

    /// So many nanoseconds later.
    pub fn advance(ns: u64) {
        PASSED.set(PASSED.get() + ns);
    }

    pub fn passed() -> u64 {
        PASSED.get()
    }
}
