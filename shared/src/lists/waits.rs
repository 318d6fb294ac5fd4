//! How many jobs a list has that asks how queued jobs wait: the counts tell, if it has no dates and no other filter.

use std::collections::BTreeMap;

use crate::counts::{NotDue, Planned, StatusCounts, planned_exactly, total};
use crate::domain::{CreatedRange, Filter, JobQuery, Status, TypeName, Wait};
use crate::store::{Source, StoreError};

/// Whether the counts tell how many jobs a list has, and how its queued jobs wait.
pub(super) fn are_counted(query: &JobQuery) -> bool {
    let only_waits = Filter { waits: query.filter.waits.clone(), ..Filter::default() };
    query.created == CreatedRange::ALL && query.filter == only_waits
}

/// Reads which queued jobs of a list are not due; `None`: nobody can know them all.
pub(super) async fn not_due(source: Source<'_>, query: &JobQuery) -> Result<Option<Planned>, StoreError> {
    let is_wanted = |kind: &TypeName| query.types.is_empty() || query.types.contains(kind);
    let planned = planned_exactly(source, &query.owner, is_wanted, query.at).await?;
    Ok(Some(planned).filter(|planned| planned.is_exact))
}

/// How many of so many queued jobs wait in each way that the list asks for.
pub(super) fn split(query: &JobQuery, queued: u64, not_due: NotDue) -> [(Wait, u64); 3] {
    let waits = &query.filter.waits;
    not_due
        .split(queued)
        .map(|(wait, count)| (wait, if waits.is_empty() || waits.contains(&wait) { count } else { 0 }))
}

/// How many jobs such a list has; `None`: the counts do not tell.
pub(super) async fn counted(source: Source<'_>, query: &JobQuery) -> Result<Option<u64>, StoreError> {
    if !are_counted(query) {
        return Ok(None);
    }
    let plain = |statuses| JobQuery { filter: Filter::default(), statuses, ..query.clone() };
    let mut others = query.statuses.clone();
    others.remove(&Status::Queued);
    let (queued, others) = (plain([Status::Queued].into()), plain(others));
    let count_others = async {
        // No status stands for all.
        if others.statuses.is_empty() { Ok(0) } else { total(source, &others).await }
    };
    let (queued, others, planned) =
        tokio::try_join!(total(source, &queued), count_others, not_due(source, query))?;
    Ok(planned.map(|planned| {
        let not_due = planned.types.values().fold(NotDue::default(), NotDue::plus);
        others + split(query, queued, not_due).iter().map(|(_, count)| count).sum::<u64>()
    }))
}

/// Leaves of each type's queued jobs those that wait as the list asks, and adds up how they wait.
pub(super) fn narrow(
    query: &JobQuery,
    types: &mut BTreeMap<TypeName, StatusCounts>,
    planned: &Planned,
) -> BTreeMap<Wait, u64> {
    let mut sums: BTreeMap<Wait, u64> = Wait::ALL.map(|wait| (wait, 0)).into();
    for (kind, counts) in types {
        let queued = counts.get(Status::Queued);
        let waits = split(query, queued, planned.of(kind));
        let left: u64 = waits.iter().map(|(_, count)| count).sum();
        counts.add_one(
            Status::Queued,
            i64::try_from(left).unwrap_or(i64::MAX) - i64::try_from(queued).unwrap_or(i64::MAX),
        );
        for (wait, count) in waits {
            *sums.entry(wait).or_default() += count;
        }
    }
    sums
}
