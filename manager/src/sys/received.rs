//! What comes over a Unix socket: bytes, who sent them, and descriptors (unix(7)).
//!
//! When the table of descriptors is full the kernel passes those for which there is room, closes the others, and says MSG_CTRUNC. Those that
//! are here by then have to be owned all the same; `nix` does not show them.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};

use super::libc;

/// The most descriptors of one message (SCM_MAX_FD of unix(7)).
pub const MOST_FDS: usize = 253;

const CONTROL_BYTES: usize = {
    // SAFETY: CMSG_SPACE only computes.
    unsafe {
        libc::CMSG_SPACE((MOST_FDS * size_of::<RawFd>()) as u32) as usize
            + libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) as usize
    }
};

/// Aligned as the kernel wants a `cmsghdr` to be.
#[repr(C, align(8))]
struct Control(MaybeUninit<[u8; CONTROL_BYTES]>);

/// What one receive has brought.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes in the buffer; 0 when the other side has closed.
    pub bytes: usize,
    /// The process that sent them, where the socket asks for that; else 0.
    pub sender: i32,
    /// Descriptors that came along.
    pub fds: Vec<OwnedFd>,
    /// Whether there were more of them, for which this process has no room.
    pub lost_fds: bool,
}

/// The same, and waits until something has come.
pub fn wait_and_receive(socket: BorrowedFd, bytes: &mut [u8]) -> io::Result<Received> {
    loop {
        match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            other => {
                other?;
                return receive(socket, bytes);
            }
        }
    }
}

/// Receives into `bytes`, without waiting.
pub fn receive(socket: BorrowedFd, bytes: &mut [u8]) -> io::Result<Received> {
    let mut control = Control(MaybeUninit::uninit());
    let mut slice = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: an all-zero msghdr is valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `header` points to `bytes` and `control`, both writable for the lengths given.
    let count = Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) })?;
    let mut received = Received {
        bytes: usize::try_from(count).unwrap_or(0),
        lost_fds: header.msg_flags & libc::MSG_CTRUNC != 0,
        ..Received::default()
    };
    take(&header, &mut received);
    Ok(received)
}

/// Takes what is in the control data that the kernel has just filled in.
fn take(header: &libc::msghdr, received: &mut Received) {
    // SAFETY: the kernel wrote `msg_control` and `msg_controllen`, and all bytes of the headers and payloads within; the CMSG macros walk
    // within them. Each descriptor was installed for this process alone by that very call, so that owning it is right.
    unsafe {
        let mut current = libc::CMSG_FIRSTHDR(header);
        while !current.is_null() {
            let (level, kind) = ((*current).cmsg_level, (*current).cmsg_type);
            let payload = (*current).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
                let first = libc::CMSG_DATA(current).cast::<RawFd>();
                let numbers = (0..payload / size_of::<RawFd>()).map(|index| first.add(index).read_unaligned());
                received.fds.extend(numbers.map(|number| OwnedFd::from_raw_fd(number)));
            } else if level == libc::SOL_SOCKET && kind == libc::SCM_CREDENTIALS {
                received.sender = libc::CMSG_DATA(current).cast::<libc::ucred>().read_unaligned().pid;
            }
            current = libc::CMSG_NXTHDR(header, current);
        }
    }
}

/// How many descriptors this process may have open.
pub fn room_for_descriptors() -> usize {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::process::Command;

    /// Runs one test alone, in a process of its own: it may fill the table of that one.
    pub fn in_own_process(test: &str, body: impl FnOnce()) {
        if std::env::var("RCLUSTERD_ALONE").as_deref() == Ok(test) {
            return body();
        }
        let mut own = Command::new(std::env::current_exe().unwrap());
        let ended = own.args(["--exact", test, "--nocapture"]).env("RCLUSTERD_ALONE", test).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }

    /// Leaves room for so many descriptors, and returns what fills the rest.
    pub fn leave_room(count: usize) -> Vec<OwnedFd> {
        let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
        nix::sys::resource::setrlimit(Resource::RLIMIT_NOFILE, hard.min(64), hard).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut all: Vec<OwnedFd> = std::iter::from_fn(|| file.as_fd().try_clone_to_owned().ok()).collect();
        // With the file itself.
        all.truncate(all.len() + 1 - count);
        all
    }

    #[test]
    fn what_came_before_the_table_was_full_is_owned_and_the_rest_is_told_to_be_lost() {
        in_own_process(
            "sys::received::tests::what_came_before_the_table_was_full_is_owned_and_the_rest_is_told_to_be_lost",
            || {
                let (here, there) = super::super::socket::channel().unwrap();
                let _full = leave_room(2);
                for round in 0..5 {
                    let numbers = [here.as_raw_fd(); 5];
                    let rights = [ControlMessage::ScmRights(&numbers)];
                    sendmsg::<()>(here.as_raw_fd(), &[IoSlice::new(b"told")], &rights, MsgFlags::empty(), None)
                        .unwrap();
                    let mut bytes = [0; 8];
                    let received = receive(there.as_fd(), &mut bytes).unwrap();
                    let about = (received.bytes, received.fds.len(), received.lost_fds);
                    // Each time as many: those of before are closed.
                    assert_eq!(about, (4, 2, true), "round {round}");
                }
            },
        );
    }
}
