//! Adding up what many records move, until it fills a transaction.

use std::collections::BTreeMap;

use super::Delta;
use super::failures::Example;
use crate::counts::{Cell, Group, Place};
use crate::store::schema::ALL_OWNERS;

/// Most items of one commit: a transaction takes 100, and some are the counter's own.
pub const MAX_ITEMS: usize = 90;

/// Most numbers of one item that a commit adds to: DynamoDB takes 300 operators and 4 KB in an expression.
const MAX_CELLS: usize = 250;

/// The sum of what some records move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// By scope, item and cell.
    scopes: BTreeMap<String, BTreeMap<Place, BTreeMap<Cell, i64>>>,
    items: usize,
    /// The newest failure of each group that has a new one.
    examples: BTreeMap<(String, Place), Example>,
    /// How many failures have which code, by the total that counts them.
    codes: BTreeMap<Place, BTreeMap<String, u64>>,
}

impl Fold {
    /// Adds these, or leaves the sum as it was and answers false where they would not fit into one commit.
    pub fn add(&mut self, deltas: &[Delta]) -> bool {
        // The changes of one record always fit, so that a commit never stays empty for ever.
        let is_first = self.items == 0;
        self.apply(deltas, 1);
        let fits = self.items <= MAX_ITEMS && deltas.iter().all(|delta| self.cells(delta) <= MAX_CELLS);
        if !fits && !is_first {
            self.apply(deltas, -1);
        }
        let is_taken = fits || is_first;
        if is_taken {
            self.remember(deltas);
        }
        is_taken
    }

    fn remember(&mut self, deltas: &[Delta]) {
        for delta in deltas {
            if let Some(code) = &delta.code {
                let codes = self.codes.entry(delta.place.clone()).or_default();
                *codes.entry(code.clone()).or_default() += 1;
            }
            let Some(example) = delta.example.as_deref() else { continue };
            let newest = self
                .examples
                .entry((delta.scope.clone(), delta.place.clone()))
                .or_insert_with(|| example.clone());
            if example.is_after(newest) {
                newest.clone_from(example);
            }
        }
    }

    /// The newest failure of a group among those that were added.
    pub(super) fn example(&self, scope: &str, place: &Place) -> Option<&Example> {
        self.examples.get(&(scope.to_owned(), place.clone()))
    }

    /// How many failures have which code, by the total of all owners that counts them.
    pub(super) fn codes(&self) -> &BTreeMap<Place, BTreeMap<String, u64>> {
        &self.codes
    }

    fn cells(&self, delta: &Delta) -> usize {
        let items = self.scopes.get(&delta.scope);
        items.and_then(|items| items.get(&delta.place)).map_or(0, BTreeMap::len)
    }

    fn apply(&mut self, deltas: &[Delta], sign: i64) {
        for delta in deltas {
            if !self.scopes.contains_key(&delta.scope) {
                self.scopes.insert(delta.scope.clone(), BTreeMap::new());
                // The owner may be new, and then goes into the list of all with the same commit.
                self.items += usize::from(delta.scope != ALL_OWNERS);
            }
            let Some(items) = self.scopes.get_mut(&delta.scope) else { continue };
            if !items.contains_key(&delta.place) {
                items.insert(delta.place.clone(), BTreeMap::new());
                // A group of failures may come or go, and that is counted in one more item.
                self.items += if matches!(delta.place.group, Group::Failures(..)) { 2 } else { 1 };
            }
            if let Some(cells) = items.get_mut(&delta.place) {
                *cells.entry(delta.cell).or_default() += sign * delta.by;
            }
        }
    }

    /// The numbers that moved, item by item.
    pub fn items(&self) -> impl Iterator<Item = (&str, &Place, Vec<(Cell, i64)>)> {
        let items = self.scopes.iter().flat_map(|(scope, items)| {
            items.iter().map(move |(place, cells)| (scope.as_str(), place, cells))
        });
        items.filter_map(|(scope, place, cells)| {
            let moved: Vec<_> =
                cells.iter().map(|(cell, by)| (*cell, *by)).filter(|(_, by)| *by != 0).collect();
            (!moved.is_empty()).then_some((scope, place, moved))
        })
    }

    /// Whose numbers these are.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.scopes.keys().map(String::as_str).filter(|scope| *scope != ALL_OWNERS)
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.items().next().is_none()
    }
}
