//! Times that several parts of the acceptor know.

use std::time::Duration;

/// When descriptors have run out: how long until the next try.
pub const RETRY: Duration = Duration::from_millis(100);

/// The same when the kernel has refused for another reason.
pub const RETRY_SOON: Duration = Duration::from_millis(10);

/// A worker that has taken nothing for so long, though something was queued for it, is stuck; so is one whose board
/// says that it has been running for so long. What waits for it goes to others. On a busy machine a sound worker may
/// have to wait nearly as long for a processor; where workers are many, times [`crowding`](super::lookout::crowding).
pub const STUCK_AFTER: Duration = Duration::from_millis(20 * SLOWER);

/// The worker of a test is a thread that may not run for long.
pub const SLOWER: u64 = if cfg!(test) { 25 } else { 1 };
