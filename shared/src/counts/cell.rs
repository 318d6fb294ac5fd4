//! Cells: the numbers of a bucket's item, each an attribute whose name says what it counts. There are as many as a
//! calendar has days, hours or minutes in the next longer span, and some more: so no item ever fills up.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::TryEnd;
use crate::domain::{Status, Wait};
use crate::store::AttributeMap;

/// Upper bounds of the histograms' buckets, in milliseconds, both of waits and of runs; a longer one falls into one
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

/// The quantity that a number of an item counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// Jobs that are there now, in a status.
    Alive(Status),
    /// Of these, those that were created in one of the shorter spans that the bucket is made of: [`super::Granularity::slot`].
    AliveIn(u8, Status),
    /// Jobs that ever came to be. Never falls.
    Created,
    /// Jobs that are gone, deleted or expired. Never falls; created less removed is alive.
    Removed,
    /// Times that jobs ended so. Never falls.
    Ended(Status),
    /// How often a measure was taken. Never falls.
    Count(Measure),
    /// The sum of a measure, in milliseconds. Never falls.
    SumMs(Measure),
    /// How often a measure was at most that bound, and over the one before, in the totals of all owners only. Never falls.
    Histogram(Measure, u8),
    /// The same in each bucket of an owner, by a shorter name, so that its items stay small. Never falls.
    Within(Measure, u8),
    /// Tries that ended so, in the totals of all owners only. Never falls.
    Tries(TryEnd),
    /// Bytes that are stored of the inputs and outputs of jobs that are there.
    Bytes,
    /// Jobs that ever had a label, whatever became of them.
    Jobs,
    /// Their cost, in micro-dollars.
    Cost,
    /// Of these jobs, those that were created on one day of the bucket's month.
    JobsOn(u8),
    /// And their cost.
    CostOn(u8),
    /// Records that are there now.
    Records,
    /// Failed jobs that are there now and are counted in a group of failures.
    Grouped,
    /// Queued jobs that wait so, and are due in one of the shorter spans that the bucket is made of.
    Planned(u8, Wait),
    /// Queued jobs that were not due when they were last changed, in the totals of all owners only.
    AllPlanned(Wait),
}

impl Measure {
    const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Run => "run",
        }
    }

    /// Stands for it in short names.
    const fn letter(self) -> &'static str {
        match self {
            Self::Wait => "w",
            Self::Run => "r",
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

/// Stands for a status in the names of the cells that there are most of.
const fn letter(status: Status) -> char {
    match status {
        Status::Queued => 'q',
        Status::Running => 'r',
        Status::Completed => 'c',
        Status::Failed => 'f',
        Status::Cancelled => 'x',
    }
}

/// The same for a way of waiting.
const fn letter_of_wait(wait: Wait) -> char {
    match wait {
        Wait::Due => 'd',
        Wait::Scheduled => 's',
        Wait::Retrying => 't',
    }
}

/// The name of its attribute.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(status) => write!(f, "alive:{status}"),
            Self::AliveIn(slot, status) => write!(f, "{slot:02}{}", letter(*status)),
            Self::Created => f.write_str("created"),
            Self::Removed => f.write_str("removed"),
            Self::Ended(status) => write!(f, "ended:{status}"),
            Self::Count(measure) => write!(f, "count:{}", measure.word()),
            Self::SumMs(measure) => write!(f, "sum_ms:{}", measure.word()),
            Self::Histogram(measure, bound) => write!(f, "le:{}:{bound}", measure.word()),
            Self::Within(measure, bound) => write!(f, "{}{bound:02}", measure.letter()),
            Self::Tries(end) => write!(f, "tries:{}", end.as_str()),
            Self::Bytes => f.write_str("bytes"),
            Self::Jobs => f.write_str("jobs"),
            Self::Cost => f.write_str("cost"),
            Self::JobsOn(day) => write!(f, "{day:02}j"),
            Self::CostOn(day) => write!(f, "{day:02}u"),
            Self::Records => f.write_str("records"),
            Self::Grouped => f.write_str("grouped"),
            Self::Planned(slot, wait) => write!(f, "{slot:02}{}", letter_of_wait(*wait)),
            Self::AllPlanned(wait) => write!(f, "planned:{}", wait.as_str()),
        }
    }
}

impl Cell {
    /// Reads an attribute's name; `None`: it is not a cell that we know.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(cell) = Self::parse_slot(name).or_else(|| Self::parse_within(name)) {
            return Some(cell);
        }
        let (word, rest) = name.split_once(':').unwrap_or((name, ""));
        Some(match word {
            "alive" => Self::Alive(Status::try_from(rest).ok()?),
            "created" if rest.is_empty() => Self::Created,
            "removed" if rest.is_empty() => Self::Removed,
            "ended" => Self::Ended(Status::try_from(rest).ok()?),
            "count" => Self::Count(Measure::parse(rest)?),
            "sum_ms" => Self::SumMs(Measure::parse(rest)?),
            "le" => {
                let (measure, bound) = rest.split_once(':')?;
                Self::Histogram(Measure::parse(measure)?, bound.parse().ok()?)
            }
            "tries" => Self::Tries(TryEnd::parse(rest)?),
            "bytes" if rest.is_empty() => Self::Bytes,
            "jobs" if rest.is_empty() => Self::Jobs,
            "cost" if rest.is_empty() => Self::Cost,
            "records" if rest.is_empty() => Self::Records,
            "grouped" if rest.is_empty() => Self::Grouped,
            "planned" => Self::AllPlanned(Wait::ALL.into_iter().find(|wait| wait.as_str() == rest)?),
            _ => return None,
        })
    }

    fn parse_within(name: &str) -> Option<Self> {
        let (letter, bound) = name.split_at_checked(1)?;
        let measure = [Measure::Wait, Measure::Run].into_iter().find(|known| known.letter() == letter)?;
        let is_bound = bound.len() == 2 && bound.bytes().all(|digit| digit.is_ascii_digit());
        is_bound.then(|| bound.parse().ok().map(|bound| Self::Within(measure, bound)))?
    }

    fn parse_slot(name: &str) -> Option<Self> {
        let (slot, rest) = name.split_at_checked(2)?;
        let slot: u8 = slot.parse().ok()?;
        let mut letters = rest.chars();
        let found = letters.next()?;
        if letters.next().is_some() {
            return None;
        }
        let status = Status::ALL.into_iter().find(|known| letter(*known) == found);
        let wait = Wait::ALL.into_iter().find(|known| letter_of_wait(*known) == found);
        match (found, status, wait) {
            ('j', _, _) => Some(Self::JobsOn(slot)),
            ('u', _, _) => Some(Self::CostOn(slot)),
            (_, Some(status), _) => Some(Self::AliveIn(slot, status)),
            (_, None, wait) => wait.map(|wait| Self::Planned(slot, wait)),
        }
    }
}

/// The numbers of an item, or of several added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    cells: BTreeMap<Cell, i64>,
}

impl Tally {
    /// The numbers of an item. Attributes that are no cells (its key, a newer version's) are passed over.
    pub fn of_item(item: &AttributeMap) -> Self {
        // A number beyond this range stops at its end.
        let number = |value: &AttributeValue| {
            let number = value.as_n().ok()?.parse::<i128>().ok()?;
            i64::try_from(number.clamp(i64::MIN.into(), i64::MAX.into())).ok()
        };
        let cells = item.iter().filter_map(|(name, value)| Some((Cell::parse(name)?, number(value)?)));
        Self { cells: cells.collect() }
    }

    /// Adds other numbers.
    pub fn add(&mut self, other: &Self) {
        for (cell, value) in &other.cells {
            let sum = self.cells.entry(*cell).or_default();
            *sum = sum.saturating_add(*value);
        }
    }

    /// Puts a number in the place of another.
    pub(crate) fn set(&mut self, cell: Cell, value: i64) {
        self.cells.insert(cell, value);
    }

    /// Adds to one number.
    pub(crate) fn add_one(&mut self, cell: Cell, by: i64) {
        *self.cells.entry(cell).or_default() += by;
    }

    /// One number.
    pub fn get(&self, cell: Cell) -> i64 {
        self.cells.get(&cell).copied().unwrap_or(0)
    }

    /// One number of those that count something and so are never negative.
    pub fn count(&self, cell: Cell) -> u64 {
        u64::try_from(self.get(cell)).unwrap_or(0)
    }

    /// The mean of a measure, in whole milliseconds; `None`: it was never taken.
    pub fn mean_ms(&self, measure: Measure) -> Option<u64> {
        self.count(Cell::SumMs(measure)).checked_div(self.count(Cell::Count(measure)))
    }

    /// The time that so many of a thousand measurements do not exceed, in milliseconds; `None`: none was taken.
    ///
    /// It lies within the right bucket of the histogram, whose measurements are taken to be spread evenly. In the last
    /// bucket, which has no end, it is the bucket's beginning.
    pub fn quantile_ms(&self, measure: Measure, of_thousand: u64) -> Option<u64> {
        let counts = (0..=BOUNDS_MS.len()).map(|bound| {
            let bound = u8::try_from(bound).unwrap_or(u8::MAX);
            u128::from(self.count(Cell::Within(measure, bound)))
        });
        let counts: Vec<u128> = counts.collect();
        let all: u128 = counts.iter().sum();
        // In thousandths of a measurement.
        let rank = all * u128::from(of_thousand);
        let (mut before, mut begin) = (0, 0);
        for (count, end) in counts.iter().zip(BOUNDS_MS) {
            let within = rank - before;
            if *count > 0 && within <= count * 1_000 {
                let part = u128::from(end - begin) * within / (count * 1_000);
                return Some(begin + u64::try_from(part).unwrap_or(0));
            }
            (before, begin) = (before + count * 1_000, end);
        }
        (all > 0).then_some(begin)
    }

    /// All numbers.
    pub fn cells(&self) -> impl Iterator<Item = (Cell, i64)> {
        self.cells.iter().map(|(cell, value)| (*cell, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_the_buckets_of_the_histogram() {
        let tally = |counts: &[(u8, i64)]| {
            let mut tally = Tally::default();
            for (bound, count) in counts {
                tally.set(Cell::Within(Measure::Run, *bound), *count);
            }
            [0, 500, 950, 990, 1_000].map(|of| tally.quantile_ms(Measure::Run, of))
        };
        assert_eq!(tally(&[]), [None; 5]);
        assert_eq!(tally(&[(3, 1)]), [1_000, 3_000, 4_800, 4_960, 5_000].map(Some));
        // 90 up to 100 ms, and 10 over that up to 500 ms.
        assert_eq!(tally(&[(0, 90), (1, 10)]), [0, 55, 300, 460, 500].map(Some));
        // One in a hundred took over a day.
        assert_eq!(tally(&[(0, 99), (13, 1)])[2..], [95, 100, 86_400_000].map(Some));
    }

    #[test]
    fn names_come_back_as_cells() {
        let cells = [
            Cell::Alive(Status::Queued),
            Cell::AliveIn(0, Status::Cancelled),
            Cell::AliveIn(59, Status::Completed),
            Cell::Created,
            Cell::Removed,
            Cell::Ended(Status::Failed),
            Cell::Count(Measure::Wait),
            Cell::SumMs(Measure::Run),
            Cell::Histogram(Measure::Run, 13),
            Cell::Within(Measure::Wait, 0),
            Cell::Within(Measure::Run, 13),
            Cell::Tries(TryEnd::Completed),
            Cell::Tries(TryEnd::HandedBack),
            Cell::Bytes,
            Cell::Jobs,
            Cell::Cost,
            Cell::JobsOn(31),
            Cell::CostOn(1),
            Cell::Records,
            Cell::Grouped,
            Cell::Planned(59, Wait::Scheduled),
            Cell::Planned(0, Wait::Retrying),
            Cell::AllPlanned(Wait::Scheduled),
        ];
        for cell in cells {
            assert_eq!(Cell::parse(&cell.to_string()), Some(cell));
        }
        for bad in [
            "",
            "scope",
            "bucket",
            "alive",
            "alive:x",
            "created:x",
            "le:run",
            "sum_ms:z",
            "tries:queued",
            "0q",
            "xxq",
            "00z",
            "planned",
            "planned:x",
        ] {
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
