//! Buckets: spans of creation time that are counted together.

use chrono::{DateTime, Datelike, Days, Months, NaiveTime, TimeDelta, Timelike, Utc};

use crate::domain::Timestamp;

/// How long a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Granularity {
    /// A calendar month of UTC.
    Month,
    /// A calendar day of UTC.
    Day,
    /// An hour.
    Hour,
    /// A minute: no bucket of its own, but cells of [`Bucket::Minutes`].
    Minute,
}

/// One item of an owner's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// All jobs.
    Total,
    /// The jobs created in the span of this length that begins then.
    Span(Granularity, Timestamp),
    /// The same jobs as of the hour that begins then, minute by minute and by nothing else: a sum over hours does not
    /// pay for minutes.
    Minutes(Timestamp),
}

impl Granularity {
    /// The lengths that have buckets, longest first.
    pub const BUCKETS: [Self; 3] = [Self::Month, Self::Day, Self::Hour];

    /// The next shorter length.
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Month => Some(Self::Day),
            Self::Day => Some(Self::Hour),
            Self::Hour => Some(Self::Minute),
            Self::Minute => None,
        }
    }

    /// The bucket that tells the span of this length that a time lies in: a month tells its days, too, and a day its
    /// hours.
    pub fn container_of(self, time: Timestamp) -> Bucket {
        match self {
            Self::Month | Self::Day => Bucket::of(Self::Month, time),
            Self::Hour => Bucket::of(Self::Day, time),
            Self::Minute => Bucket::Minutes(Self::Hour.floor(time)),
        }
    }

    /// Its name, and how many characters of a time's text name a span of it.
    const fn naming(self) -> (&'static str, usize) {
        match self {
            Self::Month => ("month", "2026-01".len()),
            Self::Day => ("day", "2026-01-11".len()),
            Self::Hour => ("hour", "2026-01-11T05".len()),
            Self::Minute => ("minute", "2026-01-11T05:59".len()),
        }
    }

    /// Which span of this length a time lies in, counted as the calendar does within the next longer one.
    pub fn slot(self, time: Timestamp) -> u8 {
        let time = time.to_chrono();
        let slot = match self {
            Self::Month => time.month(),
            Self::Day => time.day(),
            Self::Hour => time.hour(),
            Self::Minute => time.minute(),
        };
        u8::try_from(slot).unwrap_or(u8::MAX)
    }

    /// When the span of this length begins that has this slot in a longer span.
    pub(crate) fn start_of(self, container: Timestamp, slot: u8) -> Timestamp {
        let slot = i64::from(slot);
        match self {
            Self::Month => container,
            Self::Day => container.plus_hours((slot - 1) * 24),
            Self::Hour => container.plus_hours(slot),
            Self::Minute => container.plus_millis(slot * 60_000),
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
            Self::Hour => start.checked_add_signed(TimeDelta::hours(1)),
            Self::Minute => start.checked_add_signed(TimeDelta::minutes(1)),
        };
        next.unwrap_or(start).into()
    }

    /// The last millisecond of the span that a time lies in.
    pub fn end(self, time: Timestamp) -> Timestamp {
        let next = self.next(time);
        // The last span of the calendar ends with it: there is none after it to begin.
        if next < Timestamp::MAX { next.plus_millis(-1) } else { Timestamp::MAX }
    }

    /// The first beginning of a span that is not before a time.
    pub fn ceil(self, time: Timestamp) -> Timestamp {
        if self.floor(time) == time { time } else { self.next(time) }
    }

    fn floor_of(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let day = match self {
            Self::Month => time.date_naive().with_day(1).unwrap_or(time.date_naive()),
            Self::Day | Self::Hour | Self::Minute => time.date_naive(),
        };
        let (hour, minute) = match self {
            Self::Month | Self::Day => (0, 0),
            Self::Hour => (time.hour(), 0),
            Self::Minute => (time.hour(), time.minute()),
        };
        day.and_time(NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or(NaiveTime::MIN)).and_utc()
    }
}

impl Bucket {
    /// The span of this length that a time lies in.
    pub fn of(granularity: Granularity, time: Timestamp) -> Self {
        Self::Span(granularity, granularity.floor(time))
    }

    /// Its last millisecond.
    pub(super) fn end(&self) -> Timestamp {
        match self {
            Self::Total => Timestamp::MAX,
            Self::Span(granularity, start) => granularity.end(*start),
            Self::Minutes(hour) => Granularity::Hour.end(*hour),
        }
    }

    /// How long it is, and the part of a time that names it.
    pub(super) fn naming(&self) -> (&'static str, String) {
        match self {
            Self::Total => ("total", String::new()),
            Self::Span(granularity, start) => {
                let (word, length) = granularity.naming();
                (word, cut(*start, length))
            }
            Self::Minutes(hour) => (MINUTES, cut(*hour, Granularity::Hour.naming().1)),
        }
    }

    /// Reads the two back; `None` where they name no bucket.
    pub(super) fn parse(word: &str, span: &str) -> Option<Self> {
        if (word, span) == ("total", "") {
            return Some(Self::Total);
        }
        if word == MINUTES {
            let Self::Span(_, hour) = Self::parse(Granularity::Hour.naming().0, span)? else { return None };
            return Some(Self::Minutes(hour));
        }
        let granularity =
            Granularity::BUCKETS.into_iter().find(|granularity| granularity.naming().0 == word)?;
        // If a name leaves out the rest of a time, that rest is the beginning of the span.
        let rest = "0001-01-01T00:00:00.000Z".get(span.len()..)?;
        let start = Timestamp::parse(&format!("{span}{rest}")).ok()?;
        let bucket = Self::Span(granularity, start);
        (bucket.naming().1 == span).then_some(bucket)
    }
}

/// The word for the minutes of an hour.
const MINUTES: &str = "minutes";

/// The beginning of a time's text.
fn cut(time: Timestamp, length: usize) -> String {
    let text = time.to_string();
    text.get(..length).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check(
            Granularity::Minute,
            "2026-01-11T23:59:59.999Z",
            "2026-01-11T23:59:00Z",
            "2026-01-12T00:00:00Z",
        );
    }
}
