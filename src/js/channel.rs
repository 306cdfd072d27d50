//! The message channel on Node's event loop.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, JsString, Result};
use napi_derive::napi;

use crate::channel::frame::Kind;
use crate::channel::inbox::{Delivery, Inbox, Malformed, Read};
use crate::channel::outbox::{Outbox, TooLong};
use crate::sys::js::{Argument, Callback, HeldBuffer, append_utf8, event_loop, negative_errno};
use crate::sys::uv::{FAILED, Poll, READABLE, WRITABLE};
use crate::sys::{descriptors, foreign, libc, poll, scm, socket};

use super::exception;
use super::linger::Linger;

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
/// Buffers up to this size are copied into the queue; longer ones are written from where they are.
const COPY_LIMIT: usize = 32 * 1024;

/// Between two tries at the end of the process.
const PAUSE: Duration = Duration::from_millis(10);
/// So often a system call that fails for another reason than that the other side has gone is tried again, after pauses,
/// before the channel is given up.
const TRIES: u32 = 20;

struct Inner {
    fd: RefCell<Option<OwnedFd>>,
    poll: RefCell<Option<Poll>>,
    inbox: RefCell<Inbox>,
    outbox: RefCell<Outbox>,
    callback: Callback,
    reading: Cell<bool>,
    /// What was read is being delivered.
    delivering: Cell<bool>,
    /// `Delivered` is to be told when that is over.
    ending: Cell<bool>,
    /// Writing has failed for a reason that may pass; so often in a row.
    write_failures: Cell<u32>,
    /// The same for reading.
    read_failures: Cell<u32>,
    /// How long the end of the process may wait for the other side to read.
    patience: Duration,
    linger: Rc<Linger>,
}

thread_local! {
    /// Those of this thread, for the end of the process.
    static OPEN: RefCell<Vec<Weak<Inner>>> = const { RefCell::new(Vec::new()) };
}

/// The environment goes away: what the kernel has not taken yet is written now. `HeldBuffer`s are still alive.
fn write_out() {
    for inner in OPEN.take().iter().filter_map(Weak::upgrade) {
        let _ = inner.write_blocking(inner.patience);
    }
}

/// One end of a message channel.
///
/// `onEvent(kind, payload, fd)` gets everything that arrives: `kind` is a frame's kind (1–9) with its payload (a
/// string, or a Buffer for V8's format) and the descriptor that came with it (or -1), or one of the events above 15.
#[napi]
pub struct Channel {
    inner: Rc<Inner>,
}

impl Channel {
    pub(super) fn open(
        env: &Env,
        fd: OwnedFd,
        on_event: &Function<'_, Unknown, Unknown>,
        inbox: Inbox,
        patience: Duration,
    ) -> Result<Channel> {
        let callback = Callback::new(env, "RCLUSTERCHANNEL", on_event)?;
        let linger = Linger::shared(event_loop(env)?).map_err(|e| exception(&e))?;
        let inner = Rc::new(Inner {
            fd: RefCell::new(None),
            poll: RefCell::new(None),
            inbox: RefCell::new(inbox),
            outbox: RefCell::new(Outbox::default()),
            callback,
            reading: Cell::new(false),
            delivering: Cell::new(false),
            ending: Cell::new(false),
            write_failures: Cell::new(0),
            read_failures: Cell::new(0),
            patience,
            linger,
        });
        let weak = Rc::downgrade(&inner);
        let poll = Poll::new(event_loop(env)?, fd.as_fd(), Rc::new(move |events| ready(&weak, events)))
            .map_err(|e| exception(&e))?;
        inner.poll.replace(Some(poll));
        inner.fd.replace(Some(fd));
        OPEN.with_borrow_mut(|open| {
            if open.is_empty() {
                env.add_env_cleanup_hook((), |()| write_out())?;
            }
            open.retain(|other| other.strong_count() > 0);
            open.push(Rc::downgrade(&inner));
            Result::Ok(())
        })?;
        Ok(Channel { inner })
    }

    /// Queues a frame that Rust makes.
    pub(super) fn push(&self, kind: Kind, payload: Vec<u8>, fds: Vec<OwnedFd>) -> Result<()> {
        self.inner.outbox.borrow_mut().push_vec(kind, payload, fds).map_err(|TooLong| too_long())
    }
}

#[napi]
impl Channel {
    /// Starts (or goes on) to read. What had been read before is delivered from the event loop, too.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        self.inner.reading.set(true);
        self.inner.watch();
    }

    /// Reads nothing until `resume`.
    #[napi(catch_unwind)]
    pub fn pause(&self) {
        self.inner.reading.set(false);
        self.inner.watch();
    }

    /// Nothing more comes or goes: the end is told when what is unread has been read, whoever has the other end.
    #[napi(catch_unwind)]
    pub fn shut_down(&self) {
        if let Some(fd) = self.inner.fd.borrow().as_ref() {
            socket::shut_down(fd.as_fd());
        }
    }

    /// Reads nothing more. Returns whether more of what was read before is being delivered; `Delivered` comes when that is over.
    #[napi(catch_unwind)]
    pub fn end_reading(&self) -> bool {
        self.inner.reading.set(false);
        self.inner.watch();
        let more = self.inner.delivering.get() && self.inner.inbox.borrow().has_delivery();
        self.inner.ending.set(more);
        more
    }

    /// Queues a frame of text. `length` is the text's length in UTF-16 units. `fd` (or -1) is duplicated.
    /// Returns 0 or a negative errno.
    #[napi(catch_unwind)]
    pub fn push_text(&self, env: Env, kind: u8, text: JsString, length: u32, fd: i32) -> Result<i32> {
        let kind = known(kind)?;
        let fds = match duplicates(fd) {
            Ok(fds) => fds,
            Err(error) => return Ok(negative_errno(&error)),
        };
        self.inner
            .outbox
            .borrow_mut()
            .push_with(kind, fds, |out| append_utf8(&env, &text, length as usize, out).map_err(PushError::Text))?;
        Ok(0)
    }

    /// `pushText` without a descriptor and `flush`, in one call.
    #[napi(catch_unwind)]
    pub fn write_text(&self, env: Env, kind: u8, text: JsString, length: u32) -> Result<f64> {
        let kind = known(kind)?;
        self.inner.outbox.borrow_mut().push_with(kind, Vec::new(), |out| {
            append_utf8(&env, &text, length as usize, out).map_err(PushError::Text)
        })?;
        Ok(self.flush())
    }

    /// Queues a frame of bytes; the Buffer must not change until it is written. Otherwise as `pushText`.
    #[napi(catch_unwind)]
    pub fn push_bytes(&self, env: Env, kind: u8, bytes: Unknown, fd: i32) -> Result<i32> {
        let kind = known(kind)?;
        let fds = match duplicates(fd) {
            Ok(fds) => fds,
            Err(error) => return Ok(negative_errno(&error)),
        };
        let held = HeldBuffer::new(&env, &bytes)?;
        let mut outbox = self.inner.outbox.borrow_mut();
        if held.as_slice().len() > COPY_LIMIT {
            outbox.push_whole(kind, Box::new(held), fds).map_err(|TooLong| too_long())?;
        } else {
            outbox.push_with(kind, fds, |out| -> std::result::Result<(), PushError> {
                out.extend_from_slice(held.as_slice());
                Ok(())
            })?;
        }
        Ok(0)
    }

    /// Writes as much as the kernel takes now; the rest follows by itself, with `Progress` events. Returns the bytes
    /// that are still queued, or a negative errno, after which nothing is.
    #[napi(catch_unwind)]
    pub fn flush(&self) -> f64 {
        let result = self.inner.write();
        if result.is_err() {
            self.inner.outbox.replace(Outbox::default());
        }
        self.inner.watch();
        result.map_or_else(|error| f64::from(negative_errno(&error)), |queued| queued as f64)
    }

    /// Whether nothing but another `flush`, after a while, will write what is queued.
    #[napi(getter, catch_unwind)]
    pub fn stalled(&self) -> bool {
        self.inner.is_stalled()
    }

    /// Writes what is queued, waiting for at most `milliseconds`: for the end of the process. Returns as `flush`.
    #[napi(catch_unwind)]
    pub fn flush_blocking(&self, milliseconds: u32) -> f64 {
        let result = self.inner.write_blocking(Duration::from_millis(u64::from(milliseconds)));
        result.map_or_else(|error| f64::from(negative_errno(&error)), |queued| queued as f64)
    }

    /// Bytes that are not written yet.
    #[napi(getter, catch_unwind)]
    pub fn queued(&self) -> f64 {
        self.inner.outbox.borrow().queued() as f64
    }

    /// Bytes that were ever queued, frames' headers included.
    #[napi(getter, catch_unwind)]
    pub fn pushed(&self) -> f64 {
        self.inner.outbox.borrow().pushed() as f64
    }

    /// The descriptor's number; -1 when closed.
    #[napi(getter, catch_unwind)]
    pub fn fd(&self) -> i32 {
        self.inner.fd.borrow().as_ref().map_or(-1, std::os::fd::AsRawFd::as_raw_fd)
    }

    /// Whether an open channel keeps the process alive. It does not at first.
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        if let Some(poll) = self.inner.poll.borrow().as_ref() {
            poll.set_ref(referenced);
        }
    }

    /// Closes at once; what is queued is dropped, and what was read and not delivered. Doing it again does nothing.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }
}

enum PushError {
    TooLong,
    Text(napi::Error),
}

impl From<TooLong> for PushError {
    fn from(_: TooLong) -> Self {
        PushError::TooLong
    }
}

impl From<PushError> for napi::Error {
    fn from(error: PushError) -> Self {
        match error {
            PushError::TooLong => too_long(),
            PushError::Text(error) => error,
        }
    }
}

fn too_long() -> napi::Error {
    napi::Error::from_reason("the message is too long for the channel")
}

fn known(kind: u8) -> Result<Kind> {
    Kind::from_number(kind).ok_or_else(|| napi::Error::from_reason("no such kind of frame"))
}

/// Whether a system call that failed so may succeed later: nearly all of them, as memory comes back and rules change.
fn may_pass(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EPIPE | libc::ECONNRESET | libc::EBADF | libc::ENOTCONN | libc::ENOTSOCK)
    )
}

fn duplicates(fd: i32) -> io::Result<Vec<OwnedFd>> {
    if fd < 0 { Ok(Vec::new()) } else { descriptors::duplicate_number(fd).map(|fd| vec![fd]) }
}

fn ready(weak: &Weak<Inner>, events: i32) {
    let Some(inner) = weak.upgrade() else { return };
    if events & WRITABLE != 0 && inner.outbox.borrow().queued() > 0 {
        inner.write_more();
    }
    if events & READABLE != 0 && inner.reading.get() {
        inner.read();
    }
    if events & FAILED != 0 {
        inner.watch();
    }
}

impl Inner {
    /// Bytes that are still queued. A failure that may pass is none yet: then it is to be tried again.
    fn write(&self) -> io::Result<usize> {
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

    fn is_stalled(&self) -> bool {
        self.write_failures.get() > 0
    }

    /// The same, waiting for at most `time`.
    fn write_blocking(&self, time: Duration) -> io::Result<usize> {
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

    fn watch(&self) {
        let failed = self.poll.borrow().as_ref().is_some_and(|poll| {
            let writing = if self.outbox.borrow().queued() > 0 && !self.is_stalled() { WRITABLE } else { 0 };
            let reading = if self.reading.get() { READABLE } else { 0 };
            poll.watch(reading | writing).is_err()
        });
        if failed && let Some(fd) = self.fd.borrow().as_ref() {
            // Nothing would be seen of this end any more: the other one is to know. What it sends after that fails.
            socket::shut_down(fd.as_fd());
        }
    }

    fn write_more(&self) {
        match self.write() {
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
        for _ in 0..READS {
            let read = match self.fd.borrow().as_ref() {
                Some(fd) => self.inbox.borrow_mut().read(fd.as_fd()),
                None => return,
            };
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
            if !self.deliver_all() || !all || !self.reading.get() {
                return;
            }
        }
    }

    /// Delivers what has been read, unless the channel is closed meanwhile. Whether it is still to be read.
    fn deliver_all(&self) -> bool {
        self.delivering.set(true);
        let result = self.deliver_each();
        self.delivering.set(false);
        if self.ending.take() {
            self.tell(Event::Delivered, Argument::Int(0));
        } else if let Err(malformed) = result {
            self.stop_reading(Event::Malformed, Argument::Text(malformed.0.into()));
        }
        self.reading.get()
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

    fn close(&self) {
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
