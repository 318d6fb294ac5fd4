//! Reading counts: sums over buckets.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use futures_util::future::try_join_all;

use super::checkpoint::PREFIX;
use super::commit::FAILED_BUCKET;
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
        let total = Bucket::Total;
        let buckets = read_buckets(store, &config.tables, query.owner.as_str(), total, total).await?;
        return Ok(buckets.values().map(|tally| wanted(tally, query)).sum());
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
            let (first, last) = (Bucket::of(granularity, from), Bucket::of(granularity, to));
            let buckets = read_buckets(store, &config.tables, query.owner.as_str(), first, last).await?;
            let parts = buckets.into_iter().map(|(bucket, tally)| {
                let from = match bucket {
                    Bucket::Span(_, from) => from,
                    Bucket::Total => Timestamp::MIN,
                };
                let to = granularity.next(from).plus_millis(-1);
                Counted { from, to, granularity: Some(granularity), count: wanted(&tally, query) }
            });
            Ok(parts.collect())
        }
    }
}

fn wanted(tally: &Tally, query: &JobQuery) -> u64 {
    tally.alive(|kind, status| {
        (query.types.is_empty() || query.types.contains(kind))
            && (query.statuses.is_empty() || query.statuses.contains(&status))
    })
}

/// Reads the buckets of a scope from one to another of the same length, all types of each added up.
async fn read_buckets(
    store: &Store,
    tables: &Tables,
    scope: &str,
    first: Bucket,
    last: Bucket,
) -> Result<BTreeMap<Bucket, Tally>, StoreError> {
    let (first, last) = first.items_to(&last);
    let mut buckets: BTreeMap<Bucket, Tally> = BTreeMap::new();
    for item in read_items(store, tables, scope, &first, &last).await? {
        let name = name(&item);
        let (bucket, kind) = Bucket::parse_item(name)
            .ok_or_else(|| Corrupt::new(name, "is not the name of a bucket's item"))?;
        buckets.entry(bucket).or_default().add_item(&kind, &item);
    }
    Ok(buckets)
}

fn name(item: &AttributeMap) -> &str {
    item.get(BUCKET).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
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
    let plan = GetItemInput::builder()
        .table_name(&tables.tallies)
        .key(SCOPE, s(owner))
        .key(BUCKET, s(Bucket::Total.item(kind)));
    let mut tally = Tally::default();
    if let Some(item) = store.get(plan).await? {
        tally.add_item(kind, &item);
    }
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
    /// How many records could not be read, ever.
    pub failed_records: u64,
    /// The last probe that came through.
    pub probe: Option<Probe>,
}

/// Reads what a scrape shows.
pub async fn scrape(store: &Store, tables: &Tables) -> Result<Scrape, StoreError> {
    let mut scrape = Scrape::default();
    // The partition has nothing else: all its names lie between these two.
    let (_, last) = Bucket::Total.items_to(&Bucket::Total);
    for item in read_items(store, tables, ALL_OWNERS, PREFIX, &last).await? {
        let name = name(&item);
        if name.starts_with(PREFIX) {
            scrape.checkpoints.push(Checkpoint::of_item(&item)?);
        } else if name == FAILED_BUCKET {
            let records = item.get("records").and_then(|value| value.as_n().ok());
            scrape.failed_records = records.and_then(|number| number.parse().ok()).unwrap_or(0);
        } else if name == PROBE_BUCKET {
            scrape.probe = Probe::of_item(&item);
        } else if let Some((Bucket::Total, kind)) = Bucket::parse_item(name) {
            scrape.tally.add_item(&kind, &item);
        }
    }
    Ok(scrape)
}
