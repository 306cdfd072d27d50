//! Where the page is.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::daemon::link::Failure;
use crate::sys::socket;

/// Where it is unless told otherwise.
pub const USUAL: &str = "127.0.0.1:9616";

/// An address of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of an interface.
    Tcp(SocketAddr),
    /// A Unix socket, for its user alone.
    Unix(PathBuf),
}

impl Address {
    /// `9616`, `127.0.0.1:9616`, `[::1]:9616`, `localhost:9616`, `/run/web.sock` or `unix:/run/web.sock`.
    pub fn parse(text: &str) -> Result<Address, Failure> {
        let bad = || {
            let rule = format!("a port, an address such as {USUAL}, or the path of a socket");
            Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("\"listen\" must be {rule}. Received \"{text}\""))
        };
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
            let path = Path::new(path);
            // With room for a name that it has for a moment, as sun_path of unix(7) has it.
            let fits = path.is_absolute() && path.as_os_str().len() < 96;
            return if fits { Ok(Address::Unix(path.to_owned())) } else { Err(bad()) };
        }
        if let Ok(port) = text.parse::<u16>() {
            return Ok(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port))));
        }
        // Nobody is asked for names; there is one that every machine has.
        let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        local.as_deref().unwrap_or(text).parse().map(Address::Tcp).map_err(|_| bad())
    }

    /// Whether this machine alone can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().is_loopback(),
            Address::Unix(_) => true,
        }
    }

    /// What tells it from other pages of the machine.
    pub fn port(&self) -> u16 {
        match self {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => 0,
        }
    }

    /// The file of a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Address::Tcp(_) => None,
            Address::Unix(path) => Some(path),
        }
    }

    /// What a browser is given. Of a Unix socket it is what a port that is forwarded to it would be.
    pub fn url(&self) -> String {
        match self {
            Address::Tcp(address) if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(_) => "http://localhost:9616".to_owned(),
        }
    }

    /// Takes the file of a Unix socket away.
    pub fn remove(&self) {
        if let Address::Unix(path) = self {
            // It may have gone.
            let _ = fs::remove_file(path);
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Somebody who has come.
pub enum Stream {
    /// To a port.
    Tcp(tokio::net::TcpStream),
    /// To a Unix socket.
    Unix(tokio::net::UnixStream),
}

/// Waits for those who come.
pub enum Listener {
    /// At a port.
    Tcp(tokio::net::TcpListener),
    /// At a Unix socket.
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// Listens there. Returns the address with the port that it has, where any would do.
    pub fn open(address: &Address) -> Result<(Listener, Address), Failure> {
        let opened = match address {
            Address::Tcp(wanted) => open_port(*wanted),
            Address::Unix(path) => open_file(path).map(|listener| (listener, address.clone())),
        };
        opened.map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::AddrInUse => "it is in use by another program: --listen takes another one".to_owned(),
                io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
                io::ErrorKind::PermissionDenied => "that is not allowed to this user".to_owned(),
                io::ErrorKind::AlreadyExists => "a file is there that is no socket".to_owned(),
                _ => error.to_string(),
            };
            Failure::new("ERR_RCLUSTER_WEB", format!("the page cannot be at {address}: {why}"))
        })
    }

    /// The next one who comes.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // What happens is to be seen at once.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

fn open_port(wanted: SocketAddr) -> io::Result<(Listener, Address)> {
    let listener = std::net::TcpListener::bind(wanted)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((Listener::Tcp(tokio::net::TcpListener::from_std(listener)?), Address::Tcp(address)))
}

/// What somebody else listens on, and what is no socket, is not replaced.
fn open_file(path: &Path) -> io::Result<Listener> {
    socket::remove_if_abandoned(path);
    if fs::symlink_metadata(path).is_ok() {
        let is_in_use = UnixStream::connect(path).is_ok();
        return Err(if is_in_use { io::ErrorKind::AddrInUse } else { io::ErrorKind::AlreadyExists }.into());
    }
    Ok(Listener::Unix(tokio::net::UnixListener::from_std(socket::listen_private(path)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_as_people_write_them() {
        let shown = |text: &str| Address::parse(text).map(|address| (address.to_string(), address.is_local()));
        for (text, address, is_local) in [
            ("9616", "127.0.0.1:9616", true),
            ("localhost:80", "127.0.0.1:80", true),
            ("[::1]:1", "[::1]:1", true),
            ("0.0.0.0:9616", "0.0.0.0:9616", false),
            ("[::]:9616", "[::]:9616", false),
            ("10.1.2.3:9616", "10.1.2.3:9616", false),
            ("/tmp/a.sock", "/tmp/a.sock", true),
            ("unix:/tmp/a.sock", "/tmp/a.sock", true),
        ] {
            assert_eq!(shown(text).ok(), Some((address.to_owned(), is_local)), "{text}");
        }
        for text in ["", "x", "99999", "127.0.0.1", "example.org:80", "unix:a.sock", "127.0.0.1:", "localhost"] {
            assert_eq!(shown(text).unwrap_err().code, "ERR_RCLUSTER_BAD_REQUEST", "{text}");
        }
        assert!(Address::parse(&format!("/{}", "x".repeat(120))).is_err());
    }
}
