//! The message channel: frames over a stream socket, in both directions.
//!
//! [`frame`] is the wire format, [`outbox`] what is to be written, [`inbox`] what was read, [`claims`] what a message would cost that a
//! worker has sent. None of them knows JavaScript; `js::channel` puts them on the event loop.

pub mod claims;
pub mod frame;
pub mod inbox;
pub mod outbox;
