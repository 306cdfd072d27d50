//! Two connected sockets that one input after the other uses: making a pair for each would take longer than all the rest. With the
//! feature `wires` they are sockets in memory.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::LocalKey;

use nix::sys::socket::{setsockopt, sockopt};
use rcluster::sys::{scm, socket, wires};

/// The two ends.
pub type Pair = (OwnedFd, OwnedFd);

/// Where a pair is kept between two inputs.
pub type Kept = RefCell<Option<Pair>>;

/// What kind of pair.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A stream.
    Stream,
    /// A stream that takes little at a time.
    Small,
    /// Packets.
    Packets,
}

fn make(sort: Sort) -> io::Result<Pair> {
    if cfg!(feature = "wires") {
        return wires::pair(sort == Sort::Packets, if sort == Sort::Small { 2048 } else { 128 * 1024 });
    }
    match sort {
        Sort::Packets => socket::packet_pair(),
        Sort::Stream => socket::stream_pair(),
        Sort::Small => {
            let (near, far) = socket::stream_pair()?;
            setsockopt(&near, sockopt::SndBuf, &1)?;
            Ok((near, far))
        }
    }
}

/// The pair that is kept, or a new one.
pub fn take(kept: &'static LocalKey<Kept>, sort: Sort) -> Pair {
    kept.take().unwrap_or_else(|| make(sort).expect("two sockets"))
}

/// Empties the pair and keeps it for the next input.
pub fn put_back(kept: &'static LocalKey<Kept>, pair: Pair) {
    empty(pair.0.as_fd());
    empty(pair.1.as_fd());
    kept.set(Some(pair));
}

/// Receives all that waits there. What it cannot be taken for is the end: both ends are open.
fn empty(end: BorrowedFd) {
    let (mut bytes, mut fds) = ([0; 16 * 1024], Vec::new());
    while scm::receive(end, &mut bytes, &mut fds).is_ok() {
        fds.clear();
    }
}
