//! A program that is there at once: it writes its number and when it began (nanoseconds of CLOCK_MONOTONIC) into the file that is its argument, and
//! waits to be killed. What a manager takes to start a program is measured with it, so that the program's own start hides none of it.

use std::io::Write;

use nix::time::{clock_gettime, ClockId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let file = std::env::args_os().nth(1).ok_or("which file?")?;
    // At once, as others may write there as well.
    let line = format!("{} {}{:09}\n", std::process::id(), now.tv_sec(), now.tv_nsec());
    std::fs::File::options().append(true).open(file)?.write_all(line.as_bytes())?;
    loop {
        nix::unistd::pause();
    }
}
