//! `rclusterd`: the process manager of rcluster, in four roles.
//!
//! - `rclusterd daemon --home DIR` knows what should run, and answers the command;
//! - `rclusterd keeper --dir DIR` owns the processes of one app. Keepers outlive daemons;
//! - `rclusterd monit --home DIR` shows on a terminal what runs;
//! - `rclusterd list --home DIR` prints it.

#![deny(unsafe_code)]

// Of the library: both have to mean the same by what is on a board. Not all of it is needed to read one.
#[allow(dead_code)]
#[path = "../../src/board_layout.rs"]
mod board_layout;
mod daemon;
mod durable;
mod keeper;
mod list;
mod logs;
mod model;
mod monit;
mod sys;

use std::path::Path;
use std::process::ExitCode;

use logs::console::{Console, Look};

/// Exit codes: it failed; the words of the call are wrong.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    sys::memory::keep_little();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["--version"] => {
            println!("rclusterd {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["daemon", "--home", home, rest @ ..] => daemon::run(Path::new(home), &daemon::Start::from(rest)),
        ["keeper", "--dir", folder, rest @ ..] => keep(Path::new(folder), rest),
        ["monit", "--home", home, rest @ ..] => match monit::run(Path::new(home), rest) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => {
                // Said to whoever has typed the command.
                eprintln!("rcluster: {error}");
                return ExitCode::from(FAILED);
            }
        },
        ["list", "--home", home] => list::run(Path::new(home)),
        _ => {
            eprintln!(
                "usage: rclusterd daemon --home DIR [--foreground [--resurrect]] | keeper --dir DIR [--foreground] | monit --home DIR | list --home DIR | --version"
            );
            return ExitCode::from(USAGE);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rclusterd: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// `RCLUSTER_KEPT` tells what the descriptors behind the standard streams are: what the keeper before had in its store. With `--line` the first of them is
/// the line to the daemon that has started it, as nobody's child already; then come the two streams of the console, if there is one.
fn keep(folder: &Path, words: &[&str]) -> std::io::Result<()> {
    let kept: Vec<keeper::About> = match std::env::var(keeper::KEPT) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Vec::new(),
    };
    let has_line = words.contains(&keeper::LINE);
    let look = Look::wanted();
    let mut fds = sys::socket::take_given(kept.len() + usize::from(has_line) + look.map_or(0, |_| 2))?;
    let line = has_line.then(|| fds.remove(0));
    let home = folder.parent().and_then(Path::parent).unwrap_or(folder);
    let console = look.map(|look| Console::new(look, [fds.remove(0), fds.remove(0)], home)).transpose()?;
    if !has_line
        && !words.contains(&"--foreground")
        && matches!(sys::process::detach()?, sys::process::Detached::Foreground)
    {
        return Ok(());
    }
    keeper::run(folder, kept.into_iter().zip(fds).collect(), line, console)
}
