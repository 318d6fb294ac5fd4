//! Adding up what many records move, until it fills a transaction.

use std::collections::BTreeMap;

use super::{Cell, Delta, Place};

/// Most items of one commit: a transaction takes 100, and some are the counter's own.
pub const MAX_ITEMS: usize = 90;

/// Most numbers of one item that a commit adds to: DynamoDB takes 300 operators and 4 KB in an expression.
const MAX_CELLS: usize = 250;

/// The sum of what some records move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    items: BTreeMap<(String, Place), BTreeMap<Cell, i64>>,
}

impl Fold {
    /// Adds these, or leaves the sum as it was and answers false where they would not fit into one commit.
    pub fn add(&mut self, deltas: &[Delta]) -> bool {
        // What one record moves always fits, so that a commit never stays empty for ever.
        let is_first = self.items.is_empty();
        self.apply(deltas, 1);
        let fits = self.items.len() <= MAX_ITEMS && deltas.iter().all(|delta| self.cells(delta) <= MAX_CELLS);
        if !fits && !is_first {
            self.apply(deltas, -1);
        }
        fits || is_first
    }

    fn cells(&self, delta: &Delta) -> usize {
        self.items.get(&(delta.scope.clone(), delta.place.clone())).map_or(0, BTreeMap::len)
    }

    fn apply(&mut self, deltas: &[Delta], sign: i64) {
        for delta in deltas {
            let item = (delta.scope.clone(), delta.place.clone());
            *self.items.entry(item).or_default().entry(delta.cell).or_default() += sign * delta.by;
        }
    }

    /// The numbers that moved, item by item.
    pub fn items(&self) -> impl Iterator<Item = (&str, &Place, Vec<(Cell, i64)>)> {
        self.items.iter().filter_map(|((scope, place), cells)| {
            let moved: Vec<_> =
                cells.iter().map(|(cell, by)| (*cell, *by)).filter(|(_, by)| *by != 0).collect();
            (!moved.is_empty()).then_some((scope.as_str(), place, moved))
        })
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.items().next().is_none()
    }
}
