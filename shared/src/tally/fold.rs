//! Adding up what many records move, until it fills a transaction.

use std::collections::BTreeMap;

use super::{Bucket, Cell, Delta};

/// Most buckets in one commit: a transaction takes 100 items, and some are the counter's own.
pub const MAX_ITEMS: usize = 90;
/// Most numbers of one bucket in one commit: an update takes 300 operators.
pub const MAX_CELLS: usize = 200;

/// The sum of what some records move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    buckets: BTreeMap<(String, Bucket), BTreeMap<Cell, i64>>,
}

impl Fold {
    /// Adds these, or leaves the sum as it was and answers false where they would not fit into one commit.
    pub fn add(&mut self, deltas: &[Delta]) -> bool {
        // What one record moves always fits, so that a commit never stays empty for ever.
        let is_first = self.buckets.is_empty();
        self.apply(deltas, 1);
        let fits =
            self.buckets.len() <= MAX_ITEMS && self.buckets.values().all(|cells| cells.len() <= MAX_CELLS);
        if !fits && !is_first {
            self.apply(deltas, -1);
        }
        fits || is_first
    }

    fn apply(&mut self, deltas: &[Delta], sign: i64) {
        for delta in deltas {
            let cells = self.buckets.entry((delta.scope.clone(), delta.bucket)).or_default();
            *cells.entry(delta.cell.clone()).or_default() += sign * delta.by;
        }
    }

    /// The numbers that moved, bucket by bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (&str, Bucket, Vec<(&Cell, i64)>)> {
        self.buckets.iter().filter_map(|((scope, bucket), cells)| {
            let moved: Vec<_> =
                cells.iter().map(|(cell, by)| (cell, *by)).filter(|(_, by)| *by != 0).collect();
            (!moved.is_empty()).then_some((scope.as_str(), *bucket, moved))
        })
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.buckets().next().is_none()
    }
}
