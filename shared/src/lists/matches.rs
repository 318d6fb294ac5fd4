//! How many jobs a list has that asks for more than the counts tell: the rows that its page has not read are counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::plan::Plan;
use super::prepared::Prepared;
use super::reader::{Left, Reader};
use super::{MAX_EXAMINED, MAX_MATCHES};
use crate::counts::{Counted, Span, count_segments, segments};
use crate::domain::{CreatedRange, Filter, JobQuery};
use crate::store::pages::fetch_count;
use crate::store::ranges::{Bounds, Range};
use crate::store::{Source, StoreError};

/// Into how many stretches of time a list is cut, to count them side by side.
const STRETCHES: u64 = 8;
/// Fewest rows that are worth a stretch of their own.
const MIN_ROWS_OF_STRETCH: u64 = 2_000;

/// How many jobs a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// So many.
    pub count: u64,
    /// Whether it may be more.
    pub is_exact: bool,
}

impl Total {
    /// No more and no fewer.
    pub const fn exact(count: u64) -> Self {
        Self { count, is_exact: true }
    }

    /// The word for it.
    pub const fn kind(self) -> &'static str {
        if self.is_exact { "exact" } else { "at_least" }
    }

    /// As many as have been seen, at least. If more have been seen than counted, the counts lag, and there may be more.
    #[must_use]
    pub fn or_seen(self, seen: u64) -> Self {
        if seen > self.count { Self { count: seen, is_exact: false } } else { self }
    }
}

/// Counts the jobs of a list with filters of which a page has been read: those that have been read, and then those `before`
/// the page and after it, until there are [`MAX_MATCHES`] or [`MAX_EXAMINED`] rows have been looked at.
pub(super) async fn matches(
    list: &Prepared<'_>,
    plan: &Plan,
    stretches: &[CreatedRange],
    page: Reader<'_>,
    before: Option<&Bounds>,
) -> Result<Total, StoreError> {
    let Left { seen, mut unread, examined } = page.left();
    if let Some(before) = before {
        unread.extend(plan.ranges.iter().map(|(range, _)| (range.clone(), before.clone())));
    }
    // A job that the search finds by its name too is in the ranges.
    let found =
        list.found.iter().filter(|found| !found.is_in_ranges && !seen.contains(&found.row.id)).count();
    let counting = Counting {
        source: list.source,
        matched: AtomicUsize::new(seen.len() + found),
        examined: AtomicUsize::new(examined),
    };
    let mut reads = Vec::new();
    for stretch in stretches {
        for (range, bounds) in &unread {
            reads.push(counting.count(range, bounds.and(&Bounds::of(*stretch))));
        }
    }
    let ended: Vec<bool> =
        stream::iter(reads).buffer_unordered(usize::try_from(STRETCHES).unwrap_or(1)).try_collect().await?;
    let count = u64::try_from(counting.matched.into_inner()).unwrap_or(u64::MAX);
    let most = u64::try_from(MAX_MATCHES).unwrap_or(u64::MAX);
    let is_exact = ended.iter().all(|ended| *ended) && count <= most;
    Ok(Total { count: if is_exact { count } else { count.min(most) }, is_exact })
}

/// The counts of several readers so far.
struct Counting<'a> {
    source: Source<'a>,
    matched: AtomicUsize,
    examined: AtomicUsize,
}

impl Counting<'_> {
    /// Counts a range to its end, unless all together have seen enough: then false.
    async fn count(&self, range: &Range, bounds: Bounds) -> Result<bool, StoreError> {
        if bounds.is_empty() {
            return Ok(true);
        }
        let mut from = None;
        loop {
            let matched = self.matched.load(Ordering::Relaxed);
            if matched > MAX_MATCHES || self.examined.load(Ordering::Relaxed) >= MAX_EXAMINED {
                return Ok(false);
            }
            let fetched = fetch_count(self.source, range, &bounds, from.as_ref()).await?;
            self.matched.fetch_add(fetched.count, Ordering::Relaxed);
            self.examined.fetch_add(fetched.examined, Ordering::Relaxed);
            from = fetched.next;
            if from.is_none() {
                return Ok(true);
            }
        }
    }
}

/// Cuts a list's time into stretches of about as many jobs each.
pub(super) async fn stretches(list: &Prepared<'_>) -> Result<Vec<CreatedRange>, StoreError> {
    let query = list.query;
    // If no range is read, there is nothing to cut.
    if query.filter.external_id.is_some() {
        return Ok(vec![query.created]);
    }
    let plain = JobQuery { filter: Filter::default(), ..query.clone() };
    let mut spans = segments(query.created);
    // The ends of the range are within a minute: not worth a read of their rows.
    spans.retain(|segment| segment.span != Span::Rows);
    let counted = count_segments(list.source, &plain, &spans).await?;
    let days = |part: Counted| if part.parts.is_empty() { vec![part] } else { part.parts };
    let parts: Vec<Counted> = counted.into_iter().flat_map(days).collect();
    let total: u64 = parts.iter().map(|part| part.count).sum();
    let size = (total / STRETCHES).max(MIN_ROWS_OF_STRETCH);
    let mut stretches = Vec::new();
    let (mut from, mut count) = (query.created.from(), 0);
    for part in &parts {
        count += part.count;
        if count >= size && part.to < query.created.to() && part.to >= from {
            stretches.extend(CreatedRange::new(Some(from), Some(part.to)));
            (from, count) = (part.to.plus_millis(1), 0);
        }
    }
    stretches.extend(CreatedRange::new(Some(from), Some(query.created.to())));
    Ok(stretches)
}
