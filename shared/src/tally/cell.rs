//! Cells: the numbers of a bucket, each an attribute whose name says what it counts.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::{Status, TypeName};
use crate::dynamo::AttributeMap;

/// Upper bounds of the histograms' buckets, in milliseconds, both of waits and of runs; what is longer falls into one
/// more bucket without a bound. Part of what is stored: only to be extended with care.
pub const BOUNDS_MS: [u64; 13] = [
    100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 14_400_000, 43_200_000,
    86_400_000,
];

/// A span of time that jobs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// From being due until a try began.
    Wait,
    /// From the beginning of the last try to the end.
    Run,
}

/// What a number of a bucket counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// Jobs of a type that are there now, in a status.
    Alive(Status, TypeName),
    /// Jobs of a type that ever came to be. Never falls.
    Created(TypeName),
    /// Jobs of a type that are gone, deleted or expired. Never falls; created less removed is alive.
    Removed(TypeName),
    /// Times that jobs of a type ended so. Never falls.
    Ended(Status, TypeName),
    /// How often a measure was taken of jobs of a type. Never falls.
    Count(Measure, TypeName),
    /// The sum of a measure over jobs of a type, in milliseconds. Never falls.
    SumMs(Measure, TypeName),
    /// How often a measure was at most that bound, and over the one before. Never falls.
    Histogram(Measure, u8, TypeName),
}

impl Measure {
    const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Run => "run",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Wait, Self::Run].into_iter().find(|measure| measure.word() == word)
    }

    /// Into which bucket of the histogram a measurement falls.
    pub fn bound(millis: u64) -> u8 {
        let over = BOUNDS_MS.iter().take_while(|bound| millis > **bound).count();
        u8::try_from(over).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(status, kind) => write!(f, "alive:{status}:{kind}"),
            Self::Created(kind) => write!(f, "created:{kind}"),
            Self::Removed(kind) => write!(f, "removed:{kind}"),
            Self::Ended(status, kind) => write!(f, "ended:{status}:{kind}"),
            Self::Count(measure, kind) => write!(f, "count:{}:{kind}", measure.word()),
            Self::SumMs(measure, kind) => write!(f, "sum_ms:{}:{kind}", measure.word()),
            Self::Histogram(measure, bound, kind) => write!(f, "le:{}:{bound}:{kind}", measure.word()),
        }
    }
}

impl Cell {
    /// Reads an attribute's name; `None`: it is not a cell that we know.
    pub fn parse(name: &str) -> Option<Self> {
        let kind = |text: &str| TypeName::try_from(text).ok();
        let (word, rest) = name.split_once(':')?;
        let two = || rest.split_once(':');
        Some(match word {
            "alive" => Self::Alive(Status::try_from(two()?.0).ok()?, kind(two()?.1)?),
            "created" => Self::Created(kind(rest)?),
            "removed" => Self::Removed(kind(rest)?),
            "ended" => Self::Ended(Status::try_from(two()?.0).ok()?, kind(two()?.1)?),
            "count" => Self::Count(Measure::parse(two()?.0)?, kind(two()?.1)?),
            "sum_ms" => Self::SumMs(Measure::parse(two()?.0)?, kind(two()?.1)?),
            "le" => {
                let (bound, name) = two()?.1.split_once(':')?;
                Self::Histogram(Measure::parse(two()?.0)?, bound.parse().ok()?, kind(name)?)
            }
            _ => return None,
        })
    }
}

/// The numbers of a bucket, or of several added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    cells: BTreeMap<Cell, i64>,
}

impl Tally {
    /// The numbers of an item. Attributes that are no cells (its key, a newer version's cells) are passed over.
    pub fn of_item(item: &AttributeMap) -> Self {
        let number = |value: &AttributeValue| value.as_n().ok()?.parse::<i64>().ok();
        let cells = item.iter().filter_map(|(name, value)| Some((Cell::parse(name)?, number(value)?)));
        Self { cells: cells.collect() }
    }

    /// One number.
    pub fn get(&self, cell: &Cell) -> i64 {
        self.cells.get(cell).copied().unwrap_or(0)
    }

    /// All numbers.
    pub fn cells(&self) -> impl Iterator<Item = (&Cell, i64)> {
        self.cells.iter().map(|(cell, value)| (cell, *value))
    }

    /// How many jobs of those types (none: all) are there in those statuses (none: all).
    pub fn alive(&self, is_wanted: impl Fn(&TypeName, Status) -> bool) -> u64 {
        let wanted = self.cells.iter().filter_map(|(cell, value)| match cell {
            Cell::Alive(status, kind) if is_wanted(kind, *status) => Some(*value),
            _ => None,
        });
        u64::try_from(wanted.sum::<i64>()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_cells() {
        let kind = || TypeName::try_from("a:b.c").unwrap();
        let cells = [
            Cell::Alive(Status::Queued, kind()),
            Cell::Created(kind()),
            Cell::Removed(kind()),
            Cell::Ended(Status::Failed, kind()),
            Cell::Count(Measure::Wait, kind()),
            Cell::SumMs(Measure::Run, kind()),
            Cell::Histogram(Measure::Run, 13, kind()),
        ];
        for cell in cells {
            assert_eq!(Cell::parse(&cell.to_string()), Some(cell));
        }
        for bad in ["", "scope", "bucket", "alive:x", "alive:x:y", "le:run:y", "sum_ms:z:y", "expires_at"] {
            assert_eq!(Cell::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_measure_falls_into_the_first_bucket_that_holds_it() {
        assert_eq!(Measure::bound(0), 0);
        assert_eq!(Measure::bound(100), 0);
        assert_eq!(Measure::bound(101), 1);
        assert_eq!(Measure::bound(86_400_001), 13);
    }
}
