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
