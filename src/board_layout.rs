//! What is where on a board, and how it is read: for those who keep one (board.rs), and for who only looks at it. The process manager
//! has this very file, so that both mean the same.

/// What the first word of a board is: another one is a board of another version.
pub const MAGIC: u64 = 0x7263_6c75_7374_0002;

/// Buckets of a histogram: one for each bound, and one for what is longer than the last.
pub const BUCKETS: usize = 15;

/// Up to how long (ns) what is counted in each bucket has taken.
pub const BOUNDS: [u64; BUCKETS - 1] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Words of a board: see the table in board.rs.
#[repr(usize)]
#[derive(Clone, Copy)]
pub enum Word {
    /// Magic and version.
    Magic = 0,
    /// Running since.
    RunningSince = 1,
    /// Turns of the loop.
    Turns = 2,
    /// ns spent running.
    Running = 3,
    /// ns of the longest turn.
    Longest = 4,
    /// Taken from the queue.
    Taken = 5,
    /// Begun otherwise.
    Opened = 6,
    /// Over.
    Ended = 7,
    /// Descriptors have run out.
    OutOfDescriptors = 8,
    /// When the last turn ended.
    TurnEnd = 9,
    /// ns spent waiting.
    Idle = 10,
    /// It accepts nothing for itself.
    Paused = 11,
    /// "Tell me."
    TellMe = 16,
    /// Waiting in the queue.
    Queued = 17,
    /// ns that connections have waited, and the buckets.
    Waits = 32,
    /// ns that turns of the loop took, and the buckets.
    Turned = 48,
    /// What is known of HTTP requests: [`HTTP_WORDS`].
    Http = 64,
}

/// Words that tell of HTTP requests, doubles all of them: 1 if they are counted; requests, errors, ms of all responses, and the buckets.
pub const HTTP_WORDS: usize = 4 + BUCKETS;

/// The bucket of what has taken so long (ns).
pub fn bucket(ns: u64) -> usize {
    BOUNDS.iter().position(|bound| ns <= *bound).unwrap_or(BUCKETS - 1)
}

/// How long something took, each time that it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Milliseconds of all together.
    pub sum: f64,
    /// How many took up to so long, and longer than the bound before.
    pub counts: [u64; BUCKETS],
}

impl Histogram {
    fn read(first: usize, word: &impl Fn(usize) -> u64) -> Histogram {
        Histogram { sum: word(first) as f64 / 1e6, counts: std::array::from_fn(|index| word(first + 1 + index)) }
    }
}

/// What is known of HTTP requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Http {
    /// Requests that have come.
    pub requests: u64,
    /// Those that were answered with a status of 500 or more.
    pub errors: u64,
    /// From the first of a request to the last of its response.
    pub times: Histogram,
}

/// What a board says at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Connections that are open.
    pub active: u64,
    /// Connections that wait in the queue.
    pub queued: u64,
    /// Connections that there have ever been.
    pub total: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// ms spent running.
    pub running: f64,
    /// ms spent waiting for events.
    pub idle: f64,
    /// When the turn that it is in began (ns); 0 where it waits, or nobody knows.
    pub running_since: u64,
    /// ms of the longest turn.
    pub longest: f64,
    /// From being accepted to its server, of each connection that came out of the queue.
    pub waits: Histogram,
    /// How long turns of the loop took: what becomes ready meanwhile waits for that.
    pub turned: Histogram,
    /// Where requests are counted.
    pub http: Option<Http>,
}

impl Figures {
    /// Of a board whose words are read by `word`. Each of them may be anything, and changes at any time.
    pub fn read(word: impl Fn(usize) -> u64) -> Figures {
        let of = |which: Word| word(which as usize);
        let double = |index: usize| f64::from_bits(word(index));
        // In this order: what is over has begun before.
        let ended = double(Word::Ended as usize) as u64;
        let total = of(Word::Taken).saturating_add(double(Word::Opened as usize) as u64);
        let first = Word::Http as usize;
        let sum = double(first + 3);
        let http = (double(first) == 1.0).then(|| Http {
            requests: double(first + 1) as u64,
            errors: double(first + 2) as u64,
            times: Histogram {
                sum: if sum.is_finite() { sum } else { 0.0 },
                counts: std::array::from_fn(|index| double(first + 4 + index) as u64),
            },
        });
        Figures {
            active: total.saturating_sub(ended),
            queued: of(Word::Queued),
            total,
            turns: of(Word::Turns),
            running: of(Word::Running) as f64 / 1e6,
            idle: of(Word::Idle) as f64 / 1e6,
            running_since: of(Word::RunningSince),
            longest: of(Word::Longest) as f64 / 1e6,
            waits: Histogram::read(Word::Waits as usize, &word),
            turned: Histogram::read(Word::Turned as usize, &word),
            http,
        }
    }
}
