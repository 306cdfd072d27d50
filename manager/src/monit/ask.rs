//! What is asked of the daemon: over its socket, a connection for each request.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

/// The daemon of a home.
#[derive(Clone)]
pub struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    /// That of the home at `path`.
    pub fn of(path: &Path) -> Daemon {
        Daemon { socket: path.join("daemon.sock") }
    }

    async fn open(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Response<Incoming>, String> {
        let gone = |error: &dyn std::fmt::Display| format!("the daemon does not answer: {error}");
        let stream = UnixStream::connect(&self.socket).await.map_err(|_| "no daemon runs".to_owned())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| gone(&error))?;
        // It ends with the answer, or when nobody reads that any more.
        tokio::task::spawn_local(connection);
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        let request = request.body(Full::new(Bytes::from(text))).map_err(|error| gone(&error))?;
        sender.send_request(request).await.map_err(|error| gone(&error))
    }

    /// An answer, whole.
    pub async fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&Value>) -> Result<T, String> {
        let response = self.open(method, path, body).await?;
        let is_ok = response.status().is_success();
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        if is_ok {
            return serde_json::from_slice(&bytes)
                .map_err(|error| format!("the daemon's answer makes no sense: {error}"));
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(answer["error"]["message"].as_str().unwrap_or("the daemon has refused it").to_owned())
    }

    /// An answer to GET, of a daemon that is of our version.
    pub async fn ask_alike<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let response = self.open("GET", path, None).await?;
        let is_alike = response.headers().get(header::SERVER).is_some_and(|server| server == crate::daemon::SERVER);
        if !is_alike || !response.status().is_success() {
            return Err("the daemon is another one's, or has refused it".to_owned());
        }
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| format!("the daemon's answer makes no sense: {error}"))
    }

    /// Lines, as they come.
    pub async fn lines(&self, path: &str) -> Result<Lines, String> {
        let response = self.open("GET", path, None).await?;
        if response.status().is_success() {
            return Ok(Lines { body: response.into_body(), rest: Vec::new() });
        }
        Err("the daemon has refused it".to_owned())
    }
}

/// An answer of lines.
pub struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The lines of the next piece, each of which makes sense, and how many bytes came; `None` when there are no more.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Option<(Vec<T>, usize)> {
        let frame = self.body.frame().await?.ok()?;
        let bytes = frame.into_data().unwrap_or_default();
        self.rest.extend_from_slice(&bytes);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        let lines = whole.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Some((lines, bytes.len()))
    }
}

/// A word as a part of an address.
pub fn encoded(word: &str) -> String {
    word.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a text does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_so_that_the_daemon_reads_them() {
        for name in ["a b/c", "ö?&#%", "default:api", "-._~"] {
            assert_eq!(crate::daemon::decode(&encoded(name)), name);
        }
        assert!(encoded("a b/?\u{f6}").bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'));
    }
}
