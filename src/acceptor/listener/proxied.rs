//! Whom connections are from that proxies have made, for a policy that goes by it. The header is looked at and left where it is: the
//! worker takes it (src/js/proxied.rs). Who has not said it yet waits
//! here, with the limits that there are in a worker (lib/worker/proxied/gate.js).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crate::connection_queue::Connection;
use crate::proxy_header::{self, MAX_LENGTH, Parsed};
use crate::sys::poll::{self, Interest, Poller};
use crate::sys::{descriptors, socket};
use crate::trusted::Trusted;

/// How long a header may take, from when its connection is here.
pub const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// So many wait here at most, unless descriptors are few: of more, the one that has waited longest is closed.
const MOST: usize = 1024;

/// Tokens of those who wait have this bit, those of workers and of listening sockets do not.
const LATE: u64 = 1 << 63;

/// What is known of whom a connection is from.
#[derive(Debug, PartialEq, Eq)]
enum Client {
    /// Its address, if it has one.
    Is(Option<IpAddr>),
    /// That is still to be said.
    Late,
}

/// Those of one listener whose header has not come yet.
pub struct Proxied {
    trusted: Arc<Trusted>,
    poller: Arc<Poller>,
    listener: u32,
    /// With when (ns) each has waited long enough, by a number that grows: who came first is first.
    waiting: BTreeMap<u32, (u64, Connection)>,
    last: u32,
}

impl Proxied {
    /// `trusted`: who is believed.
    pub fn new(trusted: Arc<Trusted>, listener: u32, poller: &Arc<Poller>) -> Proxied {
        Proxied { trusted, poller: Arc::clone(poller), listener, waiting: BTreeMap::new(), last: 0 }
    }

    /// The connection with its client's address. Nothing while it waits for that: then [`Proxied::arrived`] brings it. Where nobody is to
    /// wait it goes without.
    pub fn admit(&mut self, connection: Connection, may_wait: bool, now: u64) -> Option<(Connection, Option<IpAddr>)> {
        match client(&connection, &self.trusted) {
            Client::Is(address) => Some((connection, address)),
            Client::Late if may_wait => self.hold(connection, now).map(|one| (one, None)),
            Client::Late => Some((connection, None)),
        }
    }

    /// The client's address, as far as it is known by now.
    pub fn address(&self, connection: &Connection) -> Option<IpAddr> {
        match client(connection, &self.trusted) {
            Client::Is(address) => address,
            Client::Late => None,
        }
    }

    /// Returns it when that is not possible.
    fn hold(&mut self, connection: Connection, now: u64) -> Option<Connection> {
        self.last = (self.last + 1) & u32::MAX >> 1;
        let token = LATE | u64::from(self.last) << 32 | u64::from(self.listener);
        if self.poller.add(connection.fd.as_fd(), token, Interest::More).is_err() {
            return Some(connection);
        }
        // Not in use any more after two billion others.
        let until = now + PATIENCE.as_nanos() as u64;
        let known = self.waiting.insert(self.last, (until, connection));
        if self.waiting.len() > descriptors::fair_share().clamp(1, MOST) {
            self.end_first();
        }
        known.map(|(_, connection)| connection)
    }

    /// Something has come on one of them, or its end. Returns it unless the header is still not whole.
    pub fn arrived(&mut self, number: u32) -> Option<Connection> {
        let late = client(&self.waiting.get(&number)?.1, &self.trusted) == Client::Late;
        if late { None } else { self.release(number) }
    }

    fn release(&mut self, number: u32) -> Option<Connection> {
        let (_, connection) = self.waiting.remove(&number)?;
        // A worker that has given it back may have it still.
        let _ = self.poller.remove(connection.fd.as_fd());
        Some(connection)
    }

    /// When (ns) the first of them has waited long enough.
    pub fn first_due(&self) -> Option<u64> {
        self.waiting.values().next().map(|(until, _)| *until)
    }

    /// Closes those that have waited long enough.
    pub fn end_late(&mut self, now: u64) {
        while self.first_due().is_some_and(|due| due <= now) {
            self.end_first();
        }
    }

    fn end_first(&mut self) {
        let first = self.waiting.first_key_value().map(|(number, _)| *number);
        drop(first.and_then(|number| self.release(number)));
    }

    /// All that wait, as nobody waits here any more.
    pub fn drain(&mut self) -> Vec<Connection> {
        let numbers: Vec<_> = self.waiting.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.release(number)).collect()
    }

    /// All that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Connection> {
        self.waiting.values().map(|(_, connection)| connection)
    }
}

/// Whether a token of the poller's is that of one who waits.
pub fn is_late(token: u64) -> bool {
    token & LATE != 0
}

/// The listener where it waits, and its number there.
pub fn listener_of_late(token: u64) -> (u32, u32) {
    (token as u32, (token >> 32) as u32 & u32::MAX >> 1)
}

fn client(connection: &Connection, trusted: &Trusted) -> Client {
    let Some(peer) = socket::peer(connection.fd.as_fd()) else { return Client::Is(None) };
    let itself = Client::Is(match peer {
        socket::Peer::Internet(address) => Some(address),
        socket::Peer::Unix => None,
    });
    let named = |bytes: &[u8]| match proxy_header::parse(bytes) {
        Parsed::Whole(header, _) => header.ends.map(|ends| Client::Is(Some(ends.source.ip()))),
        Parsed::Part => {
            Some(Client::Late).filter(|_| bytes.len() < MAX_LENGTH && !poll::has_ended(connection.fd.as_fd()))
        }
        // Its worker ends it.
        Parsed::Malformed => None,
    };
    let said = match &connection.said {
        // A worker has read it.
        Some(said) => named(said).filter(|client| *client != Client::Late),
        None if connection.left != 0 || !trusted.includes(peer) => None,
        None => {
            let mut room = [0; MAX_LENGTH];
            match socket::peek(connection.fd.as_fd(), &mut room) {
                Ok(0) => None,
                Ok(count) => named(&room[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Some(Client::Late),
                Err(_) => None,
            }
        }
    };
    said.unwrap_or(itself)
}
