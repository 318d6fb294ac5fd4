//! The work queue: the cost of each step of a job, with a short backlog and with a long one; and the rate of jobs, with
//! one worker and with many.

mod backlog;
mod crew;
pub mod steps;

use serde::Serialize;

use crate::Plan;
use crate::amount::Amount;
use crate::error::Error;
use crate::measure::Cost;
use crate::progress::Progress;
use crate::stack::BenchStack;

pub use crew::{CREWS, Crew, Rate};
use steps::STEPS;

/// The measurements of the queue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Queue {
    /// The waiting jobs of each backlog, from few to many.
    pub backlogs: Vec<u64>,
    /// The cost of each step.
    pub steps: Vec<StepRow>,
    /// The rate of creating jobs.
    pub creating: Option<Rate>,
    /// The result of each crew, by its number of workers.
    pub crews: Vec<Crew>,
}

/// The cost of one step.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// Its name.
    pub step: &'static str,
    /// Its cost, in the order of the backlogs.
    pub backlogs: Vec<Cost>,
    /// Units of a median call before the longest backlog, divided by those before the shortest.
    pub growth: Option<Amount>,
}

/// Measures the queue before each of the plan's backlogs, and the crews before the shortest.
pub(crate) async fn run(plan: &Plan, progress: Progress) -> Result<Queue, Error> {
    let Plan { backlogs, calls, .. } = plan;
    let mut queue = Queue { backlogs: backlogs.clone(), ..Queue::default() };
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); STEPS.len()];
    for (place, &waiting) in backlogs.iter().enumerate() {
        let stack = BenchStack::start().await?;
        backlog::load(&stack, waiting, progress).await?;
        for (all, cost) in costs.iter_mut().zip(steps::run(&stack, *calls, progress).await?) {
            all.push(cost);
        }
        if place == 0 {
            let (creating, crews) = crew::run(&stack, &plan.crews, plan.drained, progress).await?;
            queue.creating = Some(creating);
            queue.crews = crews;
        }
        stack.stop().await?;
    }
    let row = |(step, backlogs): (&steps::Step, Vec<Cost>)| {
        let ends = backlogs.first().zip(backlogs.last());
        let growth = ends.and_then(|(few, many)| many.units().over(few.units()));
        StepRow { step: step.name, backlogs, growth }
    };
    queue.steps = STEPS.iter().zip(costs).map(row).collect();
    Ok(queue)
}
