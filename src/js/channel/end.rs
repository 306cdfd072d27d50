//! One end of a message channel as the event loop sees it: what is read and written when the descriptor allows it.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::again::Again;
use crate::channel::frame::{Kind, Malformed};
use crate::channel::inbox::{Delivery, Inbox, Read};
use crate::channel::outbox::Outbox;
use crate::js::linger::Linger;
use crate::sys::js::{Argument, Callback, HeldBuffer, negative_errno};
use crate::sys::uv::{FAILED, Poll, READABLE, WRITABLE};
use crate::sys::{clock, descriptors, foreign, libc, poll, scm, socket};

/// What a channel tells JavaScript besides frames, which are told by the number of their kind.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Event {
    /// A JSON array of user messages.
    JsonArray = 16,
    /// User messages in V8's format, each behind its length.
    AdvancedRun = 17,
    /// So many bytes are still queued.
    Progress = 32,
    /// The other side has closed (0), or reading failed (negative errno).
    End = 33,
    /// The other side has broken the format; the text says how.
    Malformed = 34,
    /// Writing failed (negative errno).
    WriteFailed = 35,
    /// Reading has stopped because descriptors, or memory of the kernel's, ran out; `resume` goes on after a while.
    Pause = 36,
    /// All that had been read before `endReading` is delivered.
    Delivered = 37,
}

/// Reads in one callback of the event loop, so that others have their turn.
const READS: usize = 16;
/// And no other one after so many ns of delivering what came: many short messages take long.
const LONGEST_READING: u64 = 10_000_000;
/// Between two tries at the end of the process.
const PAUSE: Duration = Duration::from_millis(10);
/// So often a system call that fails for another reason than that the other side has gone is tried again, after pauses,
/// before the channel is given up.
const TRIES: u32 = 20;

/// What of it the event loop holds.
pub(super) struct End {
    pub(super) fd: RefCell<Option<OwnedFd>>,
    pub(super) poll: RefCell<Option<Poll>>,
    pub(super) inbox: RefCell<Inbox>,
    pub(super) outbox: RefCell<Outbox>,
    pub(super) callback: Rc<Callback>,
    pub(super) reading: Cell<bool>,
    /// What was read is being delivered.
    pub(super) delivering: Cell<bool>,
    /// `Delivered` is to be told when that is over.
    pub(super) ending: Cell<bool>,
    /// Writing has failed for a reason that may pass; so often in a row.
    pub(super) write_failures: Cell<u32>,
    /// The same for reading.
    pub(super) read_failures: Cell<u32>,
    /// How long the end of the process may wait for the other side to read.
    pub(super) patience: Duration,
    pub(super) linger: Rc<Linger>,
    pub(super) again: Again,
    pub(super) written: Written,
}

/// Buffers that are written, and can be freed where that is possible: within calls from or into JavaScript.
pub(super) type Written = Rc<RefCell<Vec<HeldBuffer>>>;

/// Whether a system call that failed so may succeed later: nearly all of them, as memory comes back and rules change.
fn may_pass(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EPIPE | libc::ECONNRESET | libc::EBADF | libc::ENOTCONN | libc::ENOTSOCK)
    )
}

/// The descriptor may be read, or written, or is in error.
pub(super) fn ready(weak: &Weak<End>, events: i32) {
    let Some(inner) = weak.upgrade() else { return };
    if events & WRITABLE != 0 && inner.outbox.borrow().queued() > 0 {
        inner.write_more();
    }
    if inner.is_held() {
        inner.go_on();
    } else if events & READABLE != 0 && inner.reading.get() {
        inner.read();
    }
    if events & FAILED != 0 {
        inner.watch();
    }
}

impl End {
    /// Bytes that are still queued. A failure that may pass is none yet: then it is to be tried again.
    pub(super) fn write(&self) -> io::Result<usize> {
        self.linger.wrote();
        let result = match self.fd.borrow().as_ref() {
            Some(fd) => self.outbox.borrow_mut().write(fd.as_fd()),
            None => Err(io::Error::from_raw_os_error(libc::EPIPE)),
        };
        match result {
            Err(error) if may_pass(&error) && self.write_failures.get() < TRIES => {
                self.write_failures.set(self.write_failures.get() + 1);
                Ok(self.outbox.borrow().queued())
            }
            other => {
                self.write_failures.set(0);
                other
            }
        }
    }

    /// Whether more has been read than is delivered in one turn.
    pub(super) fn is_held(&self) -> bool {
        self.inbox.borrow().is_held()
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.write_failures.get() > 0
    }

    /// The same, waiting for at most `time`.
    pub(super) fn write_blocking(&self, time: Duration) -> io::Result<usize> {
        let deadline = Instant::now() + time;
        loop {
            let queued = self.write()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.fd.borrow().as_ref() {
                Some(_) if self.is_stalled() && queued > 0 && !left.is_zero() => thread::sleep(PAUSE.min(left)),
                Some(fd) if queued > 0 && !left.is_zero() => poll::wait_writable(fd.as_fd(), left),
                _ => return Ok(queued),
            }
        }
    }

    pub(super) fn watch(&self) {
        let failed = self.poll.borrow().as_ref().is_some_and(|poll| {
            let is_to_write = self.outbox.borrow().queued() > 0 && !self.is_stalled();
            // What is held is delivered in the next turn: a socket can nearly always be written to, and it is read again soon where it cannot.
            let is_to_go_on = self.is_held() && (self.reading.get() || self.ending.get());
            let writing = if is_to_write || is_to_go_on { WRITABLE } else { 0 };
            let reading = if self.reading.get() { READABLE } else { 0 };
            poll.watch(reading | writing).is_err()
        });
        if failed && let Some(fd) = self.fd.borrow().as_ref() {
            // Nothing would be seen of this end any more: the other one is to know. What it sends after that fails.
            socket::shut_down(fd.as_fd());
        }
    }

    /// Frees the Buffers that are written.
    pub(super) fn free_written(&self) {
        self.written.take().into_iter().for_each(HeldBuffer::free);
    }

    fn write_more(&self) {
        let result = self.write();
        if !self.written.borrow().is_empty() {
            self.callback.in_scope(|_| self.free_written());
        }
        match result {
            Ok(queued) => {
                self.watch();
                // As far as a number goes: `queued` knows better.
                self.tell(Event::Progress, Argument::Int(i32::try_from(queued).unwrap_or(i32::MAX)));
            }
            Err(error) => {
                self.outbox.replace(Outbox::default());
                self.watch();
                self.tell(Event::WriteFailed, Argument::Int(negative_errno(&error)));
            }
        }
    }

    fn read(&self) {
        let begin = clock::monotonic_ns();
        self.inbox.borrow_mut().begin_turn();
        let mut is_try = false;
        for _ in 0..READS {
            let read = match self.fd.borrow().as_ref() {
                Some(fd) => self.inbox.borrow_mut().read(fd.as_fd()),
                None => return,
            };
            if is_try {
                self.again.found(matches!(read, Ok(Read::Bytes { .. })));
            }
            let all = match read {
                Ok(Read::Bytes { all }) => {
                    self.linger.read();
                    all
                }
                Ok(Read::Nothing) => return,
                Ok(Read::NoRoom) => return self.stop_reading(Event::Pause, Argument::Int(0)),
                Ok(Read::End) => return self.stop_reading(Event::End, Argument::Int(0)),
                Err(error) if may_pass(&error) && self.read_failures.get() < TRIES => {
                    self.read_failures.set(self.read_failures.get() + 1);
                    return self.stop_reading(Event::Pause, Argument::Int(0));
                }
                Err(error) => {
                    let why = format!("it could not be read ({error})");
                    return self.stop_reading(Event::Malformed, Argument::Text(why.into_bytes()));
                }
            };
            self.read_failures.set(0);
            // A part of a frame is followed when the loop comes round: a few long reads are better than many short ones.
            let has_delivery = self.inbox.borrow().has_delivery();
            let goes_on = self.deliver_all() && (all || has_delivery && self.again.pays());
            if !goes_on || clock::monotonic_ns() - begin > LONGEST_READING {
                return;
            }
            is_try = !all;
        }
    }

    /// Delivers what has been read, unless the channel is closed meanwhile. Whether it is still to be read.
    fn deliver_all(&self) -> bool {
        self.delivering.set(true);
        let result = self.deliver_each();
        self.delivering.set(false);
        if self.is_held() {
            self.watch();
            return false;
        }
        if self.ending.take() {
            self.tell(Event::Delivered, Argument::Int(0));
        } else if let Err(malformed) = result {
            self.stop_reading(Event::Malformed, Argument::Text(malformed.0.into()));
        }
        self.reading.get()
    }

    /// Delivers what the turn before has left, unless nobody wants it now.
    fn go_on(&self) {
        if self.reading.get() || self.ending.get() {
            self.inbox.borrow_mut().begin_turn();
            self.deliver_all();
            self.watch();
        }
    }

    fn deliver_each(&self) -> std::result::Result<(), Malformed> {
        while self.fd.borrow().is_some() {
            let next = self.inbox.borrow_mut().next_delivery()?;
            let Some(delivery) = next else { break };
            if !self.deliver(delivery) {
                return Err(Malformed("a message came that does not fit into this process"));
            }
        }
        Ok(())
    }

    fn deliver(&self, delivery: Delivery) -> bool {
        match delivery {
            Delivery::JsonArray(text) => self.tell(Event::JsonArray, Argument::Text(text)),
            Delivery::AdvancedRun(run) => self.tell(Event::AdvancedRun, Argument::Bytes(run)),
            Delivery::Buffer(buffer) => {
                let kind = Argument::Int(Kind::Advanced as i32);
                self.callback.call([kind, Argument::Buffer(buffer), Argument::Int(-1)])
            }
            Delivery::Frame(kind, payload, fds) => {
                let payload = if kind.is_text() { Argument::Text(payload) } else { Argument::Bytes(payload) };
                let fd = fds.into_iter().next().map_or(-1, std::os::fd::IntoRawFd::into_raw_fd);
                let called = self.callback.call([Argument::Int(kind as i32), payload, Argument::Int(fd)]);
                if !called {
                    // It has not changed hands.
                    drop(descriptors::adopt_number(fd));
                }
                called
            }
        }
    }

    fn stop_reading(&self, event: Event, argument: Argument) {
        self.reading.set(false);
        self.watch();
        self.tell(event, argument);
    }

    /// Whether that was possible.
    fn tell(&self, event: Event, argument: Argument) -> bool {
        self.callback.call([Argument::Int(event as i32), argument, Argument::Int(-1)])
    }

    pub(super) fn close(&self) {
        self.reading.set(false);
        // The poll goes first: it must not watch a number that may be given out again.
        self.poll.replace(None);
        if let Some(fd) = self.fd.replace(None) {
            close_quickly(fd);
        }
        self.outbox.replace(Outbox::default());
        self.inbox.replace(Inbox::default());
    }
}

/// With a socket whatever is unread in it is closed as well, and among that may be what somebody has made slow to close.
fn close_quickly(fd: OwnedFd) {
    // Nothing more comes.
    socket::shut_down(fd.as_fd());
    if scm::peek(fd.as_fd(), &mut [0; 1]).is_ok_and(|unread| unread.bytes > 0) {
        foreign::close(fd);
    }
}
