//! What a supervisor needs of the system.

use napi_derive::napi;

use super::number;
use crate::sys::process;

/// The version of the native part, which is the package's.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Stands for all that the native part exports: files of another version do not go on with it.
#[napi(catch_unwind)]
pub fn interface_version() -> &'static str {
    include_str!("../../lib/native_interface.js").rsplit('\'').nth(1).unwrap_or_default()
}

/// Sends one datagram to a service manager's socket, with duplicates of these descriptors. Returns 0 or a negative errno.
#[napi(catch_unwind)]
pub fn notify(address: String, text: String, fds: Option<Vec<i32>>) -> i32 {
    number(process::notify(&address, &text, &fds.unwrap_or_default()).map(|()| 0))
}

/// Ends this process so many seconds after its parent has died, even if its event loop hangs. Returns 0 or a negative
/// errno.
#[napi(catch_unwind)]
pub fn end_after_parent(seconds: u32) -> i32 {
    number(process::end_after_parent(seconds).map(|()| 0))
}

/// Collects ended processes that are none of `children`. Returns how many, or a negative errno.
#[napi(catch_unwind)]
pub fn reap_orphans(children: Vec<i32>) -> i32 {
    number(process::reap_orphans(&children))
}
