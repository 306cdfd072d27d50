//! The board: what a worker tells the primary without sending anything.
//!
//! ```text
//!  word  written by  meaning
//!  ────  ──────────  ─────────────────────────────────────────────────────────────
//!    0   primary     magic and version
//!    1   worker      running since (ns, CLOCK_MONOTONIC); 0 while the loop waits
//!    2   worker      turns of the event loop
//!    3   worker      ns spent running, of all turns that are over
//!    4   worker      ns of the longest turn
//!    5   worker      connections taken from the queue
//!    6   worker, JS  connections that began otherwise: on a socket of its own, or sent by another process
//!    7   worker, JS  connections that are over, of both kinds: ended, refused, given back or sent away
//!    8   worker      1 while descriptors have run out
//!    9   worker      when the last turn ended (ns)
//!   10   worker      ns spent waiting for events
//!   11   worker      1 while it accepts nothing from sockets of its own
//!   16   primary     1: "tell me when a turn is over" (a cache line of its own)
//!   17   primary     connections that wait in the queue
//!   32   worker      ns that connections have waited from being accepted until their server had them; then 15 buckets: so many
//!                    waited up to 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1, 2.5, 5, 10 s, and longer
//!   48   worker      the same of the turns of the event loop: what becomes ready meanwhile waits for so long
//!   64   worker, JS  1 if HTTP requests are counted; requests, errors, ms of all responses, and the buckets of their times
//! ```
//!
//! Words are integers, but for those that JavaScript writes: those are doubles. It changes them with every connection, and a
//! call of a native function for each would cost more than all the rest that we do for one.
//!
//! Libuv runs the callbacks of sockets *inside* its wait for events, so word 1 covers timers, immediates, closing
//! callbacks and what follows the first connection that a turn takes, but not a turn that only reads from sockets. What the
//! acceptor relies on is therefore whether a worker takes what was queued for it; word 1 only tells it sooner.
//!
//! Nothing says how many connections are open: that is what has begun without what is over. So there is no moment in
//! which a connection that was taken from the queue is counted by nobody.
//!
//! # In which order
//!
//! Both sides read while the other one writes, without locks, and processors (those for arm64 above all) let others see what they write in
//! another order, and look before what they have written is seen. Of each word alone the order is certain, and most are read for what they say
//! themselves: `Relaxed` is enough. Two things need more, and whatever is added has to be looked at in the same way; `models/` tries all
//! that the language allows, and each of these orders by leaving it out:
//!
//! - *Ask, then look; say, then look.* The primary asks (16) and looks at the words again; the worker writes its words and looks whether it
//!   was asked. One of them has to see what the other has written, or the primary waits for what nobody says. That takes a full fence on
//!   either side between writing and looking.
//! - *What is over has begun.* Who sees that a connection is over (7) has to see that it was taken (5), or fewer are open than none. The worker
//!   has a fence between them, as JavaScript's writes have no order of their own, and the reader acquires (7) and reads the others afterwards.
//!   Where both are JavaScript's (6, 7) in one turn nothing orders them: one may be missing to a reader for the time that a
//!   write takes to arrive, which nobody stores.
//!
//! A worker can write anything into its page. Every value is used as a number to compare, never as an index or a
//! length, so that lies harm the liar alone.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use crate::board_layout::{BUCKETS, Figures, HTTP_WORDS, MAGIC, Word, bucket};
use crate::sys::board_page::{AtomicU64, BoardPage, fence};

/// One worker's board, seen from either side.
pub struct Board {
    page: BoardPage,
}

impl Board {
    /// A new board, and the descriptor that the worker opens it with.
    pub fn create() -> io::Result<(OwnedFd, Board)> {
        let (fd, page) = BoardPage::create()?;
        let board = Board { page };
        // Nobody else sees it before the kernel has passed the descriptor on, which orders everything.
        board.word(Word::Magic).store(MAGIC, Ordering::Relaxed);
        Ok((fd, board))
    }

    /// The board behind a descriptor that the primary sent.
    pub fn open(fd: BorrowedFd) -> io::Result<Board> {
        let board = Board { page: BoardPage::map(fd)? };
        if board.word(Word::Magic).load(Ordering::Relaxed) != MAGIC {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(board)
    }

    /// As new.
    #[cfg(feature = "fuzzing")]
    pub fn reset(&self) {
        self.page.words().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.word(Word::Magic).store(MAGIC, Ordering::Relaxed);
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        self.page.word(word as usize)
    }

    /// A word that holds a double: a count, if the worker is honest.
    fn count(&self, word: Word, order: Ordering) -> u64 {
        f64::from_bits(self.word(word).load(order)) as u64
    }

    /// Worker: the words that its JavaScript writes, as doubles: connections that began without the queue, and connections
    /// that are over.
    pub fn counts(&self) -> &[AtomicU64] {
        self.page.words().get(Word::Opened as usize..=Word::Ended as usize).unwrap_or_default()
    }

    /// Worker: a turn begins at `now`.
    pub fn begin_turn(&self, now: u64) {
        self.word(Word::RunningSince).store(now, Ordering::Relaxed);
    }

    /// Worker: the turn is over; the loop is about to wait. Returns whether the primary asked to be told.
    ///
    /// `idle` is what libuv has counted as waiting so far (ns): the rest of the time since the last turn's end was spent
    /// running.
    pub fn end_turn(&self, now: u64, idle: u64) -> bool {
        self.word(Word::RunningSince).store(0, Ordering::Relaxed);
        let last = self.word(Word::TurnEnd).load(Ordering::Relaxed);
        let waited = idle.saturating_sub(self.word(Word::Idle).load(Ordering::Relaxed));
        if last != 0 {
            let turn = now.saturating_sub(last).saturating_sub(waited);
            self.add(Word::Running, turn);
            let longest = self.word(Word::Longest);
            longest.store(longest.load(Ordering::Relaxed).max(turn), Ordering::Relaxed);
            self.note(Word::Turned, turn);
        }
        self.word(Word::TurnEnd).store(now, Ordering::Relaxed);
        self.word(Word::Idle).store(idle, Ordering::Relaxed);
        let turns = self.word(Word::Turns);
        turns.store(turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // Not before all of that is there to be seen: who asks at the same time looks at it afterwards. A few ns, once in a turn.
        fence(Ordering::SeqCst);
        let tell_me = self.word(Word::TellMe);
        // What is told goes through the kernel, which orders everything.
        tell_me.load(Ordering::Relaxed) != 0 && tell_me.swap(0, Ordering::Relaxed) != 0
    }

    /// Worker: whether this turn has been noted as begun.
    pub fn in_turn(&self) -> bool {
        self.word(Word::RunningSince).load(Ordering::Relaxed) != 0
    }

    /// Worker: `count` connections came out of the queue.
    pub fn add_taken(&self, count: u64) {
        self.add(Word::Taken, count);
        // They begin before they are over, whoever writes that. Nothing but the compiler's order on x64.
        fence(Ordering::Release);
    }

    /// Worker: a connection that was accepted so many ns ago is with its server.
    pub fn add_wait(&self, ns: u64) {
        self.note(Word::Waits, ns);
    }

    /// Worker: one more in a histogram.
    ///
    /// Relaxed, as nobody concludes anything from one of these words about another: whoever reads them in the middle has a sum
    /// that is one ahead of the buckets. Only one thread writes them, so that no locked instruction is needed.
    fn note(&self, histogram: Word, ns: u64) {
        let words =
            self.page.words().get(histogram as usize..).and_then(|words| words.first_chunk::<{ BUCKETS + 1 }>());
        let Some([sum, counts @ ..]) = words else { return };
        sum.store(sum.load(Ordering::Relaxed).wrapping_add(ns), Ordering::Relaxed);
        if let Some(count) = counts.get(bucket(ns)) {
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Worker: the words by which its JavaScript tells of HTTP requests, as doubles. Its writes have no order, and need none: as with
    /// histograms, each of them is read for what it says itself.
    pub fn http(&self) -> &[AtomicU64] {
        let first = Word::Http as usize;
        self.page.words().get(first..first + HTTP_WORDS).unwrap_or_default()
    }

    /// All that is for people to see, as of about one moment. What is over is read first of all: see [`Board::connections`].
    pub fn figures(&self) -> Figures {
        let words = self.page.words();
        Figures::read(|index| {
            if index == Word::Ended as usize {
                return (self.ended() as f64).to_bits();
            }
            words.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
        })
    }

    /// Worker: `count` connections are over of which its JavaScript does not know.
    pub fn add_ended(&self, count: u64) {
        let ended = self.word(Word::Ended);
        let sum = f64::from_bits(ended.load(Ordering::Relaxed)) + count as f64;
        ended.store(sum.to_bits(), Ordering::Relaxed);
    }

    /// Worker: whether its descriptors have run out. It says nothing of other words; that they are back is told through the kernel as well.
    pub fn set_out_of_descriptors(&self, out: bool) {
        self.word(Word::OutOfDescriptors).store(u64::from(out), Ordering::Relaxed);
    }

    /// Worker: whether it accepts nothing from sockets of its own.
    pub fn set_paused(&self, paused: bool) {
        self.word(Word::Paused).store(u64::from(paused), Ordering::Relaxed);
    }

    /// Only one thread writes a worker's words, so that no locked instruction is needed.
    fn add(&self, word: Word, amount: u64) {
        let word = self.word(word);
        word.store(word.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Primary: so many connections wait in the queue; for those who read the board, the acceptor has its own count.
    pub fn set_queued(&self, count: u64) {
        self.word(Word::Queued).store(count, Ordering::Relaxed);
    }

    /// Connections that waited in the queue when some were last sent or looked for.
    pub fn queued(&self) -> u64 {
        self.word(Word::Queued).load(Ordering::Relaxed)
    }

    /// Primary: asks to be told when a turn of the worker ends. Whoever looks at the board afterwards sees a turn that has ended before,
    /// or is told.
    pub fn ask_to_be_told(&self) {
        self.word(Word::TellMe).store(1, Ordering::Relaxed);
        // Not to look before the worker can see it.
        fence(Ordering::SeqCst);
    }

    /// Connections taken so far.
    pub fn taken(&self) -> u64 {
        self.word(Word::Taken).load(Ordering::Relaxed)
    }

    /// Connections so far that began without the queue.
    pub fn opened(&self) -> u64 {
        self.count(Word::Opened, Ordering::Relaxed)
    }

    /// Connections that are over. Those that have begun are to be read afterwards: then they are among them.
    pub fn ended(&self) -> u64 {
        self.count(Word::Ended, Ordering::Acquire)
    }

    /// Connections that have begun so far, and those of them that are open, as of one moment.
    pub fn connections(&self) -> (u64, u64) {
        // In this order: what is over has begun before.
        let ended = self.ended();
        let begun = self.taken().saturating_add(self.opened());
        (begun, begun.saturating_sub(ended))
    }

    /// Turns of the event loop so far.
    pub fn turns(&self) -> u64 {
        self.word(Word::Turns).load(Ordering::Relaxed)
    }

    /// Since when (ns) the worker is known to run without having waited; `None` when it waits, or is not known to run.
    pub fn running_since(&self) -> Option<u64> {
        Some(self.word(Word::RunningSince).load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// ns spent in the turns that are over, and ns of the longest.
    pub fn running_time(&self) -> (u64, u64) {
        (self.word(Word::Running).load(Ordering::Relaxed), self.word(Word::Longest).load(Ordering::Relaxed))
    }

    /// The part (0 to 1) of the time up to the last turn's end that was spent running.
    pub fn utilization(&self) -> f64 {
        let running = self.word(Word::Running).load(Ordering::Relaxed) as f64;
        let idle = self.word(Word::Idle).load(Ordering::Relaxed) as f64;
        if running + idle > 0.0 { running / (running + idle) } else { 0.0 }
    }

    /// Whether the worker has said that it accepts nothing from sockets of its own.
    pub fn is_paused(&self) -> bool {
        self.word(Word::Paused).load(Ordering::Relaxed) != 0
    }

    /// Whether the worker has said that its descriptors ran out.
    pub fn out_of_descriptors(&self) -> bool {
        self.word(Word::OutOfDescriptors).load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn both_sides_see_one_page() {
        let (fd, primary) = Board::create().unwrap();
        let worker = Board::open(fd.as_fd()).unwrap();
        worker.add_taken(3);
        worker.add_taken(2);
        worker.counts()[0].store(2_f64.to_bits(), Ordering::Relaxed);
        worker.counts()[1].store(1_f64.to_bits(), Ordering::Relaxed);
        worker.add_ended(2);
        worker.begin_turn(100);
        assert_eq!((primary.taken(), primary.connections(), primary.running_since()), (5, (7, 4), Some(100)));
        assert!(!worker.end_turn(160, 0));
        worker.begin_turn(300);
        assert!(!worker.end_turn(400, 180));
        assert_eq!((primary.running_since(), primary.turns(), primary.running_time()), (None, 2, (60, 60)));
    }

    #[test]
    fn how_long_things_took_is_counted_by_buckets() {
        let (fd, primary) = Board::create().unwrap();
        let worker = Board::open(fd.as_fd()).unwrap();
        for ms in [0, 1, 2, 3, 20_000] {
            worker.add_wait(ms * 1_000_000);
        }
        worker.end_turn(1, 0);
        worker.end_turn(30_000_001, 0);
        let figures = primary.figures();
        assert_eq!(figures.waits.counts, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(figures.waits.sum, 20_006.0);
        assert_eq!(figures.turned.counts.iter().position(|count| *count == 1), Some(6));
        assert_eq!(figures.http, None);
        for (index, word) in worker.http().iter().enumerate() {
            word.store(f64::from(u32::from(index < 4)).to_bits(), Ordering::Relaxed);
        }
        let http = primary.figures().http.unwrap();
        assert_eq!((http.requests, http.errors, http.times.sum, http.times.counts), (1, 1, 1.0, [0; BUCKETS]));
    }

    #[test]
    fn nonsense_in_a_page_is_a_number_all_the_same() {
        for nonsense in [u64::MAX, f64::NAN.to_bits(), f64::INFINITY.to_bits(), (-1.0_f64).to_bits()] {
            let figures =
                Figures::read(|index| if index == Word::Http as usize { 1.0_f64.to_bits() } else { nonsense });
            assert!(figures.http.is_some_and(|http| http.times.sum.is_finite()), "{figures:?}");
            assert!(figures.running.is_finite() && figures.waits.sum.is_finite(), "{figures:?}");
        }
    }

    #[test]
    fn nonsense_from_javascript_is_no_connection() {
        let (fd, primary) = Board::create().unwrap();
        let worker = Board::open(fd.as_fd()).unwrap();
        worker.add_taken(3);
        for nonsense in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            for word in worker.counts() {
                word.store(nonsense.to_bits(), Ordering::Relaxed);
            }
            assert_eq!((primary.opened(), primary.ended(), primary.connections()), (0, 0, (3, 3)), "{nonsense}");
        }
        worker.counts()[1].store(f64::INFINITY.to_bits(), Ordering::Relaxed);
        assert_eq!((primary.ended(), primary.connections()), (u64::MAX, (3, 0)));
    }

    #[test]
    fn a_worker_tells_once_when_asked() {
        let (fd, primary) = Board::create().unwrap();
        let worker = Board::open(fd.as_fd()).unwrap();
        primary.ask_to_be_told();
        assert!(worker.end_turn(1, 0));
        assert!(!worker.end_turn(2, 0));
    }

    #[test]
    fn what_is_not_a_sealed_page_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Board::open(file.as_fd()).is_err());
        let unsealed = nix::sys::memfd::memfd_create(c"x", nix::sys::memfd::MFdFlags::MFD_ALLOW_SEALING).unwrap();
        nix::unistd::ftruncate(&unsealed, crate::sys::board_page::PAGE_BYTES as i64).unwrap();
        assert!(Board::open(unsealed.as_fd()).is_err());
    }
}
