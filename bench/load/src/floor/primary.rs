//! Accepts and passes on.

use std::io::IoSlice;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{kill, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{
    listen, sendmsg, setsockopt, socketpair, sockopt, AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag,
    SockType,
};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid};

use super::{worker, BATCH};
use crate::sys;

/// Node's own default, so that the kernel holds as many for the floor as for its rivals.
const BACKLOG: i32 = 511;

struct Worker {
    pid: Pid,
    queue: OwnedFd,
    pending: Vec<OwnedFd>,
}

pub struct Primary {
    listener: TcpListener,
    workers: Vec<Worker>,
    next: usize,
}

impl Primary {
    /// Listens on a free port of 127.0.0.1 and forks the workers.
    pub fn start(workers: usize) -> Result<Self, Errno> {
        // The benchmark that started us may be killed: nobody would end us then.
        set_pdeathsig(Signal::SIGTERM)?;
        let listener = listener().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        let mut primary = Self { listener, workers: Vec::new(), next: 0 };
        for _ in 0..workers {
            primary.fork()?;
        }
        Ok(primary)
    }

    /// The one line that a benchmark reads: `{"port":…,"primary":…,"workers":[…]}`.
    pub fn ready_line(&self) -> std::io::Result<String> {
        let port = self.listener.local_addr()?.port();
        let pids: Vec<_> = self.workers.iter().map(|worker| worker.pid.to_string()).collect();
        let primary = std::process::id();
        Ok(format!("{{\"port\":{port},\"primary\":{primary},\"workers\":[{}]}}", pids.join(",")))
    }

    /// Serves until SIGTERM or SIGINT, then ends the workers and waits for them.
    pub fn serve(mut self) -> Result<(), Errno> {
        // As rcluster's own thread does: a floor that interrupted its workers would be none.
        sys::never_preempt();
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTERM);
        stop.add(Signal::SIGINT);
        stop.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let signals = SignalFd::new(&stop)?;

        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        let mut events = [EpollEvent::empty(); 2];
        let outcome = loop {
            let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(errno) => break Err(errno),
                Ok(count) => count,
            };
            if events[..count].iter().any(|event| event.data() == 1) {
                break Ok(());
            }
            if let Err(errno) = self.pass_pending() {
                break Err(errno);
            }
        };
        self.stop();
        outcome
    }

    fn fork(&mut self) -> Result<(), Errno> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        match sys::fork_single_threaded()? {
            ForkResult::Parent { child } => {
                self.workers.push(Worker { pid: child, queue: ours, pending: Vec::new() });
                Ok(())
            }
            ForkResult::Child => {
                // What belongs to the primary and to earlier workers must not stay open here.
                self.workers.clear();
                drop(ours);
                let status = match worker::serve(theirs) {
                    Ok(()) => 0,
                    Err(errno) => {
                        eprintln!("floor: worker: {errno}");
                        1
                    }
                };
                std::process::exit(status)
            }
        }
    }

    /// Takes what the kernel has queued and sends it on, a message for each worker.
    fn pass_pending(&mut self) -> Result<(), Errno> {
        for _ in 0..BATCH * self.workers.len() {
            let Some(connection) = sys::accept(&self.listener)? else {
                break;
            };
            self.workers[self.next].pending.push(connection);
            self.next = (self.next + 1) % self.workers.len();
        }
        self.workers.iter_mut().try_for_each(Worker::flush)
    }

    fn stop(&self) {
        for worker in &self.workers {
            let _ = kill(worker.pid, Signal::SIGKILL);
            let _ = waitpid(worker.pid, None);
        }
    }
}

impl Worker {
    /// Blocks while the worker's queue is full, which is all the flow control a floor needs.
    fn flush(&mut self) -> Result<(), Errno> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut numbers: [RawFd; BATCH] = [-1; BATCH];
        for (number, connection) in numbers.iter_mut().zip(&self.pending) {
            *number = connection.as_raw_fd();
        }
        let rights = [ControlMessage::ScmRights(&numbers[..self.pending.len()])];
        // A message without a byte would look like the end of the queue.
        let byte = [IoSlice::new(b"c")];
        sendmsg::<()>(self.queue.as_raw_fd(), &byte, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
        self.pending.clear();
        Ok(())
    }
}

fn listener() -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    setsockopt(&listener, sockopt::ReuseAddr, &true)?;
    listen(&listener, Backlog::new(BACKLOG)?)?;
    Ok(listener)
}
