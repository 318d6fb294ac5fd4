//! Chance that is the same in every run: `SplitMix64` draws it from a seed and a place.

/// The step between two states: 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of draws.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The draws of a place (the number of a job or of a call) under a seed. Draws of neighbours are independent.
    pub(crate) fn at(seed: u64, place: u64) -> Self {
        Self(mixed(mixed(seed.wrapping_add(STEP)) ^ place))
    }

    /// A number under `bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0) % bound.max(1)
    }

    /// One of these. Their number is part of the type, and is not 0.
    pub(crate) fn pick<T: Clone, const N: usize>(&mut self, all: &[T; N]) -> T {
        const { assert!(N > 0, "there is something to draw from") };
        let many = u64::try_from(N).unwrap_or(u64::MAX);
        all[usize::try_from(self.below(many)).unwrap_or(0)].clone()
    }

    /// One of these; each as often as its share of the total.
    pub(crate) fn weighted<T: Copy, const N: usize>(&mut self, shares: &[(T, u64); N]) -> T {
        const { assert!(N > 0, "there is something to draw from") };
        let mut left = self.below(shares.iter().map(|(_, share)| share).sum());
        for &(value, share) in shares {
            if left < share {
                return value;
            }
            left -= share;
        }
        shares[0].0
    }
}

fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_place_say_it_all() {
        let draws = |seed, place| {
            let mut draw = Draw::at(seed, place);
            [draw.below(1_000), draw.below(1_000), draw.below(1_000)]
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
        assert_eq!(Draw::at(1, 1).below(0), 0);
    }

    #[test]
    fn shares_are_met() {
        let mut seen = [0_u64; 3];
        for place in 0..10_000 {
            seen[Draw::at(7, place).weighted(&[(0, 90), (1, 10), (2, 0)])] += 1;
        }
        assert!((8_800..9_200).contains(&seen[0]), "{seen:?}");
        assert_eq!((seen[0] + seen[1], seen[2]), (10_000, 0));
    }
}
