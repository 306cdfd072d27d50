//! What a proxy says first, honest headers and whatever else: an honest one comes out as it was meant, whatever follows it; what is whole
//! is so to the last byte, and no beginning of it is anything but a part; what makes no sense makes none with more behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rcluster::proxy_header::{self, Ends, MAX_LENGTH, Parsed, extensions};

use crate::input::Input;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub fn run(data: &[u8]) {
    check(data);
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => check(&[b"PROXY TCP4 ", input.rest()].concat()),
        1 => check(&[SIGNATURE, input.rest()].concat()),
        2 => line(&mut input),
        _ => binary(&mut input),
    }
}

fn check(bytes: &[u8]) {
    match proxy_header::parse(bytes) {
        Parsed::Whole(header, length) => {
            assert!(length <= MAX_LENGTH && length <= bytes.len() && header.extensions.len() < length);
            assert_eq!(proxy_header::parse(&bytes[..length]), Parsed::Whole(header, length));
            for end in 0..length {
                assert_eq!(proxy_header::parse(&bytes[..end]), Parsed::Part);
            }
            let read: usize = extensions(header.extensions).map(|(_, value)| 3 + value.len()).sum();
            assert_eq!(read, header.extensions.len());
        }
        Parsed::Part => assert!(bytes.len() < MAX_LENGTH),
        Parsed::Malformed => assert_eq!(proxy_header::parse(&[bytes, b"\r\n"].concat()), Parsed::Malformed),
    }
}

fn honest(header: &[u8], ends: Ends, behind: &[u8], extra: &[(u8, &[u8])]) {
    let bytes = [header, behind].concat();
    let Parsed::Whole(read, length) = proxy_header::parse(&bytes) else { panic!("{bytes:?} is honest") };
    assert_eq!((read.ends, length), (Some(ends), header.len()));
    assert!(extensions(read.extensions).eq(extra.iter().copied()));
    for end in 0..header.len() {
        assert_eq!(proxy_header::parse(&header[..end]), Parsed::Part);
    }
}

fn address(input: &mut Input, v4: bool) -> IpAddr {
    let [a, b] = [input.u32(), input.u32()];
    if v4 { Ipv4Addr::from(a).into() } else { Ipv6Addr::from(u128::from(a) << 96 | u128::from(b)).into() }
}

fn both(input: &mut Input, v4: bool) -> Ends {
    let [source, destination] = [address(input, v4), address(input, v4)];
    let ports = input.u32();
    Ends {
        source: SocketAddr::new(source, ports as u16),
        destination: SocketAddr::new(destination, (ports >> 16) as u16),
    }
}

fn line(input: &mut Input) {
    let v4 = input.byte().is_multiple_of(2);
    let ends = both(input, v4);
    let Ends { source, destination } = ends;
    let text = format!(
        "PROXY TCP{} {} {} {} {}\r\n",
        if v4 { 4 } else { 6 },
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
    honest(text.as_bytes(), ends, input.rest(), &[]);
}

fn binary(input: &mut Input) {
    let v4 = input.byte().is_multiple_of(2);
    let ends = both(input, v4);
    let mut rest = Vec::new();
    for address in [ends.source.ip(), ends.destination.ip()] {
        match address {
            IpAddr::V4(v4) => rest.extend(v4.octets()),
            IpAddr::V6(v6) => rest.extend(v6.octets()),
        }
    }
    rest.extend(ends.source.port().to_be_bytes());
    rest.extend(ends.destination.port().to_be_bytes());
    let mut extra = Vec::new();
    for _ in 0..input.below(4) {
        // But for those whose values have a form.
        let (kind, length) = (0x40 | input.byte(), input.below(40));
        let value = input.bytes(length);
        rest.push(kind);
        rest.extend((value.len() as u16).to_be_bytes());
        rest.extend(value);
        extra.push((kind, value));
    }
    let length = (rest.len() as u16).to_be_bytes();
    let header = [SIGNATURE, &[0x21, if v4 { 0x11 } else { 0x21 }], &length, &rest].concat();
    honest(&header, ends, input.rest(), &extra);
}
