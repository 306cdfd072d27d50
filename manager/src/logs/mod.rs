//! What programs write, on its way into files.

pub mod format;
pub mod sink;
