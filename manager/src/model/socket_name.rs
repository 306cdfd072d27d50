//! What sockets are called that an app asks for: `tcp:3000`, `tcp:127.0.0.1:3000`, `tcp:[::1]:3000`, `udp:…` or `unix:/path`.

use std::path::{Path, PathBuf};

use nix::sys::socket::UnixAddr;

/// What such a name means.
#[derive(Debug, PartialEq, Eq)]
pub enum SocketName<'a> {
    /// A port, or a host and a port.
    Tcp(&'a str),
    /// The same.
    Udp(&'a str),
    /// A path that fits into a socket's address.
    Unix(PathBuf),
}

impl SocketName<'_> {
    /// A relative path is one below `cwd`. The error says which rule the name breaks.
    pub fn parse<'a>(name: &'a str, cwd: &Path) -> Result<SocketName<'a>, String> {
        let unknown = || format!("must be such as tcp:3000, udp:127.0.0.1:53 or unix:app.sock. Received {name:?}");
        let (kind, address) = name.split_once(':').ok_or_else(unknown)?;
        match kind {
            "tcp" if has_port(address) => Ok(SocketName::Tcp(address)),
            "udp" if has_port(address) => Ok(SocketName::Udp(address)),
            "unix" if !address.is_empty() => {
                let path = cwd.join(address);
                match UnixAddr::new(&path) {
                    Ok(_) => Ok(SocketName::Unix(path)),
                    Err(_) => Err(format!(
                        "must have paths of at most 107 bytes, without a zero byte. Received {name:?}, which is {} bytes",
                        path.as_os_str().len()
                    )),
                }
            }
            _ => Err(unknown()),
        }
    }
}

/// Whether it is a port, or a host and a port. Whether there is such a host is known when it is looked for.
fn has_port(address: &str) -> bool {
    let port = match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => port,
        Some(_) => return false,
        None => address,
    };
    port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_users_expect_and_wrong_ones_are_told_why() {
        let (fits, does_not) = (format!("unix:{}", "x".repeat(102)), format!("unix:{}", "x".repeat(103)));
        let parse = |name| SocketName::parse(name, Path::new("/srv"));
        assert_eq!(parse("tcp:0"), Ok(SocketName::Tcp("0")));
        assert_eq!(parse("tcp:[::1]:3000"), Ok(SocketName::Tcp("[::1]:3000")));
        assert_eq!(parse("udp:localhost:53"), Ok(SocketName::Udp("localhost:53")));
        assert_eq!(parse("unix:a:b.sock"), Ok(SocketName::Unix("/srv/a:b.sock".into())));
        let wrong = ["", "3000", "tcp", "tcp:", "tcp:x", "tcp::80", "tcp:99999", "tcp:127.0.0.1", "udp:x", "unix:"];
        for name in wrong.into_iter().chain(["http:80", "TCP:80", " tcp:80"]) {
            let rule = parse(name).unwrap_err();
            assert!(rule.contains("such as tcp:3000") && rule.contains(&format!("{name:?}")), "{rule}");
        }
        // `/srv/` and so many more.
        assert!(parse(&fits).is_ok());
        assert!(parse(&does_not).unwrap_err().contains("108 bytes"));
        assert!(parse("unix:a\0b").unwrap_err().contains("zero byte"));
    }
}
