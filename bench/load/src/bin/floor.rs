//! `floor WORKERS`: prints its port and pids as one line of JSON and serves until SIGTERM.

use std::process::ExitCode;

use rcluster_bench_load::floor::primary::Primary;

fn main() -> ExitCode {
    let workers = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let Some(workers @ 1..=512) = workers else {
        eprintln!("usage: floor WORKERS, which is a number from 1 to 512");
        return ExitCode::from(2);
    };
    match run(workers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(workers: usize) -> Result<(), Box<dyn std::error::Error>> {
    let primary = Primary::start(workers)?;
    println!("{}", primary.ready_line()?);
    Ok(primary.serve()?)
}
