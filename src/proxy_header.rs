//! What a proxy says first on a connection: the PROXY protocol, versions 1 and 2
//! (haproxy.org/download/3.0/doc/proxy-protocol.txt). No sockets here, and nothing is allocated.
//!
//! ```text
//!  1:  PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n                    at most 107 bytes
//!  2:  \r\n\r\n\0\r\nQUIT\n │ 2, command │ family │ u16 length │ addresses, then extensions (u8 type, u16 length, value)
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is taken, as in nginx.
pub const MAX_LENGTH: usize = 4096;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const START: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its end.
const MAX_LINE: usize = 107;
/// What an extension has before its value.
pub const EXTENSION: usize = 3;
/// What version 2 has before its addresses.
const FIXED: usize = 16;

/// The proxy speaks for itself, or for a client.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Extensions that we look into.
const CHECKSUM: u8 = 0x03;
const TLS: u8 = 0x20;
/// What that one has before its own extensions: how the client has identified itself, and whether that was verified.
const TLS_FIXED: usize = 5;

/// Both ends of the connection that the proxy has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// What it has connected to.
    pub destination: SocketAddr,
}

/// A header that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// 1 or 2.
    pub version: u8,
    /// Whether the proxy speaks for itself, as for a health check.
    pub local: bool,
    /// Nothing where it does, or speaks of something else than TCP (UNKNOWN, UNSPEC, datagrams, Unix sockets).
    pub ends: Option<Ends>,
    /// Each with its type, length and value: see [`extensions`].
    pub extensions: &'a [u8],
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A header of so many bytes. What follows is the client's.
    Whole(Header<'a>, usize),
    /// The beginning of one, to the last byte.
    Part,
    /// Anything else.
    Malformed,
}

/// Reads a header.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let starts = |text: &[u8]| bytes.iter().zip(text).all(|(one, other)| one == other);
    let parsed = if starts(SIGNATURE) {
        parse_2(bytes)
    } else if starts(START) {
        parse_1(bytes)
    } else {
        None
    };
    parsed.unwrap_or(Parsed::Malformed)
}

/// Version 1.
fn parse_1(bytes: &[u8]) -> Option<Parsed<'_>> {
    let Some(end) = bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') else {
        return (bytes.len() < MAX_LINE).then_some(Parsed::Part);
    };
    let line = std::str::from_utf8(bytes[..end].strip_suffix(b"\r")?).ok()?;
    let mut words = line.split(' ').skip(1);
    let ends = match words.next()? {
        // Whatever follows.
        "UNKNOWN" => None,
        family => {
            let [source, destination, from, to] = [words.next()?, words.next()?, words.next()?, words.next()?];
            if words.next().is_some() {
                return None;
            }
            let (source, destination) = match family {
                "TCP4" => (IpAddr::V4(source.parse().ok()?), IpAddr::V4(destination.parse().ok()?)),
                "TCP6" => (IpAddr::V6(source.parse().ok()?), IpAddr::V6(destination.parse().ok()?)),
                _ => return None,
            };
            Some(Ends {
                source: SocketAddr::new(source, port(from)?),
                destination: SocketAddr::new(destination, port(to)?),
            })
        }
    };
    Some(Parsed::Whole(Header { version: 1, ends, local: false, extensions: &[] }, end + 1))
}

/// Digits alone, and no zero ahead of others.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Version 2.
fn parse_2(bytes: &[u8]) -> Option<Parsed<'_>> {
    // What is wrong is said as soon as it is there.
    let command = bytes.get(12).copied().unwrap_or(LOCAL);
    matches!(command, LOCAL | PROXY).then_some(())?;
    // Of a proxy that speaks for itself nothing else counts.
    let family = if command == PROXY { bytes.get(13).copied().unwrap_or(0) } else { 0 };
    matches!(family, 0x00 | 0x11 | 0x12 | 0x21 | 0x22 | 0x31 | 0x32).then_some(())?;
    let Some(fixed) = bytes.first_chunk::<FIXED>() else { return Some(Parsed::Part) };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let addresses = match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    if length > MAX_LENGTH || length < FIXED + addresses {
        return None;
    }
    let Some(whole) = bytes.get(..length) else { return Some(Parsed::Part) };
    let mut header = Header { version: 2, ends: None, local: command == LOCAL, extensions: &[] };
    if family != 0 {
        header.ends = ends(family, whole.get(FIXED..FIXED + addresses)?);
        header.extensions = whole.get(FIXED + addresses..)?;
        check_extensions(whole, FIXED + addresses)?;
    }
    Some(Parsed::Whole(header, length))
}

fn ends(family: u8, bytes: &[u8]) -> Option<Ends> {
    let v4 = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?)));
    let v6 = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?)));
    let (source, destination, ports) = match family {
        0x11 => (v4(0)?, v4(4)?, 8),
        0x21 => (v6(0)?, v6(16)?, 32),
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk::<2>()?));
    Some(Ends {
        source: SocketAddr::new(source, port(ports)?),
        destination: SocketAddr::new(destination, port(ports + 2)?),
    })
}

/// The types and values of extensions, up to one that does not fit.
pub fn extensions(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, value, rest) = next_extension(bytes)?;
        bytes = rest;
        Some((kind, value))
    })
}

fn next_extension(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk::<EXTENSION>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, value, rest))
}

/// `None` unless those of a header, which begin at `start`, are as long as they say, to the last byte, and its checksum holds if it has one.
fn check_extensions(header: &[u8], start: usize) -> Option<()> {
    let mut bytes = header.get(start..)?;
    while !bytes.is_empty() {
        let (kind, value, rest) = next_extension(bytes)?;
        if kind == CHECKSUM {
            let at = header.len() - rest.len() - value.len();
            let said = u32::from_be_bytes(value.try_into().ok()?);
            (checksum(header.get(..at)?, rest) == said).then_some(())?;
        } else if kind == TLS {
            let mut inner = value.get(TLS_FIXED..)?;
            while !inner.is_empty() {
                inner = next_extension(inner)?.2;
            }
        }
        bytes = rest;
    }
    Some(())
}

/// CRC32c (RFC 4960, appendix B) of a header whose four bytes between these two are taken for 0.
fn checksum(before: &[u8], after: &[u8]) -> u32 {
    let all = before.iter().chain(&[0; 4]).chain(after);
    !all.fold(u32::MAX, |sum, byte| sum >> 8 ^ CASTAGNOLI[usize::from(sum as u8 ^ byte)])
}

const CASTAGNOLI: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut sum, mut bit) = (index as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0x82f6_3b78 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn whole(bytes: &[u8]) -> (Header<'_>, usize) {
        match parse(bytes) {
            Parsed::Whole(header, length) => (header, length),
            other => panic!("{other:?} of {bytes:?}"),
        }
    }

    fn ends_of(source: &str, destination: &str) -> Option<Ends> {
        Some(Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 187];

    /// Those of the specification.
    const LINES: [&str; 6] = [
        "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        "PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
    ];

    #[test]
    fn lines_are_read_and_what_follows_is_left() {
        let (header, length) = whole(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n\r\n");
        assert_eq!((header.version, header.local, length), (1, false, 47));
        assert_eq!(header.ends, ends_of("192.168.0.1:56324", "192.168.0.11:443"));
        let (header, _) = whole(b"PROXY TCP6 2001:db8::1 ::1 1 0\r\n");
        assert_eq!(header.ends, ends_of("[2001:db8::1]:1", "[::1]:0"));
        for (line, has_ends) in [(LINES[0], true), (LINES[2], false), (LINES[3], false), (LINES[4], true)] {
            let (header, length) = whole(line.as_bytes());
            assert_eq!((header.ends.is_some(), length), (has_ends, line.len()));
        }
        assert_eq!(LINES[3].len(), MAX_LINE);
    }

    #[test]
    fn lines_that_are_none_are_refused() {
        for line in [
            LINES[1],
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
            "PROXY TCP4 192.168.0.1  192.168.0.11 56324 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 65536\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 056324 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 +5 443\r\n",
            "PROXY TCP4 192.168.0.256 192.168.0.11 5 443\r\n",
            "PROXY TCP4 ::1 ::1 5 443\r\n",
            "PROXY TCP6 192.168.0.1 192.168.0.11 5 443\r\n",
            "PROXY UDP4 192.168.0.1 192.168.0.11 5 443\r\n",
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "proxy UNKNOWN\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Parsed::Malformed, "{line}");
        }
        let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat();
        assert_eq!(parse(&endless[..106]), Parsed::Part);
        assert_eq!(parse(&endless), Parsed::Malformed);
    }

    #[test]
    fn binary_headers_are_read() {
        let bytes = [binary(0x21, 0x11, &V4), b"GET".to_vec()].concat();
        let (header, length) = whole(&bytes);
        assert_eq!((header.version, header.local, length), (2, false, 28));
        assert_eq!(header.ends, ends_of("192.0.2.1:56324", "198.51.100.1:443"));
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0, 80, 1, 187]].concat();
        assert_eq!(whole(&binary(0x21, 0x21, &v6)).0.ends, ends_of("[2001:db8::1]:80", "[::1]:443"));
        let with = [&V4[..], &[1, 0, 2], b"h2", &[2, 0, 0], &[0xee, 0, 1, 7]].concat();
        let bytes = binary(0x21, 0x11, &with);
        let found: Vec<_> = extensions(whole(&bytes).0.extensions).collect();
        assert_eq!(found, [(1, &b"h2"[..]), (2, &[]), (0xee, &[7])]);
        for (command, family, rest) in
            [(0x20, 0, &[][..]), (0x20, 0x11, &V4), (0x20, 0x11, &[9]), (0x20, 0x99, &[]), (0x21, 0, &[1, 2, 3])]
        {
            let bytes = binary(command, family, rest);
            let (header, length) = whole(&bytes);
            assert_eq!((header.ends, header.local, length), (None, command == 0x20, 16 + rest.len()));
        }
        // Datagrams on a connection, and Unix sockets.
        for bytes in [binary(0x21, 0x12, &V4), binary(0x21, 0x31, &[0; 216])] {
            assert_eq!(whole(&bytes).0.ends, None);
        }
    }

    #[test]
    fn checksums_are_checked() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(checksum(&[0; 20], &[0; 8]), 0x8a91_36aa);
        let with = |sum: [u8; 4]| binary(0x21, 0x11, &[&V4[..], &[3, 0, 4], &sum, &[1, 0, 2], b"h2"].concat());
        let zero = with([0; 4]);
        let sum = checksum(&zero[..31], &zero[35..]);
        let bytes = with(sum.to_be_bytes());
        assert_eq!(whole(&bytes).1, bytes.len());
        for at in 28..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x40;
            // But for its type: then there is none.
            assert_eq!(parse(&other) == Parsed::Malformed, at != 28, "{at}");
        }
        assert_eq!(parse(&binary(0x21, 0x11, &[&V4[..], &[3, 0, 3, 1, 2, 3]].concat())), Parsed::Malformed);
    }

    #[test]
    fn what_is_said_of_tls_is_whole() {
        let with = |value: &[u8]| {
            let length = u16::try_from(value.len()).unwrap().to_be_bytes();
            binary(0x21, 0x11, &[&V4[..], &[0x20], &length, value].concat())
        };
        let good = [&[1, 0, 0, 0, 0, 0x21, 0, 7][..], b"TLSv1.3"].concat();
        assert!(matches!(parse(&with(&good)), Parsed::Whole(..)));
        assert!(matches!(parse(&with(&good[..5])), Parsed::Whole(..)));
        for end in [0, 4, 6, 7, 14] {
            assert_eq!(parse(&with(&good[..end])), Parsed::Malformed, "{end}");
        }
    }

    #[test]
    fn binary_headers_that_lie_are_refused() {
        for bytes in [
            binary(0x31, 0x11, &V4),
            binary(0x11, 0x11, &V4),
            binary(0x22, 0x11, &V4),
            binary(0x21, 0x13, &V4),
            binary(0x21, 0x41, &V4),
            binary(0x21, 0x11, &V4[..11]),
            binary(0x21, 0x21, &V4),
            binary(0x21, 0x31, &[0; 213]),
            binary(0x21, 0x11, &[&V4[..], &[1]].concat()),
            binary(0x21, 0x11, &[&V4[..], &[1, 0, 3, b'h', b'2']].concat()),
            binary(0x21, 0x11, &[0; MAX_LENGTH]),
        ] {
            assert_eq!(parse(&bytes), Parsed::Malformed, "{bytes:?}");
        }
        // As long as one may be.
        assert_eq!(whole(&binary(0x21, 0, &[0; MAX_LENGTH - FIXED])).1, MAX_LENGTH);
        assert_eq!(parse(&binary(0x21, 0, &[0; MAX_LENGTH - FIXED + 1])), Parsed::Malformed);
        // Before the rest has come.
        assert_eq!(parse(&[&SIGNATURE[..], &[0x31]].concat()), Parsed::Malformed);
        assert_eq!(parse(&[&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat()), Parsed::Malformed);
    }

    #[test]
    fn each_beginning_is_a_part() {
        for bytes in [binary(0x21, 0x11, &V4), LINES[5].as_bytes().to_vec(), binary(0x20, 0, &[])] {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Parsed::Part, "{end} of {bytes:?}");
            }
        }
    }
}
