//! Buckets: spans of creation time that are counted together, and their names.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveTime, Timelike, Utc};

use crate::domain::{Timestamp, TypeName};

/// How long a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Granularity {
    /// A calendar month of UTC.
    Month,
    /// A calendar day of UTC.
    Day,
    /// An hour.
    Hour,
}

/// One item of an owner's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// All jobs.
    Total,
    /// The jobs created in the span of this length that begins then.
    Span(Granularity, Timestamp),
}

impl Granularity {
    /// Every length, longest first.
    pub const ALL: [Self; 3] = [Self::Month, Self::Day, Self::Hour];

    /// The next shorter length.
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Month => Some(Self::Day),
            Self::Day => Some(Self::Hour),
            Self::Hour => None,
        }
    }

    /// Its name, and how many characters of a time's text name a span of it.
    const fn naming(self) -> (&'static str, usize) {
        match self {
            Self::Month => ("month#", "2026-01".len()),
            Self::Day => ("day#", "2026-01-11".len()),
            Self::Hour => ("hour#", "2026-01-11T05".len()),
        }
    }

    /// The beginning of the span that a time lies in.
    pub fn floor(self, time: Timestamp) -> Timestamp {
        self.floor_of(time.to_chrono()).into()
    }

    /// The beginning of the span after the one that a time lies in.
    pub fn next(self, time: Timestamp) -> Timestamp {
        let start = self.floor_of(time.to_chrono());
        let next = match self {
            Self::Month => start.checked_add_months(Months::new(1)),
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Hour => start.checked_add_signed(chrono::TimeDelta::hours(1)),
        };
        next.unwrap_or(start).into()
    }

    /// The first beginning of a span that is not before a time.
    pub fn ceil(self, time: Timestamp) -> Timestamp {
        if self.floor(time) == time { time } else { self.next(time) }
    }

    fn floor_of(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let day = match self {
            Self::Month => time.date_naive().with_day(1).unwrap_or(time.date_naive()),
            Self::Day | Self::Hour => time.date_naive(),
        };
        let hour = match self {
            Self::Month | Self::Day => 0,
            Self::Hour => time.hour(),
        };
        day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or(NaiveTime::MIN)).and_utc()
    }
}

impl Bucket {
    /// The span of this length that a time lies in.
    pub fn of(granularity: Granularity, time: Timestamp) -> Self {
        Self::Span(granularity, granularity.floor(time))
    }

    /// Reads a name back; `None` where it names no bucket.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "total" {
            return Some(Self::Total);
        }
        Granularity::ALL.into_iter().find_map(|granularity| {
            let span = name.strip_prefix(granularity.naming().0)?;
            // What a name leaves out of a time is the beginning of the span.
            let rest = "0001-01-01T00:00:00.000Z".get(span.len()..)?;
            let start = Timestamp::parse(&format!("{span}{rest}")).ok()?;
            let bucket = Self::Span(granularity, start);
            (bucket.to_string() == name).then_some(bucket)
        })
    }
}

/// Parts a bucket's name from the type that an item is for. No bucket's own name ends in a word with it.
const TYPE: char = '#';

impl Bucket {
    /// The name of the item that holds one type's numbers.
    pub fn item(&self, kind: &TypeName) -> String {
        format!("{self}{TYPE}{kind}")
    }

    /// Reads the name of an item back.
    pub fn parse_item(name: &str) -> Option<(Self, TypeName)> {
        let (bucket, kind) = name.rsplit_once(TYPE)?;
        Some((Self::parse(bucket)?, TypeName::try_from(kind).ok()?))
    }

    /// The names between which all items of the buckets from this one to another lie: `$` follows `#`.
    pub fn items_to(&self, last: &Self) -> (String, String) {
        (format!("{self}{TYPE}"), format!("{last}$"))
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => f.write_str("total"),
            Self::Span(granularity, start) => {
                let (prefix, length) = granularity.naming();
                let text = start.to_string();
                write!(f, "{prefix}{}", text.get(..length).unwrap_or(&text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let time = Timestamp::parse("2026-01-11T05:59:59.999Z").unwrap();
        let names: Vec<_> =
            Granularity::ALL.map(|granularity| Bucket::of(granularity, time).to_string()).into();
        assert_eq!(names, ["month#2026-01", "day#2026-01-11", "hour#2026-01-11T05"]);
        for name in names.iter().map(String::as_str).chain(["total"]) {
            let bucket = Bucket::parse(name).unwrap();
            assert_eq!(bucket.to_string(), name);
            let kind = TypeName::try_from("a:b.c").unwrap();
            let item = bucket.item(&kind);
            let (first, last) = bucket.items_to(&bucket);
            assert!(first <= item && item <= last);
            assert_eq!(Bucket::parse_item(&item), Some((bucket, kind)));
        }
        for bad in ["", "hour#2026-01-11", "month#2026-13", "checkpoint#x", "day#2026-02-30"] {
            assert_eq!(Bucket::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_begin_and_end_where_the_calendar_says() {
        let time = |text| Timestamp::parse(text).unwrap();
        let check = |granularity: Granularity, at, floor, next| {
            assert_eq!(granularity.floor(time(at)), time(floor));
            assert_eq!(granularity.next(time(at)), time(next));
            assert_eq!(granularity.ceil(time(floor)), time(floor));
        };
        check(Granularity::Month, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(Granularity::Day, "2026-12-31T23:59:59.999Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z");
        check(Granularity::Hour, "2026-01-11T23:00:00Z", "2026-01-11T23:00:00Z", "2026-01-12T00:00:00Z");
    }
}
