//! The message channel on Node's event loop.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, JsString, Result};
use napi_derive::napi;

use crate::channel::frame::Kind;
use crate::channel::inbox::{Delivery, Inbox, Read};
use crate::channel::outbox::{Outbox, TooLong};
use crate::sys::js::{Argument, Callback, HeldBuffer, append_utf8, event_loop, negative_errno};
use crate::sys::uv::{FAILED, Poll, READABLE, WRITABLE};
use crate::sys::{descriptors, libc, poll};

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
    /// Reading has stopped because descriptors ran out; `resume` goes on.
    OutOfDescriptors = 36,
}

/// Reads in one callback of the event loop, so that others have their turn.
const READS: usize = 16;
/// Buffers up to this size are copied into the queue; longer ones are written from where they are.
const COPY_LIMIT: usize = 32 * 1024;

struct Inner {
    fd: RefCell<Option<OwnedFd>>,
    poll: RefCell<Option<Poll>>,
    inbox: RefCell<Inbox>,
    outbox: RefCell<Outbox>,
    callback: Callback,
    reading: Cell<bool>,
    linger: Rc<Linger>,
}

/// One end of a message channel.
///
/// `onEvent(kind, payload, fd)` gets everything that arrives: `kind` is a frame's kind (1–8) with its payload (a
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
            linger,
        });
        let weak = Rc::downgrade(&inner);
        let poll = Poll::new(event_loop(env)?, fd.as_fd(), Rc::new(move |events| ready(&weak, events)))
            .map_err(|e| exception(&e))?;
        inner.poll.replace(Some(poll));
        inner.fd.replace(Some(fd));
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

    /// Writes what is queued, waiting for at most `milliseconds`: for the end of the process. Returns as `flush`.
    #[napi(catch_unwind)]
    pub fn flush_blocking(&self, milliseconds: u32) -> f64 {
        let deadline = Instant::now() + Duration::from_millis(u64::from(milliseconds));
        loop {
            match self.inner.write() {
                Ok(queued) if queued > 0 && Instant::now() < deadline => {}
                Ok(queued) => return queued as f64,
                Err(error) => return f64::from(negative_errno(&error)),
            }
            if let Some(fd) = self.inner.fd.borrow().as_ref() {
                poll::wait_writable(fd.as_fd(), deadline.saturating_duration_since(Instant::now()));
            }
        }
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

    /// Closes at once; what is queued is dropped. Doing it again does nothing.
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
    napi::Error::from_reason("the message is longer than 1 GiB")
}

fn known(kind: u8) -> Result<Kind> {
    Kind::from_number(kind).ok_or_else(|| napi::Error::from_reason("no such kind of frame"))
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
    fn write(&self) -> io::Result<usize> {
        self.linger.wrote();
        match self.fd.borrow().as_ref() {
            Some(fd) => self.outbox.borrow_mut().write(fd.as_fd()),
            None => Err(io::Error::from_raw_os_error(libc::EPIPE)),
        }
    }

    fn watch(&self) {
        if let Some(poll) = self.poll.borrow().as_ref() {
            let writing = if self.outbox.borrow().queued() > 0 { WRITABLE } else { 0 };
            let reading = if self.reading.get() { READABLE } else { 0 };
            // An error here would be a bug; nothing would arrive any more, which the other side sees in the end.
            let _ = poll.watch(reading | writing);
        }
    }

    fn write_more(&self) {
        match self.write() {
            Ok(queued) => {
                self.watch();
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
                Ok(Read::NoRoom) => return self.stop_reading(Event::OutOfDescriptors, Argument::Int(0)),
                Ok(Read::End) => return self.stop_reading(Event::End, Argument::Int(0)),
                Err(error) => return self.stop_reading(Event::End, Argument::Int(negative_errno(&error))),
            };
            if !self.deliver_all() || !all || !self.reading.get() {
                return;
            }
        }
    }

    /// Whether the channel is still to be read.
    fn deliver_all(&self) -> bool {
        loop {
            let next = self.inbox.borrow_mut().next_delivery();
            match next {
                Ok(Some(delivery)) => self.deliver(delivery),
                Ok(None) => return true,
                Err(malformed) => {
                    self.stop_reading(Event::Malformed, Argument::Text(malformed.0.into()));
                    return false;
                }
            }
            if self.fd.borrow().is_none() {
                return false;
            }
        }
    }

    fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::JsonArray(text) => self.tell(Event::JsonArray, Argument::Text(text)),
            Delivery::AdvancedRun(run) => self.tell(Event::AdvancedRun, Argument::Bytes(run)),
            Delivery::Frame(kind, payload, fds) => {
                let payload = if kind.is_text() { Argument::Text(payload) } else { Argument::Bytes(payload) };
                let fd = fds.into_iter().next().map_or(-1, std::os::fd::IntoRawFd::into_raw_fd);
                self.callback.call([Argument::Int(kind as i32), payload, Argument::Int(fd)]);
            }
        }
    }

    fn stop_reading(&self, event: Event, argument: Argument) {
        self.reading.set(false);
        self.watch();
        self.tell(event, argument);
    }

    fn tell(&self, event: Event, argument: Argument) {
        self.callback.call([Argument::Int(event as i32), argument, Argument::Int(-1)]);
    }

    fn close(&self) {
        self.reading.set(false);
        // The poll goes first: it must not watch a number that may be given out again.
        self.poll.replace(None);
        self.fd.replace(None);
        self.outbox.replace(Outbox::default());
    }
}
