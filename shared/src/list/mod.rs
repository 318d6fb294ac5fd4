//! Lists: which jobs, in order of creation, part by part.

use crate::domain::JobQuery;
use crate::dynamo::pages::{ListRow, read_rows};
use crate::dynamo::ranges::{Bounds, ranges};
use crate::dynamo::{Ledger, StoreError};

/// Some rows of a list, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The rows: fewer than asked for does not mean that the list ends here.
    pub rows: Vec<ListRow>,
    /// After which sort key the list goes on; `None`: it ends here.
    pub next: Option<String>,
}

/// Reads what comes after a sort key, at most so many rows.
pub async fn part(
    ledger: &Ledger,
    query: &JobQuery,
    after: Option<&str>,
    limit: usize,
) -> Result<Part, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let bounds = Bounds::of(query.created);
    let bounds = after.into_iter().fold(bounds, |bounds, key| bounds.after(key, query.order));
    let ranges = ranges(query, config.index_shards);
    let rows = read_rows(store, &config.tables, &ranges, &bounds, query.order, 0, limit).await?;
    let next = if rows.len() < limit { None } else { rows.last().map(|row| row.created.clone()) };
    Ok(Part { rows, next })
}
