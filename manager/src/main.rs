//! `rclusterd`: the process manager of rcluster, in four roles.
//!
//! - `rclusterd daemon --home DIR` knows what should run, and answers the command;
//! - `rclusterd keepers` becomes keepers, each of which owns the processes of one app. Keepers outlive daemons;
//! - `rclusterd monit --home DIR` shows on a terminal what runs;
//! - `rclusterd list --home DIR` prints it.

#![deny(unsafe_code)]
#![deny(clippy::print_stderr)]

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
mod pattern;
mod say;
mod sys;

use std::path::Path;
use std::process::ExitCode;

use logs::console::Look;
use say::say;

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
        ["keepers", _room] => keepers(),
        ["monit", "--home", home, rest @ ..] => match monit::run(Path::new(home), rest) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => {
                // Said to whoever has typed the command.
                say(&format!("rcluster: {error}"));
                return ExitCode::from(FAILED);
            }
        },
        ["list", "--home", home] => list::run(Path::new(home)),
        _ => {
            say(
                "usage: rclusterd daemon --home DIR [--foreground [--resurrect]] | keepers ROOM | monit --home DIR | list --home DIR | --version",
            );
            return ExitCode::from(USAGE);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("rclusterd: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// A daemon has started us, as nobody's child. Behind the standard streams there are what it wants keepers over, and the two streams of the console,
/// if there is one.
fn keepers() -> std::io::Result<()> {
    let look = Look::wanted();
    let mut fds = sys::socket::take_given(1 + look.map_or(0, |_| 2))?;
    let orders = fds.remove(0);
    let console = look.map(|look| (look, [fds.remove(0), fds.remove(0)]));
    match keeper::birth::nursery(&orders)? {
        Some(born) => {
            drop(orders);
            keeper::run(born, console)
        }
        None => Ok(()),
    }
}
