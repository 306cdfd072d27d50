//! A worker's first moments: it has inherited one descriptor, and finds everything else behind it.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::board::Board;
use crate::channel::frame::Kind;
use crate::channel::inbox::{Delivery, Inbox, Read};
use crate::sys::js::shared_doubles;
use crate::sys::{descriptors, poll};

use super::channel::Channel;
use super::exception;
use super::queue::ConnectionQueue;

/// How long the primary's first frame may take; it was written before the worker started.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How long the end of a worker may wait for a primary that does not read.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// What a worker is made of.
#[napi]
pub struct WorkerSide {
    hello: String,
    channel: Option<(OwnedFd, Inbox)>,
    /// The queue and the board, as they came: what they are is looked at when it is known that the primary speaks our language.
    ends: Option<Vec<OwnedFd>>,
    board: Option<Rc<Board>>,
}

#[napi]
impl WorkerSide {
    /// Takes the channel's descriptor, by its inherited number, and waits for the primary's first frame.
    #[napi(constructor, catch_unwind)]
    pub fn new(fd: i32) -> Result<WorkerSide> {
        let channel = descriptors::adopt_number(fd).map_err(|error| exception(&error))?;
        let mut inbox = Inbox::default();
        let deadline = Instant::now() + HELLO_WAIT;
        let failed = |why: &str| napi::Error::from_reason(format!("the worker could not join its primary: {why}"));
        loop {
            match inbox.next_delivery().map_err(|malformed| failed(malformed.0))? {
                Some(Delivery::Frame(Kind::Hello, text, fds)) => {
                    let Ok(hello) = String::from_utf8(text) else {
                        return Err(failed("its first frame makes no sense"));
                    };
                    return Ok(WorkerSide { hello, channel: Some((channel, inbox)), ends: Some(fds), board: None });
                }
                Some(_) => return Err(failed("its first frame is another one")),
                None => {}
            }
            match inbox.read(channel.as_fd()).map_err(|error| exception(&error))? {
                Read::End => return Err(failed("it has gone")),
                Read::Bytes { .. } => {}
                _ if Instant::now() >= deadline => return Err(failed("it says nothing")),
                _ => poll::wait_readable(channel.as_fd(), deadline.saturating_duration_since(Instant::now())),
            }
        }
    }

    /// What the primary said first: JSON.
    #[napi(getter, catch_unwind)]
    pub fn hello(&self) -> String {
        self.hello.clone()
    }

    /// The channel; once only.
    #[napi(catch_unwind)]
    pub fn channel(&mut self, env: Env, on_event: Function<'_, Unknown, Unknown>) -> Result<Channel> {
        let (fd, inbox) =
            self.channel.take().ok_or_else(|| napi::Error::from_reason("the channel has been opened already"))?;
        Channel::open(&env, fd, &on_event, inbox, LAST_WRITE)
    }

    /// When the queue has been opened: what is told of HTTP requests, a `Float64Array` on the board: 1 as soon as they are counted; requests, errors, milliseconds of
    /// all responses, and how many took up to so long: 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, and longer.
    #[napi(getter, catch_unwind)]
    pub fn http<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let board = self.board.as_ref().ok_or_else(|| napi::Error::from_reason("the queue has not been opened yet"))?;
        shared_doubles(env, Rc::clone(board), Board::http)
    }

    /// The connection queue; once only.
    #[napi(catch_unwind)]
    pub fn queue(&mut self, env: Env, on_connection: Function<'_, Unknown, Unknown>) -> Result<ConnectionQueue> {
        let ends = self.ends.take().ok_or_else(|| napi::Error::from_reason("the queue has been opened already"))?;
        let [queue, board] = <[OwnedFd; 2]>::try_from(ends).map_err(|_| {
            napi::Error::from_reason("the worker could not join its primary: its first frame makes no sense")
        })?;
        let board = Rc::new(Board::open(board.as_fd()).map_err(|error| exception(&error))?);
        self.board = Some(Rc::clone(&board));
        ConnectionQueue::open(&env, queue, board, &on_connection)
    }
}
