//! What JavaScript sees: thin classes over the core. Descriptors are plain numbers here and nowhere else. A failed
//! system call is a negative number, as in Node's own bindings, so that errors get Node's own codes and messages.

pub mod acceptor;
pub mod channel;
mod linger;
pub mod link;
pub mod packet_line;
pub mod process;
pub mod proxied;
pub mod queue;
pub mod sockets;
pub mod worker_side;

use std::io;

use crate::sys::js::negative_errno;

/// `0` or what the call gave, or the negative errno.
fn number(result: io::Result<i32>) -> i32 {
    result.unwrap_or_else(|error| negative_errno(&error))
}

/// An exception for what must not fail in a sound process.
fn exception(error: &io::Error) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
