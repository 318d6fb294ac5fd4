//! Reading the ranges that lists consist of.

use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::heads::read_heads;
use super::item::id_of_row;
use super::ranges::{Bounds, Range};
use super::schema::CREATED;
use super::{AttributeMap, Corrupt, Source, Store, StoreError, Tables};
use crate::domain::{Job, JobId, Order, WorkerId};

/// Most requests that one call has under way.
pub const READS_AT_ONCE: usize = 32;

/// How many rows the read of a head counts for: a head is half a unit, and about so many rows are, too.
const ROWS_OF_A_HEAD: usize = 9;

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

/// One answer of DynamoDB: some rows of a range.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The rows that are wanted.
    pub rows: Vec<ListRow>,
    /// How many these are: a count sends none.
    pub count: usize,
    /// How many were looked at.
    pub examined: usize,
    /// The place where the range goes on; `None`: it ends here.
    pub next: Option<Next>,
}

/// The place where a range goes on.
#[derive(Clone, Debug)]
pub struct Next {
    /// The key that DynamoDB wants to see.
    key: AttributeMap,
    /// The sort key of the last row that was looked at.
    pub created: String,
}

/// Reads some rows of a range, or counts them, from where the last answer ended.
pub async fn fetch(
    store: &Store,
    plan: QueryInputBuilder,
    from: Option<&Next>,
) -> Result<Fetched, StoreError> {
    let page = store.query(plan.set_exclusive_start_key(from.map(|next| next.key.clone()))).await?;
    let number = |count: i32| usize::try_from(count).unwrap_or(0);
    let (count, examined) = (number(page.count), number(page.scanned_count));
    let rows = page.items.unwrap_or_default().into_iter().map(row).collect::<Result<_, _>>()?;
    let next = page.last_evaluated_key.map(|key| Ok::<_, Corrupt>(Next { created: created(&key)?, key }));
    Ok(Fetched { rows, count, examined, next: next.transpose()? })
}

/// Reads some rows of a range, from where the last answer ended: all that fit into an answer, or only so many.
pub async fn fetch_rows(
    source: Source<'_>,
    range: &Range,
    (bounds, order): (&Bounds, Order),
    limit: Option<i32>,
    from: Option<&Next>,
) -> Result<Fetched, StoreError> {
    let plan = range.read(source.tables, bounds, order).set_limit(limit);
    let fetched = fetch(source.store, plan, from).await?;
    match range.holder() {
        Some(worker) => only_held(source, worker, fetched).await,
        None => Ok(fetched),
    }
}

/// Counts some rows of a range, from where the last answer ended.
pub async fn fetch_count(
    source: Source<'_>,
    range: &Range,
    bounds: &Bounds,
    from: Option<&Next>,
) -> Result<Fetched, StoreError> {
    if range.holder().is_some() {
        return fetch_rows(source, range, (bounds, Order::Asc), None, from).await;
    }
    fetch(source.store, range.count(source.tables, bounds), from).await
}

/// Leaves out the rows of jobs that this worker does not hold. The reads of their heads count as rows that were examined.
async fn only_held(
    source: Source<'_>,
    worker: &WorkerId,
    mut fetched: Fetched,
) -> Result<Fetched, StoreError> {
    let ids = fetched.rows.iter().map(|row| row.id).collect();
    let heads = read_heads(source.store, source.tables, ids).await?;
    fetched.examined += fetched.rows.len() * ROWS_OF_A_HEAD;
    fetched.rows.retain(|row| heads.get(&row.id).and_then(Job::held_by) == Some(worker));
    fetched.count = fetched.rows.len();
    Ok(fetched)
}

fn created(item: &AttributeMap) -> Result<String, Corrupt> {
    let created = item.get(CREATED).and_then(|value: &AttributeValue| value.as_s().ok());
    created.cloned().ok_or_else(|| Corrupt::new(CREATED, "is missing from a row"))
}

fn row(item: AttributeMap) -> Result<ListRow, Corrupt> {
    Ok(ListRow { id: id_of_row(&item)?, created: created(&item)?, item })
}

/// Reads all rows within bounds, in no order that means anything: for the ends of a range only, which are within a
/// minute.
pub async fn all_rows(
    store: &Store,
    tables: &Tables,
    ranges: &[Range],
    bounds: &Bounds,
) -> Result<Vec<AttributeMap>, StoreError> {
    let reads: Vec<_> = ranges.iter().map(|range| rows_of_range(store, tables, range, bounds)).collect();
    let items: Vec<Vec<AttributeMap>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(items.into_iter().flatten().collect())
}

async fn rows_of_range(
    store: &Store,
    tables: &Tables,
    range: &Range,
    bounds: &Bounds,
) -> Result<Vec<AttributeMap>, StoreError> {
    let (mut items, mut from) = (Vec::new(), None);
    loop {
        let fetched = fetch(store, range.read(tables, bounds, Order::Asc), from.as_ref()).await?;
        items.extend(fetched.rows.into_iter().map(|row| row.item));
        from = fetched.next;
        if from.is_none() {
            return Ok(items);
        }
    }
}

/// Counts the jobs of a list by reading all of it: for the ends of a range only, which are within a minute.
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
    let counts: Vec<u64> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
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
