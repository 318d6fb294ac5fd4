//! How many jobs a list has, by status and by type, without a page of it.

use std::collections::BTreeMap;

use super::prepared::Prepared;
use super::{ListError, MAX_EXAMINED, MAX_MATCHES, Total, rows};
use crate::counts::{Breakdown, MAX_TYPES_WITHIN_DATES, StatusCounts, breakdown};
use crate::domain::{JobQuery, TypeName};
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
}

/// Counts a list: by the counts, or, where it has filters, by its rows.
pub(super) async fn count(source: Source<'_>, query: &JobQuery) -> Result<Counts, ListError> {
    let mut types: BTreeMap<TypeName, StatusCounts> = BTreeMap::new();
    let mut is_exact = true;
    if query.filter.is_empty() {
        match breakdown(source, query).await? {
            Breakdown::Of(counted) => types = counted,
            Breakdown::TooManyTypes => return Err(ListError::TooManyTypes(MAX_TYPES_WITHIN_DATES)),
        }
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
    Ok(Counts { total: Total { count: by_status.total(), is_exact }, by_status, by_type: types })
}
