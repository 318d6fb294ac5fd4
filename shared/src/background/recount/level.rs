//! Longer buckets beside what they are made of: a day beside its hours, a month beside its days, a total beside its
//! months, and everybody's total of a type beside the owners'.
//!
//! One transaction writes all of them. If a write moves a part, it also moves a number of the whole that never falls.
//! Only a job that goes back to an earlier status moves none, and such steps alone cannot cancel each other out. So if
//! the whole has the same revision before and after its parts were read, nothing was written to them meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::hour::{differences, is_history, revision};
use super::look::items;
use crate::counts::{
    Bucket, Cell, Granularity, Group, Place, REVISION, Tally, kind_of_past, name_of, owners, past_of, pasts,
    range, read_items,
};
use crate::domain::{OTHER, Owner, Timestamp, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Source, StoreError, Tables, plans};

/// How often a bucket is looked at that is written to meanwhile.
const MAX_TRIES: usize = 5;

/// The outcome of a look at a bucket.
#[derive(Debug)]
pub(super) enum Compared {
    /// It is the sum of its parts.
    Right,
    /// So many numbers are not; and what it says and should say.
    Wrong(u64, Box<(Option<AttributeMap>, Tally)>),
    /// It was written to at every look.
    Busy,
}

/// Whether a cell of a bucket follows from its parts.
const fn is_summed(cell: Cell) -> bool {
    is_history(cell) || matches!(cell, Cell::Alive(_) | Cell::AliveIn(..))
}

/// Those numbers of an owner that all owners together have, too.
fn everybodys(tally: &Tally) -> Tally {
    let mut shared = Tally::default();
    for (cell, value) in tally.cells().filter(|(cell, _)| !matches!(cell, Cell::Within(..))) {
        shared.set(cell, value);
    }
    shared
}

/// Adds a part: its numbers of all its time, and the same as one of the shorter spans of the whole, if it is one.
fn add_part(sum: &mut Tally, slot: Option<u8>, part: &Tally) {
    for (cell, value) in part.cells() {
        if is_history(cell) {
            sum.add_one(cell, value);
        } else if let Cell::Alive(status) = cell {
            sum.add_one(cell, value);
            if let Some(slot) = slot {
                sum.add_one(Cell::AliveIn(slot, status), value);
            }
        }
    }
}

/// Reads an item as of now.
pub(super) async fn item(
    source: Source<'_>,
    scope: &str,
    place: &Place,
) -> Result<Option<AttributeMap>, StoreError> {
    named(source, scope, &place.to_string()).await
}

async fn named(source: Source<'_>, scope: &str, name: &str) -> Result<Option<AttributeMap>, StoreError> {
    source.store.get(plans::get_tally(source.tables, scope, name).consistent_read(true)).await
}

/// The past of a type, of which a bucket is the rest; of other buckets there is none.
async fn past(source: Source<'_>, scope: &str, place: &Place) -> Result<Option<AttributeMap>, StoreError> {
    match (&place.bucket, &place.group) {
        (Bucket::Total, Group::Type(kind)) => named(source, scope, &past_of(kind)).await,
        _ => Ok(None),
    }
}

/// The same, and the total.
async fn with_past(source: Source<'_>, scope: &str, place: &Place) -> Result<Tally, StoreError> {
    let (total, past) =
        futures_util::future::try_join(item(source, scope, place), past(source, scope, place)).await?;
    let mut sum = Tally::default();
    for item in total.iter().chain(&past) {
        sum.add(&Tally::of_item(item));
    }
    Ok(sum)
}

/// The past of all types of all owners together, which the type `other` counts too.
async fn all_pasts(source: Source<'_>) -> Result<Tally, StoreError> {
    let (first, last) = pasts();
    let (mut sum, mut from) = (Tally::default(), None);
    loop {
        let plan = range(source.tables, ALL_OWNERS, &first, &last).consistent_read(true);
        let page = source.store.query(plan.set_exclusive_start_key(from)).await?;
        for item in page.items.unwrap_or_default() {
            sum.add(&Tally::of_item(&item));
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(sum);
        }
    }
}

/// The sum of a bucket's parts.
async fn parts(source: Source<'_>, scope: &str, place: &Place) -> Result<Tally, StoreError> {
    let mut sum = Tally::default();
    let (length, first, last) = match place.bucket {
        Bucket::Total if scope == ALL_OWNERS => {
            let reads: Vec<_> = owners(source)
                .await?
                .into_iter()
                .map(|owner| async move { with_past(source, owner.as_str(), place).await })
                .collect();
            let read: Vec<Tally> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
            for part in &read {
                add_part(&mut sum, None, &everybodys(part));
            }
            if matches!(&place.group, Group::Type(kind) if kind.as_str() == OTHER) {
                add_part(&mut sum, None, &all_pasts(source).await?);
            }
            return Ok(sum);
        }
        Bucket::Total => (Granularity::Month, Timestamp::MIN, Timestamp::MAX),
        Bucket::Span(length, start) => (length.finer().unwrap_or(length), start, length.end(start)),
        Bucket::Minutes(_) => {
            let name = place.to_string();
            return Err(Corrupt::new(name, "is compared with rows: it has no shorter buckets").into());
        }
    };
    let part = |time| Place::new(Bucket::of(length, time), place.group.clone());
    for (part, item) in items(source, scope, &part(first), &part(last)).await? {
        let Bucket::Span(_, start) = part.bucket else { continue };
        let slot = (place.bucket != Bucket::Total).then(|| length.slot(start));
        add_part(&mut sum, slot, &Tally::of_item(&item));
    }
    Ok(sum)
}

/// Compares a bucket with its parts, less the past of its type.
pub(super) async fn compare(source: Source<'_>, scope: &str, place: &Place) -> Result<Compared, StoreError> {
    for _ in 0..MAX_TRIES {
        let past_before = past(source, scope, place).await?;
        let before = item(source, scope, place).await?;
        let mut sum = parts(source, scope, place).await?;
        let after = item(source, scope, place).await?;
        let past = past(source, scope, place).await?;
        if revision(before.as_ref()) != revision(after.as_ref())
            || revision(past_before.as_ref()) != revision(past.as_ref())
        {
            continue;
        }
        for (cell, value) in past.as_ref().map(Tally::of_item).unwrap_or_default().cells() {
            sum.add_one(cell, -value);
        }
        let said = after.as_ref().map(Tally::of_item).unwrap_or_default();
        return Ok(match differences(&said, &sum, is_summed) {
            0 => Compared::Right,
            wrong => Compared::Wrong(wrong, Box::new((after, sum))),
        });
    }
    Ok(Compared::Busy)
}

/// The days of a month that do not look like the sum of their hours, read at once: for a closer look.
pub(super) async fn odd_days(
    source: Source<'_>,
    owner: &Owner,
    group: &Group,
    month: Timestamp,
) -> Result<Vec<Place>, StoreError> {
    let read = |length| {
        let place = |time| Place::new(Bucket::of(length, time), group.clone());
        let (first, last) = (place(month), place(Granularity::Month.end(month)));
        async move { items(source, owner.as_str(), &first, &last).await }
    };
    let (days, hours) =
        futures_util::future::try_join(read(Granularity::Day), read(Granularity::Hour)).await?;
    let mut sums: BTreeMap<Timestamp, (Tally, Tally)> = BTreeMap::new();
    for (place, item) in days.iter().chain(&hours) {
        let Bucket::Span(length, start) = place.bucket else { continue };
        let (said, sum) = sums.entry(Granularity::Day.floor(start)).or_default();
        let tally = Tally::of_item(item);
        if length == Granularity::Day {
            *said = tally;
        } else {
            add_part(sum, Some(length.slot(start)), &tally);
        }
    }
    let odd = sums.into_iter().filter(|(_, (said, sum))| differences(said, sum, is_summed) > 0);
    Ok(odd.map(|(day, _)| Place::new(Bucket::of(Granularity::Day, day), group.clone())).collect())
}

/// The types of which everybody's total does not look like the sum of the owners': for a closer look.
pub(super) async fn odd_types(source: Source<'_>) -> Result<Vec<Place>, StoreError> {
    let (first, last) = Place::totals();
    let read = |scope: String| {
        let (first, last) = (&first, &last);
        let (first_past, last_past) = pasts();
        async move {
            let mut items = read_items(source.store, source.tables, &scope, first, last).await?;
            items.extend(read_items(source.store, source.tables, &scope, &first_past, &last_past).await?);
            Ok::<_, StoreError>(items)
        }
    };
    let mut said: BTreeMap<TypeName, (Tally, Tally)> = BTreeMap::new();
    let owners = owners(source).await?;
    let scopes = [ALL_OWNERS.to_owned()].into_iter().chain(owners.iter().map(ToString::to_string));
    let reads: Vec<_> = scopes.map(read).collect();
    let mut read = stream::iter(reads).buffered(READS_AT_ONCE);
    let (mut is_everybodys, mut others) = (true, Tally::default());
    while let Some(items) = read.try_next().await? {
        for item in items {
            let (kind, is_past) = match (kind_of_past(&item), Place::parse(name_of(&item))) {
                (Some(kind), _) => (kind, true),
                (None, Some(Place { bucket: Bucket::Total, group: Group::Type(kind) })) => (kind, false),
                (None, _) => continue,
            };
            let tally = everybodys(&Tally::of_item(&item));
            if is_everybodys && is_past {
                add_part(&mut others, None, &tally);
            }
            let (said, sum) = said.entry(kind).or_default();
            add_part(if is_everybodys { said } else { sum }, None, &tally);
        }
        is_everybodys = false;
    }
    if let Ok(other) = TypeName::try_from(OTHER) {
        said.entry(other).or_default().1.add(&others);
    }
    let odd = said.into_iter().filter(|(_, (said, sum))| differences(said, sum, is_summed) > 0);
    Ok(odd.map(|(kind, _)| Place::new(Bucket::Total, Group::Type(kind))).collect())
}

/// Writes the right numbers of an item in the place of its present ones, unless the item was written meanwhile. Numbers
/// that follow from nothing else stay.
pub(super) fn put(
    tables: &Tables,
    scope: &str,
    place: &Place,
    seen: Option<&AttributeMap>,
    right: &Tally,
) -> Result<TransactWriteItem, StoreError> {
    let mut item = seen.cloned().unwrap_or_default();
    let said = Tally::of_item(&item);
    let cells: BTreeSet<Cell> = said.cells().chain(right.cells()).map(|(cell, _)| cell).collect();
    for cell in cells.into_iter().filter(|cell| is_summed(*cell)) {
        item.insert(cell.to_string(), n(right.get(cell)));
    }
    let revision = revision(seen);
    item.insert(SCOPE.to_owned(), s(scope));
    item.insert(BUCKET.to_owned(), s(place));
    item.insert(REVISION.to_owned(), n(revision.unwrap_or(0).saturating_add(1)));
    let put = Put::builder()
        .table_name(&tables.tallies)
        .set_item(Some(item))
        .expression_attribute_names("#revision", REVISION);
    let put = match revision {
        Some(revision) => {
            put.condition_expression("#revision = :seen").expression_attribute_values(":seen", n(revision))
        }
        None => put.condition_expression("attribute_not_exists(#revision)"),
    };
    let put = put.build().map_err(|error| StoreError::Refused(error.into()))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;

    fn day() -> Place {
        let time = Timestamp::from_millis(1_768_107_600_000);
        Place::new(Bucket::of(Granularity::Day, time), Group::All)
    }

    #[test]
    fn a_part_is_one_of_the_shorter_spans_of_the_whole() {
        let mut part = Tally::default();
        for cell in
            [Cell::Alive(Status::Queued), Cell::AliveIn(30, Status::Queued), Cell::Created, Cell::Bytes]
        {
            part.add_one(cell, 2);
        }
        let mut sum = Tally::default();
        add_part(&mut sum, Some(5), &part);
        add_part(&mut sum, Some(6), &part);
        let cells: Vec<_> = sum.cells().collect();
        let expected = [
            (Cell::Alive(Status::Queued), 4),
            (Cell::AliveIn(5, Status::Queued), 2),
            (Cell::AliveIn(6, Status::Queued), 2),
            (Cell::Created, 4),
        ];
        assert_eq!(cells, expected);
    }

    #[test]
    fn a_repair_writes_over_what_was_seen_and_nothing_else() {
        let mut right = Tally::default();
        right.set(Cell::Created, 3);
        let seen = AttributeMap::from([
            ("alive:queued".to_owned(), n(7)),
            ("bytes".to_owned(), n(9)),
            ("counted_since".to_owned(), s("then")),
            (REVISION.to_owned(), n(41)),
        ]);
        let written = put(&Tables::default(), "ann", &day(), Some(&seen), &right).unwrap();
        let written = written.put.unwrap();
        let expected = [
            ("alive:queued", n(0)),
            ("bytes", n(9)),
            ("counted_since", s("then")),
            ("created", n(3)),
            ("bucket", s("day#2026-01-11")),
            ("scope", s("ann")),
            (REVISION, n(42)),
        ];
        assert_eq!(written.item, expected.map(|(name, value)| (name.to_owned(), value)).into());
        assert_eq!(written.condition_expression.as_deref(), Some("#revision = :seen"));
        let made = put(&Tables::default(), "ann", &day(), None, &right).unwrap().put.unwrap();
        assert_eq!(made.condition_expression.as_deref(), Some("attribute_not_exists(#revision)"));
        assert_eq!(made.item[REVISION], n(1));
    }
}
