//! System calls that fail because a test wants them to.
//!
//! Each call of the acceptor, the queues and the boards asks here first. In the add-on itself there is nothing to ask.

#[cfg(any(test, feature = "fuzzing"))]
pub use injected::{inject, none, turns};

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use injected::may_fail;

/// Whether the call may go to the kernel.
#[cfg(not(any(test, feature = "fuzzing")))]
#[inline(always)]
pub(super) fn may_fail(_: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(any(test, feature = "fuzzing"))]
mod injected {
    use std::cell::{Cell, RefCell};
    use std::io;

    /// Calls of this name fail on this thread, from the `first` one on, so often.
    struct Plan {
        call: &'static str,
        errno: i32,
        first: usize,
        times: usize,
    }

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
        static TURNS: Cell<usize> = const { Cell::new(0) };
    }

    /// From now on the calls of this name on this thread fail with `errno`: so often, after `first` that do not.
    pub fn inject(call: &'static str, errno: i32, first: usize, times: usize) {
        PLAN.set(Some(Plan { call, errno, first, times }));
    }

    /// No call fails any more. Returns whether all have failed that were to.
    pub fn none() -> bool {
        PLAN.take().is_none_or(|plan| plan.times == 0)
    }

    /// How many system calls this thread has made, to see whether it spins.
    pub fn turns() -> usize {
        TURNS.get()
    }

    pub fn may_fail(call: &'static str) -> io::Result<()> {
        TURNS.set(TURNS.get() + 1);
        PLAN.with_borrow_mut(|plan| match plan {
            Some(plan) if plan.call == call && plan.first > 0 => {
                plan.first -= 1;
                Ok(())
            }
            Some(plan) if plan.call == call && plan.times > 0 => {
                plan.times -= 1;
                Err(io::Error::from_raw_os_error(plan.errno))
            }
            _ => Ok(()),
        })
    }
}
