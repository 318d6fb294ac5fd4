//! The work queue's part of the report.

use crate::amount::{Amount, grouped};
use crate::queue::steps::{Most, STEPS, Step};
use crate::queue::{Crew, Queue, Rate, StepRow};

use super::markdown::{cells, costs, head_of_costs, rule};
use super::promises::{GROWTH_MAX, Promise, Verdict, compare};

/// Most claims of jobs that other workers got first, in thousandths of the claimed jobs.
const LOST_MAX: u64 = 1_000;
/// If a crew did fewer jobs for each worker, its numbers show the queue's end and not the queue.
const LEAST_JOBS_A_WORKER: u64 = 20;

/// The part for a person to read.
pub(super) fn write(queue: &Queue) -> Vec<String> {
    let mut lines = vec!["## The work queue".to_owned(), String::new()];
    lines.push(
        "The first row has the numbers of jobs that wait. Each cell has the median, then the highest value, as above."
            .to_owned(),
    );
    lines.push(String::new());
    lines.extend(head_of_costs("step", queue.backlogs.iter().copied()));
    lines.extend(queue.steps.iter().map(|row| costs(row.step, &row.backlogs, row.growth)));
    lines.push(String::new());
    if let Some(Rate { callers, jobs, per_second }) = queue.creating {
        let (jobs, per_second) = (grouped(jobs), grouped(per_second));
        lines.push(format!("{callers} callers side by side created {jobs} jobs, {per_second} a second."));
        lines.push(String::new());
    }
    lines.extend(crews(&queue.crews));
    lines.push(String::new());
    lines
}

fn crews(crews: &[Crew]) -> Vec<String> {
    let head = [
        "workers",
        "jobs a claim",
        "jobs",
        "claimed and completed a second",
        "times the first",
        "lost races a job",
        "claims without a job",
        "requests a job, of its claim",
        "read units a job, of its claim",
    ];
    let mut lines = vec![cells(head), rule(head.len())];
    for crew in crews {
        let amount =
            |amount: Option<Amount>| amount.map_or_else(|| "–".to_owned(), |amount| format!("{amount:.2}"));
        lines.push(cells([
            crew.workers.to_string(),
            crew.max.to_string(),
            grouped(crew.jobs),
            grouped(crew.per_second),
            amount(crew.speedup),
            amount(crew.lost_per_job),
            grouped(crew.empty_claims),
            amount(crew.claim_requests_per_job),
            amount(crew.claim_reads_per_job),
        ]));
    }
    lines
}

/// The promises about the queue.
pub(super) fn promises(queue: &Queue) -> Vec<Promise> {
    let steps = || STEPS.iter().zip(&queue.steps);
    let dear = steps().filter_map(|(step, row)| Some(within(row, step.most?)));
    let (few, many) = (queue.backlogs.first(), queue.backlogs.last());
    let flat = steps().filter(|(step, _)| step.is_flat);
    let flat = flat.filter_map(|(step, row)| Some(grows_not(step, row, *few?, *many?)));
    // 64 workers that ask for ten jobs each ask for more than any window has. That is reported without a promise.
    let by_one = queue.crews.iter().filter(|crew| crew.max == 1);
    dear.chain(flat).chain(by_one.map(loses_few)).collect()
}

fn within(row: &StepRow, most: Most) -> Promise {
    let Most { round_trips, write_units } = most;
    let measured: Vec<_> =
        row.backlogs.iter().map(|cost| (cost.round_trips.median, cost.write_units.median)).collect();
    let most = |whole: u64| Amount::from_thousandths(whole * 1_000);
    let fits =
        measured.iter().all(|(trips, units)| *trips <= most(round_trips) && *units <= most(write_units));
    let measured = measured.iter().map(|(trips, units)| format!("{trips} and {units}"));
    Promise {
        promise: format!("{}: at most {round_trips} round trips and {write_units} write units", row.step),
        measured: measured.collect::<Vec<_>>().join("; "),
        holds: if fits { Verdict::Holds } else { Verdict::Broken },
    }
}

fn grows_not(step: &Step, row: &StepRow, few: u64, many: u64) -> Promise {
    let promise = format!(
        "{}: units before {} jobs at most {} times those before {}",
        step.name,
        grouped(many),
        Amount::from_thousandths(GROWTH_MAX),
        grouped(few),
    );
    let ends = row.backlogs.first().zip(row.backlogs.last());
    compare(promise, ends.map(|(few, many)| (few.units(), many.units())), GROWTH_MAX)
}

fn loses_few(crew: &Crew) -> Promise {
    let most = Amount::from_thousandths(LOST_MAX);
    let Crew { workers, max, jobs, .. } = crew;
    let promise = format!("{workers} workers, {max} jobs a claim: at most {most} lost race for each job");
    let holds = match crew.lost_per_job {
        // At the end of a queue, many workers compete for few jobs. That must not be most of the measurement.
        Some(lost)
            if lost > most && *jobs < LEAST_JOBS_A_WORKER * u64::try_from(*workers).unwrap_or(u64::MAX) =>
        {
            Verdict::Unknown
        }
        Some(lost) if lost > most => Verdict::Broken,
        Some(_) => Verdict::Holds,
        None => Verdict::Unknown,
    };
    let measured = crew.lost_per_job.map_or_else(|| "nothing".to_owned(), |lost| format!("{lost:.2}"));
    Promise { promise, measured, holds }
}
