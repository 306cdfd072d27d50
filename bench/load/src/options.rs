//! The command line of `load`, checked once.

use std::time::Duration;

pub const USAGE: &str = "usage: load --port P MODE [OPTION ...]
modes
  --connections C (--requests N | --seconds S)   closed loop: C at a time, the next when one is done
  --rate R --seconds S                           open loop: one new connection each 1/R s
  --hold N --seconds S [--churn R]               N idle connections, R of them replaced per second
options
  --keep-alive            closed loop: many requests on one connection
  --proxy V               each connection begins with a header of the PROXY protocol, version 1 or 2
  --late                  say nothing on a connection before it is known to be one
  --sources N             client addresses 127.0.0.1 ... 127.0.0.N (default 1)
  --slow-one-in K         ask for /slow instead of / in one of K requests, at random
  --seed N                seed of that choice and of the churn (default 1)
  --timeout S             when an answer counts as missing (default 10)
  --report-over MS        list the requests that took longer";

/// How the load is offered.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    Closed { connections: usize, limit: Limit },
    Open { rate: f64, seconds: f64 },
    Hold { count: usize, seconds: f64, churn: f64 },
}

/// When a closed loop opens no more.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    Requests(u64),
    Seconds(f64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub port: u16,
    pub mode: Mode,
    pub keep_alive: bool,
    /// The version of the PROXY protocol to begin with; 0: none.
    pub proxy: u8,
    pub late: bool,
    pub sources: u8,
    /// 0: never.
    pub slow_one_in: u64,
    pub seed: u64,
    pub timeout: Duration,
    pub report_over: Option<Duration>,
}

impl Options {
    /// Reads the arguments (without the program's name). The error is a sentence for the user.
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut given = Given::default();
        given.read(args)?;
        let mode = given.mode()?;
        Ok(Self {
            port: given.port.ok_or("--port is missing")?,
            // Held connections stay open by definition.
            keep_alive: given.keep_alive || matches!(mode, Mode::Hold { .. }),
            mode,
            proxy: given.proxy.unwrap_or(0),
            late: given.late,
            sources: given.sources.unwrap_or(1),
            slow_one_in: given.slow_one_in.unwrap_or(0),
            seed: given.seed.unwrap_or(1),
            timeout: Duration::from_secs_f64(given.timeout.unwrap_or(10.0)),
            report_over: given.report_over.map(|ms| Duration::from_secs_f64(ms / 1e3)),
        })
    }
}

#[derive(Default)]
struct Given {
    port: Option<u16>,
    connections: Option<usize>,
    requests: Option<u64>,
    seconds: Option<f64>,
    rate: Option<f64>,
    hold: Option<usize>,
    churn: Option<f64>,
    keep_alive: bool,
    proxy: Option<u8>,
    late: bool,
    sources: Option<u8>,
    slow_one_in: Option<u64>,
    seed: Option<u64>,
    timeout: Option<f64>,
    report_over: Option<f64>,
}

impl Given {
    fn read(&mut self, mut args: impl Iterator<Item = String>) -> Result<(), String> {
        while let Some(name) = args.next() {
            if name == "--keep-alive" {
                self.keep_alive = true;
                continue;
            }
            if name == "--late" {
                self.late = true;
                continue;
            }
            let value = args.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--port" => self.port = Some(number(&name, &value)?),
                "--connections" => self.connections = Some(number(&name, &value)?),
                "--requests" => self.requests = Some(number(&name, &value)?),
                "--seconds" => self.seconds = Some(positive(&name, &value)?),
                "--rate" => self.rate = Some(positive(&name, &value)?),
                "--hold" => self.hold = Some(number(&name, &value)?),
                "--churn" => self.churn = Some(positive(&name, &value)?),
                "--proxy" => match number(&name, &value)? {
                    version @ 1..=2 => self.proxy = Some(version),
                    _ => return Err(format!("{name} got {value:?}, which is neither 1 nor 2")),
                },
                "--sources" => self.sources = Some(number(&name, &value)?),
                "--slow-one-in" => self.slow_one_in = Some(number(&name, &value)?),
                "--seed" => self.seed = Some(number(&name, &value)?),
                "--timeout" => self.timeout = Some(positive(&name, &value)?),
                "--report-over" => self.report_over = Some(positive(&name, &value)?),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(())
    }

    fn mode(&self) -> Result<Mode, String> {
        let seconds = || self.seconds.ok_or("--seconds is missing".to_owned());
        match (self.connections, self.rate, self.hold) {
            (Some(connections), None, None) => {
                let limit = match (self.requests, self.seconds) {
                    (Some(requests), None) => Limit::Requests(requests),
                    (None, Some(seconds)) => Limit::Seconds(seconds),
                    _ => return Err("--connections needs --requests or --seconds".into()),
                };
                Ok(Mode::Closed { connections, limit })
            }
            (None, Some(_), None) if self.keep_alive => {
                Err("--rate opens a connection for each request: leave out --keep-alive".into())
            }
            (None, Some(rate), None) => Ok(Mode::Open { rate, seconds: seconds()? }),
            (None, None, Some(count)) => {
                Ok(Mode::Hold { count, seconds: seconds()?, churn: self.churn.unwrap_or(0.0) })
            }
            _ => Err("give exactly one of --connections, --rate and --hold".into()),
        }
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("{name} got {value:?}, which is no fitting number"))
}

fn positive(name: &str, value: &str) -> Result<f64, String> {
    let number: f64 = number(name, value)?;
    // An hour or a million per second is far beyond any use, and keeps the arithmetic harmless.
    if number > 0.0 && number <= 1e6 {
        Ok(number)
    } else {
        Err(format!("{name} got {value:?}, which is not above 0 and at most 1000000"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Mode, Options};

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn knows_the_three_modes() {
        let closed = Mode::Closed { connections: 8, limit: Limit::Requests(100) };
        assert_eq!(parse("--port 1 --connections 8 --requests 100").unwrap().mode, closed);
        let open = Mode::Open { rate: 200.0, seconds: 1.5 };
        assert_eq!(parse("--port 1 --rate 200 --seconds 1.5").unwrap().mode, open);
        assert!(parse("--port 1 --hold 5 --seconds 1").unwrap().keep_alive);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(parse("--rate 1 --seconds 1").unwrap_err(), "--port is missing");
        assert!(parse("--port 1 --rate 1 --hold 2 --seconds 1").is_err());
        assert!(parse("--port 1 --rate 0 --seconds 1").unwrap_err().contains("--rate"));
        assert!(parse("--port x").unwrap_err().contains("\"x\""));
        assert!(parse("--port 1 --rate 1 --seconds 1 --proxy 3").unwrap_err().contains("--proxy"));
    }
}
