//! A page of a list, and how many jobs the whole list has.

use super::count::{Total, matches};
use super::{MAX_EXAMINED, MAX_MATCHES, found, sorted};
use crate::counts::{Begin, locate, total};
use crate::domain::{CreatedRange, JobQuery, SortBy};
use crate::store::pages::ListRow;
use crate::store::ranges::Bounds;
use crate::store::{Ledger, Source, StoreError};

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// After the row with this sort key.
    After(&'a str),
    /// After so many rows.
    Offset(u64),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Its rows.
    pub rows: Vec<ListRow>,
    /// After which sort key the list goes on; `None`: it ends here.
    pub next: Option<String>,
    /// How many rows the whole list has.
    pub total: Total,
}

/// Why a list is not answered.
#[derive(Debug)]
pub enum Refused {
    /// The store did not answer.
    Store(StoreError),
    /// An offset deeper than matches of a filter are counted.
    Deep,
    /// More matches than are sorted by something else than creation.
    Unsortable,
    /// More types within dates than are counted one by one.
    ManyTypes(usize),
}

impl std::convert::From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::convert::From<crate::store::Corrupt> for Refused {
    fn from(error: crate::store::Corrupt) -> Self {
        Self::Store(error.into())
    }
}

/// Reads a page of at most so many rows.
pub async fn list(
    ledger: &Ledger,
    query: &JobQuery,
    from: From<'_>,
    limit: usize,
) -> Result<Listing, Refused> {
    let source = ledger.source().await?;
    if query.sort != SortBy::Created {
        return sorted::list(source, query, from, limit).await;
    }
    match from {
        From::After(key) => {
            let bounds = Bounds::of(query.created).after(key, query.order);
            let reading = read(source, query, bounds, 0, limit);
            let (page, total) = tokio::try_join!(reading, count(source, query))?;
            let seen = page.seen();
            Ok(Listing { total: total.or_seen(seen), ..page.listing(limit) })
        }
        From::Offset(0) => {
            let reading = read(source, query, Bounds::of(query.created), 0, limit);
            let (page, total) = tokio::try_join!(reading, count(source, query))?;
            // A list that ends on this page has counted itself, and is not late.
            let is_whole = page.rows.len() <= limit && page.gave_up_at.is_none();
            let total = if is_whole { Total::exact(page.seen()) } else { total.or_seen(page.seen()) };
            Ok(Listing { total, ..page.listing(limit) })
        }
        From::Offset(offset) if query.filter.is_empty() => {
            let located = locate(source, query, offset).await?;
            let Some(begin) = located.begin else {
                return Ok(Listing { rows: Vec::new(), next: None, total: Total::exact(located.total) });
            };
            let page = at(source, query, begin, limit).await?;
            let seen = if page.rows.is_empty() { 0 } else { offset + page.seen() };
            Ok(Listing { total: Total::exact(located.total).or_seen(seen), ..page.listing(limit) })
        }
        From::Offset(offset) => {
            let skip = usize::try_from(offset).unwrap_or(usize::MAX);
            if skip > MAX_MATCHES {
                return Err(Refused::Deep);
            }
            let reading = read(source, query, Bounds::of(query.created), skip, limit);
            let (page, total) = tokio::try_join!(reading, count(source, query))?;
            let seen = if page.rows.is_empty() { 0 } else { offset + page.seen() };
            Ok(Listing { total: total.or_seen(seen), ..page.listing(limit) })
        }
    }
}

async fn count(source: Source<'_>, query: &JobQuery) -> Result<Total, StoreError> {
    if query.filter.is_empty() {
        Ok(Total::exact(total(source, query).await?))
    } else {
        matches(source, query).await
    }
}

/// A page, and the row after it, which tells whether more follow.
struct Rows {
    rows: Vec<ListRow>,
    gave_up_at: Option<String>,
}

impl Rows {
    fn seen(&self) -> u64 {
        u64::try_from(self.rows.len()).unwrap_or(u64::MAX)
    }

    /// The page; its total is still to be told.
    fn listing(mut self, limit: usize) -> Listing {
        let is_more = self.rows.len() > limit;
        self.rows.truncate(limit);
        let last = self.rows.last().map(|row| row.created.clone());
        let next = if is_more { last } else { self.gave_up_at };
        Listing { rows: self.rows, next, total: Total::exact(0) }
    }
}

async fn read(
    source: Source<'_>,
    query: &JobQuery,
    bounds: Bounds,
    skip: usize,
    limit: usize,
) -> Result<Rows, StoreError> {
    let wanted = skip + limit + 1;
    let mut reader = found::reader(source, query, bounds, wanted).await?;
    let taken = reader.take(wanted, MAX_EXAMINED).await?;
    Ok(Rows { rows: taken.rows.into_iter().skip(skip).collect(), gave_up_at: taken.gave_up_at })
}

/// The page at a place within a minute, from whichever of its ends is nearer.
async fn at(source: Source<'_>, query: &JobQuery, begin: Begin, limit: usize) -> Result<Rows, StoreError> {
    let Begin { minute, count, skip, rest } = begin;
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let behind = size(count - skip);
    if size(skip) <= behind {
        let (from, to) = rest.map_or((minute.from(), minute.to()), |rest| {
            (minute.from().min(rest.from()), minute.to().max(rest.to()))
        });
        let created = CreatedRange::new(Some(from), Some(to)).unwrap_or(minute);
        return read(source, query, Bounds::of(created), size(skip), limit).await;
    }
    let backwards = JobQuery { order: query.order.reversed(), ..query.clone() };
    let last = read(source, &backwards, Bounds::of(minute), 0, behind.saturating_sub(1));
    let after = async {
        match rest {
            Some(rest) if behind <= limit => read(source, query, Bounds::of(rest), 0, limit - behind).await,
            Some(_) | None => Ok(Rows { rows: Vec::new(), gave_up_at: None }),
        }
    };
    let (mut last, after) = tokio::try_join!(last, after)?;
    last.rows.reverse();
    last.rows.extend(after.rows);
    last.rows.truncate(limit + 1);
    Ok(Rows { rows: last.rows, gave_up_at: after.gave_up_at })
}
