//! Those who serve.

use std::mem;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::sys::socket::{MsgFlags, recv};

use super::clients::client_of;
use super::{MOST_WORKERS, World};
use crate::acceptor::WorkerEnds;
use crate::board::Board;
use crate::connection_queue::{self, Batch, Connection, MAX_BATCH, NO_LIMIT, Notice};
use crate::proxy_header::{self, Parsed};
use crate::sys::{clock, descriptors, socket};

/// One worker, which does what it should.
pub struct Worker {
    pub number: u32,
    queue: OwnedFd,
    pub board: Board,
    /// The same page as the acceptor has it.
    pub primary_board: Arc<Board>,
    /// Its connections, by the indices of their clients.
    pub taken: Vec<(usize, Connection)>,
    /// The listening sockets that it has as its own, and of which listeners.
    pub sockets: Vec<(usize, TcpListener)>,
    /// It has written nonsense: what it says after that is not heard.
    lied: bool,
}

impl World {
    /// A worker that serves nothing yet. Returns its index.
    pub fn add_worker(&mut self) -> Option<usize> {
        if self.workers.len() >= MOST_WORKERS {
            return None;
        }
        // Without descriptors, or whatever else, there is no worker.
        let (primary, queue) = socket::packet_pair().ok()?;
        let take_back = descriptors::duplicate(queue.as_fd()).ok()?;
        let (primary_board, board) = boards::make().ok()?;
        let ends = WorkerEnds { queue: primary.into(), take_back: take_back.into(), board: Arc::clone(&primary_board) };
        let number = self.core.add_worker(ends, None).ok()?;
        self.workers.push(Worker {
            number,
            queue,
            board,
            primary_board,
            taken: Vec::new(),
            sockets: Vec::new(),
            lied: false,
        });
        Some(self.workers.len() - 1)
    }

    /// The worker dies, and what it has taken with it.
    pub fn kill(&mut self, worker: usize) {
        if worker < self.workers.len() {
            let Worker { number, queue, board, primary_board, taken, sockets, .. } = self.workers.swap_remove(worker);
            for (client, _) in taken {
                self.is_over(client);
            }
            drop((queue, sockets));
            self.core.remove_worker(number);
            boards::keep(primary_board, board);
        }
    }

    /// Those that the acceptor has given up are killed by whoever is told.
    pub fn kill_given_up(&mut self) {
        let given_up = std::mem::take(&mut *self.given_up.lock().unwrap());
        for number in given_up {
            if let Some(index) = self.workers.iter().position(|worker| worker.number == number) {
                self.kill(index);
            }
        }
    }

    /// One turn of the worker's loop, in which it takes so many packets, and whatever has come to sockets of its own.
    pub fn take(&mut self, worker: usize, packets: usize) {
        let Some(worker) = self.workers.get_mut(worker) else { return };
        worker.board.begin_turn(clock::monotonic_ns());
        let mut connections = Vec::with_capacity(MAX_BATCH);
        for _ in 0..packets {
            match connection_queue::receive(worker.queue.as_fd(), &mut connections) {
                Ok(Batch::Taken { count, lost }) => {
                    worker.board.add_taken(count as u64);
                    assert_eq!(lost, 0, "descriptors are lost");
                }
                _ => break,
            }
        }
        for (listener, socket) in &worker.sockets {
            while let Ok((stream, _)) = socket.accept() {
                connections.push(Connection::fresh(stream.into(), self.listeners[*listener].0));
                let opened = &worker.board.counts()[0];
                opened.store((f64::from_bits(opened.load(Ordering::Relaxed)) + 1.0).to_bits(), Ordering::Relaxed);
            }
        }
        for connection in connections {
            let index = client_of(&connection);
            let client = &mut self.clients[index];
            let may_be_early = self.has_failed || self.finished.contains(&client.listener);
            assert!(may_be_early || !client.is_late(), "{index} has come before its header");
            assert!(client.stream.is_some(), "{index} is over");
            assert!(!mem::replace(&mut client.taken, true), "{index} has been given away twice");
            worker.taken.push((index, connection));
        }
        if worker.board.end_turn(clock::monotonic_ns(), 0) {
            let _ = connection_queue::send_notice(worker.queue.as_fd(), &Notice::TurnOver);
        }
    }

    /// The worker's oldest connection is over.
    pub fn end(&mut self, worker: usize) {
        let Some(worker) = self.workers.get_mut(worker).filter(|worker| !worker.taken.is_empty()) else { return };
        let (client, _) = worker.taken.remove(0);
        worker.board.add_ended(1);
        self.is_over(client);
    }

    /// The worker gives its newest connection back, with that notice.
    pub fn give_back(&mut self, worker: usize, notice: fn(Connection) -> Notice) {
        let Some(worker) = self.workers.get_mut(worker).filter(|worker| !worker.lied) else { return };
        let Some((client, connection)) = worker.taken.pop() else { return };
        let notice = notice(connection);
        if connection_queue::send_notice(worker.queue.as_fd(), &notice).is_ok() {
            worker.board.add_ended(1);
            self.clients[client].taken = false;
        } else if let Notice::Closed(connection) | Notice::Full(connection) | Notice::Moved(connection) = notice {
            worker.taken.push((client, connection));
        }
    }

    /// The worker passes its newest connection on, with the header that it has read, if there is one.
    pub fn pass_on(&mut self, worker: usize) {
        if self.behind_proxies
            && let Some((_, connection)) = self.workers.get_mut(worker).and_then(|worker| worker.taken.last_mut())
        {
            read_header(connection);
        }
        self.give_back(worker, Notice::Moved);
    }

    /// The worker says that it has room, for what it may have said was full.
    pub fn say_available(&mut self, worker: usize) {
        let Some(worker) = self.workers.get(worker) else { return };
        for (listener, _) in &self.listeners {
            let _ = connection_queue::send_notice(worker.queue.as_fd(), &Notice::Available(*listener));
        }
    }

    /// The worker writes what makes no sense.
    pub fn lie(&mut self, worker: usize, bytes: &[u8]) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.lied = true;
            let _ = crate::sys::scm::send(worker.queue.as_fd(), &[std::io::IoSlice::new(bytes)], &[]);
        }
    }
}

/// Takes what a proxy has said, once all of it is there.
fn read_header(connection: &mut Connection) {
    let mut room = [0; 64];
    let fd = connection.fd.as_fd().as_raw_fd();
    if connection.said.is_none()
        && let Ok(count) = recv(fd, &mut room, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)
        && let Parsed::Whole(_, length) = proxy_header::parse(&room[..count])
    {
        assert_eq!(recv(fd, &mut room[..length], MsgFlags::MSG_DONTWAIT), Ok(length));
        (connection.said, connection.left) = (Some(room[..length].into()), NO_LIMIT);
    }
}

/// Boards, each as the acceptor and as the worker sees it.
pub mod boards {
    use super::{Arc, AsFd, Board};

    #[cfg(feature = "fuzzing")]
    thread_local! {
        /// Those of workers that are gone. Making one takes a dozen system calls.
        static KEPT: std::cell::RefCell<Vec<(Arc<Board>, Board)>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    /// A new one, as far as anybody can tell.
    pub fn make() -> std::io::Result<(Arc<Board>, Board)> {
        #[cfg(feature = "fuzzing")]
        if let Some(both) = KEPT.with_borrow_mut(|kept| kept.pop_if(|(board, _)| Arc::strong_count(board) == 1)) {
            both.0.reset();
            return Ok(both);
        }
        let (fd, board) = Board::create()?;
        Ok((Arc::new(board), Board::open(fd.as_fd())?))
    }

    /// Its worker is gone. Whoever has it still may have it for a while.
    pub fn keep(_primary: Arc<Board>, _worker: Board) {
        #[cfg(feature = "fuzzing")]
        KEPT.with_borrow_mut(|kept| kept.insert(0, (_primary, _worker)));
    }
}
