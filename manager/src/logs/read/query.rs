//! Several logs at once, merged by time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use jiff::Timestamp;
use serde_json::json;

use super::backwards;
use super::chain;
use super::line::{self, Line, Log};
use super::tail::Tail;
use super::watch::{Happened, Watch};
use crate::logs::place::Stream;
use crate::pattern::Pattern;

/// Bytes that are gathered before they are passed on, while there is more.
const CHUNK: usize = 32 * 1024;

/// What somebody wants to read.
#[derive(Default)]
pub struct Query {
    /// The manager's folder.
    pub home: PathBuf,
    /// Of which logs.
    pub logs: Vec<Log>,
    /// How many of the last lines, all logs together; nothing for all of them.
    pub lines: Option<u64>,
    /// Those that were read then (ms since 1970) or later.
    pub since: Option<i64>,
    /// Those whose message matches.
    pub grep: Option<Pattern>,
    /// Those of a stream.
    pub stream: Option<Stream>,
    /// Whether it goes on with what comes.
    pub follow: bool,
    /// Where it was in each log, for a reader that comes back.
    pub after: BTreeMap<String, u64>,
    /// Whether each line tells where that is.
    pub positions: bool,
}

/// Who reads.
pub trait Reader {
    /// Takes lines of JSON. Waits while it has enough; an error means that it has gone.
    fn take(&mut self, bytes: Vec<u8>) -> io::Result<()>;
}

/// A log that is being read.
struct Source {
    log: Log,
    tail: Tail,
    /// Lines before it count as those that were there.
    end: u64,
    /// The time of its last line, for lines of which it is not known.
    at: i64,
    next: Option<Line>,
    is_dirty: bool,
    /// Whether the reader knows where it is in it.
    is_told: bool,
}

struct Run<'a, R: Reader> {
    query: &'a Query,
    sources: Vec<Source>,
    /// Lines that are passed over, as later ones are enough.
    skip: u64,
    out: Vec<u8>,
    reader: R,
    /// When it began (ms since 1970).
    began: i64,
    /// Whether the reader knows that from now on it misses nothing.
    has_begun: bool,
}

/// Reads until there is no more, or until nobody reads any more. `told` is readable when `more` has all logs that are of interest from now on,
/// and is closed when nobody reads.
pub fn run(query: &Query, reader: impl Reader, told: UnixStream, more: &Receiver<Vec<Log>>) -> io::Result<()> {
    let mut run = Run {
        query,
        sources: Vec::new(),
        skip: 0,
        out: Vec::new(),
        reader,
        began: Timestamp::now().as_millisecond(),
        has_begun: false,
    };
    let mut watch = query.follow.then(|| Watch::new(told));
    let mut total = 0;
    for log in &query.logs {
        // Before we look at it, so that nothing is missed.
        if let Some(watch) = &mut watch {
            watch.add(&log.path);
        }
        total += run.add(log, query.since, query.lines)?;
    }
    run.skip = query.lines.map_or(0, |lines| total.saturating_sub(lines));
    run.pass_on()?;
    let Some(mut watch) = watch else { return Ok(()) };
    loop {
        match watch.wait() {
            Happened::Gone => return Ok(()),
            Happened::Nothing => run.sources.iter_mut().for_each(|source| source.is_dirty = true),
            Happened::Files(files) => {
                for source in &mut run.sources {
                    source.is_dirty |= files.iter().any(|(folder, name)| source.log.path == folder.join(name));
                }
            }
            Happened::Told => {
                for log in more.try_iter().last().unwrap_or_default() {
                    if let Some(known) = run.sources.iter_mut().find(|source| source.log.path == log.path) {
                        known.log = log;
                        continue;
                    }
                    watch.add(&log.path);
                    run.add(&log, Some(run.began), None)?;
                }
            }
        }
        run.pass_on()?;
    }
}

impl<R: Reader> Run<'_, R> {
    /// Finds where to begin with a log. Returns how many lines there are from there on.
    fn add(&mut self, log: &Log, since: Option<i64>, lines: Option<u64>) -> io::Result<u64> {
        let query = self.query;
        let pieces = chain::pieces(&log.path, &query.home);
        let end = pieces.last().map_or(0, |piece| piece.end);
        let mut start = backwards::Start { position: pieces.first().map_or(0, |piece| piece.base), count: 0 };
        if let Some(position) = query.after.get(&log.id) {
            start.position = *position;
        } else {
            if let Some(since) = since {
                start.position = backwards::since(&pieces, since);
            }
            if let Some(lines) = lines {
                // A file that has just been set aside is read by the name that it has got, or is not there to be counted.
                start = query
                    .last(log, &pieces, start.position, lines)
                    .or_else(|_| query.last(log, &chain::pieces(&log.path, &query.home), start.position, lines))
                    .unwrap_or(start);
            }
        }
        let tail = Tail::new(&log.path, &query.home, start.position);
        self.sources.push(Source { log: log.clone(), tail, end, at: 0, next: None, is_dirty: true, is_told: false });
        Ok(start.count)
    }

    /// Passes on all that is there, the earliest first.
    fn pass_on(&mut self) -> io::Result<()> {
        let mut waiting = BinaryHeap::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            if std::mem::take(&mut source.is_dirty)
                && let Some(at) = source.advance(self.query.follow)
            {
                waiting.push(Reverse((at, index)));
            }
        }
        while let Some(Reverse((_, index))) = waiting.pop() {
            let Some(source) = self.sources.get_mut(index) else { continue };
            let line = source.next.take();
            if let Some(at) = source.advance(self.query.follow) {
                waiting.push(Reverse((at, index)));
            }
            if let Some(line) = line {
                self.tell(index, &line)?;
            }
        }
        if self.query.positions && self.query.follow {
            self.tell_positions()?;
        }
        self.send()
    }

    /// A reader that comes back must know where it was in logs of which it has seen no line.
    fn tell_positions(&mut self) -> io::Result<()> {
        let new = self.sources.iter().filter(|source| !source.is_told);
        let positions: BTreeMap<&str, u64> =
            new.map(|source| (source.log.id.as_str(), source.tail.position())).collect();
        if !positions.is_empty() || !std::mem::replace(&mut self.has_begun, true) {
            writeln!(self.out, "{}", json!({ "positions": positions }))?;
        }
        self.sources.iter_mut().for_each(|source| source.is_told = true);
        Ok(())
    }

    fn tell(&mut self, index: usize, line: &Line) -> io::Result<()> {
        let Some(Source { log, end, .. }) = self.sources.get(index) else { return Ok(()) };
        let said = line::parse(log, &line.text);
        let is_wanted = self.query.grep.as_ref().is_none_or(|grep| grep.is_match(&said.message))
            && self.query.stream.is_none_or(|wanted| line::stream(log, line, &said) == Some(wanted))
            && log
                .only
                .as_ref()
                .is_none_or(|only| line::instance(log, line, &said).is_some_and(|one| only.contains(&one)));
        if !is_wanted {
            return Ok(());
        }
        if self.skip > 0 && line.start < *end {
            self.skip -= 1;
            return Ok(());
        }
        line::tell(&mut self.out, log, line, &said, self.query.positions);
        if self.out.len() >= CHUNK { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.out.is_empty() { Ok(()) } else { self.reader.take(std::mem::take(&mut self.out)) }
    }
}

impl Source {
    /// Reads the next line. Returns its time, not before that of the line before it.
    fn advance(&mut self, follow: bool) -> Option<i64> {
        // What cannot be read at the moment can be later, or never.
        self.next = self.tail.next().ok().flatten().filter(|line| follow || line.start < self.end);
        let line = self.next.as_ref()?;
        self.at = self.at.max(line.at.unwrap_or(0));
        Some(self.at)
    }
}

impl Query {
    /// Where the last lines of a log begin that are wanted.
    fn last(&self, log: &Log, pieces: &[chain::Piece], from: u64, most: u64) -> io::Result<backwards::Start> {
        // Where both streams are in one file, the margin alone knows which is which.
        let is_mixed = self.stream.is_some() && log.stream.is_none();
        let source_at = |position| backwards::record_at(pieces, position).map(|record| record.source);
        backwards::last(pieces, from, most, &|text, position| {
            self.grep.as_ref().is_none_or(|grep| grep.is_match(&line::parse(log, text).message))
                && (!is_mixed || source_at(position).map(|source| source.stream) == self.stream)
                && log.only.as_ref().is_none_or(|only| {
                    let instance = source_at(position).map(|source| source.instance);
                    instance.or(log.instance).is_some_and(|one| only.contains(&one))
                })
        })
    }
}
