//! Reading counts: sums over buckets.

use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use futures_util::future::try_join_all;

use super::checkpoint::PREFIX;
use super::probe::PROBE_BUCKET;
use super::{Bucket, Cell, Checkpoint, Granularity, Measure, Probe, Segment, Span, Tally, segments};
use crate::domain::{CreatedRange, JobQuery, Owner, Timestamp, TypeName};
use crate::dynamo::pages::count_rows;
use crate::dynamo::ranges::{Bounds, ranges};
use crate::dynamo::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::dynamo::value::s;
use crate::dynamo::{AttributeMap, Config, Corrupt, Store, StoreError, Tables};

/// A stretch of time, and how many jobs of a query were created in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// How it can be cut finer; `None`: by its rows.
    pub(super) granularity: Option<Granularity>,
    pub(super) count: u64,
}

/// How many jobs a list has, without reading it.
pub async fn total(store: &Store, config: &Config, query: &JobQuery) -> Result<u64, StoreError> {
    if query.created == CreatedRange::ALL {
        let tally = read_bucket(store, &config.tables, query.owner.as_str(), Bucket::Total).await?;
        return Ok(wanted(&tally, query));
    }
    let counted = count_segments(store, config, query, &segments(query.created)).await?;
    Ok(counted.iter().map(|part| part.count).sum())
}

/// Counts each stretch; a stretch of several buckets becomes as many parts. All are read side by side.
pub(super) async fn count_segments(
    store: &Store,
    config: &Config,
    query: &JobQuery,
    segments: &[Segment],
) -> Result<Vec<Counted>, StoreError> {
    let counted =
        try_join_all(segments.iter().map(|segment| count_segment(store, config, query, segment))).await?;
    Ok(counted.into_iter().flatten().collect())
}

async fn count_segment(
    store: &Store,
    config: &Config,
    query: &JobQuery,
    segment: &Segment,
) -> Result<Vec<Counted>, StoreError> {
    let Segment { from, to, span } = *segment;
    match span {
        Span::Rows => {
            let bounds = Bounds::of(CreatedRange::new(Some(from), Some(to)).unwrap_or(CreatedRange::ALL));
            let ranges = ranges(query, config.index_shards);
            let count = count_rows(store, &config.tables, &ranges, &bounds).await?;
            Ok(vec![Counted { from, to, granularity: None, count }])
        }
        Span::Buckets(granularity) => {
            let [first, last] = [from, to].map(|time| Bucket::of(granularity, time).to_string());
            let items = read_items(store, &config.tables, query.owner.as_str(), &first, &last).await?;
            let parts = items.into_iter().map(|item| {
                let name = item.get(BUCKET).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
                let Some(Bucket::Span(granularity, from)) = Bucket::parse(name) else {
                    return Err(Corrupt::new(name, "is not the name of a bucket").into());
                };
                let to = granularity.next(from).plus_millis(-1);
                let count = wanted(&Tally::of_item(&item), query);
                Ok(Counted { from, to, granularity: Some(granularity), count })
            });
            parts.collect()
        }
    }
}

fn wanted(tally: &Tally, query: &JobQuery) -> u64 {
    tally.alive(|kind, status| {
        (query.types.is_empty() || query.types.contains(kind))
            && (query.statuses.is_empty() || query.statuses.contains(&status))
    })
}

async fn read_bucket(
    store: &Store,
    tables: &Tables,
    scope: &str,
    bucket: Bucket,
) -> Result<Tally, StoreError> {
    let plan =
        GetItemInput::builder().table_name(&tables.tallies).key(SCOPE, s(scope)).key(BUCKET, s(bucket));
    Ok(store.get(plan).await?.as_ref().map(Tally::of_item).unwrap_or_default())
}

/// Reads the items of a scope from one name to another, both included.
async fn read_items(
    store: &Store,
    tables: &Tables,
    scope: &str,
    first: &str,
    last: &str,
) -> Result<Vec<AttributeMap>, StoreError> {
    let plan = QueryInput::builder()
        .table_name(&tables.tallies)
        .key_condition_expression("#scope = :scope AND #bucket BETWEEN :first AND :last")
        .expression_attribute_names("#scope", SCOPE)
        .expression_attribute_names("#bucket", BUCKET)
        .expression_attribute_values(":scope", s(scope))
        .expression_attribute_values(":first", s(first))
        .expression_attribute_values(":last", s(last));
    let mut items = Vec::new();
    let mut from = None;
    loop {
        let page = store.query(plan.clone().set_exclusive_start_key(from)).await?;
        items.extend(page.items.unwrap_or_default());
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(items);
        }
    }
}

/// The mean time that jobs of a type run, in milliseconds; `None`: none has run yet.
pub async fn mean_run_ms(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
) -> Result<Option<u64>, StoreError> {
    let tally = read_bucket(store, tables, owner.as_str(), Bucket::Total).await?;
    let sum = tally.get(&Cell::SumMs(Measure::Run, kind.clone()));
    let mean = sum.checked_div(tally.get(&Cell::Count(Measure::Run, kind.clone())));
    Ok(mean.and_then(|mean| u64::try_from(mean).ok()))
}

/// All that a scrape shows: one partition, whose size does not depend on how many jobs there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// The numbers of all owners.
    pub tally: Tally,
    /// How far each shard of the stream has been counted.
    pub checkpoints: Vec<Checkpoint>,
    /// The last probe that came through.
    pub probe: Option<Probe>,
}

/// Reads what a scrape shows.
pub async fn scrape(store: &Store, tables: &Tables) -> Result<Scrape, StoreError> {
    let mut scrape = Scrape::default();
    // The partition has nothing else: all its names lie between these two.
    for item in read_items(store, tables, ALL_OWNERS, PREFIX, "total").await? {
        let name = item.get(BUCKET).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
        if name.starts_with(PREFIX) {
            scrape.checkpoints.push(Checkpoint::of_item(&item)?);
        } else if name == PROBE_BUCKET {
            scrape.probe = Probe::of_item(&item);
        } else if Bucket::parse(name) == Some(Bucket::Total) {
            scrape.tally = Tally::of_item(&item);
        }
    }
    Ok(scrape)
}
