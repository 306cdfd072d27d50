//! Offers HTTP load to 127.0.0.1 and prints one JSON object; `--help` lists the options.

use std::process::ExitCode;

use nix::sys::resource::{getrlimit, setrlimit, Resource};

use rcluster_bench_load::engine::Engine;
use rcluster_bench_load::modes;
use rcluster_bench_load::options::{Options, USAGE};

fn main() -> ExitCode {
    if std::env::args().any(|arg| arg == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("load: {message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<String, String> {
    let options = Options::parse(std::env::args().skip(1))?;
    // Held connections each need a descriptor; the soft limit is often 1,024.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let mut engine = Engine::new(&options).map_err(|errno| errno.to_string())?;
    modes::run(&mut engine, &options).map_err(|errno| errno.to_string())?;
    Ok(engine.tally.to_json())
}
