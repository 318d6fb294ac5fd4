//! How often jobs of each type failed, by the code of the error: for all owners together, and at most so many codes of a type.
//!
//! The numbers are attributes of the type's total, beside its cells. A code that is new when the type has all of them is counted
//! under the code `other`. Which codes have a number is read before the commit, and nothing holds it: two shards at once may give
//! a type a code more. Each failure is added to exactly one number, so the sum is exact.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Fold;
use crate::counts::Place;
use crate::domain::{ErrorCode, Job, OTHER, State};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::ALL_OWNERS;
use crate::store::{AttributeMap, Store, StoreError, Tables, plans};

/// Most codes of a type that have a number, beside `none` and `other`.
pub const MAX_FAILURE_CODES: usize = 20;
/// Begins the names of these attributes.
const FAIL: &str = "fail:";
/// The word for failures without a code.
const NO_CODE: &str = "none";

/// By how much which attributes move, by the total that has them.
pub(super) type CodeSums = BTreeMap<Place, BTreeMap<String, u64>>;

/// The code of a failed job, as it is counted.
pub(super) fn code_of(job: &Job) -> Option<String> {
    let State::Failed(_, error) = &job.state else { return None };
    Some(error.code.as_ref().map_or(NO_CODE, ErrorCode::as_str).to_owned())
}

/// How often jobs failed, by code, as a total tells it.
pub(crate) fn codes_of_item(item: &AttributeMap) -> BTreeMap<String, u64> {
    let codes = item.iter().filter_map(|(name, value)| {
        let count = value.as_n().ok()?.parse().ok()?;
        Some((name.strip_prefix(FAIL)?.to_owned(), count))
    });
    codes.collect()
}

/// The name under which the number of an attribute goes on if its type leaves: those of all codes together.
pub(crate) fn name_in_past(name: &str) -> String {
    if name.starts_with(FAIL) { attribute(OTHER) } else { name.to_owned() }
}

fn attribute(code: &str) -> String {
    format!("{FAIL}{code}")
}

/// Finds the attributes for the codes of a fold.
pub(super) async fn sums(store: &Store, tables: &Tables, fold: &Fold) -> Result<CodeSums, StoreError> {
    let reads = fold.codes().iter().map(|(place, codes)| async move {
        let plan = plans::get_tally(tables, ALL_OWNERS, &place.to_string());
        let item = store.get(plan).await?;
        let known = item.as_ref().map(codes_of_item).unwrap_or_default();
        Ok::<_, StoreError>((place.clone(), named(known.into_keys().collect(), codes)))
    });
    let reads: Vec<_> = reads.collect();
    stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
}

/// The attributes to add to, if these codes have one already.
fn named(mut known: BTreeSet<String>, codes: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    known.retain(|code| code != NO_CODE && code != OTHER);
    let mut sums = BTreeMap::new();
    for (code, count) in codes {
        let has_number = code == NO_CODE || known.contains(code) || known.len() < MAX_FAILURE_CODES;
        if has_number && code != NO_CODE && code != OTHER {
            known.insert(code.clone());
        }
        *sums.entry(attribute(if has_number { code } else { OTHER })).or_default() += count;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_past_the_limit_are_added_up() {
        let codes: BTreeMap<String, u64> = (0..30).map(|n| (format!("code-{n:02}"), n + 1)).collect();
        let sums = named(BTreeSet::new(), &codes);
        assert_eq!(sums.len(), MAX_FAILURE_CODES + 1);
        assert_eq!(sums["fail:other"], (21..=30).sum::<u64>());
        // Those that have a number keep it, and so does a failure without a code.
        let known: BTreeSet<String> = (10..30).map(|n| format!("code-{n:02}")).collect();
        let few = BTreeMap::from([("code-05", 2), ("code-15", 3), ("none", 4), ("other", 5)]);
        let few = few.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
        let expect = [("fail:code-15", 3), ("fail:none", 4), ("fail:other", 7)];
        assert_eq!(named(known, &few), expect.map(|(name, count)| (name.to_owned(), count)).into());
    }
}
