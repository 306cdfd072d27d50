//! Those who connect, and where.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, getpeername, listen, recv, send,
    socket,
};

use super::{LISTENERS, MOST_CLIENTS, World};
use crate::acceptor::listener::HEADER_PATIENCE;
use crate::connection_queue::Connection;
use crate::sys::{clock, listen as listening, socket};

/// How long the kernel may take for what it does at once, but for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever is heard is heard at once, and the kernel asks again after a second.
const DEAF: Duration = Duration::from_millis(50);

/// Where a listener listens.
pub enum Place {
    /// Clients have names, with their index at the end.
    Unix(UnixAddr),
    /// With a socket for each worker. Each client sends its index as soon as it is connected.
    Internet(SocketAddr),
}

/// One who connects.
pub struct Client {
    /// `None` when it is over.
    pub stream: Option<OwnedFd>,
    pub listener: usize,
    /// Whether a worker has it.
    pub taken: bool,
    /// What is still to come of the header that a proxy sends ahead of it.
    unsaid: Vec<u8>,
    /// Whether there ever was such a rest.
    was_late: bool,
    /// When (ns) the last of it was said.
    complete: u64,
    /// When (ns) it has connected.
    since: u64,
}

impl Client {
    /// Whether it is waited for that its proxy says whom it is from.
    pub fn is_late(&self) -> bool {
        !self.unsaid.is_empty()
    }
}

impl World {
    /// A client connects. Behind a proxy, of every second one a part of the header is late: `which` says how much.
    pub fn connect(&mut self, which: usize) {
        let listener = which % LISTENERS;
        if self.open >= MOST_CLIENTS || self.finished.contains(&listener) {
            return;
        }
        let index = self.clients.len() as u32;
        let stream: OwnedFd = match &self.listeners[listener].1 {
            Place::Unix(address) => {
                let fd = unix_socket();
                bind(fd.as_raw_fd(), &name(&self.name, index)).unwrap();
                connect(fd.as_raw_fd(), address).unwrap();
                fd
            }
            Place::Internet(address) => {
                // Who meets a socket that has just become deaf is heard by another one a second later; here nobody waits for that.
                let mut stream = match TcpStream::connect_timeout(address, DEAF) {
                    Err(error) if error.kind() == ErrorKind::TimedOut => return,
                    connected => connected.unwrap(),
                };
                socket::reset_on_close(stream.as_fd()).unwrap();
                stream.write_all(&index.to_le_bytes()).unwrap();
                // Then it can be accepted, and be asked.
                let began = Instant::now();
                while socket::unacknowledged(stream.as_fd()).unwrap() > 0 && began.elapsed() < PATIENCE {
                    std::thread::yield_now();
                }
                stream.into()
            }
        };
        let mut unsaid = Vec::new();
        if self.behind_proxies {
            let header = header(index);
            let late = (which / LISTENERS % 2) * (1 + which * header.len() / 256).min(header.len());
            let said = header.len() - late;
            say(&stream, &header[..said]);
            unsaid = header[said..].to_vec();
        }
        let since = clock::monotonic_ns();
        self.clients.push(Client {
            stream: Some(stream),
            listener,
            taken: false,
            was_late: !unsaid.is_empty(),
            complete: since,
            unsaid,
            since,
        });
        self.open += 1;
    }

    /// A proxy that was late says more: at least a part of the rest.
    pub fn say_more(&mut self, which: usize) {
        let late: Vec<_> = (0..self.clients.len()).filter(|index| self.clients[*index].is_late()).collect();
        if !late.is_empty() {
            let index = late[which % late.len()];
            let count = 1 + which * self.clients[index].unsaid.len() / 256;
            self.say(index, count);
        }
    }

    /// All that is still to be said of every second one. Nothing ever comes of the others.
    pub fn say_the_rest(&mut self) {
        for index in (0..self.clients.len()).step_by(2) {
            self.say(index, usize::MAX);
        }
    }

    fn say(&mut self, index: usize, count: usize) {
        let Client { stream: Some(stream), unsaid, complete, .. } = &mut self.clients[index] else { return };
        if unsaid.is_empty() {
            return;
        }
        let count = count.min(unsaid.len());
        say(stream, &unsaid.drain(..count).collect::<Vec<_>>());
        *complete = clock::monotonic_ns();
    }

    /// Those whose header was waited for in vain are closed, and nobody else is.
    pub fn see_who_is_closed(&mut self) {
        let now = clock::monotonic_ns();
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            let Some(stream) = client.stream.as_ref().filter(|_| client.was_late && !client.taken) else { continue };
            let found = recv(stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
            if found == Err(nix::errno::Errno::EAGAIN) {
                continue;
            }
            let patience = HEADER_PATIENCE.as_nanos() as u64;
            let waited = if client.is_late() { now } else { client.complete } - client.since;
            assert!(
                self.has_failed || self.finished.contains(&client.listener) || waited >= patience,
                "{index} was closed too soon"
            );
            self.is_over(index);
        }
    }
}

fn unix_socket() -> OwnedFd {
    socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None).unwrap()
}

fn say(stream: &OwnedFd, bytes: &[u8]) {
    // One that was waited for in vain is closed by now.
    let _ = send(stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL);
}

/// What a proxy says of a client: in turn in the one version and in the other, and of some that it does not know them.
fn header(index: u32) -> Vec<u8> {
    if index % 8 == 6 {
        return b"PROXY UNKNOWN\r\n".to_vec();
    }
    let last = index as u8 % 16;
    if index.is_multiple_of(2) {
        return format!("PROXY TCP4 192.0.2.{last} 198.51.100.9 4711 443\r\n").into_bytes();
    }
    let ends = [192, 0, 2, last, 198, 51, 100, 9, 18, 103, 1, 187];
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0, 12], &ends].concat()
}

/// The index of a client: what its name ends with, or what it has sent.
pub fn client_of(connection: &Connection) -> usize {
    let fd = connection.fd.as_fd().as_raw_fd();
    if let Ok(name) = getpeername::<UnixAddr>(fd)
        && let Some(index) = name.as_abstract().and_then(|name| name.last_chunk::<4>())
    {
        return u32::from_le_bytes(*index) as usize;
    }
    let mut bytes = [0; 4];
    let count = recv(fd, &mut bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    assert_eq!(count, Ok(4), "what has come is no client");
    u32::from_le_bytes(bytes) as usize
}

/// A name that no other world of this machine has.
pub fn new_name() -> String {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    format!("rcluster-model-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

fn name(world: &str, index: u32) -> UnixAddr {
    UnixAddr::new_abstract(&[world.as_bytes(), &index.to_le_bytes()].concat()).unwrap()
}

pub fn unix_listener(world: &str, number: u32) -> (OwnedFd, Place) {
    let fd = unix_socket();
    let address = UnixAddr::new_abstract(format!("{world}-{number}-listens").as_bytes()).unwrap();
    bind(fd.as_raw_fd(), &address).unwrap();
    listen(&fd, Backlog::MAXALLOWABLE).unwrap();
    (fd, Place::Unix(address))
}

pub fn internet_listener() -> (OwnedFd, Place) {
    // An address of this machine's that nobody else uses: who looks for a server which had the port before comes to 127.0.0.1.
    let fd = listening::bind_internet(
        SocketAddr::from(([127, 0, 91, 7], 0)),
        listening::Bind { reuse_port: true, ..Default::default() },
    )
    .unwrap();
    listening::listen(fd.as_fd(), 511).unwrap();
    let address = socket::local_address(fd.as_fd()).unwrap().unwrap();
    (fd, Place::Internet(address))
}
