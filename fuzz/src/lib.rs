//! What the fuzz targets do with their input: the same under libFuzzer (`cargo fuzz run <target>`) and under `cargo test`.
//!
//! An input is a list of small orders, each read from a few of its bytes, so that a part of an input is an input as well.

pub mod acceptor;
pub mod claims;
pub mod descriptors;
pub mod header;
pub mod inbox;
pub mod input;
pub mod outbox_inbox;
pub mod pair;
pub mod proxy_header;
pub mod queue;

/// What runs an input.
pub type Driver = fn(&[u8]);

/// All targets.
pub const TARGETS: [(&str, Driver); 7] = [
    ("header", header::run),
    ("inbox", inbox::run),
    ("outbox_inbox", outbox_inbox::run),
    ("queue", queue::run),
    ("acceptor", acceptor::run),
    ("proxy_header", proxy_header::run),
    ("claims", claims::run),
];
