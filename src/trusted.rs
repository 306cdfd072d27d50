//! Who is believed when it says whom a connection comes from.

use std::net::IpAddr;

use crate::sys::socket::Peer;

/// What stands for whoever may connect to a Unix socket: the file's mode and folder say who that is.
const UNIX: &str = "unix";

/// Addresses and networks, such as `10.0.0.0/8` and `::1`, and `unix`.
#[derive(Debug, Default)]
pub struct Trusted {
    /// As of IPv6, and how many of its bits count.
    networks: Vec<(u128, u32)>,
    unix: bool,
}

impl Trusted {
    /// `None` for a text that is none of these.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Trusted> {
        let mut trusted = Trusted::default();
        for text in texts {
            if text == UNIX {
                trusted.unix = true;
            } else {
                trusted.networks.push(network(text)?);
            }
        }
        Some(trusted)
    }

    /// Whether the peer of a connection is one of them.
    pub fn includes(&self, peer: Peer) -> bool {
        match peer {
            Peer::Unix => self.unix,
            Peer::Internet(address) => {
                let bits = mapped(address);
                self.networks.iter().any(|&(network, length)| (bits ^ network) & mask(length) == 0)
            }
        }
    }
}

/// As one of IPv6: a listener of both has clients of IPv4 like that.
fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length).unwrap_or(0)
}

fn network(text: &str) -> Option<(u128, u32)> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(most), |length| number(length).filter(|length| *length <= most))?;
    Some((mapped(address), length + 128 - most))
}

/// Digits alone, and no zero ahead of others.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer_of(text: &str) -> Peer {
        Peer::Internet(text.parse().unwrap())
    }

    #[test]
    fn unix_sockets_are_trusted_by_name_alone() {
        assert!(Trusted::parse(["unix"]).unwrap().includes(Peer::Unix));
        assert!(!Trusted::parse(["unix"]).unwrap().includes(peer_of("127.0.0.1")));
        assert!(!Trusted::parse(["::/0"]).unwrap().includes(Peer::Unix));
    }

    #[test]
    fn networks() {
        let trusted = Trusted::parse(["10.0.0.0/8", "192.0.2.7", "::1", "2001:db8::/33"]).unwrap();
        for (peer, is) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.1.1.1", true),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("::1", true),
            ("::2", false),
            ("2001:db8:7fff::1", true),
            ("2001:db8:8000::1", false),
        ] {
            assert_eq!(trusted.includes(peer_of(peer)), is, "{peer}");
        }
        assert!(Trusted::parse(["0.0.0.0/0"]).unwrap().includes(peer_of("1.2.3.4")));
        assert!(!Trusted::parse(["0.0.0.0/0"]).unwrap().includes(peer_of("::1")));
        assert!(Trusted::parse(["::/0"]).unwrap().includes(peer_of("1.2.3.4")));
        for text in
            ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/08", "localhost", "10.0.0.0/8/8", " ::1"]
        {
            assert!(Trusted::parse([text]).is_none(), "{text}");
        }
    }
}
