//! Buckets: spans of creation time that are counted together, and their names.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveTime, TimeDelta, Timelike, Utc};

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
    /// The same jobs as of the hour that begins then, minute by minute and by nothing else: what is summed up over hours
    /// does not pay for minutes.
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

    /// How long it is, and the part of a time that names it.
    fn naming(&self) -> (&'static str, String) {
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
    fn parse(word: &str, span: &str) -> Option<Self> {
        if (word, span) == ("total", "") {
            return Some(Self::Total);
        }
        if word == MINUTES {
            let Self::Span(_, hour) = Self::parse(Granularity::Hour.naming().0, span)? else { return None };
            return Some(Self::Minutes(hour));
        }
        let granularity =
            Granularity::BUCKETS.into_iter().find(|granularity| granularity.naming().0 == word)?;
        // What a name leaves out of a time is the beginning of the span.
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

/// Which jobs of a bucket an item of it counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// All.
    All,
    /// Those of a type.
    Type(TypeName),
    /// Those with this value of a label, or without that label: what they cost.
    Label(CostBy, Option<String>),
}

/// A label by which costs are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostBy {
    /// `model`.
    Model,
    /// `team`.
    Team,
}

impl CostBy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Model, Self::Team];

    /// The label's name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Team => "team",
        }
    }
}

/// The name of an item of `tallies`, within its scope.
///
/// | item | name |
/// |---|---|
/// | all jobs of a bucket | `total`, `day#2026-01-11`, `minutes#2026-01-11T05` |
/// | a type's | `total@scrape`, `day@scrape#2026-01-11` |
/// | a label's costs | `model-month#2026-01#gpt-4`, `team-month#2026-01#` (without the label) |
///
/// So one range holds a type's buckets of a length, and another one all models of a few months.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which span.
    pub bucket: Bucket,
    /// Which jobs of it.
    pub group: Group,
}

impl Place {
    /// The item of these jobs in this bucket.
    pub const fn new(bucket: Bucket, group: Group) -> Self {
        Self { bucket, group }
    }

    /// Reads a name back; `None` where it names no item of a bucket.
    pub fn parse(name: &str) -> Option<Self> {
        for by in CostBy::ALL {
            let Some(rest) = name.strip_prefix(by.label()).and_then(|rest| rest.strip_prefix('-')) else {
                continue;
            };
            let (word, rest) = rest.split_once('#')?;
            let (span, value) = if word == "total" { ("", rest) } else { rest.split_once('#')? };
            let value = (!value.is_empty()).then(|| value.to_owned());
            return Some(Self::new(Bucket::parse(word, span)?, Group::Label(by, value)));
        }
        let (word, span) = name.split_once('#').unwrap_or((name, ""));
        let (word, group) = match word.split_once('@') {
            Some((word, kind)) => (word, Group::Type(TypeName::try_from(kind).ok()?)),
            None => (word, Group::All),
        };
        let place = Self::new(Bucket::parse(word, span)?, group);
        (place.to_string() == name).then_some(place)
    }

    /// The names between which the total of all jobs and those of every type lie, and nothing else: `A` follows `@`.
    pub fn totals() -> (String, String) {
        ("total".to_owned(), "totalA".to_owned())
    }

    /// The names between which all values of a label lie in the months from one to another: `$` follows `#`.
    pub fn labels(by: CostBy, from: Timestamp, to: Timestamp) -> (String, String) {
        let name = |time| Self::new(Bucket::of(Granularity::Month, time), Group::Label(by, None)).to_string();
        (name(from), format!("{}$", name(to).trim_end_matches('#')))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, span) = self.bucket.naming();
        let hash = if span.is_empty() { "" } else { "#" };
        match &self.group {
            Group::All => write!(f, "{word}{hash}{span}"),
            Group::Type(kind) => write!(f, "{word}@{kind}{hash}{span}"),
            Group::Label(by, value) => {
                write!(f, "{}-{word}{hash}{span}#{}", by.label(), value.as_deref().unwrap_or(""))
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
        let kind = || Group::Type(TypeName::try_from("a:b.c").unwrap());
        let model = || Group::Label(CostBy::Model, Some("x#y-z@".to_owned()));
        let team = || Group::Label(CostBy::Team, None);
        let hour = Bucket::of(Granularity::Hour, time);
        let day = Bucket::of(Granularity::Day, time);
        for (bucket, group, name) in [
            (Bucket::Total, Group::All, "total"),
            (Bucket::of(Granularity::Month, time), Group::All, "month#2026-01"),
            (day, Group::All, "day#2026-01-11"),
            (hour, Group::All, "hour#2026-01-11T05"),
            (Bucket::Total, kind(), "total@a:b.c"),
            (hour, kind(), "hour@a:b.c#2026-01-11T05"),
            (Granularity::Minute.container_of(time), Group::All, "minutes#2026-01-11T05"),
            (Granularity::Minute.container_of(time), kind(), "minutes@a:b.c#2026-01-11T05"),
            (Bucket::of(Granularity::Month, time), model(), "model-month#2026-01#x#y-z@"),
            (Bucket::of(Granularity::Month, time), team(), "team-month#2026-01#"),
        ] {
            let place = Place::new(bucket, group);
            assert_eq!(place.to_string(), name);
            assert_eq!(Place::parse(name), Some(place.clone()));
            if let Group::Label(by, _) = place.group {
                let (first, last) = Place::labels(by, time, time);
                assert!(first.as_str() <= name && name <= last.as_str(), "{name}");
            }
        }
        for bad in [
            "",
            "hour#2026-01-11",
            "month#2026-13",
            "checkpoint#x",
            "day#2026-02-30",
            "minute#2026-01-11T05:59",
            "total#",
            "total@",
            "model-",
            "model-day#x",
            "owner",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
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
        check(
            Granularity::Minute,
            "2026-01-11T23:59:59.999Z",
            "2026-01-11T23:59:00Z",
            "2026-01-12T00:00:00Z",
        );
    }
}
