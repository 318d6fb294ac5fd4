//! The report: a row for each operation, a column group for each size, and the promises.

mod markdown;
mod promises;
mod queue;

use serde::Serialize;

use crate::amount::Amount;
use crate::load::Load;
use crate::measure::{Cost, Outcome};
use crate::operations::OPERATIONS;
use crate::queue::Queue;
use crate::{Error, Plan};

pub use promises::{Promise, Verdict};

/// The engine that the local stack embeds.
const ENGINE: &str = "dynoxide, embedded: SQLite in a file, over HTTP on the loopback address";

/// All measurements.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The day that the caller gave.
    pub date: Option<String>,
    /// The machine that measured.
    pub machine: Machine,
    /// The seed of all draws.
    pub seed: u64,
    /// Calls of each operation.
    pub calls: u32,
    /// The results of the loads, from few jobs to many.
    pub loads: Vec<Load>,
    /// The cost of each operation.
    pub operations: Vec<Row>,
    /// The measurements of the work queue, if any.
    pub queue: Option<Queue>,
    /// The promises, and whether they hold.
    pub promises: Vec<Promise>,
}

/// The machine that measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Threads that run at a time.
    pub cores: Option<usize>,
    /// The processor's kind and the system.
    pub target: String,
    /// The profile of this build: `release`, or `dev`, whose times mean nothing.
    pub profile: &'static str,
    /// The DynamoDB.
    pub engine: &'static str,
    /// The version of jobledger.
    pub version: &'static str,
}

/// The cost of one operation.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub operation: &'static str,
    /// Its route.
    pub route: &'static str,
    /// The reason why it was not measured, if so.
    pub skipped: Option<String>,
    /// Its cost, in the order of the loads; empty if it was skipped.
    pub sizes: Vec<Cost>,
    /// Units of a median call at the largest size, divided by those at the smallest.
    pub growth: Option<Amount>,
}

impl Report {
    /// `measured` has, for each load, the results of all operations.
    pub(crate) fn new(
        plan: &Plan,
        loads: Vec<Load>,
        measured: Vec<Vec<Outcome>>,
        queue: Option<Queue>,
    ) -> Self {
        let mut operations: Vec<Row> = OPERATIONS.iter().map(Row::empty).collect();
        for outcomes in measured {
            for (row, outcome) in operations.iter_mut().zip(outcomes) {
                row.add(outcome);
            }
        }
        for row in &mut operations {
            row.growth = row.growth();
        }
        let mut promises = promises::all(&loads, &operations);
        promises.extend(queue.iter().flat_map(queue::promises));
        let Plan { calls, seed, date, .. } = plan.clone();
        Self { date, machine: Machine::this(), seed, calls, loads, operations, queue, promises }
    }

    /// The promises that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Promise> {
        self.promises.iter().filter(|promise| promise.holds == Verdict::Broken)
    }

    /// As JSON.
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        markdown::write(self)
    }
}

impl Machine {
    fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().ok().map(std::num::NonZero::get),
            target: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            engine: ENGINE,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Row {
    fn empty(operation: &crate::operations::Operation) -> Self {
        let (operation, route) = (operation.name, operation.route);
        Self { operation, route, skipped: None, sizes: Vec::new(), growth: None }
    }

    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Measured(cost) => self.sizes.push(cost),
            Outcome::Skipped(why) => self.skipped = Some(why),
        }
    }

    fn growth(&self) -> Option<Amount> {
        let (few, many) = self.ends()?;
        many.units().over(few.units())
    }

    /// Its cost at the smallest and at the largest size.
    fn ends(&self) -> Option<(&Cost, &Cost)> {
        Some((self.sizes.first()?, self.sizes.last()?))
    }
}
