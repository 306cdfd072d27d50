//! Receives connections and answers each once.

use std::collections::HashMap;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{recvmsg, ControlMessageOwned, MsgFlags};

use super::BATCH;
use crate::sys;

const QUEUE: u64 = u64::MAX;
const EVENTS_PER_TURN: usize = 64;

struct Worker {
    queue: OwnedFd,
    epoll: Epoll,
    /// Connections whose request had not come yet when they were received.
    waiting: HashMap<RawFd, TcpStream>,
    answer: Vec<u8>,
    control: Vec<u8>,
}

/// Serves until the primary is gone. The body of each answer is this process's pid.
pub fn serve(queue: OwnedFd) -> Result<(), Errno> {
    set_pdeathsig(Signal::SIGKILL)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&queue, EpollEvent::new(EpollFlags::EPOLLIN, QUEUE))?;
    let body = std::process::id().to_string();
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut worker = Worker {
        queue,
        epoll,
        waiting: HashMap::new(),
        answer: answer.into_bytes(),
        control: cmsg_space!([RawFd; BATCH]),
    };
    let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
    loop {
        let count = match worker.epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            match event.data() {
                QUEUE if !worker.receive()? => return Ok(()),
                QUEUE => {}
                fd => worker.readable(fd as RawFd),
            }
        }
    }
}

impl Worker {
    /// Takes one message. False when the primary has closed the queue.
    fn receive(&mut self) -> Result<bool, Errno> {
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.queue.as_raw_fd(), &mut slices, Some(&mut self.control), flags)?;
        if message.bytes == 0 {
            return Ok(false);
        }
        let mut connections = Vec::with_capacity(BATCH);
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = part {
                connections.extend(sys::adopt(received).map(TcpStream::from));
            }
        }
        for connection in connections {
            self.begin(connection)?;
        }
        Ok(true)
    }

    /// Most requests are here already, so that the floor registers only what must wait.
    fn begin(&mut self, connection: TcpStream) -> Result<(), Errno> {
        if let Some(connection) = self.answer(connection) {
            let fd = connection.as_raw_fd();
            self.epoll.add(&connection, EpollEvent::new(EpollFlags::EPOLLIN, fd as u64))?;
            self.waiting.insert(fd, connection);
        }
        Ok(())
    }

    fn readable(&mut self, fd: RawFd) {
        if let Some(connection) = self.waiting.remove(&fd) {
            if let Some(connection) = self.answer(connection) {
                self.waiting.insert(fd, connection);
            }
        }
    }

    /// Answers and closes; gives the connection back when there is nothing to read yet. The request is one
    /// segment, and so is the answer: anything else is a peer the floor does not care for.
    fn answer(&self, mut connection: TcpStream) -> Option<TcpStream> {
        let mut request = [0; 4096];
        match connection.read(&mut request) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(connection),
            Ok(length) if length > 0 => {
                let _ = connection.write(&self.answer);
            }
            _ => {}
        }
        None
    }
}
