//! From bytes to frames.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::claims::Account;
use super::frame::{HEADER, Header, Kind, Malformed};
use crate::sys::descriptors::{self, MAX_FDS};
use crate::sys::js::HeldBuffer;
use crate::sys::{foreign, scm};

/// Bytes asked for in one read, unless a frame is known to be longer.
const CHUNK: usize = if cfg!(feature = "fuzzing") { 1024 } else { 64 * 1024 };
/// The most that a partly read frame makes us allocate ahead of what has arrived.
const AHEAD: usize = if cfg!(feature = "fuzzing") { 4096 } else { 4 * 1024 * 1024 };
/// No other message is delivered in the same turn once those before it have claimed so many places beyond their size: some 10 ms.
const AT_ONCE: u64 = 1 << 20;

/// What one [`Inbox::read`] did.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes came, as many as asked for (there may be more) or fewer.
    Bytes {
        /// As many as asked for.
        all: bool,
    },
    /// Nothing to read now.
    Nothing,
    /// No room for descriptors now: nothing was read, so that none is lost.
    NoRoom,
    /// The other side has closed.
    End,
}

/// A run of frames that JavaScript gets in one call.
#[derive(Debug)]
pub enum Delivery {
    /// One frame.
    Frame(Kind, Vec<u8>, Vec<OwnedFd>),
    /// One long frame of [`Kind::Advanced`].
    Buffer(HeldBuffer),
    /// Several frames of [`Kind::Json`]: one JSON array of all their messages.
    JsonArray(Vec<u8>),
    /// Several frames of [`Kind::Advanced`]: each behind its length (u32, little-endian).
    AdvancedRun(Vec<u8>),
}

const MISSING: Malformed = Malformed("a frame came without the descriptor that it promised");
const SURPLUS: Malformed = Malformed("descriptors came that no frame asked for");

/// Closes descriptors of the other side's that nobody has taken.
fn let_go(fds: impl IntoIterator<Item = OwnedFd>) {
    fds.into_iter().for_each(foreign::close);
}

/// What was read and not delivered yet.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Where in `bytes` the next frame starts.
    start: usize,
    fds: VecDeque<OwnedFd>,
    /// Descriptors of a batch that has begun which belong to frames that are still to come.
    owed: usize,
    /// A frame longer than a read, of which `bytes` holds the payload alone, as far as it has come (JSON texts behind
    /// the bracket that makes an array of them).
    long: Option<Header>,
    /// Where the payload of a long frame goes instead, and how much of it has come.
    buffer: Option<(HeldBuffer, usize)>,
    /// Makes such a place.
    make_buffer: Option<MakeBuffer>,
    /// What messages in V8's format claim, if anybody may write them.
    account: Option<Account>,
    /// What those of this turn have claimed beyond their size.
    claimed: u64,
}

/// Makes a Buffer of so many bytes, if it can.
pub type MakeBuffer = Box<dyn Fn(usize) -> Option<HeldBuffer>>;

thread_local! {
    /// The memory that short reads go to: a channel has it only while it holds a part of a frame, so that many idle
    /// channels cost no more than one.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls again what a signal has interrupted.
fn unless_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Bytes before the payload of a long frame.
fn lead(kind: Kind) -> usize {
    usize::from(kind == Kind::Json)
}

/// How many bytes can be read without a descriptor coming along; `None` when one would.
fn bytes_alone(socket: BorrowedFd) -> Option<usize> {
    match scm::peek(socket, &mut vec![0; CHUNK]) {
        Ok(next) if next.descriptors => None,
        Ok(next) => Some(next.bytes.max(1)),
        // Reading says what it is.
        Err(_) => Some(1),
    }
}

impl Inbox {
    /// One for what may be written by anybody.
    pub fn distrusting() -> Inbox {
        let mut inbox = Inbox::default();
        inbox.account = Some(Account::default());
        inbox
    }

    /// From now on the payloads of long frames in V8's format are read into Buffers.
    pub fn read_into(&mut self, make_buffer: MakeBuffer) {
        self.make_buffer = Some(make_buffer);
    }

    fn header(&self) -> Result<Option<Header>, Malformed> {
        let Some(bytes) = self.bytes.get(self.start..self.start + HEADER) else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| Malformed("a frame's header makes no sense"))?;
        Header::decode(bytes).map(Some).ok_or(Malformed("a frame's header makes no sense"))
    }

    /// Reads once from the socket. A frame known to be long is read into memory of its own, to its end and not beyond.
    pub fn read(&mut self, socket: BorrowedFd) -> io::Result<Read> {
        let most = if descriptors::room_for(MAX_FDS, socket) { Some(usize::MAX) } else { bytes_alone(socket) };
        let Some(most) = most else { return Ok(Read::NoRoom) };
        if self.bytes.capacity() == 0 {
            self.bytes = SCRATCH.take();
        }
        // What is left of the last read is less than one frame.
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.long.is_none()
            && let Ok(Some(header)) = self.header()
            && header.length > CHUNK
        {
            self.bytes.drain(..HEADER - lead(header.kind));
            if header.kind == Kind::Json {
                self.bytes[0] = b'[';
            }
            self.long = Some(header);
            self.begin_buffer(header);
        }
        let mut fds = Vec::new();
        if let Some((buffer, filled)) = &mut self.buffer {
            let mut room = buffer.to_fill_from(*filled);
            if room.len() > most {
                room = &mut room[..most];
            }
            let asked = room.len();
            let received = unless_interrupted(|| scm::receive_uninit(socket, room, &mut fds));
            *filled += received.as_ref().map_or(0, |received| received.bytes);
            return self.came(received, asked, fds);
        }
        let have = self.bytes.len();
        let limit = self.long.map_or(CHUNK, |header| (lead(header.kind) + header.length).saturating_sub(have));
        // Ahead of what has come, but not as far as a liar says. One more for a closing bracket.
        let room = limit.min(AHEAD.max(have)) + 1;
        self.bytes.try_reserve_exact(room).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let asked = limit.min(self.bytes.capacity() - self.bytes.len()).min(most);
        let received = unless_interrupted(|| scm::receive_append(socket, &mut self.bytes, asked, &mut fds));
        self.came(received, asked, fds)
    }

    /// What has become of a read of so many bytes.
    fn came(&mut self, received: io::Result<scm::Received>, asked: usize, fds: Vec<OwnedFd>) -> io::Result<Read> {
        self.fds.extend(fds);
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::Nothing),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Read::End),
            Err(error) => Err(error),
            Ok(received) if received.bytes == 0 => Ok(Read::End),
            Ok(received) => Ok(Read::Bytes { all: received.bytes == asked }),
        }
    }

    /// A long frame has begun, of which `bytes` has what has come. It gets a Buffer if it is one for JavaScript to keep; one that is
    /// longer than what may be allocated ahead has to grow as it comes.
    fn begin_buffer(&mut self, header: Header) {
        if header.kind != Kind::Advanced || header.length > AHEAD {
            return;
        }
        let Some(mut buffer) = self.make_buffer.as_ref().and_then(|make| make(header.length)) else { return };
        for (to, from) in buffer.to_fill_from(0).iter_mut().zip(&self.bytes) {
            to.write(*from);
        }
        self.buffer = Some((buffer, self.bytes.len()));
        self.bytes.clear();
        self.give_scratch_back();
    }

    /// Whether [`Inbox::next_delivery`] has something to say.
    pub fn has_delivery(&self) -> bool {
        match self.long {
            Some(header) => self.is_whole(header),
            None => !matches!(self.whole_frame(), Ok(None)),
        }
    }

    /// Whether all of a long frame has come.
    fn is_whole(&self, header: Header) -> bool {
        match &self.buffer {
            Some((_, filled)) => *filled >= header.length,
            None => self.bytes.len() >= lead(header.kind) + header.length,
        }
    }

    /// Whether more is to be delivered, but not in this turn. Nothing may be read until it is.
    pub fn is_held(&self) -> bool {
        self.claimed >= AT_ONCE && self.has_delivery()
    }

    /// A turn of the event loop begins.
    pub fn begin_turn(&mut self) {
        self.claimed = 0;
    }

    /// Looks through what a message claims, before anybody else does.
    fn admit(account: &mut Option<Account>, kind: Kind, payload: &[u8]) -> Result<u64, Malformed> {
        account.as_mut().map_or(Ok(0), |account| account.admit(kind, payload))
    }

    /// The next run of whole frames, if there is one.
    pub fn next_delivery(&mut self) -> Result<Option<Delivery>, Malformed> {
        if self.is_held() {
            return Ok(None);
        }
        if let Some(header) = self.long {
            if !self.is_whole(header) {
                return self.check_surplus(usize::from(header.batch)).map(|()| None);
            }
            self.long = None;
            if let Some((buffer, _)) = self.buffer.take() {
                self.begin_batch(header)?;
                self.claimed += Inbox::admit(&mut self.account, header.kind, buffer.as_slice())?;
                return Ok(Some(Delivery::Buffer(buffer)));
            }
            let mut payload = mem::take(&mut self.bytes);
            if header.kind == Kind::Json {
                self.begin_batch(header)?;
                payload.push(b']');
                return Ok(Some(Delivery::JsonArray(payload)));
            }
            return self.single(header, payload).map(Some);
        }
        let Some(first) = self.whole_frame()? else {
            let announced = match self.header()? {
                Some(header) => usize::from(header.batch),
                // Of a header that is not whole yet.
                None if self.start < self.bytes.len() => MAX_FDS,
                None => 0,
            };
            self.give_scratch_back();
            return self.check_surplus(announced).map(|()| None);
        };
        if first.fds == 0 && first.kind == Kind::Json {
            return self.run(first, b"[", b",", b"]", Kind::Json).map(|text| Some(Delivery::JsonArray(text)));
        }
        let end = self.start + HEADER + first.length;
        if first.kind == Kind::Advanced && self.bytes.len() > end {
            return self.run(first, b"", b"", b"", Kind::Advanced).map(|run| Some(Delivery::AdvancedRun(run)));
        }
        let payload = self.bytes[self.start + HEADER..end].to_vec();
        self.start = end;
        self.single(first, payload).map(Some)
    }

    /// When all that was read has been delivered.
    fn give_scratch_back(&mut self) {
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() <= 2 * CHUNK {
                SCRATCH.set(mem::take(&mut self.bytes));
            } else {
                self.bytes = Vec::new();
            }
        }
    }

    fn single(&mut self, header: Header, payload: Vec<u8>) -> Result<Delivery, Malformed> {
        let count = usize::from(header.fds);
        self.begin_batch(header)?;
        if self.owed < count {
            return Err(MISSING);
        }
        self.claimed += Inbox::admit(&mut self.account, header.kind, &payload)?;
        self.owed -= count;
        Ok(Delivery::Frame(header.kind, payload, self.fds.drain(..count).collect()))
    }

    /// The descriptors of a batch have come with its first byte. By then those of the one before have been asked for: what
    /// nobody asks for is no more than one batch.
    fn begin_batch(&mut self, header: Header) -> Result<(), Malformed> {
        if header.batch > 0 && self.owed > 0 {
            return Err(SURPLUS);
        }
        self.owed += usize::from(header.batch);
        if self.fds.len() < self.owed { Err(MISSING) } else { Ok(()) }
    }

    fn whole_frame(&self) -> Result<Option<Header>, Malformed> {
        let header = self.header()?;
        Ok(header.filter(|header| self.bytes.len() - self.start >= HEADER + header.length))
    }

    /// Descriptors that no frame asks for, when all whole frames have been delivered. `announced`: by what is read of the next.
    fn check_surplus(&self, announced: usize) -> Result<(), Malformed> {
        if self.fds.len() > self.owed + announced { Err(SURPLUS) } else { Ok(()) }
    }

    /// All whole frames of `kind` from here on, in one, as far as a turn goes.
    fn run(
        &mut self,
        first: Header,
        open: &[u8],
        between: &[u8],
        close: &[u8],
        kind: Kind,
    ) -> Result<Vec<u8>, Malformed> {
        let mut joined = Vec::with_capacity((self.bytes.len() - self.start).min(first.length + CHUNK) + 2);
        joined.extend_from_slice(open);
        let mut header = Some(first);
        while let Some(current) = header.filter(|header| header.kind == kind) {
            if self.claimed >= AT_ONCE {
                break;
            }
            self.begin_batch(current)?;
            if joined.len() > open.len() {
                joined.extend_from_slice(between);
            }
            if kind == Kind::Advanced {
                joined.extend_from_slice(&(current.length as u32).to_le_bytes());
            }
            let payload = self.start + HEADER;
            let bytes = &self.bytes[payload..payload + current.length];
            self.claimed += Inbox::admit(&mut self.account, kind, bytes)?;
            joined.extend_from_slice(bytes);
            self.start = payload + current.length;
            header = self.whole_frame()?;
        }
        joined.extend_from_slice(close);
        Ok(joined)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let_go(self.fds.drain(..));
    }
}

#[cfg(test)]
mod tests;
