//! Measuring: calls each operation several times, each time with other parameters, and adds up the cost.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use jobledger::meter::Spent;
use jobledger_tests::Reply;
use serde::Serialize;

use crate::amount::Amount;
use crate::draw::Draw;
use crate::error::Error;
use crate::jobs::Jobs;
use crate::operations::{Case, Gives, Needs, OPERATIONS, Operation};
use crate::progress::Progress;
use crate::stack::{BenchStack, Metered};

/// Places in the sequence of draws that belong to one operation: more than its calls.
const DRAWS: u64 = 1_000_000;

/// The result of an operation at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was measured.
    Measured(Cost),
    /// The template or the route lacks it, for this reason.
    Skipped(String),
}

/// The cost of an operation's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Calls that were measured.
    pub calls: u32,
    /// Times that a request to DynamoDB began while none was under way.
    pub round_trips: Spread,
    /// Read units, as the engine reports them.
    pub read_units: Spread,
    /// Write units, as the engine reports them.
    pub write_units: Spread,
    /// Milliseconds within the function, with all its waits.
    pub milliseconds: Spread,
}

/// How the calls of an operation differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half of the calls have at most this.
    pub median: Amount,
    /// 19 of 20 calls have at most this.
    pub p95: Amount,
    /// No call has more.
    pub max: Amount,
}

impl Spread {
    fn of(mut values: Vec<Amount>) -> Self {
        values.sort_unstable();
        let upto = |percent: usize| {
            let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(place).copied().unwrap_or_default()
        };
        Self { median: upto(50), p95: upto(95), max: upto(100) }
    }
}

impl Cost {
    /// Read and write units of a median call together.
    pub fn units(&self) -> Amount {
        self.read_units.median.plus(self.write_units.median)
    }
}

/// The costs of calls, one by one.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    trips: Vec<Amount>,
    reads: Vec<Amount>,
    writes: Vec<Amount>,
    times: Vec<Amount>,
}

impl Samples {
    /// Adds one call.
    pub(crate) fn add(&mut self, spent: Spent, micros: u64) {
        self.trips.push(Amount::from_thousandths(u64::from(spent.round_trips) * 1_000));
        self.reads.push(Amount::from_units(spent.read_units));
        self.writes.push(Amount::from_units(spent.write_units));
        self.times.push(Amount::from_thousandths(micros));
    }

    /// The spread over all calls.
    pub(crate) fn into_cost(self) -> Cost {
        Cost {
            calls: u32::try_from(self.times.len()).unwrap_or(u32::MAX),
            round_trips: Spread::of(self.trips),
            read_units: Spread::of(self.reads),
            write_units: Spread::of(self.writes),
            milliseconds: Spread::of(self.times),
        }
    }
}

/// The parts of answers that later operations need, by call.
#[derive(Debug, Default)]
struct Given {
    jobs: Vec<String>,
    cursors: Vec<String>,
}

impl Given {
    fn take(&mut self, operation: &Operation, reply: &Reply) -> Result<(), Error> {
        let (field, kept) = match operation.gives {
            Gives::Nothing => return Ok(()),
            Gives::Job => ("job_id", &mut self.jobs),
            Gives::Cursor => ("next_cursor", &mut self.cursors),
        };
        match reply.json.get(field).and_then(|value| value.as_str()) {
            Some(word) => {
                kept.push(word.to_owned());
                Ok(())
            }
            None => Err(Error::GaveNothing { operation: operation.name, field, answer: reply.text.clone() }),
        }
    }
}

/// Measures every operation, in the table's order.
pub(crate) async fn run(
    stack: &BenchStack,
    jobs: &Jobs,
    calls: u32,
    progress: Progress,
) -> Result<Vec<Outcome>, Error> {
    let all = OPERATIONS.len() * (usize::try_from(calls).unwrap_or(usize::MAX) + 1);
    let bar = progress.bar(u64::try_from(all).unwrap_or(u64::MAX), "measuring");
    let mut functions: BTreeMap<&str, Metered> = BTreeMap::new();
    let mut given = Given::default();
    let mut outcomes = Vec::new();
    for (place, operation) in (0..).zip(&OPERATIONS) {
        let Some(name) = stack.function_for(operation.route) else {
            outcomes.push(without_route(operation)?);
            continue;
        };
        if !functions.contains_key(name)
            && let Some(started) = stack.metered(name).await
        {
            functions.insert(name, started);
        }
        let Some(function) = functions.get(name) else { return Err(Error::NoRoute(operation.route)) };
        let run = Run { operation, place, function, jobs, calls };
        outcomes.push(run.measure(&mut given, &bar).await?);
        stack.service.stack.wake();
    }
    bar.finish_and_clear();
    Ok(outcomes)
}

fn without_route(operation: &Operation) -> Result<Outcome, Error> {
    match operation.needs {
        Needs::Always => Err(Error::NoRoute(operation.route)),
        Needs::WhereThere => Ok(Outcome::Skipped("the template has no such route".to_owned())),
    }
}

/// An operation with its needs.
struct Run<'a> {
    operation: &'a Operation,
    place: u64,
    function: &'a Metered,
    jobs: &'a Jobs,
    calls: u32,
}

impl Run<'_> {
    /// The first call is not counted: in it the function reads its key and opens its connection.
    async fn measure(&self, given: &mut Given, bar: &ProgressBar) -> Result<Outcome, Error> {
        let operation = self.operation;
        let mut samples = Samples::default();
        for call in 0..=self.calls {
            let at = usize::try_from(call).unwrap_or(usize::MAX);
            let mut case = Case {
                jobs: self.jobs,
                draw: Draw::at(self.jobs.seed, (self.place + 1) * DRAWS + u64::from(call)),
                created: given.jobs.get(at).map(String::as_str),
                cursor: given.cursors.get(at).map(String::as_str),
            };
            let request = (operation.request)(&mut case)?;
            let (reply, spent, micros) = self.function.call(&request).await;
            bar.inc(1);
            if reply.status != operation.done {
                return match (operation.needs, call) {
                    (Needs::WhereThere, 0) => Ok(Outcome::Skipped(refusal(&reply))),
                    (Needs::WhereThere | Needs::Always, _) => Err(Error::Refused {
                        operation: operation.name,
                        status: reply.status,
                        answer: reply.text,
                    }),
                };
            }
            given.take(operation, &reply)?;
            if call > 0 {
                samples.add(spent, micros);
            }
        }
        Ok(Outcome::Measured(samples.into_cost()))
    }
}

/// The reason why a route refuses a call that it may not know yet.
fn refusal(reply: &Reply) -> String {
    let code = reply.at("/code").as_str().unwrap_or("no code").to_owned();
    format!("the route answers {} ({code}: {})", reply.status, reply.wrong_fields().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_its_own_values() {
        let spread = |values: &[u64]| {
            let Spread { median, p95, max } =
                Spread::of(values.iter().map(|value| Amount::from_thousandths(*value)).collect());
            [median, p95, max].map(Amount::thousandths)
        };
        assert_eq!(spread(&[]), [0, 0, 0]);
        assert_eq!(spread(&[7]), [7, 7, 7]);
        assert_eq!(spread(&[4, 1, 3, 2]), [2, 4, 4]);
        assert_eq!(spread(&(1..=20).collect::<Vec<_>>()), [10, 19, 20]);
    }
}
