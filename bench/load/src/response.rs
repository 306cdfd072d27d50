//! Just enough HTTP/1.1 to know when a response is complete and what its body says.

/// How far a response has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// Whole. The body as text is the worker's pid, `None` when it is no number; `close` says that the
    /// server will take no further request on this connection.
    Complete { worker: Option<u32>, close: bool },
    /// Not a response that can be counted; the word goes into the table of failures.
    Bad(&'static str),
}

/// Collects one response. The buffer is kept from one response to the next.
#[derive(Default)]
pub struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// Forgets what was read, for the next response on this connection.
    pub fn reset(&mut self) {
        self.bytes.clear();
    }

    /// True while not a single byte of the response has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds what was read and says how far the response is.
    pub fn feed(&mut self, read: &[u8]) -> Progress {
        self.bytes.extend_from_slice(read);
        self.progress(false)
    }

    /// The server has closed: without Content-Length this is what ends the body.
    pub fn end(&self) -> Progress {
        match self.progress(true) {
            Progress::Partial => Progress::Bad("closed early"),
            other => other,
        }
    }

    fn progress(&self, closed: bool) -> Progress {
        let Some(head_end) = self.bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            return Progress::Partial;
        };
        let (head, body) = (&self.bytes[..head_end], &self.bytes[head_end + 4..]);
        if !head.starts_with(b"HTTP/1.1 200") {
            return Progress::Bad("status is not 200");
        }
        match content_length(head) {
            Some(length) if body.len() < length => Progress::Partial,
            Some(length) if body.len() > length => Progress::Bad("more than one response"),
            None if !closed => Progress::Partial,
            length => Progress::Complete { worker: number(body), close: length.is_none() || closes(head) },
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    header(head, b"content-length:").and_then(number)
}

fn closes(head: &[u8]) -> bool {
    header(head, b"connection:").is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"close"))
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n')
        .find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
        .map(|line| &line[name.len()..])
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Progress, Response};

    #[test]
    fn counts_a_response_that_comes_in_pieces() {
        let mut response = Response::default();
        assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\nContent-"), Progress::Partial);
        assert_eq!(response.feed(b"Length: 4\r\n\r\n12"), Progress::Partial);
        assert_eq!(response.feed(b"34"), Progress::Complete { worker: Some(1234), close: false });
        response.reset();
        assert!(response.is_empty());
    }

    #[test]
    fn without_a_length_the_close_ends_the_body() {
        let mut response = Response::default();
        assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\n\r\nx"), Progress::Partial);
        assert_eq!(response.end(), Progress::Complete { worker: None, close: true });
    }

    #[test]
    fn names_what_is_wrong() {
        let bad = |bytes: &[u8]| Response::default().feed(bytes);
        assert_eq!(bad(b"HTTP/1.1 503 No\r\n\r\n"), Progress::Bad("status is not 200"));
        let two = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n12";
        assert_eq!(bad(two), Progress::Bad("more than one response"));
        let mut short = Response::default();
        short.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1");
        assert_eq!(short.end(), Progress::Bad("closed early"));
    }
}
