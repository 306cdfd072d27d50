//! Sockets that this user's processes talk over, and those that programs are given.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::{fs, process};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, connect,
    getsockname, getsockopt, listen, sendmsg, setsockopt, socket, socketpair, sockopt,
};

use super::libc;
use crate::model::SocketName;

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// How many connections may wait for a program that is not there.
const BACKLOG: i32 = 511;

/// A socket at `path` that only this user may connect to. One that nobody listens on any more is replaced: bound under another
/// name, closed to others, then given its name, so that nobody ever finds it half made.
pub fn listen_private(path: &Path) -> io::Result<UnixListener> {
    let temporary = path.with_extension(format!("{}", process::id()));
    let _ = fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
    fs::rename(&temporary, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A listening socket of a process whose table of descriptors may be full: one place is kept, so that whoever connects then is sent away. Else
/// it would be waited for again and again, with all of a processor.
pub struct Door {
    listener: UnixListener,
    place: Option<File>,
}

impl Door {
    /// For a listener that does not block.
    pub fn new(listener: UnixListener) -> Door {
        Door { listener, place: Self::take_place() }
    }

    fn take_place() -> Option<File> {
        File::open("/dev/null").ok()
    }

    /// The next one that wants to come in, if there is one.
    pub fn accept(&mut self) -> Option<UnixStream> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    // Without it nobody can be sent away.
                    self.place.take()?;
                    let is_sent_away = self.listener.accept().is_ok();
                    self.place = Self::take_place();
                    // A full table is told before it is looked whether there is anybody.
                    if !is_sent_away {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Whether the process at the other end belongs to this user, or to root.
pub fn is_ours(stream: &UnixStream) -> bool {
    let me = nix::unistd::geteuid().as_raw();
    getsockopt(stream, sockopt::PeerCredentials).is_ok_and(|peer| peer.uid() == me || peer.uid() == 0)
}

/// Two connected stream sockets: ours does not block.
pub fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    super::spawn::set_nonblocking(&ours)?;
    Ok((ours, theirs))
}

/// Two connected sockets for packets, each of which comes whole.
pub fn packets() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// A listening socket for programs, by the name that an app has for it ([`SocketName`]).
pub fn open_for_programs(name: &str, cwd: &Path) -> io::Result<OwnedFd> {
    match SocketName::parse(name, cwd).map_err(|rule| io::Error::new(io::ErrorKind::InvalidInput, rule))? {
        SocketName::Tcp(address) => internet(address, SockType::Stream),
        SocketName::Udp(address) => internet(address, SockType::Datagram),
        SocketName::Unix(path) => unix(&path),
    }
}

fn internet(address: &str, kind: SockType) -> io::Result<OwnedFd> {
    if let Ok(port) = address.parse::<u16>() {
        // All addresses of both families; a system without IPv6 has one of them.
        let all = [
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port)),
        ];
        return match bind_internet(all[0], kind) {
            Err(error) if error.raw_os_error() == Some(super::libc::EAFNOSUPPORT) => bind_internet(all[1], kind),
            other => other,
        };
    }
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "its host has no address");
    let address = address.to_socket_addrs()?.next().ok_or_else(none)?;
    bind_internet(address, kind)
}

fn bind_internet(address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, kind, FLAGS, None)?;
    if kind == SockType::Stream {
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if kind == SockType::Stream {
        listen(&fd, Backlog::new(BACKLOG)?)?;
    }
    Ok(fd)
}

fn unix(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
    let address = UnixAddr::new(path)?;
    match bind(fd.as_raw_fd(), &address) {
        Err(Errno::EADDRINUSE) if is_abandoned(path) => {
            fs::remove_file(path)?;
            bind(fd.as_raw_fd(), &address)?;
        }
        other => other?,
    }
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd)
}

/// Sends bytes, and duplicates of descriptors with the first of them, without waiting. Returns how many bytes went.
pub fn send_with(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd]) -> io::Result<usize> {
    let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let with = if fds.is_empty() { &[] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_fd().as_raw_fd(), &[IoSlice::new(bytes)], with, flags, None)?)
}

/// Takes the descriptors that whoever started this process has left for it behind the standard streams. To be called once, and before
/// anything else is opened.
pub fn take_given(count: usize) -> io::Result<Vec<OwnedFd>> {
    let numbers = (3..).take(count);
    let fds = numbers.map(|number: std::os::fd::RawFd| {
        // SAFETY: only its flags are set; a number that is not open makes that fail.
        nix::fcntl::fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // SAFETY: it is open, and was given to this process alone; nobody else has taken it, as this is called once.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    });
    fds.collect()
}

/// What tells a descriptor's file or socket from all others, as long as it is open.
pub fn identity(fd: impl AsFd) -> io::Result<(u64, u64)> {
    let data = nix::sys::stat::fstat(fd)?;
    Ok((data.st_dev, data.st_ino))
}

/// The name in the file system of a listening Unix socket.
pub fn file_of(fd: &OwnedFd) -> Option<PathBuf> {
    let is_listening = getsockopt(fd, sockopt::AcceptConn).unwrap_or(false);
    let name = getsockname::<UnixAddr>(fd.as_raw_fd()).ok().filter(|_| is_listening)?;
    name.path().map(Path::to_owned)
}

/// Removes a socket that nobody listens on.
pub fn remove_if_abandoned(path: &Path) {
    if is_abandoned(path) {
        // One that cannot be removed stays.
        let _ = fs::remove_file(path);
    }
}

/// Whether `path` is a socket that nobody listens on. Does not wait for those who take nobody in.
fn is_abandoned(path: &Path) -> bool {
    let connected = || {
        let fd = socket(AddressFamily::Unix, SockType::Stream, FLAGS | SockFlag::SOCK_NONBLOCK, None)?;
        connect(fd.as_raw_fd(), &UnixAddr::new(path)?)
    };
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    is_socket && connected() == Err(Errno::ECONNREFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::received::{Received, receive};

    #[test]
    fn sockets_have_the_names_that_users_write() {
        let folder = std::env::temp_dir().join(format!("rclusterd-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["tcp:0", "tcp:127.0.0.1:0", "udp:127.0.0.1:0", "unix:a.sock"] {
            let fd = open_for_programs(name, &folder).unwrap();
            assert_eq!(getsockopt(&fd, sockopt::AcceptConn).unwrap(), !name.starts_with("udp"), "{name}");
        }
        // One that was left behind is replaced, one that is in use is not.
        let kept = open_for_programs("unix:a.sock", &folder).unwrap();
        let taken = open_for_programs("unix:a.sock", &folder).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(kept);
        for name in ["3000", "tcp", "tcp:x", "unix:", "http:80"] {
            assert_eq!(open_for_programs(name, &folder).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn descriptors_travel_with_bytes() {
        let (ours, theirs) = channel().unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        assert_eq!(send_with(&ours, b"one", &[file.as_fd()]).unwrap(), 3);
        assert_eq!(send_with(&ours, b"two", &[]).unwrap(), 3);
        let mut bytes = [0; 16];
        let Received { bytes: count, fds, lost_fds, .. } = receive(theirs.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..3], fds.len(), lost_fds), (&b"one"[..], 1, false));
        assert_eq!(identity(&fds[0]).unwrap(), identity(&file).unwrap());
        let rest = if count == 3 { receive(theirs.as_fd(), &mut bytes).unwrap().bytes } else { count - 3 };
        assert_eq!(rest, 3);
    }

    #[test]
    fn a_private_socket_is_for_its_user_alone() {
        let path = std::env::temp_dir().join(format!("rclusterd-private-{}.sock", process::id()));
        let listener = listen_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = listen_private(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        assert!(is_ours(&again.accept().unwrap().0));
        drop(listener);
        fs::remove_file(&path).unwrap();
    }
}
