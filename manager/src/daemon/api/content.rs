//! What an answer consists of: one piece, or lines that come as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

use crate::daemon::logs::Lines as Logs;

/// The body of an answer.
pub enum Content {
    /// All of it; `None` when it has been sent.
    Whole(Option<Bytes>),
    /// Until whoever writes them ends.
    Lines(Receiver<Bytes>),
    /// Logs, until there are no more.
    Logs(Logs),
}

impl Content {
    /// In one piece.
    pub fn whole(bytes: Bytes) -> Content {
        Content::Whole(Some(bytes))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Lines(lines) => lines.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line)))),
            Content::Logs(logs) => Pin::new(logs).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Lines(_) | Content::Logs(_) => SizeHint::default(),
        }
    }
}
