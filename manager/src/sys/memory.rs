//! What the C library keeps of memory that was given back to it, and files that are in memory alone.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::libc;

/// Bytes from which on memory comes from the kernel, and goes back to it at once.
const LARGE: libc::c_int = 128 << 10;

/// From now on one area serves all threads, and large pieces are never kept: hundreds of keepers that were busy once would each keep megabytes.
/// To be called before there is a second thread.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    for (what, value) in [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE)] {
        // SAFETY: two numbers; what it does not know it refuses.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Gives back what nobody uses at the moment. Takes some time.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A file that has this in it, and no place in any folder. It is read from its beginning on. Unlike a pipe it has room for all, and nobody waits for
/// those who read it.
pub fn file(name: &CStr, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
