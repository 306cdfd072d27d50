//! Descriptors that another process has had in its hands, and the thread that closes them.
//!
//! Whoever closes the last descriptor of something may have to wait: for a peer that does not read, as long as SO_LINGER says; for a
//! file system, as long as it likes. A process that passes a descriptor on can arrange for that. So what comes from one is never
//! closed by a thread that serves anybody.

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::socket;

/// A close that takes so long keeps no other from being made.
const SLOW: Duration = Duration::from_millis(100);

/// The most threads: so many may wait for something at a time.
const MOST_THREADS: usize = 8;

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(10);

/// A descriptor that another process has, or has had. Dropping it does not block.
pub struct ForeignFd(ManuallyDrop<OwnedFd>);

impl ForeignFd {
    /// For one who passes it on without closing it.
    pub fn into_owned(self) -> OwnedFd {
        let mut whole = ManuallyDrop::new(self);
        // SAFETY: `whole` is not used after this, and not dropped.
        unsafe { ManuallyDrop::take(&mut whole.0) }
    }
}

impl From<OwnedFd> for ForeignFd {
    fn from(fd: OwnedFd) -> ForeignFd {
        ForeignFd(ManuallyDrop::new(fd))
    }
}

impl AsFd for ForeignFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for ForeignFd {
    fn drop(&mut self) {
        // SAFETY: this is the end of `self`: nothing takes it again.
        close(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// A listening socket, which other processes may have. Dropping it does not block, and frees its address at once as long as it does
/// listen: such a socket has nothing to wait for.
pub struct ListeningFd(ManuallyDrop<OwnedFd>);

impl From<OwnedFd> for ListeningFd {
    fn from(fd: OwnedFd) -> ListeningFd {
        ListeningFd(ManuallyDrop::new(fd))
    }
}

impl AsFd for ListeningFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for ListeningFd {
    fn drop(&mut self) {
        // SAFETY: this is the end of `self`: nothing takes it again.
        let fd = unsafe { ManuallyDrop::take(&mut self.0) };
        if socket::is_listening(fd.as_fd()) {
            drop(fd);
        } else {
            close(fd);
        }
    }
}

/// A descriptor, and whether it may be closed on the spot.
pub enum Fd {
    /// Nobody else has ever had it.
    Own(OwnedFd),
    /// Another process has or had it.
    Foreign(ForeignFd),
}

impl Fd {
    /// Another process has it, or may have had it.
    pub fn shared(self) -> Fd {
        Fd::Foreign(self.into_owned().into())
    }

    /// For one who passes it on without closing it.
    pub fn into_owned(self) -> OwnedFd {
        match self {
            Fd::Own(fd) => fd,
            Fd::Foreign(fd) => fd.into_owned(),
        }
    }
}

impl From<OwnedFd> for Fd {
    fn from(fd: OwnedFd) -> Fd {
        Fd::Own(fd)
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Fd::Own(fd) => fd.as_fd(),
            Fd::Foreign(fd) => fd.as_fd(),
        }
    }
}

/// What waits to be closed, and who closes.
struct Closer {
    waiting: VecDeque<OwnedFd>,
    /// When the threads that are closing something began.
    closing: Vec<Option<Instant>>,
    idle: usize,
}

static CLOSER: Mutex<Closer> = Mutex::new(Closer { waiting: VecDeque::new(), closing: Vec::new(), idle: 0 });
static WORK: Condvar = Condvar::new();

#[cfg(feature = "fuzzing")]
thread_local! {
    static CLOSES_HERE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on this thread closes what it is to close itself, at once: for those who count descriptors, and know that no close waits.
#[cfg(feature = "fuzzing")]
pub fn close_here() {
    CLOSES_HERE.set(true);
}

/// Closes it on another thread.
pub fn close(fd: OwnedFd) {
    #[cfg(feature = "fuzzing")]
    if CLOSES_HERE.get() {
        return drop(fd);
    }
    let mut closer = CLOSER.lock();
    closer.waiting.push_back(fd);
    if closer.idle > 0 {
        WORK.notify_one();
    } else {
        start_thread(&mut closer);
    }
}

/// How many descriptors wait to be closed. More than a few mean that somebody makes closing slow.
pub fn waiting() -> usize {
    CLOSER.lock().waiting.len()
}

/// Starts another thread when all are held up.
fn start_thread(closer: &mut Closer) {
    let threads = closer.closing.iter().flatten().count();
    let held_up = closer.closing.iter().flatten().all(|began| began.elapsed() > SLOW);
    if !held_up || threads >= MOST_THREADS {
        return;
    }
    let place = closer.closing.iter().position(Option::is_none).unwrap_or_else(|| {
        closer.closing.push(None);
        closer.closing.len() - 1
    });
    closer.closing[place] = Some(Instant::now());
    // Without a thread they wait for the next that is to be closed.
    if thread::Builder::new().name("rcluster-close".into()).spawn(move || work(place)).is_err() {
        closer.closing[place] = None;
    }
}

fn work(place: usize) {
    let mut closer = CLOSER.lock();
    loop {
        if let Some(fd) = closer.waiting.pop_front() {
            if let Some(began) = closer.closing.get_mut(place) {
                *began = Some(Instant::now());
            }
            drop(closer);
            socket::never_linger(fd.as_fd());
            drop(fd);
            closer = CLOSER.lock();
            continue;
        }
        closer.idle += 1;
        let timed_out = WORK.wait_for(&mut closer, IDLE).timed_out();
        closer.idle -= 1;
        if timed_out && closer.waiting.is_empty() {
            if let Some(began) = closer.closing.get_mut(place) {
                *began = None;
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{setsockopt, sockopt};

    use crate::sys::{descriptors, libc};

    /// A connection whose close waits for a peer that does not read.
    fn lingering() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        while ours.write(&[0; 65536]).is_ok() {}
        setsockopt(&ours, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 60 }).unwrap();
        (ours, peer)
    }

    fn wait_until_closed(number: i32) {
        let began = Instant::now();
        while descriptors::duplicate_number(number).is_ok() {
            assert!(began.elapsed() < Duration::from_secs(20), "{number} is open");
            thread::yield_now();
        }
    }

    #[test]
    fn a_socket_that_lingers_holds_nobody_up() {
        let began = Instant::now();
        let mut peers = Vec::new();
        for _ in 0..3 * MOST_THREADS {
            let (ours, peer) = lingering();
            peers.push(peer);
            drop(ForeignFd::from(OwnedFd::from(ours)));
        }
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_is_passed_on_is_not_closed_and_what_is_dropped_is() {
        let (kept, dropped) = socket::stream_pair().unwrap();
        // A number that nothing else in this process gets meanwhile.
        let dropped = high(dropped);
        let number = dropped.as_raw_fd();
        let fd = Fd::from(kept).shared().into_owned();
        drop(Fd::from(dropped).shared());
        wait_until_closed(number);
        assert!(descriptors::duplicate(fd.as_fd()).is_ok());
    }

    fn high(fd: OwnedFd) -> OwnedFd {
        let number = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(900)).unwrap();
        descriptors::adopt_number(number).unwrap()
    }
}
