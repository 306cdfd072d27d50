//! A line to another process: packets of text, each with descriptors. Two primaries speak over it during an upgrade.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::sys::js::{Argument, Callback, event_loop};
use crate::sys::uv::{Poll, READABLE};
use crate::sys::{descriptors, libc, poll, scm, socket};

use super::{exception, number};

/// The longest text of a packet; longer ones are cut, and make no sense then.
const LONGEST: usize = 64 * 1024;

/// What has come over a line.
#[napi(object)]
pub struct Packet {
    /// What it says; nothing at the line's end.
    pub text: Option<String>,
    /// The descriptors that came along, close-on-exec; whoever receives them closes them.
    pub fds: Vec<i32>,
}

struct Inner {
    poll: RefCell<Option<Poll>>,
    fd: RefCell<Option<OwnedFd>>,
}

/// One end of a line.
#[napi]
pub struct PacketLine {
    inner: Rc<Inner>,
}

#[napi]
impl PacketLine {
    /// Takes an end of a pair; the descriptor that was given is closed. It stays with this process alone.
    #[napi(constructor, catch_unwind)]
    pub fn new(fd: i32) -> Result<PacketLine> {
        let copy = descriptors::duplicate_number(fd).map_err(|error| exception(&error))?;
        drop(descriptors::adopt_number(fd));
        Ok(PacketLine { inner: Rc::new(Inner { poll: RefCell::new(None), fd: RefCell::new(Some(copy)) }) })
    }

    /// Sends a packet with duplicates of these descriptors (at most 16). Returns 0 or a negative errno: EAGAIN when the other side has
    /// too much to read.
    #[napi(catch_unwind)]
    pub fn send(&self, text: String, fds: Option<Vec<i32>>) -> i32 {
        number(self.try_send(&text, &fds.unwrap_or_default()).map(|()| 0))
    }

    fn try_send(&self, text: &str, fds: &[i32]) -> io::Result<()> {
        let line = self.inner.fd.borrow();
        let line = line.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        scm::send(line.as_fd(), &[io::IoSlice::new(text.as_bytes())], fds).map(drop)
    }

    /// The next packet, or nothing when none waits. One without text is the end of the line.
    #[napi(catch_unwind)]
    pub fn receive(&self) -> Option<Packet> {
        let line = self.inner.fd.borrow();
        let (mut bytes, mut fds) = (vec![0; LONGEST], Vec::new());
        match scm::receive(line.as_ref()?.as_fd(), &mut bytes, &mut fds) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Ok(received) if received.bytes > 0 => {
                bytes.truncate(received.bytes);
                // Without all that belongs to it, it says nothing.
                let text = if received.truncated { String::new() } else { String::from_utf8_lossy(&bytes).into() };
                Some(Packet { text: Some(text), fds: fds.into_iter().map(IntoRawFd::into_raw_fd).collect() })
            }
            _ => Some(Packet { text: None, fds: Vec::new() }),
        }
    }

    /// Waits, in this call, until a packet has come, at most so many milliseconds. Only for a process that has nothing else to do.
    #[napi(catch_unwind)]
    pub fn wait(&self, time: u32) {
        if let Some(line) = self.inner.fd.borrow().as_ref() {
            poll::wait_readable(line.as_fd(), Duration::from_millis(time.into()));
        }
    }

    /// `onReadable()` is called when something waits, until all has been received.
    #[napi(catch_unwind)]
    pub fn listen(&self, env: &Env, on_readable: Function<'_, Unknown, Unknown>) -> Result<()> {
        let line = self.inner.fd.borrow();
        let Some(line) = line.as_ref() else { return Ok(()) };
        let callback = Callback::new(env, "RCLUSTERLINE", &on_readable)?;
        let failed = |error: io::Error| exception(&error);
        let ready = Rc::new(move |_| {
            callback.call([] as [Argument; 0]);
        });
        let poll = Poll::new(event_loop(env)?, line.as_fd(), ready).map_err(failed)?;
        poll.watch(READABLE).map_err(failed)?;
        self.inner.poll.replace(Some(poll));
        Ok(())
    }

    /// Doing it again does nothing.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(poll) = self.inner.poll.borrow().as_ref() {
            poll.close();
        }
        self.inner.fd.take();
    }
}

/// The two ends of a new message channel, close-on-exec. Nothing when there is no room for one.
#[napi(catch_unwind)]
pub fn stream_pair() -> Option<Vec<i32>> {
    let (here, there) = socket::stream_pair().ok()?;
    Some(vec![here.into_raw_fd(), there.into_raw_fd()])
}

/// A new pair of ends, close-on-exec. Nothing when there is no room for one.
#[napi(catch_unwind)]
pub fn packet_pair() -> Option<Vec<i32>> {
    let (here, there) = socket::packet_pair().ok()?;
    Some(vec![here.into_raw_fd(), there.into_raw_fd()])
}
