//! Sockets in memory, for fuzzers: what is sent and received between the two ends of a pair that is made here never reaches the kernel.
//! Ten times as many inputs can be tried in the same time. As with unix(7):
//!
//! - of a stream as much is taken as there is room for; descriptors go with the first byte, and nothing that is behind the bytes they
//!   were sent with is received along with them;
//! - a packet is taken whole or not at all, and what does not fit into the receiver's buffer is lost.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{descriptors, libc, socket};

struct Message {
    bytes: Vec<u8>,
    /// How many of them have been received.
    read: usize,
    fds: Vec<OwnedFd>,
}

/// One direction of a pair.
struct Wire {
    from: RawFd,
    to: RawFd,
    packets: bool,
    /// The most bytes that wait, and how many do.
    capacity: usize,
    queued: usize,
    messages: VecDeque<Message>,
}

thread_local! {
    static WIRES: RefCell<Vec<Wire>> = const { RefCell::new(Vec::new()) };
    static RECEIVED: Cell<usize> = const { Cell::new(0) };
}

/// Two ends, to be kept for as long as this thread runs. They are sockets, for those who ask what they are.
pub fn pair(packets: bool, capacity: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let (here, there) = socket::stream_pair()?;
    let one = |from: &OwnedFd, to: &OwnedFd| Wire {
        from: from.as_raw_fd(),
        to: to.as_raw_fd(),
        packets,
        capacity,
        queued: 0,
        messages: VecDeque::new(),
    };
    WIRES.with_borrow_mut(|wires| wires.extend([one(&here, &there), one(&there, &here)]));
    Ok((here, there))
}

/// How many descriptors wait in wires.
pub fn in_flight() -> usize {
    WIRES.with_borrow(|wires| wires.iter().flat_map(|wire| &wire.messages).map(|message| message.fds.len()).sum())
}

/// How many descriptors this thread has ever received, from wires and from sockets.
pub fn received() -> usize {
    RECEIVED.get()
}

/// That many more have come.
pub(super) fn note_received(count: usize) {
    RECEIVED.set(RECEIVED.get() + count);
}

fn failed<T>(errno: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(errno))
}

/// What `sendmsg` does, if it is an end of a wire.
pub(super) fn send(socket: BorrowedFd, slices: &[IoSlice], fds: &[RawFd]) -> Option<io::Result<usize>> {
    WIRES.with_borrow_mut(|wires| {
        let wire = wires.iter_mut().find(|wire| wire.from == socket.as_raw_fd())?;
        Some(wire.send(slices, fds))
    })
}

/// What `recvmsg` does: how many bytes have come, and whether some did not fit.
pub(super) fn receive(
    socket: BorrowedFd,
    buffer: &mut [MaybeUninit<u8>],
    fds: &mut Vec<OwnedFd>,
) -> Option<io::Result<(usize, bool)>> {
    WIRES.with_borrow_mut(|wires| {
        let wire = wires.iter_mut().find(|wire| wire.to == socket.as_raw_fd())?;
        Some(wire.receive(buffer, fds))
    })
}

impl Wire {
    fn send(&mut self, slices: &[IoSlice], fds: &[RawFd]) -> io::Result<usize> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let room = self.capacity.saturating_sub(self.queued);
        let most = match total {
            0 if !self.packets => return Ok(0),
            _ if self.packets && total >= room => return failed(libc::EAGAIN),
            _ if room == 0 => return failed(libc::EAGAIN),
            _ => total.min(room),
        };
        let mut bytes = Vec::with_capacity(most);
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(most - bytes.len())]);
        }
        let fds: io::Result<Vec<OwnedFd>> = fds.iter().map(|fd| descriptors::duplicate_number(*fd)).collect();
        self.queued += most.max(1);
        self.messages.push_back(Message { bytes, read: 0, fds: fds? });
        Ok(most)
    }

    fn receive(&mut self, buffer: &mut [MaybeUninit<u8>], fds: &mut Vec<OwnedFd>) -> io::Result<(usize, bool)> {
        let (mut count, mut truncated) = (0, false);
        if self.messages.is_empty() {
            return failed(libc::EAGAIN);
        }
        while let Some(message) = self.messages.front_mut() {
            let left = &message.bytes[message.read..];
            let copied = left.len().min(buffer.len() - count);
            // SAFETY: both have that many bytes from there on, and a message is no part of a buffer.
            unsafe {
                std::ptr::copy_nonoverlapping(left.as_ptr(), buffer[count..].as_mut_ptr().cast(), copied);
            }
            let with_fds = !message.fds.is_empty();
            note_received(message.fds.len());
            fds.append(&mut message.fds);
            count += copied;
            message.read += copied;
            self.queued -= copied;
            truncated = self.packets && message.read < message.bytes.len();
            if message.read == message.bytes.len() || self.packets {
                self.queued -= (message.bytes.len() - message.read).max(usize::from(message.bytes.is_empty()));
                self.messages.pop_front();
            }
            if with_fds || self.packets || count == buffer.len() {
                break;
            }
        }
        Ok((count, truncated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scm;
    use std::os::fd::AsFd;

    type Pair = (OwnedFd, OwnedFd);

    /// What comes of each receive: bytes and descriptors.
    fn receive_all((here, there): &Pair, sent: &[(&str, usize)], most: usize) -> Vec<(String, usize, bool)> {
        let passed = [here.as_raw_fd(); 4];
        for (text, fds) in sent {
            let count = scm::send(here.as_fd(), &[IoSlice::new(text.as_bytes())], &passed[..*fds]).unwrap();
            assert_eq!(count, text.len());
        }
        let mut all = Vec::new();
        loop {
            let (mut buffer, mut fds) = (vec![0; most], Vec::new());
            match scm::receive(there.as_fd(), &mut buffer, &mut fds) {
                Ok(one) => {
                    let text = String::from_utf8_lossy(&buffer[..one.bytes]).into_owned();
                    all.push((text, fds.len(), one.truncated));
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return all;
                }
            }
        }
    }

    #[test]
    fn what_comes_in_memory_is_what_comes_through_the_kernel() {
        let sent = [("ab", 0), ("cdef", 2), ("g", 0), ("hi", 1), ("j", 1), ("", 0), ("klmnop", 0)];
        // Their numbers are to be theirs to the end.
        let (stream, packets) = (pair(false, 1000).unwrap(), pair(true, 1000).unwrap());
        for most in 1..9 {
            let real = receive_all(&socket::stream_pair().unwrap(), &sent, most);
            assert_eq!(receive_all(&stream, &sent, most), real, "{most}");
            let real = receive_all(&socket::packet_pair().unwrap(), &sent, most);
            assert_eq!(receive_all(&packets, &sent, most), real, "{most}");
        }
    }

    #[test]
    fn a_wire_that_is_full_takes_nothing_until_some_has_been_received() {
        let (here, there) = pair(false, 3).unwrap();
        let send = || scm::send(here.as_fd(), &[IoSlice::new(b"ab"), IoSlice::new(b"cd")], &[]);
        assert_eq!(send().unwrap(), 3);
        assert_eq!(send().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        scm::receive(there.as_fd(), &mut [0; 1], &mut Vec::new()).unwrap();
        assert_eq!(send().unwrap(), 1);
    }
}
