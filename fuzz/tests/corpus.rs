//! Where there is no libFuzzer: every input that is kept, and then inputs by chance, for `FUZZ_SECONDS` (1) per target, or so many as
//! `FUZZ_RUNS` says. `FUZZ_SEED` begins with another one, `FUZZ_ONLY=target` runs some targets alone, and `FUZZ_INPUT=file` one input.

use std::path::Path;
use std::time::{Duration, Instant};

use rcluster_fuzz::{Driver, TARGETS};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Numbers that look like chance and are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Small numbers more often: those choose the orders.
    fn input(&mut self) -> Vec<u8> {
        let length = self.next() % 400;
        (0..length)
            .map(|_| if self.next().is_multiple_of(2) { (self.next() % 9) as u8 } else { self.next() as u8 })
            .collect()
    }
}

fn run_all(name: &str, run: Driver) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut kept: Vec<_> =
        std::fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    kept.sort();
    for file in &kept {
        let input = std::fs::read(file).expect("an input");
        assert!(std::panic::catch_unwind(|| run(&input)).is_ok(), "{name} fails with {}", file.display());
    }
    let until = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS", 1));
    let mut seed = number("FUZZ_SEED", 1);
    let mut count = 0;
    let runs = number("FUZZ_RUNS", 0);
    while if runs > 0 { count < runs } else { Instant::now() < until } {
        let input = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).input();
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            panic!("{name} fails with FUZZ_SEED={seed}: {input:?}");
        }
        seed += 1;
        count += 1;
    }
    println!("{name}: {} inputs that are kept, {count} by chance", kept.len());
}

/// One after the other: they count the descriptors of the process.
#[test]
fn every_target() {
    let only = std::env::var("FUZZ_ONLY").ok();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only.split(' ').any(|one| one == name));
    for (name, run) in TARGETS.into_iter().filter(|(name, _)| wanted(name)) {
        match std::env::var("FUZZ_INPUT") {
            Ok(file) => run(&std::fs::read(file).expect("an input")),
            Err(_) => run_all(name, run),
        }
    }
}
