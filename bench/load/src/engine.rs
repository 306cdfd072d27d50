//! The event loop: connections from `connect` to close, on one epoll instance.
//!
//! ```text
//! open ─▶ Sending ─▶ Waiting ──┬─ keep-alive ─▶ Idle ── request ─▶ Sending …
//!                              └─ else ─▶ Closing (waits for the server's FIN) ─▶ gone
//! ```
//!
//! The cheap paths matter, since the generator shares the machine with what it measures: the request is
//! written at once, so most connections are registered only once, and the server's FIN is taken from
//! EPOLLRDHUP, so it costs no read of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::client::Client;
use crate::options::Options;
use crate::response::{Progress, Response};
use crate::rng::Rng;
use crate::tally::Tally;

/// The epoll token of the timer; connections count from 0.
const TIMER: u64 = u64::MAX;
const EVENTS_PER_TURN: usize = 256;
/// How often connections are checked for the timeout.
const SWEEP: Duration = Duration::from_millis(250);

/// What a turn brought, for the mode to act on. The number names the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// An answer came, and the connection can take the next request.
    Idle { connection: usize, worker: Option<u32> },
    /// The connection is gone: done, failed, or closed by the server while idle.
    Gone { connection: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Sending,
    Waiting,
    Idle,
    Closing,
}

struct Connection {
    stream: TcpStream,
    phase: Phase,
    due: Instant,
    slow: bool,
    sent: usize,
    /// Nothing has been asked on it before: what connections begin with goes ahead.
    first: bool,
    /// What epoll was last told to watch for.
    watched: EpollFlags,
    response: Response,
}

pub struct Engine {
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<Instant>,
    swept: Instant,
    client: Client,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    happened: Vec<Happened>,
    /// The first ones of a connection, and others; of each the quick one and the slow one.
    requests: [[Vec<u8>; 2]; 2],
    late: bool,
    scratch: Box<[u8; 65536]>,
    rng: Rng,
    slow_one_in: u64,
    keep_alive: bool,
    timeout: Duration,
    pub tally: Tally,
}

impl Engine {
    pub fn new(options: &Options) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(Self {
            epoll,
            timer,
            armed: None,
            swept: Instant::now(),
            client: Client::new(options.port, options.sources),
            slots: Vec::new(),
            free: Vec::new(),
            happened: Vec::new(),
            requests: [header(options.proxy), Vec::new()]
                .map(|start| ["/", "/slow"].map(|path| [&start[..], &request(path, options.keep_alive)].concat())),
            late: options.late,
            scratch: Box::new([0; 65536]),
            rng: Rng::new(options.seed),
            slow_one_in: options.slow_one_in,
            keep_alive: options.keep_alive,
            timeout: options.timeout,
            tally: Tally::new(options.report_over),
        })
    }

    /// How many connections there are, idle ones included.
    pub fn open_count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Opens a connection and sends its first request, which was due at `due`. False when there could be
    /// no connection at all; that is counted here and does not show up in [`Engine::turn`].
    pub fn open(&mut self, due: Instant) -> bool {
        let stream = match self.client.open() {
            Ok(stream) => stream,
            Err(errno) => {
                self.tally.failed(&format!("connect {errno:?}"));
                return false;
            }
        };
        let mut connection = Connection {
            stream,
            phase: Phase::Sending,
            due,
            slow: self.slow(),
            sent: 0,
            first: true,
            watched: EpollFlags::empty(),
            response: Response::default(),
        };
        self.tally.connections += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let sent = if self.late { Ok(()) } else { send(&mut connection, &self.requests) };
        connection.watched = interest(connection.phase);
        let event = EpollEvent::new(connection.watched, slot as u64);
        let added = self.epoll.add(&connection.stream, event);
        self.slots[slot] = Some(connection);
        if let Err(error) = sent.and(added.map_err(Into::into)) {
            self.fail(slot, &kind(&error));
        }
        true
    }

    /// Sends the next request over an idle connection.
    pub fn request(&mut self, slot: usize, due: Instant) {
        let slow = self.slow();
        let Some(connection) = &mut self.slots[slot] else {
            return;
        };
        connection.due = due;
        connection.slow = slow;
        connection.sent = 0;
        connection.first = false;
        connection.phase = Phase::Sending;
        connection.response.reset();
        self.send_on(slot);
    }

    /// Closes a connection; the client is then the one that ends in TIME_WAIT.
    pub fn close(&mut self, slot: usize) {
        // Dropping the stream closes the descriptor, which also takes it out of the epoll set.
        if self.slots[slot].take().is_some() {
            self.free.push(slot);
        }
    }

    /// Waits until something happens or `until` has come, and says what happened.
    pub fn turn(&mut self, until: Option<Instant>) -> Result<Vec<Happened>, Errno> {
        self.arm(until)?;
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        // What failed while it was being opened is already there to be told.
        let wait = if self.happened.is_empty() { SWEEP.as_millis() as u16 } else { 0 };
        let count = match self.epoll.wait(&mut events, EpollTimeout::from(wait)) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        for event in &events[..count] {
            match event.data() {
                TIMER => {
                    let _ = self.timer.wait();
                    self.armed = None;
                }
                slot => self.ready(slot as usize, event.events()),
            }
        }
        self.sweep();
        Ok(std::mem::take(&mut self.happened))
    }

    fn slow(&mut self) -> bool {
        self.slow_one_in > 0 && self.rng.below(self.slow_one_in) == 0
    }

    /// A timer descriptor, because epoll's own timeout has milliseconds only.
    fn arm(&mut self, until: Option<Instant>) -> Result<(), Errno> {
        if let Some(until) = until.filter(|_| self.armed != until) {
            let left = until.saturating_duration_since(Instant::now());
            // A timer of zero would be switched off.
            let left = TimeSpec::from_duration(left.max(Duration::from_nanos(1)));
            self.timer.set(Expiration::OneShot(left), TimerSetTimeFlags::empty())?;
            self.armed = Some(until);
        }
        Ok(())
    }

    fn ready(&mut self, slot: usize, events: EpollFlags) {
        let Some(connection) = &self.slots[slot] else {
            return;
        };
        let closed = events.intersects(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP);
        match connection.phase {
            Phase::Sending if !events.contains(EpollFlags::EPOLLIN) => self.send_on(slot),
            Phase::Sending | Phase::Waiting => self.read(slot, closed),
            Phase::Idle => self.fail(slot, "closed while idle"),
            Phase::Closing => self.gone(slot),
        }
    }

    fn send_on(&mut self, slot: usize) {
        let Some(connection) = &mut self.slots[slot] else {
            return;
        };
        let sent = send(connection, &self.requests);
        let wanted = interest(connection.phase);
        let watching = if wanted == connection.watched {
            Ok(())
        } else {
            connection.watched = wanted;
            self.epoll.modify(&connection.stream, &mut EpollEvent::new(wanted, slot as u64))
        };
        if let Err(error) = sent.and(watching.map_err(Into::into)) {
            self.fail(slot, &kind(&error));
        }
    }

    fn read(&mut self, slot: usize, closed: bool) {
        let Some(connection) = &mut self.slots[slot] else {
            return;
        };
        let progress = match connection.stream.read(&mut self.scratch[..]) {
            Ok(0) => connection.response.end(),
            Ok(length) => connection.response.feed(&self.scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => return self.fail(slot, &kind(&error)),
        };
        match progress {
            Progress::Partial => {}
            Progress::Bad(what) => self.fail(slot, what),
            Progress::Complete { worker, close } => self.complete(slot, worker, close, closed),
        }
    }

    /// `close`: the server said that it will; `closed`: its FIN is here already.
    fn complete(&mut self, slot: usize, worker: Option<u32>, close: bool, closed: bool) {
        let Some(connection) = &mut self.slots[slot] else {
            return;
        };
        self.tally.answered(connection.due, Instant::now(), worker);
        if closed {
            self.gone(slot);
        } else if self.keep_alive && !close {
            connection.phase = Phase::Idle;
            self.happened.push(Happened::Idle { connection: slot, worker });
        } else {
            connection.phase = Phase::Closing;
        }
    }

    fn fail(&mut self, slot: usize, what: &str) {
        self.tally.failed(what);
        self.gone(slot);
    }

    fn gone(&mut self, slot: usize) {
        self.close(slot);
        self.happened.push(Happened::Gone { connection: slot });
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for slot in 0..self.slots.len() {
            let Some(connection) = &self.slots[slot] else {
                continue;
            };
            let late = now.saturating_duration_since(connection.due) > self.timeout;
            match connection.phase {
                Phase::Sending | Phase::Waiting if late => self.fail(slot, "no answer in time"),
                Phase::Closing if late => self.fail(slot, "not closed by the server"),
                _ => {}
            }
        }
    }
}

fn request(path: &str, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

/// What a proxy says first, in this version of the PROXY protocol.
fn header(version: u8) -> Vec<u8> {
    match version {
        1 => b"PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\r\n".to_vec(),
        2 => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x09\x12\x67\x01\xbb".to_vec(),
        _ => Vec::new(),
    }
}

fn interest(phase: Phase) -> EpollFlags {
    match phase {
        Phase::Sending => EpollFlags::EPOLLOUT | EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
        _ => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
    }
}

/// Writes what is left of the request; the phase becomes `Waiting` when nothing is.
fn send(connection: &mut Connection, requests: &[[Vec<u8>; 2]; 2]) -> std::io::Result<()> {
    let rest = &requests[usize::from(!connection.first)][usize::from(connection.slow)][connection.sent..];
    match connection.stream.write(rest) {
        Ok(length) => {
            connection.sent += length;
            if length == rest.len() {
                connection.phase = Phase::Waiting;
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// The errno's name, which is what a reader looks for.
fn kind(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{:?}", Errno::from_raw(code)),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn headers_are_as_long_as_they_say() {
        assert_eq!(header(0), b"");
        assert!(header(1).starts_with(b"PROXY TCP4 ") && header(1).ends_with(b"\r\n"));
        let two = header(2);
        assert_eq!(usize::from(u16::from_be_bytes([two[14], two[15]])), two.len() - 16);
    }
}
