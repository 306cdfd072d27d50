//! The message channel on Node's event loop.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, JsString, Result};
use napi_derive::napi;

use crate::channel::frame::Kind;
use crate::channel::inbox::Inbox;
use crate::channel::outbox::{Outbox, Payload, TooLong};
use crate::sys::js::{Callback, HeldBuffer, append_utf8, event_loop, negative_errno};
use crate::sys::uv::Poll;
use crate::sys::{descriptors, socket};

use super::exception;
use super::linger::Linger;

use self::again::Again;
use self::end::{End, Written, ready};

mod again;
mod end;

/// Buffers up to this size are copied into the queue; longer ones are written from where they are.
const COPY_LIMIT: usize = 32 * 1024;
/// Longer ones are left to the collection of garbage when they are written: their memory goes back to the system, which takes long,
/// and the next one gets other memory.
const FREE_LIMIT: usize = 32 << 20;

thread_local! {
    /// Those of this thread, for the end of the process.
    static OPEN: RefCell<Vec<Weak<End>>> = const { RefCell::new(Vec::new()) };
}

/// The environment goes away: what the kernel has not taken yet is written now. `HeldBuffer`s are still alive.
fn write_out() {
    for end in OPEN.take().iter().filter_map(Weak::upgrade) {
        let _ = end.write_blocking(end.patience);
    }
}

/// One end of a message channel.
///
/// `onEvent(kind, payload, fd)` gets everything that arrives: `kind` is a frame's kind (1–9) with its payload (a
/// string, or a Buffer for V8's format) and the descriptor that came with it (or -1), or one of the events above 15.
#[napi]
pub struct Channel {
    end: Rc<End>,
}

impl Channel {
    pub(super) fn open(
        env: &Env,
        fd: OwnedFd,
        on_event: &Function<'_, Unknown, Unknown>,
        mut inbox: Inbox,
        patience: Duration,
    ) -> Result<Channel> {
        let callback = Rc::new(Callback::new(env, "RCLUSTERCHANNEL", on_event)?);
        let scope = Rc::clone(&callback);
        inbox.read_into(Box::new(move |length| HeldBuffer::to_fill(&scope, length)));
        let linger = Linger::shared(event_loop(env)?).map_err(|e| exception(&e))?;
        let end = Rc::new(End {
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
            again: Again::default(),
            written: Written::default(),
        });
        let weak = Rc::downgrade(&end);
        let poll = Poll::new(event_loop(env)?, fd.as_fd(), Rc::new(move |events| ready(&weak, events)))
            .map_err(|e| exception(&e))?;
        end.poll.replace(Some(poll));
        end.fd.replace(Some(fd));
        OPEN.with_borrow_mut(|open| {
            if open.is_empty() {
                env.add_env_cleanup_hook((), |()| write_out())?;
            }
            open.retain(|other| other.strong_count() > 0);
            open.push(Rc::downgrade(&end));
            Result::Ok(())
        })?;
        Ok(Channel { end })
    }

    /// Queues a frame that Rust makes.
    pub(super) fn push(&self, kind: Kind, payload: Vec<u8>, fds: Vec<OwnedFd>) -> Result<()> {
        self.end.outbox.borrow_mut().push_vec(kind, payload, fds).map_err(|TooLong| too_long())
    }
}

#[napi]
impl Channel {
    /// Starts (or goes on) to read. What had been read before is delivered from the event loop, too.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        self.end.reading.set(true);
        self.end.watch();
    }

    /// Reads nothing until `resume`.
    #[napi(catch_unwind)]
    pub fn pause(&self) {
        self.end.reading.set(false);
        self.end.watch();
    }

    /// Nothing more comes or goes: the end is told when what is unread has been read, whoever has the other end.
    #[napi(catch_unwind)]
    pub fn shut_down(&self) {
        if let Some(fd) = self.end.fd.borrow().as_ref() {
            socket::shut_down(fd.as_fd());
        }
    }

    /// Reads nothing more. Returns whether more of what was read before is being delivered; `Delivered` comes when that is over.
    #[napi(catch_unwind)]
    pub fn end_reading(&self) -> bool {
        self.end.reading.set(false);
        let more = (self.end.delivering.get() || self.end.is_held()) && self.end.inbox.borrow().has_delivery();
        self.end.ending.set(more);
        self.end.watch();
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
        self.end
            .outbox
            .borrow_mut()
            .push_with(kind, fds, |out| append_utf8(&env, &text, length as usize, out).map_err(PushError::Text))?;
        Ok(0)
    }

    /// `pushText` without a descriptor and `flush`, in one call.
    #[napi(catch_unwind)]
    pub fn write_text(&self, env: Env, kind: u8, text: JsString, length: u32) -> Result<f64> {
        let kind = known(kind)?;
        self.end.outbox.borrow_mut().push_with(kind, Vec::new(), |out| {
            append_utf8(&env, &text, length as usize, out).map_err(PushError::Text)
        })?;
        Ok(self.flush())
    }

    /// Queues a frame of bytes. The Buffer is ours from then on: one that is not too long is freed when it is written. Otherwise as `pushText`.
    #[napi(catch_unwind)]
    pub fn push_bytes(&self, env: Env, kind: u8, bytes: Unknown, fd: i32) -> Result<i32> {
        let kind = known(kind)?;
        let fds = match duplicates(fd) {
            Ok(fds) => fds,
            Err(error) => return Ok(negative_errno(&error)),
        };
        let held = HeldBuffer::new(&env, &bytes)?;
        let mut outbox = self.end.outbox.borrow_mut();
        if held.as_slice().len() > COPY_LIMIT {
            let written = Rc::clone(&self.end.written);
            outbox.push_whole(kind, Box::new(Lent { held: Some(held), written }), fds).map_err(|TooLong| too_long())?;
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
        let result = self.end.write();
        if result.is_err() {
            self.end.outbox.replace(Outbox::default());
        }
        self.end.free_written();
        self.end.watch();
        result.map_or_else(|error| f64::from(negative_errno(&error)), |queued| queued as f64)
    }

    /// Whether nothing but another `flush`, after a while, will write what is queued.
    #[napi(getter, catch_unwind)]
    pub fn stalled(&self) -> bool {
        self.end.is_stalled()
    }

    /// Writes what is queued, waiting for at most `milliseconds`: for the end of the process. Returns as `flush`.
    #[napi(catch_unwind)]
    pub fn flush_blocking(&self, milliseconds: u32) -> f64 {
        let result = self.end.write_blocking(Duration::from_millis(u64::from(milliseconds)));
        result.map_or_else(|error| f64::from(negative_errno(&error)), |queued| queued as f64)
    }

    /// Bytes that are not written yet.
    #[napi(getter, catch_unwind)]
    pub fn queued(&self) -> f64 {
        self.end.outbox.borrow().queued() as f64
    }

    /// Bytes that were ever queued, frames' headers included.
    #[napi(getter, catch_unwind)]
    pub fn pushed(&self) -> f64 {
        self.end.outbox.borrow().pushed() as f64
    }

    /// The descriptor's number; -1 when closed.
    #[napi(getter, catch_unwind)]
    pub fn fd(&self) -> i32 {
        self.end.fd.borrow().as_ref().map_or(-1, std::os::fd::AsRawFd::as_raw_fd)
    }

    /// Whether an open channel keeps the process alive. It does not at first.
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        if let Some(poll) = self.end.poll.borrow().as_ref() {
            poll.set_ref(referenced);
        }
    }

    /// Closes at once; what is queued is dropped, and what was read and not delivered. Doing it again does nothing.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.end.close();
    }
}

/// A Buffer that is kept where the written ones are when nothing is to be written of it any more.
struct Lent {
    held: Option<HeldBuffer>,
    written: Written,
}

impl Payload for Lent {
    fn bytes(&self) -> &[u8] {
        self.held.as_ref().map_or(&[], HeldBuffer::as_slice)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let freed = self.held.take().filter(|held| held.as_slice().len() <= FREE_LIMIT);
        self.written.borrow_mut().extend(freed);
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

fn duplicates(fd: i32) -> io::Result<Vec<OwnedFd>> {
    if fd < 0 { Ok(Vec::new()) } else { descriptors::duplicate_number(fd).map(|fd| vec![fd]) }
}
