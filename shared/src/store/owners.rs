//! The owners that are known to be in the list of all: the counter adds those that are not, and remembers them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Most owners that are remembered; then it begins anew, and each is written once more.
const MAX_KNOWN: usize = 10_000;

/// The owners that one execution environment has added to the list, or seen added.
#[derive(Debug, Default)]
pub struct KnownOwners {
    known: Mutex<BTreeSet<String>>,
}

impl KnownOwners {
    /// Those of some owners that may be missing in the list.
    pub fn unknown<'a>(&self, owners: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        owners.filter(|owner| !known.contains(*owner)).collect()
    }

    /// Remembers owners that now are in the list.
    pub fn remember(&self, owners: &[&str]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + owners.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(owners.iter().map(|owner| (*owner).to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_unknown_once() {
        let known = KnownOwners::default();
        assert_eq!(known.unknown(["ann", "bob"].into_iter()), ["ann", "bob"]);
        known.remember(&["ann"]);
        assert_eq!(known.unknown(["ann", "bob"].into_iter()), ["bob"]);
    }
}
