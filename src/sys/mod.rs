//! The one door to the kernel, to libuv and to raw N-API.
//!
//! Every `unsafe` block and every system call of rcluster is below this folder; the rest of the crate
//! denies `unsafe_code`. What a member must do:
//!
//! - turn each negative result into an [`std::io::Error`] on the spot ([`check`]),
//! - wrap each new descriptor in an [`std::os::fd::OwnedFd`] on the very line of the call, close-on-exec,
//! - say above each `unsafe` block why it holds.

#![allow(unsafe_code)]

use std::io;

pub mod board_page;
pub mod clock;
pub mod descriptors;
pub mod fault;
pub mod foreign;
pub mod js;
pub mod listen;
pub mod poll;
pub mod process;
pub mod scm;
pub mod socket;
pub mod uv;
#[cfg(any(test, feature = "fuzzing"))]
pub mod wires;

/// How often a call is made whose failure nobody would notice, or could make good.
const TRIES: usize = 4;

/// Makes such a call, and again if it fails. Once would do, if system calls did not fail.
fn insist<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..TRIES {
        if let Ok(done) = call() {
            return Ok(done);
        }
    }
    call()
}

/// The result of a system call: a negative number becomes the error in `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for calls that return a size.
fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

pub(crate) use nix::libc;
