//! Offsets without walking: which bucket the row at an offset is in, and how far into it.

use super::read::{Counted, count_segments};
use super::{Granularity, Segment, Span, segments};
use crate::domain::{CreatedRange, JobQuery, Order};
use crate::dynamo::{Config, Store, StoreError};

/// Where the row at an offset is, and how many rows the whole list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where to begin to read; `None`: the offset lies past the end.
    pub begin: Option<Begin>,
    /// How many rows the list has.
    pub total: u64,
}

/// Where to begin to read, and how many rows to pass over there: fewer than one hour has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// What is left of the list's range from there on.
    pub created: CreatedRange,
    /// Rows to pass over.
    pub skip: u64,
}

/// Finds the row at an offset: sums buckets in the list's order until the offset falls into one, then looks closer.
pub async fn locate(
    store: &Store,
    config: &Config,
    query: &JobQuery,
    offset: u64,
) -> Result<Place, StoreError> {
    let mut parts = count_segments(store, config, query, &segments(query.created)).await?;
    let total = parts.iter().map(|part| part.count).sum();
    let mut skip = offset;
    loop {
        let Some((part, rest)) = find(&parts, query.order, skip) else {
            return Ok(Place { begin: None, total });
        };
        skip = rest;
        let finer = part.granularity.and_then(Granularity::finer);
        let Some(finer) = finer else {
            return Ok(Place { begin: Some(Begin { created: from_part(query, &part), skip }), total });
        };
        let segment = Segment { from: part.from, to: part.to, span: Span::Buckets(finer) };
        parts = count_segments(store, config, query, &[segment]).await?;
    }
}

/// The part that holds the row at an offset, and the offset within it.
fn find(parts: &[Counted], order: Order, offset: u64) -> Option<(Counted, u64)> {
    let mut left = offset;
    let mut in_order: Box<dyn Iterator<Item = &Counted>> = match order {
        Order::Asc => Box::new(parts.iter()),
        Order::Desc => Box::new(parts.iter().rev()),
    };
    in_order.find_map(|part| {
        if left < part.count {
            return Some((*part, left));
        }
        left -= part.count;
        None
    })
}

/// The query's range without what comes before this part.
fn from_part(query: &JobQuery, part: &Counted) -> CreatedRange {
    let range = query.created;
    let (from, to) = match query.order {
        Order::Asc => (part.from.max(range.from()), range.to()),
        Order::Desc => (range.from(), part.to.min(range.to())),
    };
    CreatedRange::new(Some(from), Some(to)).unwrap_or(range)
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
        };
        let parts = [part(0, 3), part(1, 0), part(2, 2)];
        let check = |order, offset, expect: Option<(usize, u64)>| {
            let expect = expect.map(|(index, rest)| (parts[index], rest));
            assert_eq!(find(&parts, order, offset), expect, "{order:?} {offset}");
        };
        check(Order::Asc, 0, Some((0, 0)));
        check(Order::Asc, 2, Some((0, 2)));
        check(Order::Asc, 3, Some((2, 0)));
        check(Order::Asc, 5, None);
        check(Order::Desc, 1, Some((2, 1)));
        check(Order::Desc, 2, Some((0, 0)));
    }
}
