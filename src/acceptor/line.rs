//! Those who wait for one worker and no other.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::connection_queue::Connection;

/// Those who count as one client: an IPv4 address, or the network of an IPv6 address, as everybody has many of those.
fn client_of(address: Option<IpAddr>) -> Option<IpAddr> {
    match address?.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
        }
        v4 => Some(v4),
    }
}

/// A line in which no client can stand in the way of another: whoever has many in it has one turn like the others, and when
/// the line is full it is the first to lose some.
#[derive(Default)]
pub struct Line {
    waiting: VecDeque<(Option<IpAddr>, Connection)>,
    /// Whose turn it was last.
    last: Option<IpAddr>,
}

impl Line {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a connection. If there are more than `most` then, the newest of the client that has the most comes back.
    pub fn push(&mut self, address: Option<IpAddr>, connection: Connection, most: usize) -> Option<Connection> {
        self.waiting.push_back((client_of(address), connection));
        if self.waiting.len() <= most {
            return None;
        }
        let mut counts = HashMap::new();
        for (client, _) in &self.waiting {
            *counts.entry(*client).or_insert(0) += 1;
        }
        let (greediest, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let newest = self.waiting.iter().rposition(|(client, _)| *client == greediest)?;
        self.waiting.remove(newest).map(|(_, connection)| connection)
    }

    /// The next: the first of another client than the last one, if there is one.
    pub fn pop(&mut self) -> Option<Connection> {
        let other = self.waiting.iter().position(|(client, _)| *client != self.last).unwrap_or(0);
        let (client, connection) = self.waiting.remove(other)?;
        self.last = client;
        Some(connection)
    }

    /// All of them leave it.
    pub fn drain(&mut self) -> impl Iterator<Item = Connection> {
        self.waiting.drain(..).map(|(_, connection)| connection)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.waiting.iter().map(|(_, connection)| connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;

    fn connection(mark: u32) -> Connection {
        Connection::fresh(socket::stream_pair().unwrap().0, mark)
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn all(line: &mut Line) -> Vec<u32> {
        std::iter::from_fn(|| line.pop()).map(|connection| connection.listener).collect()
    }

    #[test]
    fn clients_take_turns() {
        let mut line = Line::default();
        for (mark, client) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            assert!(line.push(address(client), connection(mark), 9).is_none());
        }
        assert_eq!(all(&mut line), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn in_a_full_line_the_greediest_loses_its_newest() {
        let mut line = Line::default();
        for mark in 0..8 {
            assert!(line.push(address(1), connection(mark), 8).is_none());
        }
        let lost = (8..12).map(|mark| line.push(address(2), connection(mark), 8).unwrap().listener);
        assert_eq!(lost.collect::<Vec<_>>(), [7, 6, 5, 4]);
        let lost: Vec<_> = (12..14).map(|mark| line.push(address(1), connection(mark), 8).unwrap().listener).collect();
        assert_eq!(lost, [12, 13]);
        assert_eq!(line.len(), 8);
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let mut line = Line::default();
        for mark in 0..4u16 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, mark]);
            line.push(Some(address), connection(mark.into()), 4);
        }
        let other = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1]);
        assert_eq!(line.push(Some(other), connection(9), 4).unwrap().listener, 3);
    }
}
