//! Bytes and descriptors over Unix sockets (`SCM_RIGHTS`, see unix(7)).

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::descriptors::MAX_FDS;
use super::fault::may_fail;
use super::{check_size, descriptors, libc};

const CONTROL_BYTES: usize = {
    // SAFETY: CMSG_SPACE only computes.
    unsafe { libc::CMSG_SPACE((MAX_FDS * mem::size_of::<RawFd>()) as u32) as usize }
};

/// Aligned as the kernel wants a `cmsghdr` to be.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// The most descriptors that the kernel lets somebody send in one message (SCM_MAX_FD). We take them all: those for which there is
/// no room the kernel would close on the spot, in this thread, for however long that takes.
const MOST_FDS: usize = 253;

/// What else the kernel may add, at the other end's wish: credentials, a descriptor of the sender's process, a security label, the
/// time (see SO_PASSCRED, SO_PASSPIDFD, SO_PASSSEC and SO_TIMESTAMP).
const MOST_EXTRAS: usize = 512;

const RECEIVED_BYTES: usize = {
    // SAFETY: CMSG_SPACE only computes.
    unsafe { libc::CMSG_SPACE((MOST_FDS * mem::size_of::<RawFd>()) as u32) as usize + MOST_EXTRAS }
};

/// Room for what comes in.
#[repr(C, align(8))]
struct ReceivedControl(MaybeUninit<[u8; RECEIVED_BYTES]>);

/// SCM_PIDFD: a descriptor of the sender's process, for a socket with SO_PASSPIDFD.
const SCM_PIDFD: libc::c_int = 4;

/// Sends `slices` as one message, with `fds` (at most [`MAX_FDS`]) attached to its first byte. Returns the bytes
/// that the kernel took; the descriptors have gone along as soon as that is more than 0. Never raises SIGPIPE,
/// never blocks.
pub fn send(socket: BorrowedFd, slices: &[io::IoSlice], fds: &[RawFd]) -> io::Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: an all-zero msghdr is valid: no address, no control data, no flags.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    // IoSlice has the layout of iovec; sendmsg does not write through it.
    header.msg_iov = slices.as_ptr().cast_mut().cast();
    header.msg_iovlen = slices.len() as _;
    if !fds.is_empty() {
        let payload = mem::size_of_val(fds);
        header.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute; CMSG_FIRSTHDR points into `control`, which has room for
        // MAX_FDS descriptors and is aligned for a header; the copy stays within the payload's length.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(payload as u32) as _;
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(payload as u32) as _;
            std::ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(first), payload);
        }
    }
    may_fail("sendmsg")?;
    #[cfg(any(test, feature = "fuzzing"))]
    if let Some(sent) = super::wires::send(socket, slices, fds) {
        return sent;
    }
    // SAFETY: `header` points to `slices` and `control`, which outlive the call.
    check_size(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}

/// What one [`receive`] brought.
pub struct Received {
    /// Bytes written to the buffer; 0 means that the peer has closed (or sent an empty packet).
    pub bytes: usize,
    /// The message was longer than the buffer, or descriptors that belonged to it were lost for want of room
    /// in the descriptor table.
    pub truncated: bool,
}

/// Receives into `buffer`; descriptors that came along are appended to `fds`, close-on-exec. Never blocks.
pub fn receive(socket: BorrowedFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Received> {
    // SAFETY: an initialised slice may be seen as one that need not be, as only initialised bytes are written.
    let buffer = unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) };
    receive_uninit(socket, buffer, fds)
}

/// The same, appending at most `limit` bytes to a vector.
pub fn receive_append(
    socket: BorrowedFd,
    bytes: &mut Vec<u8>,
    limit: usize,
    fds: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    let spare = bytes.spare_capacity_mut();
    let room = spare.len().min(limit);
    let received = receive_uninit(socket, &mut spare[..room], fds)?;
    // SAFETY: the kernel has initialised that many bytes of the spare capacity.
    unsafe { bytes.set_len(bytes.len() + received.bytes) };
    Ok(received)
}

/// What a receive of that size would bring; it stays queued.
pub struct Peeked {
    /// Bytes; 0 means that the peer has closed (or sent an empty packet).
    pub bytes: usize,
    /// Whether descriptors come along.
    pub descriptors: bool,
}

/// Looks at what is queued, up to the size of `buffer`. Never blocks.
pub fn peek(socket: BorrowedFd, buffer: &mut [u8]) -> io::Result<Peeked> {
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is valid.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    may_fail("recvmsg")?;
    // SAFETY: `header` points to `buffer`, writable for the length given. Without room for control data no descriptor is
    // installed.
    let bytes =
        check_size(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT | libc::MSG_PEEK) })?;
    Ok(Peeked { bytes, descriptors: header.msg_flags & libc::MSG_CTRUNC != 0 })
}

/// The same, into memory that need not be initialised: it is as far as bytes are received.
pub fn receive_uninit(
    socket: BorrowedFd,
    buffer: &mut [MaybeUninit<u8>],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    #[cfg(any(test, feature = "fuzzing"))]
    if let Some(received) = super::wires::receive(socket, buffer, fds) {
        return received.map(|(bytes, truncated)| Received { bytes, truncated });
    }
    let mut control = ReceivedControl(MaybeUninit::uninit());
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is valid.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = RECEIVED_BYTES as _;
    may_fail("recvmsg")?;
    // SAFETY: `header` points to `buffer` and `control`, both writable for the lengths given.
    let bytes = check_size(unsafe {
        libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC)
    })?;
    if header.msg_controllen != 0 {
        take_descriptors(&header, fds);
    }
    // MSG_TRUNC in the flags would make recvmsg return more than fits; it is not asked for.
    Ok(Received { bytes, truncated: header.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 })
}

/// Takes possession of the descriptors in the control data that the kernel just filled in.
fn take_descriptors(header: &libc::msghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel wrote `msg_control` and `msg_controllen`, and all bytes of the headers and payloads within; the CMSG macros
    // walk within them. Each descriptor in an SCM_RIGHTS or SCM_PIDFD message was installed for this process alone by that very
    // call, so that owning it is right. A negative number says that there was none.
    unsafe {
        let mut current = libc::CMSG_FIRSTHDR(header);
        while !current.is_null() {
            let ours = (*current).cmsg_level == libc::SOL_SOCKET;
            if ours && (*current).cmsg_type == SCM_PIDFD {
                let fd = libc::CMSG_DATA(current).cast::<RawFd>().read_unaligned();
                if fd >= 0 {
                    drop(OwnedFd::from_raw_fd(fd));
                }
            } else if ours && (*current).cmsg_type == libc::SCM_RIGHTS {
                let payload = (*current).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let first = libc::CMSG_DATA(current).cast::<RawFd>();
                for index in 0..payload / mem::size_of::<RawFd>() {
                    let fd = first.add(index).read_unaligned();
                    descriptors::note(fd);
                    #[cfg(any(test, feature = "fuzzing"))]
                    super::wires::note_received(1);
                    fds.push(OwnedFd::from_raw_fd(fd));
                }
            }
            current = libc::CMSG_NXTHDR(header, current);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_arrive_with_the_first_byte_and_are_close_on_exec() {
        let (here, there) = socket::stream_pair().unwrap();
        let (passed, kept) = socket::stream_pair().unwrap();
        send(here.as_fd(), &[IoSlice::new(b"ab"), IoSlice::new(b"cd")], &[passed.as_raw_fd()]).unwrap();
        drop(passed);
        let mut buffer = [0; 2];
        let mut fds = Vec::new();
        let first = receive(there.as_fd(), &mut buffer, &mut fds).unwrap();
        assert_eq!((first.bytes, &buffer, fds.len()), (2, b"ab", 1));
        assert!(!first.truncated);
        let flags = nix::fcntl::fcntl(&fds[0], nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        receive(there.as_fd(), &mut buffer, &mut fds).unwrap();
        assert_eq!((&buffer, fds.len()), (b"cd", 1));
        send(fds[0].as_fd(), &[IoSlice::new(b"x")], &[]).unwrap();
        let mut none = Vec::new();
        assert_eq!(receive(kept.as_fd(), &mut buffer, &mut none).unwrap().bytes, 1);
    }

    #[test]
    fn a_message_brings_as_many_descriptors_as_the_kernel_lets_somebody_send() {
        let (here, there) = socket::packet_pair().unwrap();
        let numbers = vec![here.as_raw_fd(); MOST_FDS];
        let rights = [nix::sys::socket::ControlMessage::ScmRights(&numbers)];
        let flags = nix::sys::socket::MsgFlags::empty();
        nix::sys::socket::sendmsg::<()>(here.as_raw_fd(), &[IoSlice::new(b"x")], &rights, flags, None).unwrap();
        let mut fds = Vec::new();
        let received = receive(there.as_fd(), &mut [0; 8], &mut fds).unwrap();
        assert_eq!((received.bytes, received.truncated, fds.len()), (1, false, MOST_FDS));
    }

    #[test]
    fn what_the_other_end_makes_the_kernel_add_is_not_kept() {
        const SO_PASSPIDFD: i32 = 76;
        let (here, there) = socket::packet_pair().unwrap();
        for option in [libc::SO_PASSCRED, libc::SO_TIMESTAMP, libc::SO_PASSSEC, SO_PASSPIDFD] {
            let on = 1i32;
            // SAFETY: the kernel reads one int. It may not know the option.
            unsafe {
                let size = mem::size_of_val(&on) as libc::socklen_t;
                libc::setsockopt(there.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), size)
            };
        }
        let pidfds = || {
            let links = std::fs::read_dir("/proc/self/fd").unwrap();
            let names = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
            names.filter(|name| name.to_string_lossy().contains("pidfd")).count()
        };
        for _ in 0..20 {
            send(here.as_fd(), &[IoSlice::new(b"x")], &[here.as_raw_fd()]).unwrap();
            let mut fds = Vec::new();
            let received = receive(there.as_fd(), &mut [0; 8], &mut fds).unwrap();
            assert_eq!((received.bytes, received.truncated, fds.len()), (1, false, 1));
        }
        assert_eq!(pidfds(), 0);
    }

    #[test]
    fn a_peek_tells_of_descriptors_and_leaves_them() {
        let (here, there) = socket::stream_pair().unwrap();
        let (passed, _kept) = socket::stream_pair().unwrap();
        let mut buffer = [0; 8];
        send(here.as_fd(), &[IoSlice::new(b"ab")], &[]).unwrap();
        let bytes = peek(there.as_fd(), &mut buffer).unwrap();
        assert_eq!((bytes.bytes, bytes.descriptors), (2, false));
        send(here.as_fd(), &[IoSlice::new(b"cd")], &[passed.as_raw_fd()]).unwrap();
        assert!(peek(there.as_fd(), &mut buffer).unwrap().descriptors);
        let mut fds = Vec::new();
        receive(there.as_fd(), &mut buffer, &mut fds).unwrap();
        assert_eq!((&buffer[..4], fds.len()), (&b"abcd"[..], 1));
    }

    #[test]
    fn a_closed_peer_is_an_error_not_a_signal() {
        let (here, there) = socket::stream_pair().unwrap();
        drop(there);
        let error = send(here.as_fd(), &[IoSlice::new(b"x")], &[]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    }

    #[test]
    fn too_many_descriptors_are_refused() {
        let (here, _there) = socket::stream_pair().unwrap();
        let error = send(here.as_fd(), &[IoSlice::new(b"x")], &[0; MAX_FDS + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
