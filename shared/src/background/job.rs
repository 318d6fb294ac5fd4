//! The steps that a task makes of its job. Each is refused if the job no longer runs, or is another one of the same id.

use super::Task;
use crate::domain::step::{Change, When};
use crate::domain::steps::{completed, given_up, shown};
use crate::domain::{Head, JobError, Progress, Step, Timestamp};
use crate::store::output_part;

/// Shows how far it is. No index has this, so it touches none.
pub(super) fn show(task: &Task, progress: Progress) -> Step {
    of(task, shown(progress))
}

/// Completes the job; its output of so many bytes is written before.
pub(super) fn complete(task: &Task, bytes: u64, now: Timestamp) -> Step {
    of(task, completed(now)).with(Change::Output { name: task.written_by, bytes })
}

/// Gives the job up, and says why.
pub(super) fn fail(task: &Task, message: String, now: Timestamp) -> Step {
    of(task, given_up(JobError { message, failed_task: None, code: None }, now))
}

/// The name of the part that keeps what the job gave: the same each time, so that doing it again leaves nothing behind.
pub(super) fn part(task: &Task) -> String {
    output_part(task.written_by)
}

/// Whether a head names that part as its own.
pub(super) fn names_output(head: &Head, task: &Task) -> bool {
    head.output == Some(task.written_by)
}

fn of(task: &Task, step: Step) -> Step {
    step.of(&task.owner).only(When::WrittenBy(task.written_by))
}
