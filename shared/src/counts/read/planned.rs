//! How many queued jobs of an owner are not due yet.
//!
//! Becoming due writes nothing. So the jobs are counted by the minute, the hour and the day in which they are due, and those
//! of later spans are added up: the rest of the hour by minutes, the rest of the day by hours, and the rest by days. In the
//! minute of the question, the queue itself tells.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, range};
use crate::counts::tally::PLANNED_BY;
use crate::counts::{Cell, Granularity, Group, Place, Tally};
use crate::domain::{Owner, Timestamp, TypeName, Wait};
use crate::store::pages::READS_AT_ONCE;
use crate::store::plans::queue::Queue;
use crate::store::{AttributeMap, Corrupt, Source, StoreError};

/// Most reads of the counts of one length, 1 MB each: callers may plan jobs for any number of months.
const MAX_READS: usize = 4;
/// Most jobs of one type and index shard that become due within one minute and are counted by the queue.
const MAX_DUE_IN_A_MINUTE: i32 = 1_000;

/// Queued jobs of one type that are not due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotDue {
    scheduled: i64,
    retrying: i64,
    /// How many became due, or become due, in the minute of the question.
    this_minute: i64,
}

/// Queued jobs of one type that became due since they were last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BecameDue {
    /// Those that wait for their first attempt.
    pub scheduled: i64,
    /// Those that wait for another one.
    pub retrying: i64,
}

impl BecameDue {
    /// Of all that were not due when they were last changed, those that are not among these.
    pub(crate) fn of(planned: &Tally, not_due: NotDue) -> Self {
        let of = |wait, count: i64| planned.get(Cell::AllPlanned(wait)).saturating_sub(count);
        Self {
            scheduled: of(Wait::Scheduled, not_due.scheduled),
            retrying: of(Wait::Retrying, not_due.retrying),
        }
    }
}

/// Queued jobs of an owner that are not due, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// By type. If a type has none, it is left out.
    pub types: BTreeMap<TypeName, NotDue>,
    /// Whether these are all.
    pub is_exact: bool,
}

impl NotDue {
    /// Of so many that were not due when they were last changed, those that have not become due since.
    pub(crate) fn of(planned: &Tally, became_due: BecameDue) -> Self {
        let BecameDue { scheduled, retrying } = BecameDue::of(planned, Self::default());
        Self {
            scheduled: scheduled.saturating_sub(became_due.scheduled),
            retrying: retrying.saturating_sub(became_due.retrying),
            this_minute: 0,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.add(Wait::Scheduled, other.scheduled);
        self.add(Wait::Retrying, other.retrying);
        self
    }

    /// How many wait so; of those that are due, nothing is known here.
    pub fn get(&self, wait: Wait) -> u64 {
        let count = match wait {
            Wait::Due => 0,
            Wait::Scheduled => self.scheduled,
            Wait::Retrying => self.retrying,
        };
        u64::try_from(count).unwrap_or(0)
    }

    fn add(&mut self, wait: Wait, by: i64) {
        match wait {
            Wait::Due => {}
            Wait::Scheduled => self.scheduled = self.scheduled.saturating_add(by),
            Wait::Retrying => self.retrying = self.retrying.saturating_add(by),
        }
    }

    /// How so many queued jobs wait, those that are due first. A count that has not followed yet does not make more of them.
    pub fn split(&self, queued: u64) -> [(Wait, u64); 3] {
        let scheduled = self.get(Wait::Scheduled).min(queued);
        let retrying = self.get(Wait::Retrying).min(queued - scheduled);
        let due = queued - scheduled - retrying;
        [(Wait::Due, due), (Wait::Scheduled, scheduled), (Wait::Retrying, retrying)]
    }
}

impl Planned {
    /// The numbers of one type.
    pub fn of(&self, kind: &TypeName) -> NotDue {
        self.types.get(kind).copied().unwrap_or_default()
    }
}

/// Reads the counts. A job that is due later in the minute of the question is taken to be due.
pub async fn planned(source: Source<'_>, owner: &Owner, now: Timestamp) -> Result<Planned, StoreError> {
    let reads = PLANNED_BY.map(|granularity| async move {
        let bucket = granularity.container_of(now);
        let is_longest = granularity == Granularity::Day;
        let names = if is_longest { Place::planned_from(bucket) } else { Place::planned(bucket) };
        Ok::<_, StoreError>((granularity, read(source, owner, names).await?))
    });
    let reads = try_join_all(reads).await?;
    let mut planned = Planned { types: BTreeMap::new(), is_exact: true };
    for (granularity, (items, are_all)) in reads {
        planned.is_exact &= are_all;
        for item in items {
            add(&mut planned.types, granularity, &item, now)?;
        }
    }
    Ok(planned)
}

/// The same to the moment, for some types or for all: the queue tells which jobs are due later in this minute.
pub async fn planned_exactly(
    source: Source<'_>,
    owner: &Owner,
    is_wanted: impl Fn(&TypeName) -> bool,
    now: Timestamp,
) -> Result<Planned, StoreError> {
    let mut planned = planned(source, owner, now).await?;
    planned.types.retain(|kind, _| is_wanted(kind));
    let has_more = planned.types.iter().filter(|(_, not_due)| not_due.this_minute > 0).map(|(kind, _)| kind);
    let parts = has_more.flat_map(|kind| (0..source.shards).map(move |shard| (kind.clone(), shard)));
    let parts: Vec<_> = parts.collect();
    let reads = parts.iter().map(|(kind, shard)| async move {
        let queue = Queue { owner, kind, shard: *shard };
        let (tables, end) = (source.tables, Granularity::Minute.end(now));
        let page = source.store.query(queue.due_between(tables, now, end, MAX_DUE_IN_A_MINUTE)).await?;
        Ok::<_, StoreError>((kind, page.items.unwrap_or_default(), page.last_evaluated_key.is_none()))
    });
    let reads: Vec<_> = reads.collect();
    let found: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    for (kind, rows, are_all) in found {
        planned.is_exact &= are_all;
        let not_due = planned.types.entry(kind.clone()).or_default();
        for row in rows {
            not_due.add(wait_of(&row)?, 1);
        }
    }
    Ok(planned)
}

/// How a job waits that is not due, by its row in the queue.
fn wait_of(row: &AttributeMap) -> Result<Wait, Corrupt> {
    let attempt = row.get("attempt").and_then(|attempt| attempt.as_n().ok());
    let attempt = attempt.ok_or_else(|| Corrupt::new("row of the queue", "has no attempt"))?;
    Ok(if attempt == "0" { Wait::Scheduled } else { Wait::Retrying })
}

/// Reads the items between two names; and whether they are all.
async fn read(
    source: Source<'_>,
    owner: &Owner,
    (first, last): (String, String),
) -> Result<(Vec<AttributeMap>, bool), StoreError> {
    let (mut items, mut from) = (Vec::new(), None);
    for _ in 0..MAX_READS {
        let plan = range(source.tables, owner.as_str(), &first, &last).set_exclusive_start_key(from);
        let page = source.store.query(plan).await?;
        items.extend(page.items.unwrap_or_default());
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok((items, true));
        }
    }
    Ok((items, false))
}

/// Adds those numbers of an item that are of spans after the one of the question.
fn add(
    types: &mut BTreeMap<TypeName, NotDue>,
    granularity: Granularity,
    item: &AttributeMap,
    now: Timestamp,
) -> Result<(), Corrupt> {
    let place = place_of(item)?;
    let Group::Planned(kind) = place.group else { return Ok(()) };
    let is_later = place.bucket != granularity.container_of(now);
    let own = granularity.slot(now);
    for (cell, count) in Tally::of_item(item).cells() {
        let Cell::Planned(slot, wait) = cell else { continue };
        if is_later || slot > own {
            types.entry(kind.clone()).or_default().add(wait, count);
        } else if slot == own && granularity == Granularity::Minute {
            types.entry(kind.clone()).or_default().this_minute += count;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_jobs_are_split_into_no_more_than_there_are() {
        let counts = |scheduled, retrying, queued| {
            let not_due = NotDue { scheduled, retrying, this_minute: 0 };
            not_due.split(queued).map(|(_, count)| count)
        };
        assert_eq!(counts(0, 0, 7), [7, 0, 0]);
        assert_eq!(counts(2, 3, 7), [2, 2, 3]);
        assert_eq!(counts(9, 3, 7), [0, 7, 0]);
        assert_eq!(counts(5, 3, 7), [0, 5, 2]);
        assert_eq!(counts(-2, 3, 7), [4, 0, 3]);
    }
}
