//! The worker's end of the connection queue, on Node's event loop, and the hooks that keep its board.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::rc::{Rc, Weak};

use napi::bindgen_prelude::{Buffer, Function, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::board::Board;
use crate::connection_queue::{self, Batch, Connection, Notice};
use crate::sys::js::{Argument, Callback, event_loop, shared_doubles};
use crate::sys::uv::{EventLoop, Hook, Poll, READABLE};
use crate::sys::{clock, descriptors, libc};

use super::exception;

/// How often a worker waits for room for a full packet before it is content with less.
const PATIENCE: u32 = 3;

/// How often a notice is tried to be sent that the kernel refuses for a reason of its own.
const MOST_REFUSALS: u32 = 50;

/// With every how many connections from a socket of its own a worker looks for room, when descriptors are plenty.
const LOOK_EVERY: u32 = 16;

struct Inner {
    fd: RefCell<Option<OwnedFd>>,
    poll: RefCell<Option<Poll>>,
    hooks: RefCell<Vec<Hook>>,
    board: Rc<Board>,
    node_loop: EventLoop,
    callback: Callback,
    taken: RefCell<Vec<Connection>>,
    /// Notices that the kernel would not take.
    unsent: RefCell<VecDeque<Notice>>,
    out_of_descriptors: Cell<bool>,
    /// How often in a row the kernel has refused a notice for a reason of its own.
    refused: Cell<u32>,
    /// How often it has tried again since.
    tries: Cell<u32>,
}

/// Where connections come from.
///
/// `onConnection(fd, listener, left, said)` is called for each, and owns the descriptor from then on; `left` and `said` are as in
/// `passOn`. With
/// `fd` -1 it says that descriptors have run out, with -2 that the kernel has refused for another reason, and that `resume` is to be
/// called after a while.
#[napi]
pub struct ConnectionQueue {
    inner: Rc<Inner>,
}

impl ConnectionQueue {
    pub(super) fn open(
        env: &Env,
        fd: OwnedFd,
        board: Rc<Board>,
        on_connection: &Function<'_, Unknown, Unknown>,
    ) -> Result<ConnectionQueue> {
        let node_loop = event_loop(env)?;
        let inner = Rc::new(Inner {
            fd: RefCell::new(None),
            poll: RefCell::new(None),
            hooks: RefCell::new(Vec::new()),
            board,
            node_loop,
            callback: Callback::new(env, "RCLUSTERQUEUE", on_connection)?,
            taken: RefCell::new(Vec::with_capacity(connection_queue::MAX_BATCH)),
            unsent: RefCell::default(),
            out_of_descriptors: Cell::new(false),
            refused: Cell::new(0),
            tries: Cell::new(0),
        });
        let failed = |error: std::io::Error| exception(&error);
        let weak = Rc::downgrade(&inner);
        let poll = Poll::new(node_loop, fd.as_fd(), Rc::new(move |_| on_ready(&weak))).map_err(failed)?;
        poll.watch(READABLE).map_err(failed)?;
        let weak = Rc::downgrade(&inner);
        let before = Hook::before_wait(node_loop, Rc::new(move || end_turn(&weak))).map_err(failed)?;
        let board = Rc::clone(&inner.board);
        let after =
            Hook::after_wait(node_loop, Rc::new(move || board.begin_turn(clock::monotonic_ns()))).map_err(failed)?;
        inner.poll.replace(Some(poll));
        inner.hooks.replace(vec![before, after]);
        inner.fd.replace(Some(fd));
        Ok(ConnectionQueue { inner })
    }
}

#[napi]
impl ConnectionQueue {
    /// Gives a connection back: its server has closed or, when `full`, has as many as it may have. With `false` as the
    /// result `resume` is to be called after a while. `left` and `said` are what came with it.
    #[napi(catch_unwind)]
    pub fn give_back(&self, fd: i32, listener: u32, full: bool, left: Option<u32>, said: Option<Buffer>) -> bool {
        self.inner.board.add_ended(1);
        let Ok(fd) = descriptors::adopt_number(fd) else { return true };
        let said = said.and_then(|said| said_of(&said));
        let connection = Connection { left: left.unwrap_or(0), said, ..Connection::fresh(fd, listener) };
        self.inner.notify_surely(if full { Notice::Full(connection) } else { Notice::Closed(connection) })
    }

    /// Passes a connection that was served here on to other workers, as this one is leaving; the descriptor stays open here.
    /// `left`: 0 for one that is as good as fresh, otherwise 1 more than the milliseconds for which it may stay idle, or
    /// 0xffffffff without a limit. `said`: its PROXY header, if one was read; longer than 512 bytes it cannot go along, and the connection
    /// does not. Returns whether it went.
    #[napi(catch_unwind)]
    pub fn pass_on(&self, fd: i32, listener: u32, left: u32, said: Option<Buffer>) -> bool {
        let text = said.as_deref().and_then(said_of);
        if said.is_some() && text.is_none() {
            return false;
        }
        let Ok(fd) = descriptors::duplicate_number(fd) else { return false };
        self.inner.notify(&Notice::Moved(Connection { left, said: text, ..Connection::fresh(fd, listener) }))
    }

    /// The server of this listener has room again. Returns as `giveBack` does.
    #[napi(catch_unwind)]
    pub fn available(&self, listener: u32) -> bool {
        self.inner.notify_surely(Notice::Available(listener))
    }

    /// Counts of connections that JavaScript keeps, a `Float64Array` on the board: those that began without having come from
    /// here, and those that are over. Those that are given back are counted by themselves.
    #[napi(getter, catch_unwind)]
    pub fn counts<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        shared_doubles(env, Rc::clone(&self.inner.board), Board::counts)
    }

    /// A socket of the worker's own has brought a connection, with this descriptor. Returns with which connection from now on
    /// that is to be told again; 0 when there is no room for more descriptors, and `resume` is to be called after a while.
    #[napi(catch_unwind)]
    pub fn accepted(&self, fd: i32) -> u32 {
        descriptors::note(fd);
        if !self.inner.out_of_descriptors.get() && !self.inner.has_room() {
            self.inner.run_out();
            return 0;
        }
        if descriptors::are_plenty() { LOOK_EVERY } else { 1 }
    }

    /// Tries again after descriptors had run out, or after something could not be sent. Returns as `giveBack` does.
    #[napi(catch_unwind)]
    pub fn resume(&self) -> bool {
        if self.inner.out_of_descriptors.get() && self.inner.has_room_again() {
            self.inner.out_of_descriptors.set(false);
            self.inner.board.set_out_of_descriptors(false);
            self.inner.watch(READABLE);
            self.inner.notify(&Notice::TurnOver);
        }
        // A socket of its own takes whatever comes: libuv drops what it has no descriptor for.
        let room = !self.inner.out_of_descriptors.get() && self.inner.has_room();
        if room {
            self.inner.board.set_paused(false);
        }
        self.inner.send_unsent() && room
    }

    /// Whether an open queue keeps the process alive. It does not at first.
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        if let Some(poll) = self.inner.poll.borrow().as_ref() {
            poll.set_ref(referenced);
        }
    }

    /// Takes nothing any more. Doing it again does nothing.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }
}

/// What goes along, if it is not too long for that.
fn said_of(bytes: &[u8]) -> Option<Box<[u8]>> {
    (1..=connection_queue::MAX_SAID).contains(&bytes.len()).then(|| bytes.into())
}

fn on_ready(weak: &Weak<Inner>) {
    let Some(inner) = weak.upgrade() else { return };
    if !inner.board.in_turn() {
        inner.board.begin_turn(clock::monotonic_ns());
    }
    let mut taken = inner.taken.take();
    let received = match inner.fd.borrow().as_ref() {
        Some(fd) => connection_queue::receive(fd.as_fd(), &mut taken),
        None => return,
    };
    match received {
        Ok(Batch::Taken { count, lost }) => {
            inner.board.add_taken(count as u64);
            inner.board.add_ended(lost as u64);
            inner.callback.call_each(taken.drain(..).map(|connection| {
                // Its server gets it now: those before it in the packet may have taken their time.
                if let Some(ns) = connection.waited(clock::monotonic_ns()) {
                    inner.board.add_wait(ns);
                }
                let said = connection.said.map(|said| Argument::Bytes(said.into_vec()));
                [
                    Argument::Int(connection.fd.into_owned().into_raw_fd()),
                    Argument::Unsigned(connection.listener),
                    Argument::Unsigned(connection.left),
                ]
                .into_iter()
                .chain(said)
            }));
        }
        Ok(Batch::Empty) => {}
        Ok(Batch::NoRoom) => inner.try_later(-1),
        // The program has closed it.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK)) => inner.watch(0),
        // That passes, or it does not: then others get what comes meanwhile.
        Err(_) => inner.try_later(-2),
        // The primary has gone; what that means is decided where the channel ends.
        Ok(Batch::Closed) => inner.watch(0),
    }
    taken.clear();
    inner.taken.replace(taken);
}

fn end_turn(weak: &Weak<Inner>) {
    if let Some(inner) = weak.upgrade()
        && inner.board.end_turn(clock::monotonic_ns(), inner.node_loop.idle_ns())
    {
        inner.notify(&Notice::TurnOver);
    }
}

impl Inner {
    fn watch(&self, events: i32) {
        if let Some(poll) = self.poll.borrow().as_ref() {
            let _ = poll.watch(events);
        }
    }

    /// Whether the next packet's descriptors would fit.
    fn has_room(&self) -> bool {
        self.fd.borrow().as_ref().is_none_or(|fd| descriptors::room_for(connection_queue::MAX_BATCH, fd.as_fd()))
    }

    /// Whether to try again: with room for a full packet, or after a while also with less, as nobody else may be there
    /// to take what waits.
    fn has_room_again(&self) -> bool {
        let tries = self.tries.replace(self.tries.get() + 1);
        let wanted = if tries < PATIENCE { connection_queue::MAX_BATCH } else { 1 };
        let room = self.fd.borrow().as_ref().is_none_or(|fd| descriptors::room_for(wanted, fd.as_fd()));
        if room {
            self.tries.set(0);
        }
        room
    }

    /// Takes nothing, and says so, until `resume`.
    fn run_out(&self) {
        self.out_of_descriptors.set(true);
        self.board.set_out_of_descriptors(true);
        self.board.set_paused(true);
        self.watch(0);
    }

    /// The same, and JavaScript is told to call `resume`.
    fn try_later(&self, why: i32) {
        self.run_out();
        self.callback.call([Argument::Int(why), Argument::Int(0), Argument::Int(0)]);
    }

    /// Returns whether it went. If not it is lost: the primary looks by itself after a while.
    fn notify(&self, notice: &Notice) -> bool {
        let fd = self.fd.borrow();
        fd.as_ref().is_some_and(|fd| connection_queue::send_notice(fd.as_fd(), notice).is_ok())
    }

    /// One that cannot be sent now is kept for later. Returns whether none is kept.
    fn notify_surely(&self, notice: Notice) -> bool {
        self.unsent.borrow_mut().push_back(notice);
        self.send_unsent()
    }

    fn send_unsent(&self) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        let fd = self.fd.borrow();
        while let (Some(notice), Some(fd)) = (unsent.front(), fd.as_ref()) {
            match connection_queue::send_notice(fd.as_fd(), notice) {
                Ok(()) => self.refused.set(0),
                // The primary is gone.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock || descriptors::ran_out(&error) => return false,
                Err(_) if self.refused.replace(self.refused.get() + 1) < MOST_REFUSALS => return false,
                // This one the kernel never lets through.
                Err(_) => self.refused.set(0),
            }
            unsent.pop_front();
        }
        true
    }

    fn close(&self) {
        // The poll goes first: it must not watch a number that may be given out again.
        self.poll.replace(None);
        self.hooks.replace(Vec::new());
        self.fd.replace(None);
        self.unsent.borrow_mut().clear();
    }
}
