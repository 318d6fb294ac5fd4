//! Lists: which jobs, in which order, and how many there are.
//!
//! A list is read from ranges of one index (`plan` chooses which) that are merged as they are read (`reader`). What
//! buckets count, they count for lists too: totals, and where an offset is.

mod count;
mod found;
mod page;
mod plan;
mod reader;
mod sorted;

pub use count::{Counts, Total, counts};
pub use page::{From, Listing, Refused, list};

use crate::domain::JobQuery;
use crate::store::pages::ListRow;
use crate::store::ranges::Bounds;
use crate::store::{Ledger, StoreError};

/// Most rows that one call looks at for a filter that jobs are not counted by.
pub const MAX_EXAMINED: usize = 250_000;
/// Most matches of such a filter that are counted, sorted, or passed over by an offset.
pub const MAX_MATCHES: usize = 10_000;

/// Some rows of a list, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The rows: fewer than asked for does not mean that the list ends here.
    pub rows: Vec<ListRow>,
    /// After which sort key the list goes on; `None`: it ends here.
    pub next: Option<String>,
}

/// Reads what comes after a sort key in order of creation, at most so many rows.
pub async fn part(
    ledger: &Ledger,
    query: &JobQuery,
    after: Option<&str>,
    limit: usize,
) -> Result<Part, StoreError> {
    let source = ledger.source().await?;
    let bounds =
        after.into_iter().fold(Bounds::of(query.created), |bounds, key| bounds.after(key, query.order));
    let mut reader = found::reader(source, query, bounds, limit).await?;
    let taken = reader.take(limit, MAX_EXAMINED).await?;
    let last = taken.rows.last().map(|row| row.created.clone());
    let is_full = taken.rows.len() == limit;
    let next = if is_full { last } else { taken.gave_up_at };
    Ok(Part { rows: taken.rows, next })
}
