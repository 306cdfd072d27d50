//! From bytes to frames.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::frame::{HEADER, Header, Kind};
use crate::sys::descriptors::{self, MAX_FDS};
use crate::sys::js::HeldBuffer;
use crate::sys::{foreign, scm};

/// Bytes asked for in one read, unless a frame is known to be longer.
const CHUNK: usize = if cfg!(feature = "fuzzing") { 1024 } else { 64 * 1024 };
/// The most that a partly read frame makes us allocate ahead of what has arrived.
const AHEAD: usize = if cfg!(feature = "fuzzing") { 4096 } else { 4 * 1024 * 1024 };

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

/// The other side has broken the rules of the format; nothing more can be understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

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

    /// The next run of whole frames, if there is one.
    pub fn next_delivery(&mut self) -> Result<Option<Delivery>, Malformed> {
        if let Some(header) = self.long {
            if !self.is_whole(header) {
                return self.check_surplus(usize::from(header.batch)).map(|()| None);
            }
            self.long = None;
            if let Some((buffer, _)) = self.buffer.take() {
                self.begin_batch(header)?;
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

    /// All whole frames of `kind` from here on, in one.
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
            self.begin_batch(current)?;
            if joined.len() > open.len() {
                joined.extend_from_slice(between);
            }
            if kind == Kind::Advanced {
                joined.extend_from_slice(&(current.length as u32).to_le_bytes());
            }
            let payload = self.start + HEADER;
            joined.extend_from_slice(&self.bytes[payload..payload + current.length]);
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
mod tests {
    use super::*;
    use crate::channel::outbox::{Outbox, TooLong};
    use crate::sys::socket;
    use std::os::fd::{AsFd, AsRawFd};

    fn pair() -> (OwnedFd, OwnedFd) {
        socket::stream_pair().unwrap()
    }

    /// Reads until nothing is left; all that was delivered.
    fn drain(inbox: &mut Inbox, socket: &OwnedFd) -> Result<Vec<Delivery>, Malformed> {
        let mut deliveries = Vec::new();
        while let Read::Bytes { .. } = inbox.read(socket.as_fd()).unwrap() {
            while let Some(delivery) = inbox.next_delivery()? {
                deliveries.push(delivery);
            }
        }
        Ok(deliveries)
    }

    fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Header { length: payload.len(), kind, fds: 0, batch: 0 }.encode().unwrap().to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn json_frames_of_one_read_become_one_array() {
        let (here, there) = pair();
        let bytes = [
            frame(Kind::Json, b"1,\"a\""),
            frame(Kind::Json, b"{}"),
            frame(Kind::Control, b"x"),
            frame(Kind::Json, b"2"),
        ]
        .concat();
        nix::unistd::write(&here, &bytes).unwrap();
        let got = drain(&mut Inbox::default(), &there).unwrap();
        assert!(matches!(&got[0], Delivery::JsonArray(text) if text == b"[1,\"a\",{}]"), "{got:?}");
        assert!(matches!(&got[1], Delivery::Frame(Kind::Control, text, _) if text == b"x"));
        assert!(matches!(&got[2], Delivery::JsonArray(text) if text == b"[2]"));
    }

    #[test]
    fn frames_cut_anywhere_come_out_whole() {
        let bytes = [frame(Kind::Json, b"123"), frame(Kind::Advanced, b"abc"), frame(Kind::Control, b"{}")].concat();
        for cut in 1..bytes.len() {
            let (here, there) = pair();
            let mut inbox = Inbox::default();
            nix::unistd::write(&here, &bytes[..cut]).unwrap();
            let mut got = drain(&mut inbox, &there).unwrap();
            nix::unistd::write(&here, &bytes[cut..]).unwrap();
            got.extend(drain(&mut inbox, &there).unwrap());
            assert!(matches!(&got[0], Delivery::JsonArray(text) if text == b"[123]"));
            match &got[1] {
                Delivery::AdvancedRun(run) => assert_eq!(run, b"\x03\0\0\0abc"),
                Delivery::Frame(Kind::Advanced, payload, _) => assert_eq!(payload, b"abc"),
                other => panic!("{other:?}"),
            }
            assert!(matches!(&got[2], Delivery::Frame(Kind::Control, text, _) if text == b"{}"));
        }
    }

    #[test]
    fn a_long_frame_and_what_follows_it() {
        let (here, there) = pair();
        let long = vec![b'x'; 3_000_000];
        let mut outbox = Outbox::default();
        outbox.push_vec(Kind::JsonAlone, long.clone(), Vec::new()).unwrap();
        outbox.push_vec(Kind::Json, b"7".to_vec(), Vec::new()).unwrap();
        outbox.push_vec(Kind::Json, long.clone(), Vec::new()).unwrap();
        outbox.push_vec(Kind::Json, b"8".to_vec(), Vec::new()).unwrap();
        let (mut inbox, mut got) = (Inbox::default(), Vec::new());
        while got.len() < 4 {
            outbox.write(here.as_fd()).unwrap();
            got.extend(drain(&mut inbox, &there).unwrap());
        }
        assert!(matches!(&got[0], Delivery::Frame(Kind::JsonAlone, text, _) if *text == long));
        assert!(matches!(&got[1], Delivery::JsonArray(text) if text == b"[7]"));
        let array = [b"[", long.as_slice(), b"]"].concat();
        assert!(matches!(&got[2], Delivery::JsonArray(text) if *text == array));
        assert!(matches!(&got[3], Delivery::JsonArray(text) if text == b"[8]"));
    }

    /// Sends `bytes` with so many descriptors, and reads it all.
    fn pass(inbox: &mut Inbox, bytes: &[u8], count: usize) -> Result<usize, Malformed> {
        let (here, there) = pair();
        let numbers = vec![here.as_fd().as_raw_fd(); count];
        crate::sys::scm::send(here.as_fd(), &[std::io::IoSlice::new(bytes)], &numbers).unwrap();
        drain(inbox, &there).map(|_| inbox.fds.len())
    }

    #[test]
    fn descriptors_within_an_unfinished_frame_are_no_more_than_it_announced() {
        for length in [100, 3_000_000] {
            let mut inbox = Inbox::default();
            let header = Header { length, kind: Kind::HandleJson, fds: 1, batch: 1 }.encode().unwrap();
            assert_eq!(pass(&mut inbox, &header, 1), Ok(1));
            assert_eq!(pass(&mut inbox, b"x", 0), Ok(1));
            assert_eq!(pass(&mut inbox, b"x", 1), Err(SURPLUS), "length {length}");
        }
        let mut inbox = Inbox::default();
        assert_eq!(pass(&mut inbox, &[1], MAX_FDS), Ok(MAX_FDS));
        assert_eq!(pass(&mut inbox, &[0], MAX_FDS), Err(SURPLUS));
    }

    #[test]
    fn batches_that_no_frame_asks_for_do_not_pile_up() {
        let mut inbox = Inbox::default();
        let mut bytes = frame(Kind::Json, b"1");
        bytes[super::super::frame::BATCH_OFFSET] = MAX_FDS as u8;
        assert_eq!(pass(&mut inbox, &bytes, MAX_FDS), Ok(MAX_FDS));
        assert_eq!(pass(&mut inbox, &bytes, MAX_FDS), Err(SURPLUS));
    }

    #[test]
    fn reads_that_end_within_frames_do_not_pile_up() {
        let (here, there) = pair();
        let mut inbox = Inbox::default();
        let mut outbox = Outbox::default();
        let text = vec![b'1'; 1000];
        for _ in 0..10_000 {
            outbox
                .push_with(Kind::Json, Vec::new(), |out| -> Result<(), TooLong> {
                    out.extend_from_slice(&text);
                    Ok(())
                })
                .unwrap();
        }
        while outbox.queued() > 0 {
            outbox.write(here.as_fd()).unwrap();
            drain(&mut inbox, &there).unwrap();
            assert!(inbox.bytes.capacity() <= 4 * CHUNK);
        }
    }

    #[test]
    fn descriptors_stay_with_their_frames() {
        let (here, there) = pair();
        let mut outbox = Outbox::default();
        for name in [b"1", b"2", b"3"] {
            outbox.push_vec(Kind::Json, b"0".to_vec(), Vec::new()).unwrap();
            outbox.push_vec(Kind::HandleJson, name.to_vec(), vec![pair().0]).unwrap();
        }
        let (mut inbox, mut got) = (Inbox::default(), Vec::new());
        while outbox.queued() > 0 {
            outbox.write(here.as_fd()).unwrap();
        }
        got.extend(drain(&mut inbox, &there).unwrap());
        let handles: Vec<_> = got
            .iter()
            .filter_map(
                |d| if let Delivery::Frame(_, name, fds) = d { Some((name.as_slice(), fds.len())) } else { None },
            )
            .collect();
        assert_eq!(handles, [(&b"1"[..], 1), (b"2", 1), (b"3", 1)]);
    }

    #[test]
    fn many_descriptors_share_writes() {
        let (here, there) = pair();
        let mut outbox = Outbox::default();
        for number in 0..40_u8 {
            outbox
                .push_with(Kind::HandleJson, vec![pair().0], |out| -> Result<(), TooLong> {
                    out.push(number);
                    Ok(())
                })
                .unwrap();
        }
        outbox.write(here.as_fd()).unwrap();
        let (mut inbox, mut reads, mut numbers) = (Inbox::default(), 0, Vec::new());
        while let Read::Bytes { .. } = inbox.read(there.as_fd()).unwrap() {
            reads += 1;
            while let Some(Delivery::Frame(_, payload, fds)) = inbox.next_delivery().unwrap() {
                assert_eq!(fds.len(), 1);
                numbers.push(payload[0]);
            }
        }
        assert_eq!((reads, numbers), (3, (0..40).collect()));
    }

    #[test]
    fn lies_end_the_channel() {
        let passed = pair();
        let fd = [std::os::fd::AsRawFd::as_raw_fd(&passed.0)];
        let missing = Header { length: 1, kind: Kind::HandleJson, fds: 1, batch: 1 }.encode().unwrap();
        let cases: [(&[u8], &[i32]); 4] = [
            (b"garbage garbage", &[]),
            (&[missing.as_slice(), b"0"].concat(), &[]),
            (&frame(Kind::Json, b"0"), &fd),
            (&[0xff; HEADER], &[]),
        ];
        for (bytes, fds) in cases {
            let (here, there) = pair();
            scm::send(here.as_fd(), &[io::IoSlice::new(bytes)], fds).unwrap();
            let mut inbox = Inbox::default();
            assert!(drain(&mut inbox, &there).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_promised_gigabyte_costs_nothing_until_it_comes() {
        let (here, there) = pair();
        let header = Header { length: 1 << 30, kind: Kind::Advanced, fds: 0, batch: 0 }.encode().unwrap();
        nix::unistd::write(&here, &header).unwrap();
        let mut inbox = Inbox::default();
        assert!(drain(&mut inbox, &there).unwrap().is_empty());
        assert!(inbox.bytes.capacity() <= 2 * AHEAD);
    }
}
