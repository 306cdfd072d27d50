//! What goes wrong and no answer can tell.

use std::io::Write;

/// Writes a line to standard error, which is the daemon's log. Where there is no room for it, as on a full disk, whoever had something to say goes
/// on: `eprintln!` would end it.
pub fn say(words: &str) {
    let _ = std::io::stderr().write_all(format!("{words}\n").as_bytes());
}
