//! Pipes that programs write to.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::libc;

/// How many bytes wait to be read.
pub fn waiting(fd: impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and `count` is one; the descriptor is borrowed for the call.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &mut count) };
    if result == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// Appends at most `most` bytes, by one read. Returns how many; 0 at the end.
pub fn read_into(fd: impl AsFd, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    bytes.reserve(most);
    let space = bytes.spare_capacity_mut();
    let most = most.min(space.len());
    // SAFETY: the kernel writes into memory that is reserved and not used yet, and no more than fits.
    let count = unsafe { libc::read(fd.as_fd().as_raw_fd(), space.as_mut_ptr().cast(), most) };
    let count = usize::try_from(Errno::result(count)?).unwrap_or(0);
    // SAFETY: the kernel has just written that many.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(count)
}

/// Writes all bytes, and waits until somebody has taken them, whether writing waits by itself or not.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd.as_fd(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut room = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut room, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// How many bytes it holds.
pub fn capacity(fd: impl AsFd) -> usize {
    fcntl(fd, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
}

/// Makes it hold more. Whether that worked: a user has a limit for all pipes together.
pub fn grow(fd: impl AsFd, bytes: usize) -> bool {
    i32::try_from(bytes).is_ok_and(|size| fcntl(fd, FcntlArg::F_SETPIPE_SZ(size)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_waits_is_counted_and_appended() {
        let (read, write) = super::super::spawn::output_pipe().unwrap();
        let mut bytes = b"a".to_vec();
        assert_eq!(read_into(&read, &mut bytes, 8).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut write = std::fs::File::from(write);
        write.write_all(b"bcd").unwrap();
        assert_eq!((waiting(&read), read_into(&read, &mut bytes, 2).unwrap(), bytes.as_slice()), (3, 2, &b"abc"[..]));
        drop(write);
        assert_eq!((read_into(&read, &mut bytes, 8).unwrap(), read_into(&read, &mut bytes, 8).unwrap()), (1, 0));
        assert_eq!(bytes, b"abcd");
    }
}
