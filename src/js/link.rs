//! The primary's side of one worker: everything that ties the two together.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::acceptor::WorkerEnds;
use crate::board::Board;
use crate::board_layout::{Figures, Histogram, Http};
use crate::channel::frame::Kind;
use crate::channel::inbox::Inbox;
use crate::sys::{descriptors, process, socket};

use super::channel::Channel;
use super::{exception, number};

/// What a worker's board says, for statistics.
#[napi(object)]
pub struct BoardReading {
    /// Connections that the worker has taken from its queue.
    pub taken: f64,
    /// Connections open in it.
    pub active: f64,
    /// Connections that it has ever had.
    pub total: f64,
    /// Connections that wait in its queue.
    pub queued: f64,
    /// Turns of its event loop.
    pub turns: f64,
    /// Milliseconds that it is known to have been running without having waited for events; 0 when it waits.
    pub running_for: f64,
    /// The part (0 to 1) of its time that its event loop has been running.
    pub utilization: f64,
    /// Milliseconds of the longest turn of its event loop.
    pub longest_turn: f64,
}

/// A channel, a connection queue and a board, made for one worker.
#[napi]
pub struct Link {
    worker_channel: Option<OwnedFd>,
    channel: Option<OwnedFd>,
    worker_queue: Option<OwnedFd>,
    board_fd: Option<OwnedFd>,
    ends: Option<WorkerEnds>,
    board: Arc<Board>,
}

#[napi]
impl Link {
    /// Throws when descriptors have run out.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Result<Link> {
        Link::make().map_err(|error| exception(&error))
    }

    /// The number of the descriptor that the worker is to inherit, until `spawned` is called.
    #[napi(getter, catch_unwind)]
    pub fn worker_fd(&self) -> i32 {
        self.worker_channel.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// The worker has inherited its end (or was never started): closes our copy of it.
    #[napi(catch_unwind)]
    pub fn spawned(&mut self) {
        self.worker_channel = None;
    }

    /// The worker has died without having been added to the acceptor, or was never started: closes what is left.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        (self.worker_channel, self.channel, self.worker_queue, self.board_fd) = (None, None, None, None);
        self.ends = None;
        self.channel = None;
        self.worker_channel = None;
        self.worker_queue = None;
        self.board_fd = None;
    }

    /// The primary's end of the channel; `hello` is the first that the worker gets, with its queue and its board.
    #[napi(catch_unwind)]
    pub fn channel(&mut self, env: Env, hello: String, on_event: Function<'_, Unknown, Unknown>) -> Result<Channel> {
        let (Some(channel), Some(queue), Some(board)) =
            (self.channel.take(), self.worker_queue.take(), self.board_fd.take())
        else {
            return Err(napi::Error::from_reason("the channel has been opened already"));
        };
        let channel = Channel::open(&env, channel, &on_event, Inbox::distrusting(), Duration::ZERO)?;
        channel.push(Kind::Hello, hello.into_bytes(), vec![queue, board])?;
        channel.flush();
        Ok(channel)
    }

    /// What the worker's board says now.
    #[napi(catch_unwind)]
    pub fn read_board(&self) -> BoardReading {
        let running =
            self.board.running_since().map_or(0, |since| crate::sys::clock::monotonic_ns().saturating_sub(since));
        let (total, active) = self.board.connections();
        BoardReading {
            taken: self.board.taken() as f64,
            active: active as f64,
            total: total as f64,
            queued: self.board.queued() as f64,
            turns: self.board.turns() as f64,
            running_for: running as f64 / 1e6,
            utilization: self.board.utilization(),
            longest_turn: self.board.running_time().1 as f64 / 1e6,
        }
    }

    /// What the board's histograms say, one number after the other: milliseconds that connections have waited, and how many did up to
    /// each bound; the same of turns of the event loop; and what a worker's `http` has.
    #[napi(catch_unwind)]
    pub fn read_histograms(&self) -> Vec<f64> {
        let Figures { waits, turned, http, .. } = self.board.figures();
        let is_counted = http.is_some();
        let Http { requests, errors, times } = http.unwrap_or_default();
        let numbers =
            |histogram: Histogram| std::iter::once(histogram.sum).chain(histogram.counts.map(|count| count as f64));
        let counts = [f64::from(u8::from(is_counted)), requests as f64, errors as f64];
        numbers(waits).chain(numbers(turned)).chain(counts).chain(numbers(times)).collect()
    }

    /// Sends the board to a service manager's socket, with this text. To be called before `channel`. Returns 0 or a negative errno.
    #[napi(catch_unwind)]
    pub fn send_board(&self, address: String, text: String) -> i32 {
        let board = self.board_fd.as_ref().ok_or(io::ErrorKind::NotFound.into());
        number(board.and_then(|board| process::notify(&address, &text, &[board.as_raw_fd()])).map(|()| 0))
    }
}

impl Link {
    fn make() -> std::io::Result<Link> {
        let (channel, worker_channel) = socket::stream_pair()?;
        let (queue, worker_queue) = socket::packet_pair()?;
        let (board_fd, board) = Board::create()?;
        let board = Arc::new(board);
        let take_back = descriptors::duplicate(worker_queue.as_fd())?;
        Ok(Link {
            worker_channel: Some(worker_channel),
            channel: Some(channel),
            worker_queue: Some(worker_queue),
            board_fd: Some(board_fd),
            ends: Some(WorkerEnds { queue: queue.into(), take_back: take_back.into(), board: Arc::clone(&board) }),
            board,
        })
    }

    pub(super) fn take_ends(&mut self) -> Option<WorkerEnds> {
        self.ends.take()
    }
}
