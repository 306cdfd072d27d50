//! A process that has just sent or got messages looks out for more for a moment before it sleeps.
//!
//! Waking a process takes longer than a short message takes to be made, sent, read and answered: its processor has gone
//! idle, and on a virtual machine back to the host. Two processes that talk in short turns spend nearly all of the time on
//! that, and more processor time on it than on the messages. A process that is still looking needs no waking.
//!
//! Looking has to pay. Whenever nothing came, the next opportunities are let pass, twice as many each time, so that a process
//! whose messages are rare spends nothing on it. It ends as soon as anything at all is ready in the event loop, or any other
//! thread wants the processor, and is not begun when the loop has something to do.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::thread;

use crate::sys::clock;
use crate::sys::uv::{EventLoop, Hook};

/// ns to look out for: what it takes to wake the other side and get its answer.
const LIMIT: u64 = 100_000;
/// ns after which another thread has used the processor meanwhile: somebody has better things to do with it.
const INTERRUPTED: u64 = 10_000;
/// After so many misses in a row, two to this power opportunities are let pass, and no more.
const MOST_MISSES: u32 = 10;

/// Whether looking out has paid lately.
#[derive(Default)]
struct Record {
    misses: Cell<u32>,
    to_pass: Cell<u32>,
}

impl Record {
    fn hit(&self) {
        self.misses.set(0);
    }

    fn miss(&self) {
        let misses = (self.misses.get() + 1).min(MOST_MISSES);
        self.misses.set(misses);
        self.to_pass.set((1 << misses) - 1);
    }

    /// Takes an opportunity, or lets it pass.
    fn takes(&self) -> bool {
        let left = self.to_pass.get();
        self.to_pass.set(left.saturating_sub(1));
        left == 0
    }
}

/// What the channels of one event loop share.
pub struct Linger {
    node_loop: EventLoop,
    record: Record,
    /// Messages have come or gone in this turn of the loop.
    traffic: Cell<bool>,
    /// Looking out ended because something is ready. If that is a message, it has paid.
    undecided: Cell<bool>,
    hook: RefCell<Option<Hook>>,
}

thread_local! {
    static SHARED: RefCell<Weak<Linger>> = const { RefCell::new(Weak::new()) };
}

impl Linger {
    /// The one of this thread's event loop. It works as long as somebody holds it.
    pub fn shared(node_loop: EventLoop) -> io::Result<Rc<Linger>> {
        SHARED.with_borrow_mut(|shared| match shared.upgrade() {
            Some(linger) => Ok(linger),
            None => Linger::start(node_loop).inspect(|linger| *shared = Rc::downgrade(linger)),
        })
    }

    fn start(node_loop: EventLoop) -> io::Result<Rc<Linger>> {
        let linger = Rc::new(Linger {
            node_loop,
            record: Record::default(),
            traffic: Cell::new(false),
            undecided: Cell::new(false),
            hook: RefCell::new(None),
        });
        let weak = Rc::downgrade(&linger);
        let before_wait = move || {
            if let Some(linger) = weak.upgrade() {
                linger.before_wait();
            }
        };
        linger.hook.replace(Some(Hook::before_wait(node_loop, Rc::new(before_wait))?));
        Ok(linger)
    }

    /// Messages have gone.
    pub fn wrote(&self) {
        self.traffic.set(true);
    }

    /// Messages have come.
    pub fn read(&self) {
        self.traffic.set(true);
        if self.undecided.take() {
            self.record.hit();
        }
    }

    fn before_wait(&self) {
        if self.undecided.take() {
            self.record.miss();
        }
        if self.traffic.take() && !self.node_loop.is_busy() && self.record.takes() {
            self.look_out();
        }
    }

    fn look_out(&self) {
        let mut now = clock::monotonic_ns();
        let end = now + LIMIT;
        while !self.node_loop.has_events() {
            let before = now;
            thread::yield_now();
            now = clock::monotonic_ns();
            if now >= end || now - before > INTERRUPTED {
                return self.record.miss();
            }
        }
        self.undecided.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many opportunities are let pass before the next one is taken.
    fn passed(record: &Record) -> usize {
        std::iter::repeat_with(|| record.takes()).take_while(|taken| !taken).count()
    }

    #[test]
    fn what_pays_goes_on() {
        let record = Record::default();
        for _ in 0..5 {
            assert_eq!(passed(&record), 0);
            record.hit();
        }
    }

    #[test]
    fn what_does_not_pay_is_tried_less_and_less() {
        let record = Record::default();
        let mut taken = Vec::new();
        for opportunity in 0..100_000 {
            if record.takes() {
                taken.push(opportunity);
                record.miss();
            }
        }
        assert_eq!(taken[..6], [0, 2, 6, 14, 30, 62]);
        assert!(taken.len() < 110, "{} of 100000", taken.len());
    }

    #[test]
    fn one_that_pays_makes_up_for_all_that_did_not() {
        let record = Record::default();
        for _ in 0..20 {
            record.miss();
        }
        assert_eq!(passed(&record), (1 << MOST_MISSES) - 1);
        record.hit();
        record.miss();
        assert_eq!(passed(&record), 1);
    }
}
