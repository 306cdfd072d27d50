//! The service manager that has started us, and what it is told (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};

/// The variable that says where it listens.
const WHERE: &str = "NOTIFY_SOCKET";
/// The variable that a user's own manager sets for what it starts.
const OF_USER: &str = "MANAGERPID";

/// Tells it something, such as `READY=1`. Without one nothing is done.
pub fn tell(text: &str) -> io::Result<()> {
    match std::env::var_os(WHERE).filter(|name| !name.is_empty()) {
        Some(name) => tell_at(&name, text),
        None => Ok(()),
    }
}

fn tell_at(name: &OsStr, text: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// Whether the machine goes down, or the session of the user whose manager it is. Takes as long as `systemctl` does.
pub fn goes_down() -> bool {
    let mut asked = Command::new("systemctl");
    if std::env::var_os(OF_USER).is_some() {
        asked.arg("--user");
    }
    let output = asked.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null()).output();
    // Its exit code says no more than whether all is well.
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hears_what_it_is_told_under_both_kinds_of_names() {
        let name = format!("rclusterd-test/{}", std::process::id());
        let hidden = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let path = std::env::temp_dir().join(format!("rclusterd-told-{}", std::process::id()));
        let file = UnixDatagram::bind(&path).unwrap();
        for (listener, name) in [(hidden, format!("@{name}")), (file, path.display().to_string())] {
            tell_at(OsStr::new(&name), "READY=1").unwrap();
            let mut bytes = [0; 16];
            let length = listener.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1");
        }
        std::fs::remove_file(path).unwrap();
    }
}
