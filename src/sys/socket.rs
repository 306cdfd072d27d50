//! Making sockets, accepting from them, and telling what they are.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, GetSockOpt, MsgFlags, Shutdown, SockFlag, SockType, SockaddrLike, SockaddrStorage, getpeername,
    getsockname, getsockopt, recv, setsockopt, shutdown, socketpair, sockopt,
};

use super::fault::may_fail;
use super::{check, descriptors, insist, libc, poll};

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// Two connected stream sockets, non-blocking and close-on-exec.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    may_fail("socketpair")?;
    Ok(socketpair(AddressFamily::Unix, SockType::Stream, None, FLAGS)?)
}

/// Two connected sockets that keep the bounds of messages; each message has exactly one reader.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    may_fail("socketpair")?;
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, FLAGS)?)
}

/// What came of asking for the next connection.
pub enum Accepted {
    /// It, non-blocking and close-on-exec.
    Connection(OwnedFd),
    /// The peer or the network has gone, or a signal came: the next one may be there. See accept(2).
    Again,
    /// There is none.
    Empty,
    /// There may be one, but no descriptor for it.
    OutOfDescriptors,
    /// The kernel refuses for a reason of its own. After a while it may not.
    Later,
    /// It does not listen, or is no socket.
    Dead,
}

/// Accepts the next connection of a listening socket. Does not block; `shared`: not even if other processes have the socket, which
/// may make it a blocking one at any time.
pub fn accept(listener: BorrowedFd, shared: bool) -> Accepted {
    if shared {
        match poll::readable(listener) {
            Ok(true) if set_nonblocking(listener).is_ok() => {}
            Ok(false) => return Accepted::Empty,
            // What cannot be asked may have a connection all the same, which is not to be taken for nothing.
            Ok(true) | Err(_) => return Accepted::Later,
        }
    }
    let error = match accept_now(listener) {
        Ok(fd) => return Accepted::Connection(fd),
        Err(error) => error,
    };
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Accepted::Empty,
        Some(
            libc::ECONNABORTED
            | libc::EINTR
            | libc::EPROTO
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENONET
            | libc::ENOPROTOOPT,
        ) => Accepted::Again,
        _ if descriptors::ran_out(&error) => Accepted::OutOfDescriptors,
        // Whatever it says: what listens will bring connections.
        _ => match option(listener, sockopt::AcceptConn) {
            Ok(false) => Accepted::Dead,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK)) => Accepted::Dead,
            Ok(true) | Err(_) => Accepted::Later,
        },
    }
}

/// What an option of a socket is.
pub(super) fn option<O: GetSockOpt>(fd: BorrowedFd, option: O) -> io::Result<O::Val> {
    may_fail("getsockopt")?;
    Ok(getsockopt(&fd, option)?)
}

/// Makes its calls return instead of waiting.
pub(super) fn set_nonblocking(fd: BorrowedFd) -> io::Result<()> {
    may_fail("ioctl")?;
    let mut on: libc::c_int = 1;
    // SAFETY: FIONBIO reads one int, which `on` is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) }).map(drop)
}

fn accept_now(listener: BorrowedFd) -> io::Result<OwnedFd> {
    may_fail("accept4")?;
    // SAFETY: a null address is allowed: the peer's address is not asked for.
    let fd = check(unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        )
    })?;
    descriptors::note(fd);
    // SAFETY: the kernel just made `fd` for this call alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What kind of handle Node needs for a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP socket over IPv4 or IPv6, listening or connected.
    Tcp,
    /// A Unix stream socket, listening or connected.
    Pipe,
    /// A UDP socket over IPv4 or IPv6.
    Udp,
}

/// Asks the kernel what `fd` is; an error when it is none of the kinds that can be passed.
pub fn kind(fd: BorrowedFd) -> io::Result<Kind> {
    may_fail("getsockname")?;
    let address = getsockname::<SockaddrStorage>(fd.as_raw_fd())?;
    match (address.family(), option(fd, sockopt::SockType)?) {
        (Some(AddressFamily::Inet | AddressFamily::Inet6), SockType::Stream) => Ok(Kind::Tcp),
        (Some(AddressFamily::Unix), SockType::Stream) => Ok(Kind::Pipe),
        (Some(AddressFamily::Inet | AddressFamily::Inet6), SockType::Datagram) => Ok(Kind::Udp),
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Where a stream socket is bound to, as far as one that was accepted has it from the listening one.
#[derive(Clone, PartialEq, Eq)]
pub enum LocalName {
    /// A port.
    Port(u16),
    /// The name of a Unix socket, if it has any.
    Unix(Option<Vec<u8>>),
}

/// The local name of a stream socket; `None` if it has none of these kinds or cannot be asked.
pub fn local_name(fd: BorrowedFd) -> Option<LocalName> {
    may_fail("getsockname").ok()?;
    let address = getsockname::<SockaddrStorage>(fd.as_raw_fd()).ok()?;
    if let Some(internet) = internet_address(&address) {
        return Some(LocalName::Port(internet.port()));
    }
    let unix = address.as_unix_addr()?;
    let name = unix.as_abstract().map(<[u8]>::to_vec);
    Some(LocalName::Unix(name.or_else(|| Some(unix.path()?.as_os_str().as_bytes().to_vec()))))
}

/// The path in the file system that a Unix socket is bound to.
pub fn local_path(fd: BorrowedFd) -> Option<String> {
    let address = getsockname::<nix::sys::socket::UnixAddr>(fd.as_raw_fd()).ok()?;
    address.path()?.to_str().map(str::to_owned)
}

/// Closing it does not wait until the peer has what was sent. What is no socket has nothing to wait for.
pub fn never_linger(fd: BorrowedFd) {
    let _ = may_fail("setsockopt")
        .and_then(|()| Ok(setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 0, l_linger: 0 })?));
}

/// Closing it ends the connection at once, and leaves nothing of it.
#[cfg(any(test, feature = "fuzzing"))]
pub fn reset_on_close(fd: BorrowedFd) -> io::Result<()> {
    Ok(setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?)
}

/// How many bytes that were sent the other side's kernel has not got yet.
#[cfg(any(test, feature = "fuzzing"))]
pub fn unacknowledged(fd: BorrowedFd) -> io::Result<i32> {
    let mut count: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one int, which `count` is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) })?;
    Ok(count)
}

/// Turns an option of sockets on.
#[cfg(test)]
pub fn set_flag(fd: BorrowedFd, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = std::mem::size_of_val(&on) as libc::socklen_t;
    // SAFETY: the kernel reads one int, which `on` is.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), size) }).map(drop)
}

/// Nothing can be sent to it or from it any more. What has been sent can still be received.
pub fn shut_down(fd: BorrowedFd) {
    // A socket that is not connected any more has nothing to shut down.
    let _ = insist(|| {
        may_fail("shutdown")?;
        match shutdown(fd.as_raw_fd(), Shutdown::Both) {
            Err(Errno::ENOTCONN) => Ok(()),
            other => Ok(other?),
        }
    });
}

/// Whether `fd` is a socket that listens.
pub fn is_listening(fd: BorrowedFd) -> bool {
    insist(|| option(fd, sockopt::AcceptConn)).unwrap_or(false)
}

/// Whether `fd` is a stream socket that does not listen: what a server can take for a connection.
pub fn is_connection(fd: BorrowedFd) -> bool {
    // Who is taken for something else is lost: a question that fails is asked again.
    let kind = insist(|| kind(fd));
    matches!(kind, Ok(Kind::Tcp | Kind::Pipe)) && !is_listening(fd)
}

/// Whether `fd` is a socket to serve from: it listens, or it is bound and connected to nobody. A connection is not, nor are
/// the two ends of a pair.
pub fn is_for_serving(fd: BorrowedFd) -> bool {
    let peer = || may_fail("getpeername").and_then(|()| Ok(getpeername::<SockaddrStorage>(fd.as_raw_fd())?));
    let connected = || insist(peer).is_ok();
    insist(|| kind(fd)).is_ok() && (is_listening(fd) || (is_bound(fd) && !connected()))
}

fn is_bound(fd: BorrowedFd) -> bool {
    match local_address(fd) {
        Ok(Some(address)) => address.port() != 0,
        Ok(None) => getsockname::<nix::sys::socket::UnixAddr>(fd.as_raw_fd())
            .is_ok_and(|name| name.path().is_some() || name.as_abstract().is_some()),
        Err(_) => false,
    }
}

/// The address a TCP or UDP socket is bound to; `None` for a Unix socket.
pub fn local_address(fd: BorrowedFd) -> io::Result<Option<SocketAddr>> {
    may_fail("getsockname")?;
    Ok(internet_address(&getsockname::<SockaddrStorage>(fd.as_raw_fd())?))
}

/// The address of a TCP socket's peer; `None` for a Unix socket, or when the peer has gone already.
pub fn peer_address(fd: BorrowedFd) -> Option<IpAddr> {
    may_fail("getpeername").ok()?;
    let address = getpeername::<SockaddrStorage>(fd.as_raw_fd()).ok()?;
    Some(internet_address(&address)?.ip())
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Of a TCP socket.
    Internet(IpAddr),
    /// Somebody on this machine, by a Unix socket.
    Unix,
}

/// The peer of a connection; `None` when it has gone already.
pub fn peer(fd: BorrowedFd) -> Option<Peer> {
    let ask = || may_fail("getpeername").and_then(|()| Ok(getpeername::<SockaddrStorage>(fd.as_raw_fd())?));
    let address = insist(ask).ok()?;
    Some(internet_address(&address).map_or(Peer::Unix, |address| Peer::Internet(address.ip())))
}

/// Looks at what has come on a connection, and leaves it there. 0 when its peer has ended it. Never blocks.
pub fn peek(fd: BorrowedFd, into: &mut [u8]) -> io::Result<usize> {
    may_fail("recv")?;
    Ok(recv(fd.as_raw_fd(), into, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)?)
}

/// Takes as much of it as there is room for. Never blocks.
pub fn receive(fd: BorrowedFd, into: &mut [u8]) -> io::Result<usize> {
    may_fail("recv")?;
    Ok(recv(fd.as_raw_fd(), into, MsgFlags::MSG_DONTWAIT)?)
}

fn internet_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)))
}

/// A new socket of a kind, neither bound nor connected.
pub fn new(kind: Kind) -> io::Result<OwnedFd> {
    let (family, kind) = match kind {
        Kind::Tcp => (AddressFamily::Inet, SockType::Stream),
        Kind::Pipe => (AddressFamily::Unix, SockType::Stream),
        Kind::Udp => (AddressFamily::Inet, SockType::Datagram),
    };
    may_fail("socket")?;
    Ok(nix::sys::socket::socket(family, kind, FLAGS, None)?)
}

/// The index of a network interface, by its name or as a number.
pub fn interface_index(name: &str) -> Option<u32> {
    name.parse().ok().or_else(|| nix::net::if_::if_nametoindex(name).ok())
}

/// The name of a network interface, or its index when it has none any more.
pub fn interface_name(index: u32) -> String {
    let name = nix::net::if_::if_indextoname(index).ok();
    name.and_then(|name| name.into_string().ok()).unwrap_or_else(|| index.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;
    use crate::sys::fault;

    #[test]
    fn what_listens_or_is_bound_can_be_served_from_and_connections_cannot() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(is_for_serving(listener.as_fd()));
        assert!(!is_for_serving(client.as_fd()));
        assert!(!is_for_serving(accepted.as_fd()));
        assert!(!is_for_serving(new(Kind::Tcp).unwrap().as_fd()));

        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(is_for_serving(bound.as_fd()));
        bound.connect("127.0.0.1:9").unwrap();
        assert!(!is_for_serving(bound.as_fd()));
        assert!(!is_for_serving(new(Kind::Udp).unwrap().as_fd()));
    }

    #[test]
    fn what_a_socket_is_is_asked_again_when_the_kernel_does_not_say() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let failing = |call, look: &dyn Fn() -> bool| {
            fault::inject(call, libc::ENOMEM, 0, 1);
            let seen = look();
            assert!(fault::none(), "{call} is not made");
            seen
        };
        assert!(failing("getsockopt", &|| is_listening(listener.as_fd())));
        assert!(failing("getsockopt", &|| is_connection(client.as_fd())));
        for call in ["getsockname", "getsockopt"] {
            assert!(failing(call, &|| is_for_serving(listener.as_fd())), "{call}");
        }
        // One that is bound, and connected.
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(failing("getpeername", &|| is_for_serving(bound.as_fd())));
        bound.connect("127.0.0.1:9").unwrap();
        assert!(!failing("getpeername", &|| is_for_serving(bound.as_fd())));
        // The address is free at once.
        fault::inject("getsockopt", libc::ENOMEM, 0, 1);
        drop(crate::sys::foreign::ListeningFd::from(OwnedFd::from(listener)));
        assert!(fault::none());
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn what_is_shut_down_is_shut_down_though_the_kernel_refuses_at_first() {
        let (here, there) = stream_pair().unwrap();
        fault::inject("shutdown", libc::ENOBUFS, 0, 1);
        shut_down(here.as_fd());
        assert!(fault::none());
        assert_eq!(UnixStream::from(there).read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn unix_sockets_that_listen_can_be_served_from_and_pairs_cannot() {
        let path = std::env::temp_dir().join(format!("rcluster-for-serving-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(is_for_serving(listener.as_fd()));
        assert!(!is_for_serving(client.as_fd()));
        // It has the listener's name.
        assert!(!is_for_serving(accepted.as_fd()));
        for (one, other) in [stream_pair().unwrap(), packet_pair().unwrap()] {
            assert!(!is_for_serving(one.as_fd()) && !is_for_serving(other.as_fd()));
            drop(other);
            assert!(!is_for_serving(one.as_fd()));
        }
        assert!(!is_for_serving(UnixDatagram::unbound().unwrap().as_fd()));
        assert!(!is_for_serving(std::fs::File::open("/dev/null").unwrap().as_fd()));
    }
}
