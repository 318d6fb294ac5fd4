//! The types that have the most, of any number of types: whoever may write makes as many as they like.

use std::cmp::Ordering;

use crate::domain::TypeName;

/// Keeps the types with the greatest weights, and of those with the same weight the first by name. However many it is told,
/// it holds at most twice as many as it keeps.
#[derive(Clone, Debug)]
pub(crate) struct Greatest<V> {
    most: usize,
    kept: Vec<(u64, TypeName, V)>,
    left_out: u64,
}

impl<V> Greatest<V> {
    /// Keeps at most so many.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, kept: Vec::new(), left_out: 0 }
    }

    /// One more type.
    pub(crate) fn add(&mut self, weight: u64, kind: TypeName, value: V) {
        self.kept.push((weight, kind, value));
        if self.kept.len() >= self.most.saturating_mul(2) {
            self.cut();
        }
    }

    /// Those that are kept, and how many others there were.
    pub(crate) fn finish(mut self) -> (impl Iterator<Item = (TypeName, V)>, u64) {
        self.cut();
        (self.kept.into_iter().map(|(_, kind, value)| (kind, value)), self.left_out)
    }

    fn cut(&mut self) {
        let excess = self.kept.len().saturating_sub(self.most);
        if excess > 0 {
            self.kept.select_nth_unstable_by(self.most, order);
            self.kept.truncate(self.most);
            self.left_out = self.left_out.saturating_add(u64::try_from(excess).unwrap_or(u64::MAX));
        }
    }
}

fn order<V>((weight, kind, _): &(u64, TypeName, V), other: &(u64, TypeName, V)) -> Ordering {
    other.0.cmp(weight).then_with(|| kind.cmp(&other.1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Names are told in their order, as a range is read.
        #[test]
        fn it_keeps_what_sorting_all_of_them_would(weights in proptest::collection::vec(0_u64..9, 0..60), most in 1_usize..9) {
            let kind = |number: usize| TypeName::try_from(format!("t{number:02}")).unwrap();
            let mut greatest = Greatest::new(most);
            let mut all: Vec<_> = weights.iter().copied().enumerate().collect();
            for (number, weight) in &all {
                greatest.add(*weight, kind(*number), *number);
                prop_assert!(greatest.kept.len() < 2 * most);
            }
            all.sort_by_key(|(number, weight)| (std::cmp::Reverse(*weight), *number));
            let expected: Vec<_> = all.iter().take(most).map(|(number, _)| (kind(*number), *number)).collect();
            let (kept, left_out) = greatest.finish();
            let mut kept: Vec<_> = kept.collect();
            kept.sort_by_key(|(_, number)| (std::cmp::Reverse(weights[*number]), *number));
            prop_assert_eq!(kept, expected);
            prop_assert_eq!(left_out, u64::try_from(weights.len().saturating_sub(most)).unwrap());
        }
    }
}
