//! Descriptors to send, and how many this process has.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use nix::sys::stat::fstat;
use rcluster::sys::socket::{self, Kind};
use rcluster::sys::{descriptors, foreign};

/// Different ones that can be told apart by whoever receives them.
pub const KINDS: usize = 4;

struct Original {
    fd: OwnedFd,
    inode: u64,
}

fn originals() -> &'static [Original; KINDS] {
    static ALL: OnceLock<[Original; KINDS]> = OnceLock::new();
    ALL.get_or_init(|| {
        std::array::from_fn(|index| {
            let fd = socket::new(if index % 2 == 0 { Kind::Tcp } else { Kind::Pipe }).expect("a socket");
            let inode = fstat(&fd).expect("its inode").st_ino;
            Original { fd, inode }
        })
    })
}

/// The number of one of them, to be sent but not closed.
pub fn number(kind: usize) -> RawFd {
    originals()[kind % KINDS].fd.as_raw_fd()
}

/// A duplicate of one of them.
pub fn copy(kind: usize) -> OwnedFd {
    descriptors::duplicate(originals()[kind % KINDS].fd.as_fd()).expect("a descriptor")
}

/// Which of them this is a duplicate of.
pub fn kind_of(fd: impl AsFd) -> usize {
    let inode = fstat(fd.as_fd()).expect("its inode").st_ino;
    originals().iter().position(|known| known.inode == inode).expect("one of ours")
}

/// Numbers from this one on are not looked at. What a channel may hold fits below, so that one more is seen; and what one input after the
/// other leaves open fills the numbers below.
const LOOKED_AT: usize = 80;

/// How many this process has. What is to be closed elsewhere is closed at once from now on, so that nothing is under way.
pub fn count() -> usize {
    foreign::close_here();
    originals();
    descriptors::open_below::<LOOKED_AT>()
}

/// Nothing holds more than `most` descriptors that did not when there were `before`.
pub fn assert_held(before: usize, most: usize, what: &str) {
    let held = count().saturating_sub(before);
    assert!(held <= most, "{what}: {held} descriptors are held, at most {most} may be");
}
