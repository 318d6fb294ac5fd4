//! Places: which jobs of a bucket an item counts, or which records, and what it is called.

use std::fmt;

use super::{Bucket, Granularity};
use crate::domain::{FailureGroup, RecordKind, RecordStatus, Timestamp, TypeName};

/// Which jobs of a bucket an item of it counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// All.
    All,
    /// Those of a type.
    Type(TypeName),
    /// The cost of jobs with this value of a label, or without that label.
    Label(CostBy, Option<String>),
    /// No jobs, but the records of a kind that have this status, or none.
    Records(RecordKind, Option<RecordStatus>),
    /// The failed jobs of a type that have the same reason.
    Failures(TypeName, FailureGroup),
    /// The queued jobs of a type that were not due when they were last changed. Here the bucket is that of the time when
    /// they are due, and not of their creation.
    Planned(TypeName),
}

/// Begins the names of the counts of records.
const RECORDS: &str = "records";

/// Begins the names of the counts of failures. By itself, it names the item that counts an owner's groups.
pub(crate) const FAILURES: &str = "failures";

/// Begins the names of the counts of jobs that were not due when they were last changed.
const PLANNED: &str = "due-";

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
/// | records | `records#source#ready`, `records#source#` (without a status); always of the total |
/// | failures | `failures#scrape#code#timeout`, `failures#scrape#message#try <n> failed`; always of the total |
/// | jobs that were not due | `due-minutes#2026-01-11T05#scrape`, `due-day#2026-01-11#scrape`, `due-month#2026-01#scrape` |
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
        if let Some(rest) = name.strip_prefix(RECORDS).and_then(|rest| rest.strip_prefix('#')) {
            let (kind, status) = rest.split_once('#')?;
            let status = (!status.is_empty()).then(|| RecordStatus::try_from(status)).transpose().ok()?;
            let group = Group::Records(RecordKind::try_from(kind).ok()?, status);
            return Some(Self::new(Bucket::Total, group));
        }
        if let Some(rest) = name.strip_prefix(FAILURES).and_then(|rest| rest.strip_prefix('#')) {
            let (of, rest) = rest.split_once('#')?;
            let (kind, name) = rest.split_once('#')?;
            let group = Group::Failures(TypeName::try_from(of).ok()?, FailureGroup::parse(kind, name)?);
            return Some(Self::new(Bucket::Total, group));
        }
        if let Some(rest) = name.strip_prefix(PLANNED) {
            let (word, rest) = rest.split_once('#')?;
            let (span, kind) = rest.split_once('#')?;
            return Some(Self::new(
                Bucket::parse(word, span)?,
                Group::Planned(TypeName::try_from(kind).ok()?),
            ));
        }
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

    /// The names between which all records lie, or those of a kind, and nothing else: `$` follows `#`, and comes before all
    /// that a kind may hold.
    pub fn records(kind: Option<&RecordKind>) -> (String, String) {
        match kind {
            None => (format!("{RECORDS}#"), format!("{RECORDS}$")),
            Some(kind) => (format!("{RECORDS}#{kind}#"), format!("{RECORDS}#{kind}$")),
        }
    }

    /// The names between which all groups of failures lie, or those of a type.
    pub fn failures(kind: Option<&TypeName>) -> (String, String) {
        match kind {
            None => (format!("{FAILURES}#"), format!("{FAILURES}$")),
            Some(kind) => (format!("{FAILURES}#{kind}#"), format!("{FAILURES}#{kind}$")),
        }
    }

    /// The names between which all jobs lie that were not due, of every type, in a bucket.
    pub(super) fn planned(bucket: Bucket) -> (String, String) {
        let (word, span) = bucket.naming();
        (format!("{PLANNED}{word}#{span}#"), format!("{PLANNED}{word}#{span}$"))
    }

    /// The same, and those in all later buckets of the same length.
    pub(super) fn planned_from(bucket: Bucket) -> (String, String) {
        let (word, span) = bucket.naming();
        (format!("{PLANNED}{word}#{span}#"), format!("{PLANNED}{word}$"))
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
            Group::Records(kind, status) => {
                write!(f, "{RECORDS}#{kind}#{}", status.as_ref().map_or("", RecordStatus::as_str))
            }
            Group::Failures(kind, group) => {
                let (word, name) = group.naming();
                write!(f, "{FAILURES}#{kind}#{word}#{name}")
            }
            Group::Planned(kind) => write!(f, "{PLANNED}{word}#{span}#{kind}"),
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
        let failures = |word: &str, name: &str| {
            Group::Failures(TypeName::try_from("a:b.c").unwrap(), FailureGroup::parse(word, name).unwrap())
        };
        let planned = || Group::Planned(TypeName::try_from("a:b.c").unwrap());
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
            (Bucket::Total, failures("code", "time-out"), "failures#a:b.c#code#time-out"),
            (Bucket::Total, failures("message", "a #<n>"), "failures#a:b.c#message#a #<n>"),
            (Granularity::Minute.container_of(time), planned(), "due-minutes#2026-01-11T05#a:b.c"),
            (Granularity::Hour.container_of(time), planned(), "due-day#2026-01-11#a:b.c"),
            (Granularity::Day.container_of(time), planned(), "due-month#2026-01#a:b.c"),
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
            "records",
            "records#",
            "records#source",
            "records#a b#",
            "records#source#none",
            "records#source#a#b",
            "owner",
            "failures",
            "failures#",
            "failures#a#code",
            "failures#a#code#",
            "failures#a#code#a b",
            "failures#a#text#x",
            "due-",
            "due-day#2026-01-11",
            "due-day#2026-01-11#",
            "due-day#2026-01#a",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn records_lie_together_by_kind_and_apart_from_all_else() {
        let kind = |text: &str| RecordKind::try_from(text).unwrap();
        let place = |of: &str, status: Option<&str>| {
            let status = status.map(|status| RecordStatus::try_from(status).unwrap());
            let place = Place::new(Bucket::Total, Group::Records(kind(of), status));
            assert_eq!(Place::parse(&place.to_string()), Some(place.clone()));
            place.to_string()
        };
        assert_eq!(place("source", None), "records#source#");
        assert_eq!(place("a:b.c", Some("x-y_z")), "records#a:b.c#x-y_z");
        let between =
            |(first, last): &(String, String), name: &str| first.as_str() <= name && name <= last.as_str();
        let (all, one) = (Place::records(None), Place::records(Some(&kind("b"))));
        for (of, is_one) in [("a", false), ("b", true), ("b-", false), ("b-c", false), ("b0", false)] {
            for name in [place(of, None), place(of, Some("z:z"))] {
                assert_eq!((between(&all, &name), between(&one, &name)), (true, is_one), "{name}");
                assert!(!between(&Place::totals(), &name));
            }
        }
        for other in [
            "recount",
            "queue",
            "reaper",
            "probe",
            "failed",
            "total@records",
            "team-month#2026-01#x",
            "failures#b#code#b",
            "due-month#2026-01#b",
        ] {
            assert!(!between(&all, other), "{other}");
        }
    }
}
