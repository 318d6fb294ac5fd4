//! Which buckets a range of time is made of: few and long ones in the middle, and the rows of two minutes at its ends.

use crate::counts::Granularity;
use crate::domain::{CreatedRange, Timestamp};

/// A stretch of time whose jobs are counted in one way. Its first millisecond is in it, its last is `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first millisecond.
    pub from: Timestamp,
    /// The last millisecond.
    pub to: Timestamp,
    /// How it is counted.
    pub span: Span,
}

/// How the jobs of a stretch of time are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// By spans of this length, whose numbers are cells of the buckets that [`Granularity::container_of`] names.
    Buckets(Granularity),
    /// By the rows of the index: less than a minute at each end of a range.
    Rows,
}

/// The stretches that make up a range, from its beginning to its end.
pub fn segments(range: CreatedRange) -> Vec<Segment> {
    within(range.from(), range.to(), Some(Granularity::Month))
}

/// The range from the beginning of the span of a length that it begins in, to the end of the one that it ends in.
#[must_use]
pub(super) fn widened(range: CreatedRange, finest: Granularity) -> CreatedRange {
    let (from, to) = (finest.floor(range.from()), finest.end(range.to()));
    CreatedRange::new(Some(from), Some(to)).unwrap_or(range)
}

/// The stretches that make up the range, widened to whole spans of a length; months for the longest.
pub(super) fn whole_segments(range: CreatedRange, finest: Granularity) -> Vec<Segment> {
    let range = widened(range, finest);
    let mut cut = within(range.from(), range.to(), Some(Granularity::Month));
    cut.retain(|segment| segment.span != Span::Rows);
    cut
}

/// Cuts from `from` to `to`, both included, into whole spans of a length and what is left before and after them.
fn within(from: Timestamp, to: Timestamp, granularity: Option<Granularity>) -> Vec<Segment> {
    if from > to {
        return Vec::new();
    }
    let Some(granularity) = granularity else { return vec![Segment { from, to, span: Span::Rows }] };
    let begin = granularity.ceil(from);
    let end = last_whole(granularity, to);
    let finer = granularity.finer();
    match end {
        // If the calendar ends before the next span begins, `begin` is no beginning.
        Some(end) if begin <= end && granularity.floor(begin) == begin => {
            let mut cut = if from < begin { within(from, begin.plus_millis(-1), finer) } else { Vec::new() };
            cut.push(Segment { from: begin, to: end, span: Span::Buckets(granularity) });
            if end < to {
                cut.extend(within(end.plus_millis(1), to, finer));
            }
            cut
        }
        Some(_) | None => within(from, to, finer),
    }
}

/// The last millisecond of the last span that ends by `to`.
fn last_whole(granularity: Granularity, to: Timestamp) -> Option<Timestamp> {
    // The last span of the calendar ends with it: there is none after it to begin.
    if to == Timestamp::MAX {
        return Some(to);
    }
    let begin = granularity.floor(to.plus_millis(1));
    (begin > Timestamp::MIN).then(|| begin.plus_millis(-1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::counts::{Group, Place};
    use crate::domain::TypeName;

    fn cut(from: &str, to: &str) -> Vec<String> {
        let time = |text| Some(Timestamp::parse(text).unwrap());
        let range = CreatedRange::new(time(from), time(to)).unwrap();
        let name = |segment: Segment| format!("{:?} {}..{}", segment.span, segment.from, segment.to);
        segments(range).into_iter().map(name).collect()
    }

    #[test]
    fn a_long_range_is_months_with_ends() {
        assert_eq!(
            cut("2025-12-30T22:30:20Z", "2026-03-02T01:00:00.500Z"),
            [
                "Rows 2025-12-30T22:30:20.000Z..2025-12-30T22:30:59.999Z",
                "Buckets(Minute) 2025-12-30T22:31:00.000Z..2025-12-30T22:59:59.999Z",
                "Buckets(Hour) 2025-12-30T23:00:00.000Z..2025-12-30T23:59:59.999Z",
                "Buckets(Day) 2025-12-31T00:00:00.000Z..2025-12-31T23:59:59.999Z",
                "Buckets(Month) 2026-01-01T00:00:00.000Z..2026-02-28T23:59:59.999Z",
                "Buckets(Day) 2026-03-01T00:00:00.000Z..2026-03-01T23:59:59.999Z",
                "Buckets(Hour) 2026-03-02T00:00:00.000Z..2026-03-02T00:59:59.999Z",
                "Rows 2026-03-02T01:00:00.000Z..2026-03-02T01:00:00.500Z",
            ]
        );
    }

    #[test]
    fn whole_days_need_no_rows() {
        assert_eq!(
            cut("2026-01-01T00:00:00Z", "2026-01-14T23:59:59.999Z"),
            ["Buckets(Day) 2026-01-01T00:00:00.000Z..2026-01-14T23:59:59.999Z"]
        );
    }

    #[test]
    fn all_times_are_months() {
        assert_eq!(segments(CreatedRange::ALL).len(), 1);
    }

    /// Any time of the calendar, and its ends now and then.
    fn any_time() -> impl Strategy<Value = Timestamp> {
        let day = 86_400_000;
        prop_oneof![
            6 => (Timestamp::MIN.millis()..=Timestamp::MAX.millis()).prop_map(Timestamp::from_millis),
            6 => (1_700_000_000_000..1_800_000_000_000_i64).prop_map(Timestamp::from_millis),
            3 => (19_000..21_000_i64).prop_map(move |days| Timestamp::from_millis(days * day)),
            1 => Just(Timestamp::MIN),
            1 => Just(Timestamp::MAX),
        ]
    }

    proptest! {
        #[test]
        fn segments_cover_a_range_once(a in 0_i64..4_000_000_000_000, length in 0_i64..200_000_000_000) {
            let (from, to) = (Timestamp::from_millis(a), Timestamp::from_millis(a + length));
            let cut = segments(CreatedRange::new(Some(from), Some(to)).unwrap());
            prop_assert_eq!(cut.first().unwrap().from, from);
            prop_assert_eq!(cut.last().unwrap().to, to);
            for pair in cut.windows(2) {
                prop_assert_eq!(pair[0].to.plus_millis(1), pair[1].from);
            }
            prop_assert!(cut.len() <= 9);
            for segment in cut {
                if let Span::Buckets(granularity) = segment.span {
                    prop_assert_eq!(granularity.floor(segment.from), segment.from);
                    prop_assert_eq!(granularity.next(segment.to), segment.to.plus_millis(1));
                } else {
                    // Up to two parts of minutes where no whole minute lies between.
                    prop_assert!(segment.to.since(segment.from) < 120_000);
                }
            }
        }

        /// Buckets are read by their names, from the first to the last: those names must hold the times of the segment,
        /// and no others.
        #[test]
        fn each_time_is_counted_by_one_segment(
            a in any_time(), b in any_time(), times in proptest::collection::vec(any_time(), 1..20), near in -2_i64..3,
        ) {
            let (from, to) = (a.min(b), a.max(b));
            let group = Group::Type(TypeName::try_from("z:-_.").unwrap());
            let cut = segments(CreatedRange::new(Some(from), Some(to)).unwrap());
            let edges = cut.iter().flat_map(|segment| [segment.from, segment.to]).map(|time| time.plus_millis(near));
            for time in times.into_iter().chain(edges.collect::<Vec<_>>()) {
                let holding = cut.iter().filter(|segment| match segment.span {
                    Span::Rows => segment.from <= time && time <= segment.to,
                    Span::Buckets(granularity) => {
                        let name = |time| Place::new(granularity.container_of(time), group.clone()).to_string();
                        let is_read = (name(segment.from)..=name(segment.to)).contains(&name(time));
                        let start = granularity.floor(time);
                        is_read && segment.from <= start && start <= segment.to
                    }
                });
                prop_assert_eq!(holding.count(), usize::from(from <= time && time <= to), "{}", time);
            }
        }
    }
}
