//! Connections of proxies: what they say first is read before any server has them.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, BufferSlice, Function, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::proxy_header::{self, Ends, Header, Parsed};
use crate::sys::js::{Argument, Callback, event_loop};
use crate::sys::poll::{self, Interest, Poller};
use crate::sys::uv::{Poll, READABLE};
use crate::sys::{descriptors, socket};
use crate::trusted::Trusted;

use super::exception;
use super::sockets::Address;

/// What [`ProxyGate::admit`] says, besides a header's length.
const NOTHING: i32 = 0;
const MORE: i32 = -1;
const ENDED: i32 = -2;

/// What a proxy has said.
#[napi(object)]
pub struct ProxyHeader {
    /// 1 or 2.
    pub version: u8,
    /// Whether it speaks for itself, as for a health check.
    pub local: bool,
    /// The client; nothing where it is not known.
    pub source: Option<Address>,
    /// What it has connected to.
    pub destination: Option<Address>,
    /// The types of the extensions.
    pub types: Vec<u8>,
    /// And their values.
    pub values: Vec<Buffer>,
}

/// Reads a header, as `admit` has found it; `null` when it is none, or has more behind it.
#[napi(catch_unwind)]
pub fn read_proxy_header(bytes: Buffer) -> Option<ProxyHeader> {
    let Parsed::Whole(header, length) = proxy_header::parse(&bytes) else { return None };
    if length != bytes.len() {
        return None;
    }
    let (types, values) =
        proxy_header::extensions(header.extensions).map(|(kind, value)| (kind, Buffer::from(value.to_vec()))).unzip();
    Some(ProxyHeader {
        version: header.version,
        local: header.local,
        source: header.ends.map(|ends| ends.source.into()),
        destination: header.ends.map(|ends| ends.destination.into()),
        types,
        values,
    })
}

/// The addresses alone, as one text: family, client, its port, what it has connected to, that port. Empty where they are not known. Nearly
/// every program asks for them, and making objects takes several times as long as all else.
#[napi(catch_unwind)]
pub fn read_proxy_ends(bytes: BufferSlice) -> String {
    let Parsed::Whole(Header { ends: Some(Ends { source, destination }), .. }, _) = proxy_header::parse(&bytes) else {
        return String::new();
    };
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    format!("{family} {} {} {} {}", source.ip(), source.port(), destination.ip(), destination.port())
}

/// The types and values of extensions, to the last byte; `null` when they are none.
#[napi(catch_unwind)]
pub fn read_proxy_extensions(bytes: Buffer) -> Option<ProxyExtensions> {
    let found: Vec<_> = proxy_header::extensions(&bytes).collect();
    let length: usize = found.iter().map(|(_, value)| proxy_header::EXTENSION + value.len()).sum();
    if length != bytes.len() {
        return None;
    }
    let (types, values) = found.into_iter().map(|(kind, value)| (kind, Buffer::from(value.to_vec()))).unzip();
    Some(ProxyExtensions { types, values })
}

/// What a header has besides addresses.
#[napi(object)]
pub struct ProxyExtensions {
    /// Their types.
    pub types: Vec<u8>,
    /// And their values.
    pub values: Vec<Buffer>,
}

struct Inner {
    trusted: Trusted,
    poller: Poller,
    poll: RefCell<Option<Poll>>,
    callback: Callback,
}

/// Reads the headers of connections that come from trusted senders.
///
/// `onMore(fd)` is called whenever more has come on a connection that is watched, or its end.
#[napi]
pub struct ProxyGate {
    inner: Rc<Inner>,
}

#[napi]
impl ProxyGate {
    /// Throws for a text in `trusted` that is neither an address nor a network nor `unix`, and when descriptors have run out.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, trusted: Vec<String>, on_more: Function<'_, Unknown, Unknown>) -> Result<ProxyGate> {
        let trusted = Trusted::parse(trusted.iter().map(String::as_str))
            .ok_or_else(|| napi::Error::from_reason("neither addresses nor networks nor unix"))?;
        let poller = Poller::new().map_err(|error| exception(&error))?;
        let callback = Callback::new(&env, "RCLUSTERPROXY", &on_more)?;
        let inner = Rc::new(Inner { trusted, poller, poll: RefCell::new(None), callback });
        let weak = Rc::downgrade(&inner);
        let poll = Poll::new(event_loop(&env)?, inner.poller.as_fd(), Rc::new(move |_| on_ready(&weak)))
            .map_err(|error| exception(&error))?;
        poll.watch(READABLE).map_err(|error| exception(&error))?;
        inner.poll.replace(Some(poll));
        Ok(ProxyGate { inner })
    }

    /// A connection from which nobody has read yet. Takes its header, and not a byte more, into `room`, which has 4096 bytes, and
    /// returns how long it is: 0 where none is to be read, as its sender is not trusted; -1 when it is not whole yet, and nothing was
    /// taken; -2 when there is none, or what is there makes no sense, or its peer has gone.
    #[napi(catch_unwind)]
    pub fn admit(&self, fd: i32, mut room: BufferSlice) -> i32 {
        descriptors::look_at(fd, |fd| Ok(self.inner.admit(fd, &mut room))).unwrap_or(ENDED)
    }

    /// The same of one that has said -1: whom it is from is known.
    #[napi(catch_unwind)]
    pub fn look_again(&self, fd: i32, mut room: BufferSlice) -> i32 {
        descriptors::look_at(fd, |fd| Ok(take_header(fd, &mut room))).unwrap_or(ENDED)
    }

    /// It is told once when something comes; then it may be forgotten as it is, as most headers come in one piece. Returns whether that can be.
    #[napi(catch_unwind)]
    pub fn watch(&self, fd: i32) -> bool {
        let Ok(token) = u64::try_from(fd) else { return false };
        descriptors::look_at(fd, |fd| self.inner.poller.add(fd, token, Interest::Once)).is_ok()
    }

    /// The same of one that was told: now, and each time that more comes.
    #[napi(catch_unwind)]
    pub fn watch_on(&self, fd: i32) -> bool {
        let Ok(token) = u64::try_from(fd) else { return false };
        descriptors::look_at(fd, |fd| self.inner.poller.set_interest(fd, token, Interest::More)).is_ok()
    }

    /// No longer. To be called before one of which nothing was told yet, or more would be, is closed or given to somebody else.
    #[napi(catch_unwind)]
    pub fn forget(&self, fd: i32) {
        let _ = descriptors::look_at(fd, |fd| self.inner.poller.remove(fd));
    }
}

impl Inner {
    fn admit(&self, fd: BorrowedFd, room: &mut [u8]) -> i32 {
        match socket::peer(fd) {
            None => ENDED,
            Some(peer) if !self.trusted.includes(peer) => NOTHING,
            Some(_) => take_header(fd, room),
        }
    }
}

fn take_header(fd: BorrowedFd, room: &mut [u8]) -> i32 {
    let count = match socket::peek(fd, room) {
        Ok(0) => return ENDED,
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return MORE,
        Err(_) => return ENDED,
    };
    let length = match proxy_header::parse(&room[..count]) {
        Parsed::Whole(_, length) => length,
        // Nothing more comes that would make it whole.
        Parsed::Part if count == room.len() || poll::has_ended(fd) => return ENDED,
        Parsed::Part => return MORE,
        Parsed::Malformed => return ENDED,
    };
    // It is there, as it was seen.
    match socket::receive(fd, &mut room[..length]) {
        Ok(taken) if taken == length => i32::try_from(length).unwrap_or(ENDED),
        _ => ENDED,
    }
}

fn on_ready(weak: &Weak<Inner>) {
    let Some(inner) = weak.upgrade() else { return };
    let mut tokens = Vec::new();
    // What does not fit is told at the next turn.
    if inner.poller.wait(Some(Duration::ZERO), &mut tokens).is_ok() {
        let fds = tokens.into_iter().filter_map(|token| i32::try_from(token).ok());
        inner.callback.call_each(fds.map(|fd| [Argument::Int(fd)]));
    }
}
