//! Reading lists: the ranges side by side, and one merge.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::item::id_of_row;
use super::ranges::{Bounds, Range};
use super::schema::CREATED;
use super::{AttributeMap, Corrupt, Store, StoreError, Tables};
use crate::domain::{JobId, Order};

/// Most ranges read at the same time by one call.
const MAX_READS_AT_ONCE: usize = 32;

/// A row of a list: its place, and what its index says of the job.
#[derive(Clone, Debug, PartialEq)]
pub struct ListRow {
    /// The job.
    pub id: JobId,
    /// Its sort key: where a cursor goes on.
    pub created: String,
    /// The projected attributes.
    pub item: AttributeMap,
}

/// Reads the first `limit` rows of a list, skipping `skip`.
pub async fn read_rows(
    store: &Store,
    tables: &Tables,
    ranges: &[Range],
    bounds: &Bounds,
    order: Order,
    skip: usize,
    limit: usize,
) -> Result<Vec<ListRow>, StoreError> {
    if bounds.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = skip.saturating_add(limit);
    let reads: Vec<_> =
        ranges.iter().map(|range| read_range(store, tables, range, bounds, order, wanted)).collect();
    let parts: Vec<Vec<ListRow>> = stream::iter(reads).buffered(MAX_READS_AT_ONCE).try_collect().await?;
    Ok(merge(parts, order).into_iter().skip(skip).take(limit).collect())
}

async fn read_range(
    store: &Store,
    tables: &Tables,
    range: &Range,
    bounds: &Bounds,
    order: Order,
    wanted: usize,
) -> Result<Vec<ListRow>, StoreError> {
    let mut rows = Vec::new();
    let mut from: Option<AttributeMap> = None;
    loop {
        let limit = i32::try_from(wanted - rows.len()).unwrap_or(i32::MAX);
        let plan = range.read(tables, bounds, order).limit(limit).set_exclusive_start_key(from);
        let page = store.query(plan).await?;
        for item in page.items.unwrap_or_default() {
            rows.push(row(item)?);
        }
        from = page.last_evaluated_key;
        if from.is_none() || rows.len() >= wanted {
            return Ok(rows);
        }
    }
}

fn row(item: AttributeMap) -> Result<ListRow, Corrupt> {
    let id = id_of_row(&item)?;
    let created = item.get(CREATED).and_then(|value: &AttributeValue| value.as_s().ok());
    let created = created.cloned().ok_or_else(|| Corrupt::new(id, "row without created"))?;
    Ok(ListRow { id, created, item })
}

/// Merges sorted lists into one; a job that moved from one to another between two reads appears once.
fn merge(parts: Vec<Vec<ListRow>>, order: Order) -> Vec<ListRow> {
    let mut rows: Vec<ListRow> = parts.into_iter().flatten().collect();
    // A stable sort of sorted runs is a merge.
    rows.sort_by(|a, b| match order {
        Order::Asc => a.created.cmp(&b.created),
        Order::Desc => b.created.cmp(&a.created),
    });
    let mut seen = HashSet::with_capacity(rows.len());
    rows.retain(|row| seen.insert(row.id));
    rows
}

/// Counts the jobs of a list by reading all of it: for the ends of a range only, which are within an hour.
pub async fn count_rows(
    store: &Store,
    tables: &Tables,
    ranges: &[Range],
    bounds: &Bounds,
) -> Result<u64, StoreError> {
    if bounds.is_empty() {
        return Ok(0);
    }
    let reads: Vec<_> = ranges.iter().map(|range| count_range(store, tables, range, bounds)).collect();
    let counts: Vec<u64> = stream::iter(reads).buffered(MAX_READS_AT_ONCE).try_collect().await?;
    Ok(counts.into_iter().sum())
}

async fn count_range(
    store: &Store,
    tables: &Tables,
    range: &Range,
    bounds: &Bounds,
) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut from: Option<AttributeMap> = None;
    loop {
        let page = store.query(range.count(tables, bounds).set_exclusive_start_key(from)).await?;
        count += u64::try_from(page.count).unwrap_or(0);
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Timestamp, created_key};

    /// A row that says in which range it was found.
    fn row(range: usize, millis: i64, number: u128) -> ListRow {
        let id = JobId::from(Uuid::from_u128(number));
        let item = AttributeMap::from([("range".to_owned(), AttributeValue::N(range.to_string()))]);
        ListRow { id, created: created_key(Timestamp::from_millis(millis), id), item }
    }

    /// Ranges of jobs that each have one time of creation; many were created in the same millisecond, and some are in
    /// several ranges, as a job is that moved from one to another between two reads.
    fn ranges() -> impl Strategy<Value = Vec<Vec<ListRow>>> {
        vec(vec(0_u128..60, 0..30), 0..6).prop_map(|ranges| {
            let rows = |(range, numbers): (usize, Vec<u128>)| {
                let millis = |number: u128| i64::try_from(number % 7).unwrap();
                numbers.into_iter().map(|number| row(range, millis(number), number)).collect()
            };
            ranges.into_iter().enumerate().map(rows).collect()
        })
    }

    fn sorted(mut ranges: Vec<Vec<ListRow>>, order: Order) -> Vec<Vec<ListRow>> {
        for rows in &mut ranges {
            rows.sort_by(|a, b| a.created.cmp(&b.created));
            rows.dedup_by_key(|row| row.id);
            if order == Order::Desc {
                rows.reverse();
            }
        }
        ranges
    }

    proptest! {
        #[test]
        fn a_merge_is_the_sorted_union(ranges in ranges(), descending: bool) {
            let order = if descending { Order::Desc } else { Order::Asc };
            let union: BTreeMap<String, JobId> =
                ranges.iter().flatten().map(|row| (row.created.clone(), row.id)).collect();
            let mut expected: Vec<(String, JobId)> = union.into_iter().collect();
            if descending {
                expected.reverse();
            }
            let merged = merge(sorted(ranges, order), order);
            let merged: Vec<(String, JobId)> = merged.into_iter().map(|row| (row.created, row.id)).collect();
            prop_assert_eq!(merged, expected);
        }

        /// Reading page by page, each from where the last one ended, shows every job once.
        #[test]
        fn pages_of_a_merge_make_the_whole(ranges in ranges(), size in 1_usize..20) {
            let whole = merge(sorted(ranges.clone(), Order::Asc), Order::Asc);
            let mut pages: Vec<ListRow> = Vec::new();
            loop {
                let after = pages.last().map(|row| row.created.clone());
                let rest = |rows: Vec<ListRow>| -> Vec<ListRow> {
                    let follows = |row: &ListRow| after.as_ref().is_none_or(|after| row.created > *after);
                    rows.into_iter().filter(follows).take(size).collect()
                };
                let parts = sorted(ranges.clone(), Order::Asc).into_iter().map(rest).collect();
                let page: Vec<ListRow> = merge(parts, Order::Asc).into_iter().take(size).collect();
                if page.is_empty() {
                    break;
                }
                pages.extend(page);
            }
            prop_assert_eq!(pages, whole);
        }
    }

    #[test]
    fn a_job_that_moved_is_shown_once() {
        let (one, again) = (row(0, 5, 1), row(1, 5, 1));
        assert_eq!(merge(vec![vec![one.clone()], vec![again]], Order::Desc), [one]);
        assert!(merge(Vec::new(), Order::Asc).is_empty());
    }

    #[test]
    fn a_row_without_its_key_is_corrupt() {
        let mut item = row(0, 5, 1).item;
        assert!(super::row(item.clone()).is_err());
        item.insert("job_id".to_owned(), AttributeValue::S(Uuid::from_u128(1).to_string()));
        assert!(super::row(item.clone()).is_err());
        item.insert(CREATED.to_owned(), AttributeValue::S("2026".to_owned()));
        assert_eq!(super::row(item).unwrap().created, "2026");
    }
}
