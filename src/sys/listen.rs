//! Binding, with the options and the errors that libuv would give: an address that is taken is reported when
//! the socket starts to listen.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};

use super::fault::may_fail;
use super::{check, descriptors, insist, libc};

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// The `backlog` Node asks for when none is given.
pub const DEFAULT_BACKLOG: i32 = 511;

/// How to bind. Without any of it: a TCP socket, with all that Node gives it.
#[derive(Clone, Copy, Default)]
pub struct Bind {
    /// UDP instead of TCP.
    pub udp: bool,
    /// Of IPv6, and of no IPv4. Means nothing for IPv4.
    pub ipv6_only: bool,
    /// What a UDP socket has to ask for and a TCP listener always does.
    pub reuse_address: bool,
    /// The kernel distributes over all that are bound to the address.
    pub reuse_port: bool,
}

/// A socket bound to `address`.
pub fn bind_internet(
    address: SocketAddr,
    Bind { udp, ipv6_only, reuse_address, reuse_port }: Bind,
) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = if udp { SockType::Datagram } else { SockType::Stream };
    may_fail("socket")?;
    let fd = socket(family, kind, FLAGS, None)?;
    may_fail("setsockopt")?;
    if !udp || reuse_address {
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    if reuse_port {
        setsockopt(&fd, sockopt::ReusePort, &true)?;
    }
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &ipv6_only)?;
    }
    if !udp {
        lock_filter(fd.as_fd());
    }
    may_fail("bind")?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(fd)
}

/// Whoever has the socket as well, as workers may, can neither give it a filter that drops connections nor all that listen on its
/// address one that sends them elsewhere. Nothing else does.
fn lock_filter(fd: BorrowedFd) {
    let on: libc::c_int = 1;
    // A kernel that does not know this goes without.
    let _ = insist(|| set_option(fd, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, &on));
}

fn set_option<T>(fd: BorrowedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    may_fail("setsockopt")?;
    set_option_now(fd, level, option, value)
}

fn set_option_now<T>(fd: BorrowedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let size = std::mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes, all of `value`.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), size) }).map(drop)
}

/// A duplicate of the socket that Node knows by the number `fd`, made non-blocking. As libuv says it, what is no
/// socket, or not open, is invalid; so is what cannot be served from, as workers may ask for any number.
pub fn existing(fd: i32) -> io::Result<OwnedFd> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    // Before anything else knows it: a descriptor that shares with a channel keeps it open.
    if !descriptors::look_at(fd, |fd| Ok(super::socket::is_for_serving(fd))).map_err(|_| invalid())? {
        return Err(invalid());
    }
    let copy = descriptors::duplicate_number(fd)?;
    super::socket::set_nonblocking(copy.as_fd())?;
    Ok(copy)
}

/// Another listening socket on the address of `first`, which was bound with `reuse_port`: the kernel distributes
/// connections over both.
pub fn another(first: BorrowedFd, backlog: i32) -> io::Result<OwnedFd> {
    let address = super::socket::local_address(first)?.ok_or_else(|| io::Error::from_raw_os_error(libc::EOPNOTSUPP))?;
    let ipv6_only = address.is_ipv6() && super::socket::option(first, sockopt::Ipv6V6Only)?;
    let fd = bind_internet(address, Bind { ipv6_only, reuse_port: true, ..Bind::default() })?;
    listen(fd.as_fd(), backlog)?;
    Ok(fd)
}

/// Starts to listen; calling it again changes the backlog. 0 and less ask for Node's default of 511.
pub fn listen(fd: BorrowedFd, backlog: i32) -> io::Result<()> {
    let wanted = if backlog > 0 { backlog } else { DEFAULT_BACKLOG };
    may_fail("listen")?;
    // The kernel caps the backlog by net.core.somaxconn by itself.
    // SAFETY: listen takes a number and touches no memory of ours.
    check(unsafe { libc::listen(fd.as_raw_fd(), wanted) }).map(drop)
}

/// Whether the kernel keeps a connection to itself until something has come on it: for servers whose clients are to speak first, so that
/// what they say is there when the connection is. Who says nothing is let through when the kernel has asked once more, a second later.
pub fn defer_accept(fd: BorrowedFd, deferred: bool) {
    let seconds = libc::c_int::from(deferred);
    // Without it all is as right, and slower.
    let _ = insist(|| set_option(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &seconds));
}

/// Undoes what a process that had the socket may have set to keep connections from it.
pub fn set_right(fd: BorrowedFd, backlog: i32) -> io::Result<()> {
    set_minimum_ttl(fd, 0)?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &0)?;
    listen(fd, backlog)
}

/// From now on the socket is deaf to whoever begins to connect, unlike to those whose handshake is under way. The client's kernel says
/// it again a second later, and then another socket on this address hears it, if this one does not listen any more.
pub fn hear_nobody_new(fd: BorrowedFd) {
    // More than comes from any host but its neighbours.
    let _ = insist(|| set_minimum_ttl(fd, 255));
}

/// Who has come further than 255 less so many steps is not heard. It does not hold for the packet that ends a handshake.
fn set_minimum_ttl(fd: BorrowedFd, ttl: libc::c_int) -> io::Result<()> {
    // One of IPv6 may be one of IPv4 as well.
    set_option(fd, libc::IPPROTO_IP, libc::IP_MINTTL, &ttl)?;
    if super::socket::local_address(fd)?.is_some_and(|address| address.is_ipv6()) {
        set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &ttl)?;
    }
    Ok(())
}

/// What a worker that means harm does to a listening socket.
#[cfg(test)]
pub mod harm {
    use super::*;

    /// Who comes from further away than 255 less so many steps is not heard.
    pub fn set_minimum_ttl(fd: BorrowedFd, ttl: i32) -> io::Result<()> {
        super::set_minimum_ttl(fd, ttl)
    }

    /// A program that drops whatever comes.
    pub fn attach_filter(fd: BorrowedFd, option: i32) -> io::Result<()> {
        let mut program = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 }];
        set_option_now(fd, libc::SOL_SOCKET, option, &libc::sock_fprog { len: 1, filter: program.as_mut_ptr() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn who_has_said_nothing_is_not_accepted_yet_where_that_is_deferred() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        defer_accept(listener.as_fd(), true);
        let silent = connect();
        let mut speaking = connect();
        speaking.write_all(b"x").unwrap();
        let (_, first) = listener.accept().unwrap();
        assert_eq!(first, speaking.local_addr().unwrap());
        // The kernel lets it through after a while, should this take so long.
        if let Ok((_, second)) = listener.accept() {
            assert_eq!(second, silent.local_addr().unwrap());
        }
        defer_accept(listener.as_fd(), false);
        let next = connect();
        let others: Vec<_> = std::iter::from_fn(|| listener.accept().ok()).map(|(_, address)| address).collect();
        assert!(others.contains(&next.local_addr().unwrap()));
    }

    #[test]
    fn a_socket_that_knows_nothing_of_that_is_left_as_it_is() {
        let folder = std::env::temp_dir().join(format!("rcluster-listen-{}", std::process::id()));
        let listener = UnixListener::bind(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        defer_accept(listener.as_fd(), true);
        assert!(super::super::socket::is_listening(listener.as_fd()));
    }
}
