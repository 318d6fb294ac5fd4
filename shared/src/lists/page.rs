//! A page of a list in order of creation, and how many rows the whole list has.

use super::matches::{Total, matches, stretches};
use super::prepared::Prepared;
use super::reader::{Reader, Taken};
use super::{ListError, MAX_EXAMINED, MAX_MATCHES, waits};
use crate::counts::{Begin, locate};
use crate::domain::CreatedRange;
use crate::store::StoreError;
use crate::store::pages::ListRow;
use crate::store::ranges::Bounds;

/// The place where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// After the row with this sort key.
    After(&'a str),
    /// After so many rows.
    Offset(u64),
}

/// A page of a list, as rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    pub(super) rows: Vec<ListRow>,
    /// After which sort key the list goes on; `None`: it ends here.
    pub(super) next: Option<String>,
    /// How many rows the whole list has.
    pub(super) total: Total,
}

/// Reads a page of at most so many rows.
pub(super) async fn page(list: &Prepared<'_>, from: From<'_>, limit: usize) -> Result<Page, ListError> {
    if list.query.filter.is_empty() {
        return Ok(match from {
            From::Offset(0) => counted(list, None, limit).await?,
            From::Offset(offset) => deep(list, offset, limit).await?,
            From::After(key) => counted(list, Some(key), limit).await?,
        });
    }
    Ok(match from {
        From::Offset(offset) => {
            let skip = usize::try_from(offset).unwrap_or(usize::MAX);
            if skip > MAX_MATCHES {
                return Err(ListError::DeepOffset);
            }
            filtered(list, None, skip, limit).await?
        }
        From::After(key) => filtered(list, Some(key), 0, limit).await?,
    })
}

/// Reads what comes after a sort key, at most so many rows, and tells after which key the list goes on.
pub(super) async fn chunk(
    list: &Prepared<'_>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<ListRow>, Option<String>), StoreError> {
    let mut reader = list.reader(&list.plan(limit), bounds(list, after), list.query.order);
    let Taken { rows, gave_up_at } = reader.take(limit, MAX_EXAMINED).await?;
    let last_key = rows.last().map(|row| row.created.clone());
    let next = if rows.len() == limit { last_key } else { gave_up_at };
    Ok((rows, next))
}

/// A page of a list whose total the counts tell.
async fn counted(list: &Prepared<'_>, after: Option<&str>, limit: usize) -> Result<Page, StoreError> {
    let mut reader = list.reader(&list.plan(limit + 1), bounds(list, after), list.query.order);
    let (rows, total) = tokio::try_join!(take(&mut reader, 0, limit), list.total())?;
    // A list that ends on its first page has counted itself, and is not late.
    let is_whole = after.is_none() && rows.is_end(limit);
    let total = if is_whole { Total::exact(rows.seen()) } else { Total::exact(total).or_seen(rows.seen()) };
    Ok(rows.page(limit, total))
}

/// A page of such a list at an offset: the counts tell where it begins.
async fn deep(list: &Prepared<'_>, offset: u64, limit: usize) -> Result<Page, StoreError> {
    let located = locate(list.source, list.query, offset).await?;
    let total = Total::exact(located.total);
    let Some(begin) = located.begin else {
        return Ok(Page { rows: Vec::new(), next: None, total });
    };
    let rows = at(list, begin, limit).await?;
    let seen = if rows.rows.is_empty() { 0 } else { offset + rows.seen() };
    Ok(rows.page(limit, total.or_seen(seen)))
}

/// A page of a list with filters: its total is made of the rows of the page, and of a count of those before and after it.
async fn filtered(
    list: &Prepared<'_>,
    after: Option<&str>,
    skip: usize,
    limit: usize,
) -> Result<Page, StoreError> {
    let order = list.query.order;
    let plan = list.plan(skip + limit + 1);
    let mut reader = list.reader(&plan, bounds(list, after), order);
    let known = async {
        let total = waits::counted(list.source, list.query).await?;
        let stretches = if total.is_none() { stretches(list).await? } else { Vec::new() };
        Ok((total, stretches))
    };
    let (rows, (counted, stretches)) = tokio::try_join!(take(&mut reader, skip, limit), known)?;
    let skipped = u64::try_from(skip).unwrap_or(u64::MAX);
    let seen = if rows.rows.is_empty() { 0 } else { skipped + rows.seen() };
    if let Some(total) = counted {
        let is_whole = after.is_none() && skip == 0 && rows.is_end(limit);
        let total = if is_whole { Total::exact(seen) } else { Total::exact(total).or_seen(seen) };
        return Ok(rows.page(limit, total));
    }
    let before = after.map(|key| bounds(list, None).up_to(key, order));
    let total = matches(list, &plan, &stretches, reader, before.as_ref()).await?;
    Ok(rows.page(limit, total.or_seen(seen)))
}

/// The bounds to read a list from there on.
fn bounds(list: &Prepared<'_>, after: Option<&str>) -> Bounds {
    let whole = Bounds::of(list.query.created);
    after.into_iter().fold(whole, |bounds, key| bounds.after(key, list.query.order))
}

/// The rows of a page, and the row after it, which tells whether more follow.
struct Rows {
    rows: Vec<ListRow>,
    gave_up_at: Option<String>,
}

impl Rows {
    fn seen(&self) -> u64 {
        u64::try_from(self.rows.len()).unwrap_or(u64::MAX)
    }

    /// Whether the list ends with a page of this length.
    fn is_end(&self, limit: usize) -> bool {
        self.rows.len() <= limit && self.gave_up_at.is_none()
    }

    fn page(mut self, limit: usize, total: Total) -> Page {
        let is_more = self.rows.len() > limit;
        self.rows.truncate(limit);
        let last = self.rows.last().map(|row| row.created.clone());
        let next = if is_more { last } else { self.gave_up_at };
        Page { rows: self.rows, next, total }
    }
}

async fn take(reader: &mut Reader<'_>, skip: usize, limit: usize) -> Result<Rows, StoreError> {
    let taken = reader.take(skip + limit + 1, MAX_EXAMINED).await?;
    Ok(Rows { rows: taken.rows.into_iter().skip(skip).collect(), gave_up_at: taken.gave_up_at })
}

/// The page at a place within a minute, from whichever of its ends is nearer.
async fn at(list: &Prepared<'_>, begin: Begin, limit: usize) -> Result<Rows, StoreError> {
    let Begin { minute, count, skip, rest } = begin;
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let (ahead, behind) = (size(skip), size(count - skip));
    let order = list.query.order;
    if ahead <= behind {
        let (from, to) = rest.map_or((minute.from(), minute.to()), |rest| {
            (minute.from().min(rest.from()), minute.to().max(rest.to()))
        });
        let created = CreatedRange::new(Some(from), Some(to)).unwrap_or(minute);
        let plan = list.plan(ahead + limit + 1);
        return take(&mut list.reader(&plan, Bounds::of(created), order), ahead, limit).await;
    }
    let plan = list.plan(behind.max(limit + 1));
    let mut backwards = list.reader(&plan, Bounds::of(minute), order.reversed());
    let nearer = take(&mut backwards, 0, behind.saturating_sub(1));
    let after = async {
        match rest {
            Some(rest) if behind <= limit => {
                take(&mut list.reader(&plan, Bounds::of(rest), order), 0, limit - behind).await
            }
            Some(_) | None => Ok(Rows { rows: Vec::new(), gave_up_at: None }),
        }
    };
    let (mut nearer, after) = tokio::try_join!(nearer, after)?;
    nearer.rows.reverse();
    nearer.rows.extend(after.rows);
    nearer.rows.truncate(limit + 1);
    Ok(Rows { rows: nearer.rows, gave_up_at: after.gave_up_at })
}
