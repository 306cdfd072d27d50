//! One page of memory that a worker and the primary share: a sealed memfd, mapped by both.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// What the words are, and what orders accesses to them. `models/` has others in their place, which try whatever order is allowed.
pub use std::sync::atomic::{AtomicU64, fence};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

use super::fault::may_fail;

/// Bytes of the page.
pub const PAGE_BYTES: usize = 4096;
/// The same in 64-bit words.
pub const PAGE_WORDS: usize = PAGE_BYTES / 8;

/// A mapped page. All access is by whole atomic words, so that no value the other side writes can tear.
pub struct BoardPage {
    start: NonNull<c_void>,
}

// SAFETY: the page is only ever read and written through `AtomicU64`, from any thread.
unsafe impl Send for BoardPage {}
// SAFETY: as above.
unsafe impl Sync for BoardPage {}

impl BoardPage {
    /// Makes a page: the descriptor for the other process, and the mapping for this one. The memfd is sealed
    /// against shrinking, so that reading it can never raise SIGBUS, whatever the other side does.
    pub fn create() -> io::Result<(OwnedFd, BoardPage)> {
        may_fail("memfd_create")?;
        let fd = memfd_create(c"rcluster-board", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        may_fail("ftruncate")?;
        ftruncate(&fd, PAGE_BYTES as i64)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        may_fail("fcntl")?;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
        let page = BoardPage::map(fd.as_fd())?;
        Ok((fd, page))
    }

    /// Maps a page that another process made. Anything but a page of the right size, sealed against shrinking,
    /// is refused.
    pub fn map(fd: BorrowedFd) -> io::Result<BoardPage> {
        may_fail("fcntl")?;
        let seals = SealFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GET_SEALS)?);
        may_fail("fstat")?;
        if !seals.contains(SealFlag::F_SEAL_SHRINK) || fstat(fd)?.st_size != PAGE_BYTES as i64 {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        may_fail("mmap")?;
        let length = NonZeroUsize::new(PAGE_BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new shared mapping at an address of the kernel's choice aliases nothing of ours.
        let start =
            unsafe { mmap(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, fd, 0)? };
        Ok(BoardPage { start })
    }

    /// One word of the page. One that there is not is nobody's.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        self.words().get(index).unwrap_or(&NOWHERE)
    }

    /// All words of the page.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, lives as long as `self`, holds `PAGE_WORDS` words, cannot shrink,
        // and every bit pattern is a valid u64.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<AtomicU64>(), PAGE_WORDS) }
    }
}

impl Drop for BoardPage {
    fn drop(&mut self) {
        // SAFETY: this very mapping was made by `map` with this length, and nothing borrows from it any more.
        // A failure would only leave a page mapped.
        let _ = unsafe { munmap(self.start, PAGE_BYTES) };
    }
}
