//! The message channel: frames over a stream socket, in both directions.
//!
//! [`frame`] is the wire format, [`outbox`] what is to be written, [`inbox`] what was read. None of them knows
//! JavaScript; `js::channel` puts them on the event loop.

pub mod frame;
pub mod inbox;
pub mod outbox;
