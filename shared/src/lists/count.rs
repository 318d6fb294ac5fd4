//! How many jobs a list has that asks for more than buckets tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::plan::plan;
use super::{MAX_EXAMINED, MAX_MATCHES, Refused, found};
use crate::counts::{
    Breakdown, Counted, MAX_TYPES_WITHIN_DATES, StatusCounts, breakdown, count_segments, segments,
};
use crate::domain::{CreatedRange, Filter, JobQuery, TypeName};
use crate::store::pages::fetch;
use crate::store::ranges::{Bounds, Range};
use crate::store::{Ledger, Source, StoreError, job_of_row};

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

    /// As many as have been seen, at least: buckets may lag.
    #[must_use]
    pub fn or_seen(self, seen: u64) -> Self {
        Self { count: self.count.max(seen), ..self }
    }
}

/// Counts the jobs of a list with filters, until there are [`MAX_MATCHES`] or [`MAX_EXAMINED`] rows have been looked at.
pub(super) async fn matches(source: Source<'_>, query: &JobQuery) -> Result<Total, StoreError> {
    let by_id = found::by_id(source, query).await?;
    if query.filter.external_id.is_some() {
        return Ok(Total::exact(u64::try_from(by_id.len()).unwrap_or(0)));
    }
    // What the search finds by an id and by the name, the ranges count already.
    let mut more = 0;
    for row in by_id {
        let job = job_of_row(row.item)?;
        more += u64::from(query.filter.search.as_ref().is_some_and(|search| !search.finds_by_name(&job)));
    }
    let (plan, stretches) = tokio::try_join!(plan(source, query, usize::MAX), stretches(source, query))?;
    let counting = Counting { source, matched: AtomicUsize::new(0), examined: AtomicUsize::new(0) };
    let mut reads = Vec::new();
    for stretch in &stretches {
        for (range, _) in &plan.ranges {
            reads.push(counting.count(range, Bounds::of(*stretch)));
        }
    }
    let ended: Vec<bool> =
        stream::iter(reads).buffer_unordered(usize::try_from(STRETCHES).unwrap_or(1)).try_collect().await?;
    let count = u64::try_from(counting.matched.into_inner()).unwrap_or(u64::MAX) + more;
    let most = u64::try_from(MAX_MATCHES).unwrap_or(u64::MAX);
    let is_exact = ended.iter().all(|ended| *ended) && count <= most;
    Ok(Total { count: if is_exact { count } else { count.min(most) }, is_exact })
}

/// What several readers have found so far.
struct Counting<'a> {
    source: Source<'a>,
    matched: AtomicUsize,
    examined: AtomicUsize,
}

impl Counting<'_> {
    /// Counts a range to its end, unless all together have seen enough: then false.
    async fn count(&self, range: &Range, bounds: Bounds) -> Result<bool, StoreError> {
        let mut from = None;
        loop {
            let matched = self.matched.load(Ordering::Relaxed);
            if matched > MAX_MATCHES || self.examined.load(Ordering::Relaxed) >= MAX_EXAMINED {
                return Ok(false);
            }
            let plan = range.count(self.source.tables, &bounds);
            let fetched = fetch(self.source.store, plan, from.as_ref()).await?;
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
async fn stretches(source: Source<'_>, query: &JobQuery) -> Result<Vec<CreatedRange>, StoreError> {
    let plain = JobQuery { filter: Filter::default(), ..query.clone() };
    let counted = count_segments(source, &plain, &segments(query.created)).await?;
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

/// The numbers of a list, without a page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: Total,
    /// Of each status.
    pub by_status: StatusCounts,
    /// Of each type that has any.
    pub by_type: BTreeMap<TypeName, u64>,
}

/// How many jobs a list has, by status and by type.
pub async fn counts(ledger: &Ledger, query: &JobQuery) -> Result<Counts, Refused> {
    let source = ledger.source().await?;
    let mut types: BTreeMap<TypeName, StatusCounts> = BTreeMap::new();
    let mut is_exact = true;
    if query.filter.is_empty() {
        match breakdown(source, query).await? {
            Breakdown::Of(counted) => types = counted,
            Breakdown::TooManyTypes => return Err(Refused::ManyTypes(MAX_TYPES_WITHIN_DATES)),
        }
    } else {
        let mut reader = found::reader(source, query, Bounds::of(query.created), MAX_MATCHES).await?;
        let taken = reader.take(MAX_MATCHES + 1, MAX_EXAMINED).await?;
        is_exact = taken.rows.len() <= MAX_MATCHES && taken.gave_up_at.is_none();
        for row in taken.rows.into_iter().take(MAX_MATCHES) {
            let job = job_of_row(row.item)?;
            let status = job.status();
            types.entry(job.kind).or_default().add_one(status, 1);
        }
    }
    let by_status = types.values().fold(StatusCounts::default(), StatusCounts::plus);
    let by_type = types.into_iter().map(|(kind, counts)| (kind, counts.total()));
    Ok(Counts {
        total: Total { count: by_status.total(), is_exact },
        by_status,
        by_type: by_type.filter(|(_, count)| *count > 0).collect(),
    })
}
