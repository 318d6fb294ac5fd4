//! Offsets without walking: which minute the row at an offset is in, and how far into it.

use super::stretches::{Counted, count_segments};
use super::{Segment, Span, segments};
use crate::counts::Granularity;
use crate::domain::{CreatedRange, JobQuery, Order};
use crate::store::{Source, StoreError};

/// The place of the row at an offset, and the number of rows of the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The place where reading begins; `None`: the offset lies past the end.
    pub begin: Option<Begin>,
    /// How many rows the list has.
    pub total: u64,
}

/// The minute, or what a list's range leaves of one, that holds the row at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Its jobs.
    pub minute: CreatedRange,
    /// How many it has.
    pub count: u64,
    /// How many of them come before the row.
    pub skip: u64,
    /// The part of the list's range that comes after it.
    pub rest: Option<CreatedRange>,
}

/// Finds the row at an offset: sums buckets in the list's order until the offset falls into one, then looks closer.
pub async fn locate(source: Source<'_>, query: &JobQuery, offset: u64) -> Result<Located, StoreError> {
    let mut parts = count_segments(source, query, &segments(query.created)).await?;
    let total = parts.iter().map(|part| part.count).sum();
    let mut skip = offset;
    loop {
        let Some((part, rest)) = find(parts, query.order, skip) else {
            return Ok(Located { begin: None, total });
        };
        skip = rest;
        let Some(finer) = part.granularity.and_then(Granularity::finer) else {
            return Ok(Located { begin: Some(begin(query, &part, skip)), total });
        };
        parts = if part.parts.is_empty() {
            let segment = Segment { from: part.from, to: part.to, span: Span::Buckets(finer) };
            count_segments(source, query, &[segment]).await?
        } else {
            part.parts
        };
    }
}

/// The part that holds the row at an offset, and the offset within it.
fn find(mut parts: Vec<Counted>, order: Order, offset: u64) -> Option<(Counted, u64)> {
    if order == Order::Desc {
        parts.reverse();
    }
    let mut left = offset;
    parts.into_iter().find_map(|part| {
        if left < part.count {
            return Some((part, left));
        }
        left -= part.count;
        None
    })
}

fn begin(query: &JobQuery, part: &Counted, skip: u64) -> Begin {
    let range = query.created;
    let (from, to) = (part.from.max(range.from()), part.to.min(range.to()));
    let rest = match query.order {
        Order::Asc => (to < range.to()).then(|| (to.plus_millis(1), range.to())),
        Order::Desc => (range.from() < from).then(|| (range.from(), from.plus_millis(-1))),
    };
    let between = |(from, to)| CreatedRange::new(Some(from), Some(to));
    Begin {
        minute: between((from, to)).unwrap_or(range),
        count: part.count,
        skip,
        rest: rest.and_then(|rest| between(rest).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn an_offset_falls_into_one_part() {
        let part = |hour: i64, count| Counted {
            from: Timestamp::from_millis(hour * 3_600_000),
            to: Timestamp::from_millis(hour * 3_600_000 + 3_599_999),
            granularity: Some(Granularity::Hour),
            count,
            parts: Vec::new(),
        };
        let parts = [part(0, 3), part(1, 0), part(2, 2)];
        let check = |order, offset, expect: Option<(usize, u64)>| {
            let expect = expect.map(|(index, rest): (usize, u64)| (parts[index].clone(), rest));
            assert_eq!(find(parts.to_vec(), order, offset), expect, "{order:?} {offset}");
        };
        check(Order::Asc, 0, Some((0, 0)));
        check(Order::Asc, 2, Some((0, 2)));
        check(Order::Asc, 3, Some((2, 0)));
        check(Order::Asc, 5, None);
        check(Order::Desc, 1, Some((2, 1)));
        check(Order::Desc, 2, Some((0, 0)));
    }
}
