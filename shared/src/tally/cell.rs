//! Cells: the numbers of a bucket. Those of one type are one item, so that what a commit or a page costs does not grow
//! with how many types there are, and no item ever fills up; each is an attribute whose name says what it counts.

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

/// The name of its attribute, within the item of its type.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(status, _) => write!(f, "alive:{status}"),
            Self::Created(_) => f.write_str("created"),
            Self::Removed(_) => f.write_str("removed"),
            Self::Ended(status, _) => write!(f, "ended:{status}"),
            Self::Count(measure, _) => write!(f, "count:{}", measure.word()),
            Self::SumMs(measure, _) => write!(f, "sum_ms:{}", measure.word()),
            Self::Histogram(measure, bound, _) => write!(f, "le:{}:{bound}", measure.word()),
        }
    }
}

impl Cell {
    /// The type whose jobs it counts.
    pub const fn kind(&self) -> &TypeName {
        match self {
            Self::Alive(_, kind)
            | Self::Created(kind)
            | Self::Removed(kind)
            | Self::Ended(_, kind)
            | Self::Count(_, kind)
            | Self::SumMs(_, kind)
            | Self::Histogram(_, _, kind) => kind,
        }
    }

    /// Reads an attribute's name in the item of a type; `None`: it is not a cell that we know.
    pub fn parse(name: &str, kind: &TypeName) -> Option<Self> {
        let kind = kind.clone();
        let (word, rest) = name.split_once(':').unwrap_or((name, ""));
        Some(match word {
            "alive" => Self::Alive(Status::try_from(rest).ok()?, kind),
            "created" if rest.is_empty() => Self::Created(kind),
            "removed" if rest.is_empty() => Self::Removed(kind),
            "ended" => Self::Ended(Status::try_from(rest).ok()?, kind),
            "count" => Self::Count(Measure::parse(rest)?, kind),
            "sum_ms" => Self::SumMs(Measure::parse(rest)?, kind),
            "le" => {
                let (measure, bound) = rest.split_once(':')?;
                Self::Histogram(Measure::parse(measure)?, bound.parse().ok()?, kind)
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
    /// Adds the numbers of the item of a type. Attributes that are no cells (its key, a newer version's) are passed over.
    pub fn add_item(&mut self, kind: &TypeName, item: &AttributeMap) {
        let number = |value: &AttributeValue| value.as_n().ok()?.parse::<i64>().ok();
        for (name, value) in item {
            if let (Some(cell), Some(value)) = (Cell::parse(name, kind), number(value)) {
                *self.cells.entry(cell).or_default() += value;
            }
        }
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
            assert_eq!(Cell::parse(&cell.to_string(), &kind()), Some(cell));
        }
        for bad in
            ["", "scope", "bucket", "alive", "alive:x", "created:x", "le:run", "sum_ms:z", "expires_at"]
        {
            assert_eq!(Cell::parse(bad, &kind()), None, "{bad}");
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
