//! Making sockets, accepting from them, and telling what they are.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt, socketpair,
    sockopt,
};

use super::{check, descriptors, libc};

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// Two connected stream sockets, non-blocking and close-on-exec.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::Stream, None, FLAGS)?)
}

/// Two connected sockets that keep the bounds of messages; each message has exactly one reader.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, FLAGS)?)
}

/// The next connection of a listening socket, non-blocking and close-on-exec.
pub fn accept(listener: BorrowedFd) -> io::Result<OwnedFd> {
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
    let address = getsockname::<SockaddrStorage>(fd.as_raw_fd())?;
    match (address.family(), getsockopt(&fd, sockopt::SockType)?) {
        (Some(AddressFamily::Inet | AddressFamily::Inet6), SockType::Stream) => Ok(Kind::Tcp),
        (Some(AddressFamily::Unix), SockType::Stream) => Ok(Kind::Pipe),
        (Some(AddressFamily::Inet | AddressFamily::Inet6), SockType::Datagram) => Ok(Kind::Udp),
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// The path in the file system that a Unix socket is bound to.
pub fn local_path(fd: BorrowedFd) -> Option<String> {
    let address = getsockname::<nix::sys::socket::UnixAddr>(fd.as_raw_fd()).ok()?;
    address.path()?.to_str().map(str::to_owned)
}

/// Whether `fd` is a socket that listens.
pub fn is_listening(fd: BorrowedFd) -> bool {
    getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false)
}

/// Whether `fd` is a stream socket that does not listen: what a server can take for a connection.
pub fn is_connection(fd: BorrowedFd) -> bool {
    matches!(kind(fd), Ok(Kind::Tcp | Kind::Pipe)) && !is_listening(fd)
}

/// Whether `fd` is a socket to serve from: it listens, or it is bound and connected to nobody. A connection is not, nor are
/// the two ends of a pair.
pub fn is_for_serving(fd: BorrowedFd) -> bool {
    let connected = || getpeername::<SockaddrStorage>(fd.as_raw_fd()).is_ok();
    kind(fd).is_ok() && (is_listening(fd) || (is_bound(fd) && !connected()))
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
    Ok(internet_address(&getsockname::<SockaddrStorage>(fd.as_raw_fd())?))
}

/// The address of a TCP socket's peer; `None` for a Unix socket, or when the peer has gone already.
pub fn peer_address(fd: BorrowedFd) -> Option<IpAddr> {
    let address = getpeername::<SockaddrStorage>(fd.as_raw_fd()).ok()?;
    Some(internet_address(&address)?.ip())
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
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

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
