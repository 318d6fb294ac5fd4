//! Several sorted ranges, read as one list: each only as far as its turn comes.

use std::collections::{HashSet, VecDeque};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::plan::Plan;
use crate::domain::{JobId, Order};
use crate::store::pages::{Fetched, ListRow, Next, READS_AT_ONCE, fetch_rows};
use crate::store::ranges::{Bounds, Range};
use crate::store::{Source, StoreError};

/// Most rows that are asked for at once; an answer ends at 1 MB anyway.
const MAX_ROWS_AT_ONCE: u64 = 2_000;
/// Fewest rows that are looked at where it is not known how many will do.
const FEWEST_FILTERED: u64 = 200;

/// A list, from some place on.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    source: Source<'a>,
    bounds: Bounds,
    order: Order,
    feeds: Vec<Feed>,
    shares: u64,
    /// How many rows have to be looked at for 1,024 that are wanted; `None`: nobody knows.
    per_1024: Option<u64>,
    seen: HashSet<JobId>,
    /// How many rows have been looked at.
    examined: usize,
}

/// One range, as far as it has been read.
#[derive(Debug)]
struct Feed {
    /// `None`: the rows were found otherwise.
    range: Option<Range>,
    share: u64,
    /// Read, and not yet taken.
    rows: VecDeque<ListRow>,
    next: Option<Next>,
    is_done: bool,
    reads: u32,
}

/// The rest of a list, if rows were taken from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// The jobs whose rows have been read, taken or not. Those that were found otherwise are among them if they were taken.
    pub(super) seen: HashSet<JobId>,
    /// The unread part of each range.
    pub(super) unread: Vec<(Range, Bounds)>,
    /// How many rows have been looked at.
    pub(super) examined: usize,
}

/// The rows that were taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) rows: Vec<ListRow>,
    /// The place where the list goes on, if that is known to be after the last of these rows: so many had to be looked
    /// at that the reader gave up.
    pub(super) gave_up_at: Option<String>,
}

impl<'a> Reader<'a> {
    /// The list of these ranges within bounds, together with rows that were found otherwise.
    pub(super) fn new(
        source: Source<'a>,
        plan: &Plan,
        bounds: Bounds,
        order: Order,
        found: Vec<ListRow>,
    ) -> Self {
        let per_1024 = plan.per_1024();
        let is_empty = bounds.is_empty();
        let mut feeds: Vec<Feed> =
            plan.ranges.iter().map(|(range, share)| Feed::of(range.clone(), *share, is_empty)).collect();
        let shares = feeds.iter().map(|feed| feed.share).sum();
        let mut found: Vec<ListRow> = found.into_iter().filter(|row| bounds.hold(&row.created)).collect();
        found.sort_by(|a, b| order.compare(&a.created, &b.created));
        feeds.push(Feed { range: None, share: 0, rows: found.into(), next: None, is_done: true, reads: 0 });
        Self { source, bounds, order, feeds, shares, per_1024, seen: HashSet::new(), examined: 0 }
    }

    /// Takes the next rows, at most `wanted`; gives up once `most` have been looked at in all.
    pub(super) async fn take(&mut self, wanted: usize, most: usize) -> Result<Taken, StoreError> {
        let mut rows = Vec::with_capacity(wanted.min(1_024));
        while rows.len() < wanted {
            if self.feeds.iter().any(Feed::is_hungry) {
                if self.examined >= most {
                    let position = self.position();
                    self.take_up_to(position.as_deref(), wanted, &mut rows);
                    let is_whole = rows.len() == wanted;
                    return Ok(Taken { rows, gave_up_at: if is_whole { None } else { position } });
                }
                self.feed(wanted - rows.len()).await?;
                continue;
            }
            let Some(row) = self.pop() else { break };
            if self.seen.insert(row.id) {
                rows.push(row);
            }
        }
        Ok(Taken { rows, gave_up_at: None })
    }

    /// The rest of the list once rows have been taken.
    pub(super) fn left(self) -> Left {
        let (mut seen, mut unread) = (self.seen, Vec::new());
        for feed in self.feeds {
            let Some(range) = feed.range else { continue };
            seen.extend(feed.rows.into_iter().map(|row| row.id));
            if !feed.is_done {
                let bounds = self.bounds.clone();
                let bounds = match feed.next {
                    Some(next) => bounds.after(&next.created, self.order),
                    None => bounds,
                };
                unread.push((range, bounds));
            }
        }
        Left { seen, unread, examined: self.examined }
    }

    /// Reads on in every range whose rows have been taken, side by side.
    async fn feed(&mut self, wanted: usize) -> Result<(), StoreError> {
        let (source, order) = (self.source, self.order);
        let mut reads = Vec::new();
        for (index, feed) in self.feeds.iter().enumerate().filter(|(_, feed)| feed.is_hungry()) {
            let Some(range) = &feed.range else { continue };
            let limit = Some(i32::try_from(self.appetite(feed, wanted)).unwrap_or(i32::MAX));
            let within = (&self.bounds, order);
            reads.push(async move {
                let fetched = fetch_rows(source, range, within, limit, feed.next.as_ref()).await?;
                Ok::<_, StoreError>((index, fetched))
            });
        }
        let fetched: Vec<(usize, Fetched)> =
            stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        for (index, fetched) in fetched {
            self.examined += fetched.examined;
            let feed = &mut self.feeds[index];
            feed.rows.extend(fetched.rows);
            feed.is_done = fetched.next.is_none();
            feed.next = fetched.next;
            feed.reads += 1;
        }
        Ok(())
    }

    /// How many rows of a range to look at next: its share of what is wanted, and some more, so that one read will
    /// mostly do; twice as many each time that it did not.
    fn appetite(&self, feed: &Feed, wanted: usize) -> u64 {
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).min(MAX_ROWS_AT_ONCE);
        let is_alone = self.feeds.len() == 2;
        let is_filtered = feed.range.as_ref().is_some_and(Range::is_filtered);
        let passes_all = !is_filtered || self.per_1024 == Some(1_024);
        if is_alone && passes_all {
            return wanted;
        }
        let per_1024 = if is_filtered { self.per_1024 } else { Some(1_024) };
        let all =
            per_1024.map_or(FEWEST_FILTERED.max(wanted), |per_1024| (wanted * per_1024).div_ceil(1_024));
        let part = if is_alone || self.shares == 0 { all } else { (all * feed.share).div_ceil(self.shares) };
        let more = (part + 2 * part.isqrt() + 2).saturating_mul(1 << feed.reads.min(10));
        // Of a range that lets every row pass, no more than that can be needed.
        more.clamp(1, if passes_all { wanted } else { MAX_ROWS_AT_ONCE })
    }

    /// Takes the row that comes first in all ranges.
    fn pop(&mut self) -> Option<ListRow> {
        let order = self.order;
        let fronts =
            self.feeds.iter().enumerate().filter_map(|(index, feed)| Some((index, feed.rows.front()?)));
        let (index, _) = fronts.min_by(|(_, a), (_, b)| order.compare(&a.created, &b.created))?;
        self.feeds[index].rows.pop_front()
    }

    /// How far every range has been looked at.
    fn position(&self) -> Option<String> {
        let open = self.feeds.iter().filter(|feed| !feed.is_done);
        let looked_at = open.map(|feed| feed.next.as_ref().map(|next| next.created.clone()));
        looked_at.min_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => self.order.compare(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        })?
    }

    fn take_up_to(&mut self, position: Option<&str>, wanted: usize, rows: &mut Vec<ListRow>) {
        let Some(position) = position else { return };
        while rows.len() < wanted {
            match self.pop() {
                Some(row) if self.order.compare(&row.created, position).is_le() => {
                    if self.seen.insert(row.id) {
                        rows.push(row);
                    }
                }
                Some(_) | None => return,
            }
        }
    }
}

impl Feed {
    fn of(range: Range, share: u64, is_done: bool) -> Self {
        // None is without a share: the counts may lag.
        Self { range: Some(range), share: share.max(1), rows: VecDeque::new(), next: None, is_done, reads: 0 }
    }

    /// Whether nothing can be said about the list before this range is read on.
    fn is_hungry(&self) -> bool {
        self.rows.is_empty() && !self.is_done
    }
}
