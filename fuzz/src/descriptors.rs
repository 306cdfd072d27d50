//! Descriptors to send, and how many this process has.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;
use rcluster::sys::{descriptors, foreign, socket};

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

/// How long the thread that closes what another process has had may take: as long as a machine under load may keep it from running.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many this process has, without those that are only to be closed. Counted one by one: libFuzzer starts a process to name a
/// new function with, and keeps two descriptors for it among ours, so that the lowest free number says nothing.
pub fn count() -> usize {
    originals();
    let until = Instant::now() + PATIENCE;
    while foreign::unclosed() > 0 && Instant::now() < until {
        std::thread::sleep(PAUSE);
    }
    std::fs::read_dir("/proc/self/fd").expect("the list of descriptors").count()
}

/// Between two looks. Whoever yields only may keep the thread that is waited for from its processor.
const PAUSE: Duration = Duration::from_micros(50);

/// Nothing holds more than `most` descriptors that did not when there were `before`.
pub fn assert_held(before: usize, most: usize, what: &str) {
    let held = count().saturating_sub(before);
    let unclosed = foreign::unclosed();
    assert!(held <= most, "{what}: {held} descriptors are held, at most {most} may be; {unclosed} are being closed");
}
