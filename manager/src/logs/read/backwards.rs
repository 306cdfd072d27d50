//! Where the last lines of a log begin, found from its end on, without reading what is before them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;

use super::super::margin::{self, Record};
use super::chain::Piece;
use super::marks;

/// Bytes of a read.
const BLOCK: usize = 64 * 1024;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The position.
    pub position: u64,
    /// How many lines there are from there on.
    pub count: u64,
}

/// The last `most` lines that are `wanted`, not before position `from`.
pub fn last(pieces: &[Piece], from: u64, most: u64, wanted: &dyn Fn(&[u8], u64) -> bool) -> io::Result<Start> {
    let mut start = Start { position: pieces.last().map_or(0, |piece| piece.end), count: 0 };
    for piece in pieces.iter().rev().filter(|piece| piece.end > from) {
        if start.count >= most {
            break;
        }
        let floor = piece.base.max(from);
        let found = if piece.is_compressed {
            in_compressed(piece, floor, most - start.count, wanted)?
        } else {
            in_plain(piece, floor, most - start.count, wanted)?
        };
        if found.count > 0 {
            start = Start { position: found.position, count: start.count + found.count };
        }
    }
    Ok(start)
}

fn in_plain(piece: &Piece, floor: u64, most: u64, wanted: &dyn Fn(&[u8], u64) -> bool) -> io::Result<Start> {
    let file = File::open(&piece.path)?;
    let mut start = Start { position: piece.end, count: 0 };
    // What was read and belongs to a line whose beginning was not: it ends where the next line begins.
    let mut rest: Vec<u8> = Vec::new();
    let mut end = piece.end;
    let mut line = |text: &[u8], position: u64| {
        if wanted(text.strip_suffix(b"\n").unwrap_or(text), position) {
            start = Start { position, count: start.count + 1 };
        }
        start.count >= most
    };
    while end > floor {
        let begin = floor.max(end.saturating_sub(BLOCK as u64));
        let mut block = vec![0; usize::try_from(end - begin).unwrap_or(BLOCK)];
        file.read_exact_at(&mut block, begin - piece.base)?;
        block.extend_from_slice(&rest);
        let mut until = block.len();
        // An end within the last line is its own.
        let searched = |until: usize| until - usize::from(block[..until].last() == Some(&b'\n'));
        while let Some(newline) = memchr::memrchr(b'\n', &block[..searched(until)]) {
            if line(&block[newline + 1..until], begin + newline as u64 + 1) {
                return Ok(start);
            }
            until = newline + 1;
        }
        block.truncate(until);
        rest = block;
        end = begin;
    }
    if !rest.is_empty() {
        line(&rest, floor);
    }
    Ok(start)
}

fn in_compressed(piece: &Piece, floor: u64, most: u64, wanted: &dyn Fn(&[u8], u64) -> bool) -> io::Result<Start> {
    let mut reader = BufReader::with_capacity(BLOCK, MultiGzDecoder::new(File::open(&piece.path)?));
    let (mut position, mut text) = (piece.base, Vec::new());
    let mut found: VecDeque<u64> = VecDeque::new();
    loop {
        text.clear();
        let count = reader.read_until(b'\n', &mut text)? as u64;
        if count == 0 {
            break;
        }
        if position >= floor && wanted(text.strip_suffix(b"\n").unwrap_or(&text), position) {
            if found.len() as u64 >= most {
                found.pop_front();
            }
            found.push_back(position);
        }
        position += count;
    }
    Ok(Start { position: found.front().copied().unwrap_or(piece.end), count: found.len() as u64 })
}

/// The position of the first line that was read at `since` or later, as far as times are known.
pub fn since(pieces: &[Piece], since: i64) -> u64 {
    let mut position = pieces.last().map_or(0, |piece| piece.end);
    for piece in pieces.iter().rev() {
        let Ok(file) = File::open(&piece.margin) else {
            // What has not changed since then has nothing; of the rest nothing is known.
            let changed = std::fs::metadata(&piece.path).and_then(|data| data.modified()).ok();
            let changed =
                changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_millis());
            if i64::try_from(changed).is_ok_and(|changed| changed >= since) {
                position = piece.base;
                continue;
            }
            break;
        };
        let index = marks::first(&file, |record| record.at >= since);
        match margin::record(&file, index) {
            Some(record) => position = record.position,
            None => break,
        }
        if index > 0 {
            break;
        }
    }
    position
}

/// What is known of the line at a position.
pub fn record_at(pieces: &[Piece], position: u64) -> Option<Record> {
    let piece = pieces.iter().find(|piece| (piece.base..piece.end).contains(&position))?;
    let file = File::open(&piece.margin).ok()?;
    margin::record(&file, marks::first(&file, |record| record.position > position).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_from_the_end_whatever_their_length() {
        let path = std::env::temp_dir().join(format!("rclusterd-backwards-{}", std::process::id()));
        let long = "y".repeat(3 * BLOCK);
        let text = format!("one\n{long}\n\ntwo\nthree\n");
        std::fs::write(&path, &text).unwrap();
        let piece = Piece {
            path: path.clone(),
            is_compressed: false,
            margin: path.clone(),
            base: 100,
            end: 100 + text.len() as u64,
            is_current: true,
        };
        let at = |needle: &str| 100 + text.find(needle).unwrap() as u64;
        let find = |from, most, wanted: &dyn Fn(&[u8], u64) -> bool| {
            let start = last(std::slice::from_ref(&piece), from, most, wanted).unwrap();
            (start.position, start.count)
        };
        let all = |_: &[u8], _| true;
        assert_eq!(find(0, 1, &all), (at("three"), 1));
        assert_eq!(find(0, 3, &all), (at("\ntwo"), 3));
        assert_eq!(find(0, 4, &all), (at("yyy"), 4));
        assert_eq!(find(0, 9, &all), (100, 5));
        assert_eq!(find(at("yyy"), 9, &all), (at("yyy"), 4));
        assert_eq!(find(0, 2, &|line: &[u8], _| line.ends_with(b"e")), (100, 2));
        assert_eq!(find(0, 0, &all), (piece.end, 0));
        std::fs::remove_file(&path).unwrap();
    }
}
