//! Reading logs: the last lines of several, merged by time, and what comes after them.
//!
//! Nobody is asked for it but the file system: it works while an app's keeper is gone, and after a daemon has been replaced a reader
//! goes on at the position where it was.

mod backwards;
mod chain;
mod line;
mod marks;
mod query;
mod tail;
mod watch;

pub use line::{Log, prefix_width};
pub use query::{Query, Reader, run};
