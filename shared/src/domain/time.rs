//! Points in time: UTC, whole milliseconds, always written in the same 24 characters.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};
use serde::{Serialize, Serializer};

use super::Invalid;

const HOUR_MS: i64 = 3_600_000;

/// A point in time between the years 1 and 9999, in whole milliseconds of UTC.
///
/// Its text has always 24 characters (`2026-01-11T05:00:00.000Z`), so texts sort as times do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first millisecond of the year 1.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// The last millisecond of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since 1970; a time outside the range is moved to its end.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded up: DynamoDB's time-to-live takes these.
    pub const fn seconds_ceil(self) -> i64 {
        -(-self.0).div_euclid(1000)
    }

    /// So many hours later.
    #[must_use]
    pub const fn plus_hours(self, hours: i64) -> Self {
        self.plus_millis(hours.saturating_mul(HOUR_MS))
    }

    /// So many milliseconds later; earlier, where negative.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this; never less than 0.
    pub const fn since(self, earlier: Self) -> u64 {
        let span = self.0 - earlier.0;
        if span < 0 { 0 } else { span.unsigned_abs() }
    }

    /// An RFC 3339 date and time with any offset. Digits beyond milliseconds are cut off.
    ///
    /// A leap second, which only the last minute of a UTC day can have, is the first one of the next day: that is how
    /// clocks that know none count it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| no_time(text))?.with_timezone(&Utc);
        let is_leap = time.nanosecond() >= 1_000_000_000;
        if !text.is_ascii() || !(1..=9999).contains(&time.year()) {
            return Err(no_time(text));
        }
        if is_leap && (time.hour(), time.minute()) != (23, 59) {
            return Err(Invalid::new("has a second 60, which only the last minute of a UTC day can have"));
        }
        Ok(time.into())
    }

    /// The day of the calendar, as `2026-01-11`.
    pub fn day(self) -> String {
        self.to_chrono().format("%Y-%m-%d").to_string()
    }

    /// The same point in time as chrono's type.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

/// The error in a text that is only a number: whether it has seconds or milliseconds, and since when, it does not say. The
/// error shows the time that was probably meant.
fn no_number(text: &str) -> Option<Invalid> {
    let number: i64 = text.parse().ok()?;
    let meant = match text.len() {
        9..=10 => Timestamp::from_millis(number * 1_000).to_string(),
        12..=13 => Timestamp::from_millis(number).to_string(),
        _ => "2026-01-11T05:00:00.000Z".to_owned(),
    };
    Some(Invalid(format!("must be no number: write a time such as {meant}")))
}

/// The error in a text that is no time, as far as that can be told.
fn no_time(text: &str) -> Invalid {
    if let Some(invalid) = no_number(text) {
        return invalid;
    }
    let zoned = |offset: &str| DateTime::parse_from_rfc3339(&format!("{text}{offset}")).is_ok();
    Invalid::new(if zoned("Z") {
        // Its reader's zone and its writer's may differ, and nothing would tell.
        "must say its offset from UTC: end it with Z, or with the like of +05:30"
    } else if zoned("T00:00:00Z") {
        "must be a time of that day, such as 2026-01-11T05:00:00.000Z"
    } else {
        "must be an RFC 3339 time, such as 2026-01-11T05:00:00.000Z"
    })
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A lower bound: a time, or a date that means its first millisecond.
pub fn parse_bound_start(text: &str) -> Result<Timestamp, Invalid> {
    parse_bound(text, 0)
}

/// An upper bound: a time, or a date that means its last millisecond.
pub fn parse_bound_end(text: &str) -> Result<Timestamp, Invalid> {
    parse_bound(text, 24 * HOUR_MS - 1)
}

fn parse_bound(text: &str, into_day_ms: i64) -> Result<Timestamp, Invalid> {
    if let Some(invalid) = no_number(text) {
        return Err(invalid);
    }
    if text.len() != "2026-01-14".len() {
        return Timestamp::parse(text).map_err(|_| {
            Invalid::new("must be a date (2026-01-14) or an RFC 3339 time (2026-01-14T05:00:00.000Z)")
        });
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| Invalid::new("must be a date of the calendar, such as 2026-01-14"))?;
    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
    Ok(Timestamp::from(midnight).plus_millis(into_day_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(Timestamp::parse(text).ok().map(|time| time.to_string()).as_deref(), expect, "{text}");
    }

    #[test]
    fn times_of_any_offset_become_utc_milliseconds() {
        check("2026-01-11T05:00:00Z", Some("2026-01-11T05:00:00.000Z"));
        check("2026-01-11T05:00:00.123456Z", Some("2026-01-11T05:00:00.123Z"));
        check("2026-01-11T07:30:00+02:30", Some("2026-01-11T05:00:00.000Z"));
        check("2026-01-11 05:00:00Z", Some("2026-01-11T05:00:00.000Z"));
        check("1993-10-01T07:00:03Z", Some("1993-10-01T07:00:03.000Z"));
        // Offsets of less than an hour, of more than half a day, and the one that says that nobody knows it.
        check("2026-01-11T05:00:00+05:45", Some("2026-01-10T23:15:00.000Z"));
        check("2026-01-11T05:00:00-03:30", Some("2026-01-11T08:30:00.000Z"));
        check("2026-01-11T05:00:00+14:00", Some("2026-01-10T15:00:00.000Z"));
        check("2026-01-11T05:00:00-00:00", Some("2026-01-11T05:00:00.000Z"));
        // Small letters are as good (RFC 3339, 5.6).
        check("2026-01-11t05:00:00z", Some("2026-01-11T05:00:00.000Z"));
        check("2026-01-11T05:00:00.9999999999999Z", Some("2026-01-11T05:00:00.999Z"));
        check("2024-02-29T00:00:00Z", Some("2024-02-29T00:00:00.000Z"));
    }

    #[test]
    fn a_leap_second_is_the_first_of_the_next_day() {
        check("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00.000Z"));
        check("2016-12-31T23:59:60.5Z", Some("2017-01-01T00:00:00.500Z"));
        check("2017-01-01T05:29:60+05:30", Some("2017-01-01T00:00:00.000Z"));
        check("9999-12-31T23:59:60Z", Some("9999-12-31T23:59:59.999Z"));
        for text in ["2016-12-31T12:00:60Z", "2016-12-31T23:59:60+01:00", "2016-12-31T23:59:61Z"] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_wrong_with_a_time_is_told() {
        for (text, remedy) in [
            ("2026-01-11T05:00:00", "offset"),
            ("2026-01-11 05:00:00.5", "offset"),
            ("2026-01-11", "time of that day"),
            ("2026-02-30", "RFC 3339"),
            ("2026-02-30T05:00:00", "RFC 3339"),
            ("2016-12-31T12:00:60Z", "second 60"),
            ("1764500000", "write a time such as 2025-11-30T10:53:20.000Z"),
            ("1764500000123", "write a time such as 2025-11-30T10:53:20.123Z"),
            ("20260111", "write a time such as 2026-01-11T05:00:00.000Z"),
        ] {
            let Invalid(message) = Timestamp::parse(text).unwrap_err();
            assert!(message.contains(remedy), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026-01-11",
            "2026-01-11T05:00:00",
            "2026-02-30T00:00:00Z",
            "2026-01-11T25:00:00Z",
            "+12026-01-11T05:00:00Z",
            "0000-01-11T05:00:00Z",
            "1768107600",
            "2026-1-1T05:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-11T24:00:00Z",
            "2026-01-11T05:60:00Z",
            "2026-01-11T05:00Z",
            "2026-01-11T05:00:00+24:00",
            "2026-01-11T05:00:00+05:60",
            "2026-01-11T05:00:00+0545",
            "2026-01-11T05:00:00+05",
            "2026-01-11T05:00:00\u{2212}05:00",
            "2026-01-11T05:00:00 Z",
            "2026-01-11T05:00:00,5Z",
            "2026-01-11T05:00:00.Z",
            " 2026-01-11T05:00:00Z",
            "2026-01-11T05:00:00Z ",
            "2026-01-11T05:00:00Z\u{feff}",
            "2026-01-11T05:00:00 CET",
            "٢٠٢٦-01-11T05:00:00Z",
            "-001-01-11T05:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01T00:00:00Z",
            "20260111T050000Z",
            "2026-W02-7T05:00:00Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_date_bounds_its_whole_day() {
        assert_eq!(parse_bound_start("2026-01-14").unwrap().to_string(), "2026-01-14T00:00:00.000Z");
        assert_eq!(parse_bound_end("2026-01-14").unwrap().to_string(), "2026-01-14T23:59:59.999Z");
        for bound in [parse_bound_start, parse_bound_end] {
            let Err(Invalid(message)) = bound("1764500000") else { panic!("a number is no bound") };
            assert_eq!(message, "must be no number: write a time such as 2025-11-30T10:53:20.000Z");
        }
        for text in ["2026-02-30", "2026-13-01", "2026/01/14", "14-01-2026", "0000-01-01", "2026-01-1 "] {
            assert!(parse_bound_start(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_to_live_never_ends_early() {
        assert_eq!(Timestamp::from_millis(1_001).seconds_ceil(), 2);
        assert_eq!(Timestamp::from_millis(2_000).seconds_ceil(), 2);
        assert_eq!(Timestamp::from_millis(-1_500).seconds_ceil(), -1);
    }
}
