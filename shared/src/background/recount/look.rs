//! Reading hours: the items, the rows, and the items again. If no item was written meanwhile, they can be compared.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::hour::{HourView, Items, Of};
use crate::counts::{Bucket, Granularity, Group, Place, name_of, range};
use crate::domain::{CreatedRange, JobQuery, Order, Owner, Status, Timestamp, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::ranges::{Bounds, Range, exact_ranges};
use crate::store::schema::CREATED;
use crate::store::{AttributeMap, Source, StoreError};

/// How often an hour is looked at that is written to meanwhile.
const MAX_TRIES: usize = 3;

/// An hour as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) hour: Timestamp,
    /// Whether no item was written while the rows were read.
    pub(super) is_steady: bool,
    pub(super) view: HourView,
    pub(super) rows: u64,
}

/// All items of a scope from one place to another, as of now.
pub(super) async fn items(
    source: Source<'_>,
    scope: &str,
    first: &Place,
    last: &Place,
) -> Result<Vec<(Place, AttributeMap)>, StoreError> {
    let (first, last) = (first.to_string(), last.to_string());
    let mut items = Vec::new();
    let mut from = None;
    loop {
        let plan = range(source.tables, scope, &first, &last).consistent_read(true);
        let page = source.store.query(plan.set_exclusive_start_key(from)).await?;
        let placed = |item: AttributeMap| Some((Place::parse(name_of(&item))?, item));
        items.extend(page.items.unwrap_or_default().into_iter().filter_map(placed));
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(items);
        }
    }
}

/// The ranges that hold all rows of an owner.
pub(super) fn rows_of(owner: &Owner, shards: u16) -> Vec<Range> {
    exact_ranges(&JobQuery::all(owner.clone()), shards)
}

/// When the job of a row was created.
pub(super) fn created_at(item: &AttributeMap) -> Option<Timestamp> {
    let (time, _) = item.get(CREATED)?.as_s().ok()?.split_once('#')?;
    Timestamp::parse(time).ok()
}

/// Looks at the hours from one to another of the same day. Types that are found are added to those that are known.
pub(super) async fn look(
    source: Source<'_>,
    owner: &Owner,
    types: &mut BTreeSet<TypeName>,
    first: Timestamp,
    last: Timestamp,
) -> Result<Vec<Seen>, StoreError> {
    let mut seen = look_once(source, owner, types, first, last).await?;
    for seen in &mut seen {
        for _ in 1..MAX_TRIES {
            if seen.is_steady {
                break;
            }
            let again = look_once(source, owner, types, seen.hour, seen.hour).await?;
            if let Some(again) = again.into_iter().next() {
                *seen = again;
            }
        }
    }
    Ok(seen)
}

async fn look_once(
    source: Source<'_>,
    owner: &Owner,
    types: &mut BTreeSet<TypeName>,
    first: Timestamp,
    last: Timestamp,
) -> Result<Vec<Seen>, StoreError> {
    let before = hour_items(source, owner, types, first, last).await?;
    let mut hours = rows(source, owner, first, last).await?;
    types.extend(hours.values().flat_map(|(view, _)| view.types()).cloned());
    let mut after = hour_items(source, owner, types, first, last).await?;
    for hour in before.keys().chain(after.keys()) {
        hours.entry(*hour).or_default();
    }
    let seen = hours.into_iter().map(|(hour, (mut view, rows))| {
        view.items = after.remove(&hour).unwrap_or_default();
        let before = HourView::of_items(before.get(&hour).cloned().unwrap_or_default());
        Seen { hour, is_steady: before.revisions() == view.revisions(), view, rows }
    });
    Ok(seen.collect())
}

async fn hour_items(
    source: Source<'_>,
    owner: &Owner,
    types: &BTreeSet<TypeName>,
    first: Timestamp,
    last: Timestamp,
) -> Result<BTreeMap<Timestamp, Items>, StoreError> {
    let groups = [Group::All].into_iter().chain(types.iter().cloned().map(Group::Type));
    let kinds = groups.flat_map(|group| Of::ALL.map(|of| (group.clone(), of)));
    let reads = kinds.map(|(group, of)| async move {
        let place = |time| Place::new(of.bucket(time), group.clone());
        items(source, owner.as_str(), &place(first), &place(last)).await
    });
    let reads: Vec<_> = reads.collect();
    let read: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut hours: BTreeMap<Timestamp, Items> = BTreeMap::new();
    for (place, item) in read.into_iter().flatten() {
        let (hour, of) = match place.bucket {
            Bucket::Span(_, hour) => (hour, Of::Hour),
            Bucket::Minutes(hour) => (hour, Of::Minutes),
            Bucket::Total => continue,
        };
        hours.entry(hour).or_default().insert((place.group, of), item);
    }
    Ok(hours)
}

/// Hours by what their rows say, and how many these are.
type Rows = BTreeMap<Timestamp, (HourView, u64)>;

/// Reads the rows of some hours and adds them up at once: an hour may have more than memory takes.
async fn rows(
    source: Source<'_>,
    owner: &Owner,
    first: Timestamp,
    last: Timestamp,
) -> Result<Rows, StoreError> {
    let created = CreatedRange::new(Some(first), Some(Granularity::Hour.end(last)));
    let bounds = &Bounds::of(created.unwrap_or(CreatedRange::ALL));
    let reads = rows_of(owner, source.shards).into_iter().map(|range| async move {
        let (mut hours, mut from) = (Rows::new(), None);
        loop {
            let plan = range
                .read(source.tables, bounds, Order::Asc)
                .projection_expression("#type, #status, #created")
                .expression_attribute_names("#type", "type")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#created", CREATED);
            let page = source.store.query(plan.set_exclusive_start_key(from)).await?;
            for item in page.items.unwrap_or_default() {
                add_row(&mut hours, owner, &item);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok::<_, StoreError>(hours);
            }
        }
    });
    let reads: Vec<_> = reads.collect();
    let parts: Vec<Rows> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut hours = Rows::new();
    for (hour, (part, rows)) in parts.into_iter().flatten() {
        let (view, sum) = hours.entry(hour).or_default();
        view.add_rows(&part);
        *sum += rows;
    }
    Ok(hours)
}

fn add_row(hours: &mut Rows, owner: &Owner, item: &AttributeMap) {
    let Some((kind, status, created_at)) = parse(item) else {
        tracing::error!(%owner, "a row has no type, status or time that can be read");
        return;
    };
    let (view, rows) = hours.entry(Granularity::Hour.floor(created_at)).or_default();
    view.add_row(&kind, status, created_at);
    *rows += 1;
}

fn parse(item: &AttributeMap) -> Option<(TypeName, Status, Timestamp)> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let kind = TypeName::try_from(text("type")?.as_str()).ok()?;
    Some((kind, Status::try_from(text("status")?.as_str()).ok()?, created_at(item)?))
}

/// The first row of an owner that is not older than this.
pub(super) async fn first_row(
    source: Source<'_>,
    owner: &Owner,
    from: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let created = CreatedRange::new(Some(from), None);
    let bounds = &Bounds::of(created.unwrap_or(CreatedRange::ALL));
    let reads = rows_of(owner, source.shards).into_iter().map(|range| async move {
        let page = source.store.query(range.read(source.tables, bounds, Order::Asc).limit(1)).await?;
        Ok::<_, StoreError>(page.items.unwrap_or_default().iter().find_map(created_at))
    });
    let reads: Vec<_> = reads.collect();
    let found: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().min())
}

/// The names of a scope from one to another: the first of them.
pub(super) async fn first_name(
    source: Source<'_>,
    scope: &str,
    first: &str,
    last: &str,
) -> Result<Option<String>, StoreError> {
    let plan = range(source.tables, scope, first, last)
        .projection_expression("#bucket")
        .consistent_read(true)
        .limit(1);
    let items = source.store.query(plan).await?.items.unwrap_or_default();
    Ok(items.first().map(|item| name_of(item).to_owned()))
}
