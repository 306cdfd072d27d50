//! The floor: accept, pass, receive and answer, with no runtime, no policy and no bookkeeping.
//!
//! A connection goes the same way as through rcluster: a primary accepts it and sends it over a SEQPACKET
//! pair to a worker, in strict rotation, several descriptors to a message when several are pending. What
//! this costs is what any program pays to the kernel for handing connections over between processes.

pub mod primary;
pub mod worker;

/// The most descriptors in one message. The kernel allows 253; more than this saves next to nothing.
pub const BATCH: usize = 16;
