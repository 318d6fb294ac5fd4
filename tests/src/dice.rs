//! Random numbers that are the same in each run.

/// A sequence of random numbers, determined by its seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub const fn roll(&mut self, sides: u64) -> u64 {
        // `SplitMix64`.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// A number of milliseconds below this one.
    pub fn millis(&mut self, below: u64) -> i64 {
        i64::try_from(self.roll(below)).unwrap_or(0)
    }

    /// A number below this one; 0 if this is 0.
    pub fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(most).unwrap_or(u64::MAX).max(1))).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// True once in this many times.
    pub const fn is_one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}
