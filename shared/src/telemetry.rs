//! The numbers of one execution environment that operators look at: requests, their durations, requests to the store, events
//! and starts. They add up in memory until they are written down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Upper bounds of the durations' buckets, in milliseconds. A longer one falls into one more bucket without a bound. Part of
/// what is stored: only to be extended with care.
pub const DURATION_BOUNDS_MS: [u64; 13] =
    [2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000];
/// Most different numbers that wait to be written down, but for those of durations, of which there are 135: one write adds to
/// at most 250.
const MAX_NUMBERS: usize = 110;
/// The route of requests whose routes and statuses are too many.
const OTHER_ROUTE: &str = "other";

/// One number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// Requests that were answered with a status, by route: `GET /v1/jobs/{job_id}`.
    Requests(u16, String),
    /// Requests whose duration falls into a bucket.
    Duration(u8),
    /// The sum of their durations, in microseconds.
    DurationSum,
    /// Requests to the store, by operation, whose duration falls into a bucket.
    Operation(String, u8),
    /// The sum of their durations, in microseconds.
    OperationSum(String),
    /// Events of a stream, by how they ended.
    Events(EventOutcome),
    /// Starts of an execution environment.
    ColdStarts,
}

/// The end of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventOutcome {
    /// It was processed.
    Processed,
    /// It failed, and is delivered again.
    Failed,
    /// It could not be read.
    Unreadable,
}

impl EventOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Processed, Self::Failed, Self::Unreadable];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The name of its attribute.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(status, route) => write!(f, "r:{status}:{route}"),
            Self::Duration(bucket) => write!(f, "h:{bucket}"),
            Self::DurationSum => f.write_str("h:us"),
            Self::Operation(operation, bucket) => write!(f, "d:{operation}:{bucket}"),
            Self::OperationSum(operation) => write!(f, "d:{operation}:us"),
            Self::Events(outcome) => write!(f, "e:{}", outcome.as_str()),
            Self::ColdStarts => f.write_str("cold"),
        }
    }
}

impl Number {
    /// Reads an attribute's name; `None`: it is not a number that we know.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "cold" {
            return Some(Self::ColdStarts);
        }
        let (word, rest) = name.split_once(':')?;
        match word {
            "r" => {
                let (status, route) = rest.split_once(':')?;
                Some(Self::Requests(status.parse().ok()?, route.to_owned()))
            }
            "h" if rest == "us" => Some(Self::DurationSum),
            "h" => Some(Self::Duration(rest.parse().ok()?)),
            "d" => {
                let (operation, rest) = rest.split_once(':')?;
                let operation = operation.to_owned();
                if rest == "us" {
                    return Some(Self::OperationSum(operation));
                }
                Some(Self::Operation(operation, rest.parse().ok()?))
            }
            "e" => EventOutcome::ALL.into_iter().find(|known| known.as_str() == rest).map(Self::Events),
            _ => None,
        }
    }
}

/// Into which bucket of durations one falls.
fn bucket(took: Duration) -> u8 {
    let over = DURATION_BOUNDS_MS.iter().filter(|bound| took > Duration::from_millis(**bound)).count();
    u8::try_from(over).unwrap_or(u8::MAX)
}

/// The numbers that wait to be written down.
#[derive(Debug, Default)]
pub struct Telemetry {
    function: OnceLock<&'static str>,
    numbers: Mutex<BTreeMap<Number, u64>>,
}

impl Telemetry {
    /// A function starts in this execution environment. Only then its numbers are kept.
    pub fn start(&self, function: &'static str) {
        if self.function.set(function).is_ok() {
            self.add([(Number::ColdStarts, 1)]);
        }
    }

    /// The function that has started.
    pub fn function(&self) -> Option<&'static str> {
        self.function.get().copied()
    }

    /// A request was answered.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        self.add([
            (Number::Requests(status, route.to_owned()), 1),
            (Number::Duration(bucket(took)), 1),
            (Number::DurationSum, micros(took)),
        ]);
    }

    /// The store answered a request, or failed to.
    pub fn sent(&self, operation: &'static str, took: Duration) {
        self.add([
            (Number::Operation(operation.to_owned(), bucket(took)), 1),
            (Number::OperationSum(operation.to_owned()), micros(took)),
        ]);
    }

    /// So many events of a stream came to this.
    pub fn events(&self, outcome: EventOutcome, count: usize) {
        self.add([(Number::Events(outcome), u64::try_from(count).unwrap_or(u64::MAX))]);
    }

    /// Whether nothing waits to be written down.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The numbers since the last call. This call starts them anew.
    pub fn take(&self) -> BTreeMap<Number, u64> {
        std::mem::take(&mut *self.lock())
    }

    fn add(&self, numbers: impl IntoIterator<Item = (Number, u64)>) {
        if self.function.get().is_none() {
            return;
        }
        let mut kept = self.lock();
        for (number, by) in numbers.into_iter().filter(|(_, by)| *by > 0) {
            let number = match number {
                Number::Requests(status, _) if kept.len() >= MAX_NUMBERS && !kept.contains_key(&number) => {
                    Number::Requests(status, OTHER_ROUTE.to_owned())
                }
                other => other,
            };
            let sum = kept.entry(number).or_default();
            *sum = sum.saturating_add(by);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Number, u64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_numbers() {
        for number in [
            Number::Requests(200, "GET /v1/records/{kind}/{id+}".to_owned()),
            Number::Requests(503, OTHER_ROUTE.to_owned()),
            Number::Duration(0),
            Number::Duration(13),
            Number::DurationSum,
            Number::Operation("GetItem".to_owned(), 3),
            Number::OperationSum("TransactWriteItems".to_owned()),
            Number::Events(EventOutcome::Unreadable),
            Number::ColdStarts,
        ] {
            assert_eq!(Number::parse(&number.to_string()), Some(number));
        }
        for bad in
            ["", "owner", "span", "r:", "r:x:GET /", "h:", "h:x", "d:GetItem", "e:lost", "calls:200:GET /"]
        {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let of = |micros| bucket(Duration::from_micros(micros));
        assert_eq!([of(0), of(2_000), of(2_001), of(20_000_000), of(20_000_001)], [0, 0, 1, 12, 13]);
    }

    #[test]
    fn numbers_are_kept_from_the_start_of_a_function_up_to_a_limit() {
        let telemetry = Telemetry::default();
        telemetry.answered("GET /", 200, Duration::ZERO);
        assert!(telemetry.take().is_empty(), "no function has started");
        telemetry.start("a");
        telemetry.start("b");
        assert_eq!((telemetry.function(), telemetry.take()), (Some("a"), [(Number::ColdStarts, 1)].into()));
        for number in 0..2 * MAX_NUMBERS {
            telemetry.answered(&format!("GET /{number}"), 200, Duration::from_millis(1));
        }
        let taken = telemetry.take();
        let requests = taken.iter().filter(|(number, _)| matches!(number, Number::Requests(..)));
        assert_eq!(requests.map(|(_, count)| *count).sum::<u64>(), 2 * MAX_NUMBERS as u64);
        assert!(taken.len() <= MAX_NUMBERS + 3, "{}", taken.len());
        assert!(taken[&Number::Requests(200, OTHER_ROUTE.to_owned())] > 1);
    }
}
