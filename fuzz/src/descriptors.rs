//! Descriptors to send, and how many this process has.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;
use rcluster::sys::{descriptors, socket};

/// Different ones that can be told apart by whoever receives them.
pub const KINDS: usize = 4;

fn originals() -> &'static [OwnedFd; KINDS] {
    static ALL: OnceLock<[OwnedFd; KINDS]> = OnceLock::new();
    ALL.get_or_init(|| std::array::from_fn(|_| socket::stream_pair().expect("two sockets").0))
}

/// The number of one of them, to be sent but not closed.
pub fn number(kind: usize) -> RawFd {
    originals()[kind % KINDS].as_raw_fd()
}

/// A duplicate of one of them.
pub fn copy(kind: usize) -> OwnedFd {
    descriptors::duplicate(originals()[kind % KINDS].as_fd()).expect("a descriptor")
}

/// Which of them this is a duplicate of.
pub fn kind_of(fd: impl AsFd) -> usize {
    static NODES: OnceLock<[u64; KINDS]> = OnceLock::new();
    let nodes = NODES.get_or_init(|| std::array::from_fn(|kind| fstat(&originals()[kind]).expect("its inode").st_ino));
    let node = fstat(fd.as_fd()).expect("its inode").st_ino;
    nodes.iter().position(|known| *known == node).expect("one of ours")
}

/// The lowest number that is free: descriptors that something holds push it up.
pub fn lowest_free() -> RawFd {
    copy(0).as_raw_fd()
}

/// How long something that closes descriptors by and by may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing holds more than `count` descriptors that did not when `before` was the lowest number that was free.
pub fn assert_held(before: RawFd, count: usize, what: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let held = lowest_free() - before;
        if held <= count as RawFd {
            return;
        }
        assert!(Instant::now() < until, "{what}: {held} descriptors are held, at most {count} may be");
        std::thread::yield_now();
    }
}
