//! The work queue: what each step of a job's way through it costs, before a short backlog and before a long one, and how
//! many jobs go through it with one worker and with many.

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

/// What was measured of the queue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Queue {
    /// How many jobs waited, from few to many.
    pub backlogs: Vec<u64>,
    /// What each step cost.
    pub steps: Vec<StepRow>,
    /// How fast jobs were created.
    pub creating: Option<Rate>,
    /// How jobs went through, by the number of workers.
    pub crews: Vec<Crew>,
}

/// What one step cost.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// Its name.
    pub step: &'static str,
    /// What it cost, in the order of the backlogs.
    pub backlogs: Vec<Cost>,
    /// Units of a median call before the longest backlog, divided by those before the shortest.
    pub growth: Option<Amount>,
}

/// Measures it before each of the plan's backlogs; the crews before the shortest.
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
