//! A small seeded generator, so that every rival of a round sees the same sequence.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
pub struct Rng(u64);

impl Rng {
    /// Any seed will do; zero, on which xorshift would stay for ever, is replaced.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1))
    }

    /// A number below `bound`, or 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let scrambled = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(scrambled) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn is_even_enough_and_repeatable() {
        let mut counts = [0u32; 20];
        let mut rng = Rng::new(7);
        for _ in 0..20_000 {
            counts[rng.below(20) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| (850..1150).contains(&n)), "{counts:?}");
        assert_eq!(Rng::new(3).below(1000), Rng::new(3).below(1000));
    }
}
