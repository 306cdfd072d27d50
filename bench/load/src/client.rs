//! Opening client sockets without running out of client ports and without disturbing the server.
//!
//! **Who closes first.** Without keep-alive the generator waits for the server's FIN before it closes.
//! TIME_WAIT then stays on the server's side, where it is in production, and the client's port is free at
//! once. `SO_LINGER 0` would also free the port, but the RST reaches servers that still read until EOF as
//! ECONNRESET, which is another and dearer path than the one that is being measured.
//!
//! **Ports.** One client address has some 28,000 ephemeral ports for a server address. Held connections,
//! and keep-alive ones that the client closes, need more: `sources` spreads over 127.0.0.1 … 127.0.0.n.
//! `IP_BIND_ADDRESS_NO_PORT` leaves the port to `connect`, which looks for a free four-tuple, where `bind`
//! would look for a port free for every peer.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{bind, connect, setsockopt, socket, sockopt, AddressFamily, SockFlag, SockType, SockaddrIn};

/// Where connections go to, and which addresses they come from.
pub struct Client {
    server: SockaddrIn,
    sources: u8,
    next_source: u8,
}

impl Client {
    /// Connections to 127.0.0.1:`port`, from `sources` addresses in turn. With 1, nothing is bound.
    pub fn new(port: u16, sources: u8) -> Self {
        let server = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        Self { server, sources: sources.max(1), next_source: 0 }
    }

    /// Starts a connection; it may still be on its way when this returns.
    pub fn open(&mut self) -> Result<TcpStream, Errno> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        if self.sources > 1 {
            setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
            bind(fd.as_raw_fd(), &self.source())?;
        }
        match connect(fd.as_raw_fd(), &self.server) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
            Err(errno) => Err(errno),
        }
    }

    fn source(&mut self) -> SockaddrIn {
        self.next_source = self.next_source % self.sources + 1;
        SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, self.next_source), 0))
    }
}
