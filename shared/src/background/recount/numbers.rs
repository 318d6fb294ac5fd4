//! The findings of a recount so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most scopes that are named.
const MAX_SCOPES: usize = 100;
/// Sums up all others. No owner can be called so.
const OTHERS: &str = "*others";

/// Numbers by scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ByScope(BTreeMap<String, u64>);

impl ByScope {
    pub(super) fn add(&mut self, scope: &str, count: u64) {
        if count == 0 {
            return;
        }
        let is_named = self.0.contains_key(scope) || self.0.len() < MAX_SCOPES;
        *self.0.entry(if is_named { scope } else { OTHERS }.to_owned()).or_default() += count;
    }

    pub(super) fn get(&self, scope: &str) -> u64 {
        self.0.get(scope).copied().unwrap_or(0)
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn into_map(self) -> BTreeMap<String, u64> {
        self.0
    }
}

/// The numbers of a recount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// Hours that were compared.
    pub(super) hours: u64,
    /// Rows that were read for it.
    pub(super) rows: u64,
    /// Hours and longer buckets that changed too often to be compared.
    pub(super) busy: u64,
    /// How many numbers were wrong.
    pub(super) drift: ByScope,
    /// How many of them are right now.
    pub(super) repaired: u64,
    /// How many are still wrong.
    pub(super) left: ByScope,
}

/// The output of the job.
#[derive(Debug, Serialize)]
pub(super) struct Gave<'a> {
    hours: u64,
    rows: u64,
    busy: u64,
    drift: &'a ByScope,
    repaired: u64,
}

impl Numbers {
    pub(super) fn gave(&self) -> Gave<'_> {
        let Self { hours, rows, busy, drift, repaired, .. } = self;
        Gave { hours: *hours, rows: *rows, busy: *busy, drift, repaired: *repaired }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scopes_past_the_first_hundred_are_summed_up() {
        let mut numbers = ByScope::default();
        for round in 0..2 {
            for scope in 0..150 {
                numbers.add(&format!("owner-{scope}"), 1);
            }
            assert_eq!(numbers.get("owner-7"), round + 1);
        }
        numbers.add("nobody", 0);
        assert_eq!((numbers.get(OTHERS), numbers.sum(), numbers.into_map().len()), (100, 300, 101));
    }
}
