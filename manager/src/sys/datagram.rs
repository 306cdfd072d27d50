//! The socket that programs tell their state to (sd_notify(3)): datagrams, with the sender's process and descriptors.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, setsockopt, socket, sockopt};

use super::received::receive;

/// The longest datagram.
const LONGEST: usize = 8192;

/// What a program has told.
pub struct Told {
    /// Lines of `NAME=value`.
    pub text: String,
    /// The process that told it, as the kernel knows it.
    pub pid: i32,
    /// Descriptors that came along.
    pub fds: Vec<OwnedFd>,
    /// Whether there were more of them than this process has room for.
    pub lost_fds: bool,
}

/// Where programs tell their state.
pub struct NotifySocket {
    fd: OwnedFd,
    name: String,
}

impl NotifySocket {
    /// A new one, under a name that no file system has: programs that run as another user reach it, too. The kernel tells who
    /// sends what.
    pub fn open() -> io::Result<NotifySocket> {
        // All that counts is that no two get the same: `Relaxed` is enough.
        static LAST: AtomicU32 = AtomicU32::new(0);
        // Never the same again, as a number of a process may be: whoever has it in its environment is one of ours.
        let start = i32::try_from(process::id()).ok().and_then(super::procfs::stat).map_or(0, |stat| stat.start);
        let name = format!("rcluster/notify/{}/{start}/{}", process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let fd =
            socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
        bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
        setsockopt(&fd, sockopt::PassCred, &true)?;
        Ok(NotifySocket { fd, name: format!("@{name}") })
    }

    /// Its name as `NOTIFY_SOCKET` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next that has been told.
    pub fn next(&self) -> io::Result<Option<Told>> {
        let mut bytes = [0; LONGEST];
        let received = match receive(self.fd.as_fd(), &mut bytes) {
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => return Ok(None),
            other => other?,
        };
        let text = String::from_utf8_lossy(&bytes[..received.bytes]).into_owned();
        Ok(Some(Told { text, pid: received.sender, fds: received.fds, lost_fds: received.lost_fds }))
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;

    #[test]
    fn what_is_told_comes_with_its_sender_and_its_descriptors() {
        let socket_of_ours = NotifySocket::open().unwrap();
        let sender = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let address = UnixAddr::new_abstract(&socket_of_ours.name().as_bytes()[1..]).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let fds = [file.as_raw_fd()];
        let text = [IoSlice::new(b"FDSTORE=1\nFDNAME=x")];
        sendmsg(sender.as_raw_fd(), &text, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), Some(&address))
            .unwrap();
        let told = socket_of_ours.next().unwrap().unwrap();
        assert_eq!((told.text.as_str(), told.fds.len()), ("FDSTORE=1\nFDNAME=x", 1));
        assert_eq!(told.pid, i32::try_from(process::id()).unwrap());
        assert!(socket_of_ours.next().unwrap().is_none());
    }
}
