//! Numbers as keys of a `Map` or `Set`.
//!
//! V8 looks for texts by a hash that nobody else knows. That of a number is the same everywhere, so that it is easy to write
//! many that are all in one place of the table: then each is compared with all before it. (Those of objects are chance.)

use super::reader::Leaf;

/// Fewer than so many may be wherever they like: they take no longer than their bytes may.
const FEW: usize = 512;

/// Hashes of the keys of all tables that have begun: an inner one's are behind those of the outer.
#[derive(Default)]
pub(super) struct Keys {
    hashes: Vec<u32>,
    /// How many there are in each place of a table.
    counts: Vec<u32>,
}

impl Keys {
    /// Where the keys of a new table begin.
    pub(super) fn begin(&self) -> u32 {
        // A frame is shorter than 2 GiB.
        self.hashes.len() as u32
    }

    pub(super) fn add(&mut self, key: &Leaf) {
        match *key {
            Leaf::Number(number) => self.hashes.push(hash_of_number(number)),
            Leaf::BigInt(lowest) => self.hashes.push(hash_of_long(lowest)),
            Leaf::Text(_) | Leaf::Other => {}
        }
    }

    /// A table is over: how many comparisons its keys take.
    pub(super) fn end(&mut self, first: u32) -> u64 {
        let keys = &self.hashes[first as usize..];
        let mut comparisons = 0;
        if keys.len() > FEW {
            let places = keys.len().next_power_of_two() / 2;
            self.counts.clear();
            self.counts.resize(places, 0);
            for hash in keys {
                let count = &mut self.counts[*hash as usize & (places - 1)];
                comparisons += u64::from(*count);
                *count += 1;
            }
        }
        self.hashes.truncate(first as usize);
        comparisons
    }
}

fn hash_of_number(number: f64) -> u32 {
    let integer = number as i32;
    if f64::from(integer) == number { hash_of_integer(integer) } else { hash_of_long(number.to_bits()) }
}

/// V8's `ComputeUnseededHash`.
fn hash_of_integer(integer: i32) -> u32 {
    let mut hash = integer as u32;
    hash = (!hash).wrapping_add(hash << 15);
    hash ^= hash >> 12;
    hash = hash.wrapping_add(hash << 2);
    hash ^= hash >> 4;
    hash = hash.wrapping_mul(2057);
    hash ^ (hash >> 16)
}

/// V8's `ComputeLongHash`.
fn hash_of_long(number: u64) -> u32 {
    let mut hash = number;
    hash = (!hash).wrapping_add(hash << 18);
    hash ^= hash >> 31;
    hash = hash.wrapping_mul(21);
    hash ^= hash >> 11;
    hash = hash.wrapping_add(hash << 6);
    (hash ^ (hash >> 22)) as u32
}
