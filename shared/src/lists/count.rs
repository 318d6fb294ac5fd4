//! How many jobs a list has, by status and by type, without a page of it.

use std::collections::BTreeMap;

use super::prepared::Prepared;
use super::{ListError, MAX_EXAMINED, MAX_MATCHES, Total, rows, waits};
use crate::counts::{Breakdown, MAX_TYPES_WITHIN_DATES, StatusCounts, breakdown};
use crate::domain::{Filter, JobQuery, TypeName, Wait};
use crate::store::Source;
use crate::store::ranges::Bounds;

/// The numbers of a list, without a page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: Total,
    /// Of each status.
    pub by_status: StatusCounts,
    /// Of each type that has any, by status.
    pub by_type: BTreeMap<TypeName, StatusCounts>,
    /// Of the queued jobs, how many wait in each way, where that was asked for; `None`: the counts do not tell.
    pub by_wait: Option<BTreeMap<Wait, u64>>,
}

/// Counts a list: by the counts, or, where it has filters that they do not tell, by its rows. The ways in which queued jobs
/// wait are counted if that is wanted.
pub(super) async fn count(
    source: Source<'_>,
    query: &JobQuery,
    wants_waits: bool,
) -> Result<Counts, ListError> {
    let mut types: BTreeMap<TypeName, StatusCounts> = BTreeMap::new();
    let (mut is_exact, mut by_wait) = (true, None);
    let asks_waits = wants_waits || !query.filter.is_empty();
    let not_due = async {
        let asks = asks_waits && waits::are_counted(query);
        if asks { waits::not_due(source, query).await } else { Ok(None) }
    };
    let plain = JobQuery { filter: Filter::default(), ..query.clone() };
    let counted = async {
        let asks = query.filter.is_empty() || waits::are_counted(query);
        if asks { breakdown(source, &plain).await.map(Some) } else { Ok(None) }
    };
    let (planned, counted) = tokio::try_join!(not_due, counted)?;
    // If nobody can know all jobs that are not due, the rows tell more.
    if let Some(counted) = counted.filter(|_| query.filter.is_empty() || planned.is_some()) {
        match counted {
            Breakdown::Of(counted) => types = counted,
            Breakdown::TooManyTypes => return Err(ListError::TooManyTypes(MAX_TYPES_WITHIN_DATES)),
        }
        by_wait = planned.map(|planned| waits::narrow(query, &mut types, &planned));
    } else {
        let list = Prepared::of(source, query).await?;
        let mut reader = list.reader(&list.plan(MAX_MATCHES), Bounds::of(query.created), query.order);
        let taken = reader.take(MAX_MATCHES + 1, MAX_EXAMINED).await?;
        is_exact = taken.rows.len() <= MAX_MATCHES && taken.gave_up_at.is_none();
        for row in taken.rows.into_iter().take(MAX_MATCHES) {
            let job = rows::job(row)?;
            let status = job.status();
            types.entry(job.kind).or_default().add_one(status, 1);
        }
    }
    let by_status = types.values().fold(StatusCounts::default(), StatusCounts::plus);
    types.retain(|_, counts| counts.total() > 0);
    Ok(Counts { total: Total { count: by_status.total(), is_exact }, by_status, by_type: types, by_wait })
}
