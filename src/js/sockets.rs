//! Sockets that JavaScript hands over or asks for, by number.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

use napi_derive::napi;

use crate::sys::js::negative_errno;
use crate::sys::listen::{self, Bind};
use crate::sys::socket::{self, Kind};
use crate::sys::{descriptors, foreign, libc};

use super::number;

/// What to bind: a port, or what `fd` is bound to.
#[napi(object)]
pub struct Binding {
    /// A descriptor of this process that is a socket already.
    pub fd: Option<i32>,
    /// A port, 0 for any that is free.
    pub port: Option<u16>,
    /// A numeric address of IPv4 or IPv6 (with its scope, if any).
    pub address: Option<String>,
    /// UDP instead of TCP.
    pub udp: Option<bool>,
    /// An IPv6 socket takes no IPv4 traffic.
    pub ipv6_only: Option<bool>,
    /// A UDP address may be bound again.
    pub reuse_address: Option<bool>,
    /// Several sockets may be bound to the address, and the kernel distributes.
    pub reuse_port: Option<bool>,
    /// The length of the kernel's queue; 0 or less for Node's default.
    pub backlog: Option<i32>,
    /// Whether connections are accepted once something has come on them, or a second later; as it is, where nothing is said.
    pub defer_accept: Option<bool>,
}

impl Binding {
    pub(super) fn bind(&self) -> io::Result<OwnedFd> {
        let fd = self.bind_as_it_is()?;
        if let Some(deferred) = self.defer_accept {
            listen::defer_accept(fd.as_fd(), deferred);
        }
        Ok(fd)
    }

    fn bind_as_it_is(&self) -> io::Result<OwnedFd> {
        if let Some(fd) = self.fd {
            return listen::existing(fd);
        }
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let address =
            parse_address(self.address.as_deref().unwrap_or("::"), self.port.unwrap_or(0)).ok_or_else(invalid)?;
        let how = Bind {
            udp: self.udp == Some(true),
            ipv6_only: self.ipv6_only == Some(true),
            reuse_address: self.reuse_address == Some(true),
            reuse_port: self.reuse_port == Some(true),
        };
        listen::bind_internet(address, how)
    }
}

fn parse_address(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(SocketAddr::new(IpAddr::V4(address), port));
    }
    let (address, scope) = text.split_once('%').unwrap_or((text, ""));
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = if scope.is_empty() { 0 } else { socket::interface_index(scope)? };
    Some(SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope)))
}

/// An address as `server.address()` gives it.
#[napi(object)]
pub struct Address {
    /// Numeric.
    pub address: String,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// The port.
    pub port: u16,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address {
            address: with_zone(&address),
            family: if address.is_ipv4() { "IPv4" } else { "IPv6" }.into(),
            port: address.port(),
        }
    }
}

/// The address as Node writes it: one of a link has the name of its interface.
fn with_zone(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), socket::interface_name(v6.scope_id())),
        _ => address.ip().to_string(),
    }
}

/// Binds without listening. Returns a descriptor that the caller must pass to `closeFd`, or a negative errno.
#[napi(catch_unwind)]
pub fn bind_shared(binding: Binding) -> i32 {
    number(binding.bind().map(IntoRawFd::into_raw_fd))
}

/// Which handle a descriptor needs: `tcp`, `pipe` or `udp`; `null` when it is none of them.
#[napi(catch_unwind)]
pub fn socket_kind(fd: i32) -> Option<&'static str> {
    Some(match descriptors::look_at(fd, socket::kind).ok()? {
        Kind::Tcp => "tcp",
        Kind::Pipe => "pipe",
        Kind::Udp => "udp",
    })
}

/// Where a socket is bound to.
#[napi(object)]
pub struct SocketName {
    /// Numeric, of a TCP or UDP socket.
    pub address: Option<String>,
    /// Of a TCP or UDP socket.
    pub port: Option<u16>,
    /// Of a Unix socket.
    pub path: Option<String>,
}

/// The name of a socket; `null` when it is none.
#[napi(catch_unwind)]
pub fn socket_name(fd: i32) -> Option<SocketName> {
    descriptors::look_at(fd, socket::kind).ok()?;
    let address = descriptors::look_at(fd, socket::local_address).ok()?;
    Some(SocketName {
        address: address.map(|address| address.ip().to_string()),
        port: address.map(|address| address.port()),
        path: descriptors::look_at(fd, |fd| Ok(socket::local_path(fd))).ok()?,
    })
}

/// Whether it is a socket that listens.
#[napi(catch_unwind)]
pub fn is_listening(fd: i32) -> bool {
    descriptors::look_at(fd, |fd| Ok(socket::is_listening(fd))).unwrap_or(false)
}

/// Whether it can be taken for a connection: a stream socket that does not listen.
#[napi(catch_unwind)]
pub fn is_connection(fd: i32) -> bool {
    descriptors::look_at(fd, |fd| Ok(socket::is_connection(fd))).unwrap_or(false)
}

/// A new socket of a kind (`tcp`, `pipe` or `udp`), to see what Node makes of it. Returns as `bindShared`.
#[napi(catch_unwind)]
pub fn new_socket(kind: String) -> i32 {
    let kind = match kind.as_str() {
        "tcp" => Kind::Tcp,
        "pipe" => Kind::Pipe,
        _ => Kind::Udp,
    };
    number(socket::new(kind).map(IntoRawFd::into_raw_fd))
}

/// Closes a descriptor that was given to JavaScript.
#[napi(catch_unwind)]
pub fn close_fd(fd: i32) {
    if let Ok(fd) = descriptors::adopt_number(fd) {
        debug_assert!(fd.as_raw_fd() > 2);
        drop(fd);
    }
}

/// Closes a listening socket for all who have it: it stops listening.
#[napi(catch_unwind)]
pub fn retire_socket(fd: i32) {
    if let Ok(fd) = descriptors::adopt_number(fd) {
        socket::shut_down(fd.as_fd());
    }
}

/// Closes a descriptor that came from another process, on a thread of its own: closing it may take as long as that process
/// has arranged for.
#[napi(catch_unwind)]
pub fn close_foreign(fd: i32) {
    if let Ok(fd) = descriptors::adopt_number(fd) {
        foreign::close(fd);
    }
}

/// The part of this process's descriptors that one who is not trusted may make it keep open.
#[napi(catch_unwind)]
pub fn descriptor_share() -> u32 {
    u32::try_from(descriptors::fair_share()).unwrap_or(u32::MAX)
}

/// A duplicate of a descriptor, close-on-exec. Returns as `bindShared`.
#[napi(catch_unwind)]
pub fn duplicate_fd(fd: i32) -> i32 {
    match descriptors::duplicate_number(fd) {
        Ok(fd) => fd.into_raw_fd(),
        Err(error) => negative_errno(&error),
    }
}

/// A new pipe, close-on-exec: its end to read from, and its end to write to. Nothing when there is no room for one.
#[napi(catch_unwind)]
pub fn new_pipe() -> Option<Vec<i32>> {
    let (read, write) = descriptors::pipe().ok()?;
    Some(vec![read.into_raw_fd(), write.into_raw_fd()])
}
