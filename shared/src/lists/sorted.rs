//! Lists in another order than that of creation: read whole, and sorted here. So they have a limit.

use super::page::{From, Page};
use super::prepared::Prepared;
use super::{ListError, MAX_EXAMINED, MAX_MATCHES, Total};
use crate::domain::{JobQuery, Order, SortBy};
use crate::store::AttributeMap;
use crate::store::pages::ListRow;
use crate::store::ranges::Bounds;

/// Moves every time above zero, so that numbers sort as texts of the same length do.
const ABOVE_ZERO: i64 = 100_000_000_000_000;
/// Digits of such a number.
const DIGITS: usize = 16;

/// Reads a page of at most so many rows.
pub(super) async fn page(list: &Prepared<'_>, from: From<'_>, limit: usize) -> Result<Page, ListError> {
    let query = list.query;
    let most = u64::try_from(MAX_MATCHES).unwrap_or(u64::MAX);
    if query.filter.is_empty() && list.total().await? > most {
        return Err(ListError::TooManyToSort);
    }
    let mut reader = list.reader(&list.plan(MAX_MATCHES), Bounds::of(query.created), query.order);
    let taken = reader.take(MAX_MATCHES + 1, MAX_EXAMINED).await?;
    if taken.rows.len() > MAX_MATCHES || taken.gave_up_at.is_some() {
        return Err(ListError::TooManyToSort);
    }
    let total = Total::exact(u64::try_from(taken.rows.len()).unwrap_or(u64::MAX));
    let mut rows: Vec<(String, ListRow)> =
        taken.rows.into_iter().map(|row| (key(query, &row), row)).collect();
    rows.sort_by(|(a, _), (b, _)| query.order.compare(a, b));
    let skip = match from {
        From::Offset(offset) => usize::try_from(offset).unwrap_or(usize::MAX),
        From::After(after) => rows.partition_point(|(key, _)| query.order.compare(key, after).is_le()),
    };
    let is_more = rows.len() > skip.saturating_add(limit);
    let page: Vec<(String, ListRow)> = rows.into_iter().skip(skip).take(limit).collect();
    let next = if is_more { page.last().map(|(key, _)| key.clone()) } else { None };
    Ok(Page { rows: page.into_iter().map(|(_, row)| row).collect(), next, total })
}

/// The key that a row is sorted by, and where a cursor goes on: a number, then the time of creation and the id.
fn key(query: &JobQuery, row: &ListRow) -> String {
    let number = match query.sort {
        SortBy::Created => None,
        SortBy::Updated => number(&row.item, "updated_at"),
        SortBy::Completed => number(&row.item, "completed_at"),
        SortBy::Priority => number(&row.item, "priority"),
    };
    // A row without such a number comes last, in either order.
    let last = match query.order {
        Order::Asc => 2 * ABOVE_ZERO * 10,
        Order::Desc => 0,
    };
    let number = number.map_or(last, |number| number.saturating_add(ABOVE_ZERO));
    format!("{number:0DIGITS$}#{}", row.created)
}

fn number(item: &AttributeMap, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
