//! What programs write, on its way into files and out of them again.
//!
//! ```text
//!  pipe ── keeper's loop ── feed ── writer's thread ── sink ── file, archives, margins
//!          reads, frames    8 MiB   formats      │     rotates
//!                                                └──── console: standard output of a daemon in the foreground
//!
//!  file, archives, margins ── chain ── tail, backwards ── query ── the API: merged by time, followed
//! ```
//!
//! - A keeper's loop never waits for a disk: it puts whole lines into a [`feed`], whose other end a thread of its own writes.
//! - A log is a chain of files: the one that is written, and those that were set aside, the oldest first. A byte has the same
//!   *position* in it for ever, whatever its file is called by then; so that a reader can go on where it was.
//! - Beside each file is a [`margin`]: when its lines were read, and from whom, whatever they look like themselves.

pub mod archive;
pub mod console;
pub mod feed;
pub mod format;
pub mod margin;
pub mod place;
pub mod read;
pub mod sink;
pub mod writer;
