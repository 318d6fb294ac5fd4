//! The steps of the domain as changes of attributes.

use aws_sdk_dynamodb::types::AttributeValue;

use super::head_write::{Condition, HeadUpdate, NewValue, Path};
use super::item::{ErrorRow, LATER, fingerprint_text, queue_key};
use super::schema::{
    CHANGED_BY, CREATED, EXPIRES_AT, LEASE_TOKEN, LEASE_UNTIL, OUTPUT_NAME, PROGRESS, QUEUE, RETRIED_BY,
    SLOT, UNACKNOWLEDGED, UNHEARD,
};
use super::value::{n, s};
use super::{Corrupt, progress_value};
use crate::domain::step::{Change, End, EndOfTry, When};
use crate::domain::{Holder, JobError, JobId, Lease, Percent, ReportedProgress, Status, Step, Timestamp};

/// The attributes that only some statuses have. A step to another status removes those that it does not set.
const OF_STATUS: [Path; 11] = [
    QUEUE,
    "arrival",
    "available_at",
    "started_at",
    "completed_at",
    EXPIRES_AT,
    "error",
    "phase",
    LEASE_UNTIL,
    SLOT,
    UNACKNOWLEDGED,
];
const CURRENT_TASK: Path = "progress.current_task";
const CURRENT_SHARE: Path = "progress.current_task_hundredths";
const OVERALL: Path = "progress.overall_hundredths";

impl HeadUpdate {
    /// The update that makes a step of a job.
    pub fn of(id: JobId, step: &Step) -> Result<Self, Corrupt> {
        let mut update = Self { id, set: Vec::new(), remove: Vec::new(), when: Vec::new() };
        for when in &step.when {
            update.require(when);
        }
        if let Some(at) = step.at {
            update.when.push(Condition::Below("updated_at", time(at)));
            update.set("updated_at", time(at));
        }
        for change in &step.changes {
            update.change(change, step.at)?;
        }
        Ok(update)
    }

    fn set(&mut self, path: Path, value: AttributeValue) {
        self.set.push((path, NewValue::Is(value)));
    }

    /// Gives the attribute this value, or removes it.
    fn put(&mut self, path: Path, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.set(path, value),
            None => self.remove.push(path),
        }
    }

    fn require(&mut self, when: &When) {
        let exists = |path, exists| if exists { Condition::Exists(path) } else { Condition::Missing(path) };
        let condition = match when {
            When::OwnedBy(owner) => Condition::Is("owner", s(owner)),
            When::StatusIn(statuses) => Condition::IsIn("status", statuses.iter().map(s).collect()),
            When::Attempt(attempt) => Condition::Is("attempt", n(attempt)),
            When::Priority(priority) => Condition::Is("priority", n(priority)),
            When::MaxAttempts(max_attempts) => Condition::Is("max_attempts", n(max_attempts)),
            When::WasTried(was_tried) => exists("started_at", *was_tried),
            When::HeldBy(token, now) => {
                self.when.push(Condition::Is(LEASE_TOKEN, s(token.as_str())));
                Condition::AtLeast(LEASE_UNTIL, time(*now))
            }
            When::IsLeased => Condition::Exists(LEASE_UNTIL),
            When::HoldsSlot(holds_slot) => exists(SLOT, *holds_slot),
            When::HasNoOutput => Condition::Missing(OUTPUT_NAME),
            When::WrittenBy(call) => Condition::Is("written_by", s(call)),
            When::OverallAtMost(share) => Condition::AtMost(OVERALL, n(share.hundredths())),
            When::CreatedBefore(at) => Condition::Below(CREATED, s(at)),
            When::NotChangedBy(bulk) => Condition::IsNot(CHANGED_BY, s(bulk)),
        };
        self.when.push(condition);
    }

    fn change(&mut self, change: &Change, at: Option<Timestamp>) -> Result<(), Corrupt> {
        match change {
            Change::Wait { available_at, priority } => {
                // As when a whole head is written: a job that is not due then is kept apart.
                let key = if at.is_some_and(|at| *available_at > at) {
                    format!("{LATER}{available_at}#{}", self.id)
                } else {
                    queue_key(*priority, *available_at, None, self.id)
                };
                self.set(QUEUE, s(key));
                self.set("available_at", time(*available_at));
                self.stands(Status::Queued, &[QUEUE, "available_at"]);
            }
            Change::Run { started_at, lease } => {
                self.set("started_at", time(*started_at));
                let until = lease.map(|Lease { until, .. }| time(until));
                let flag = |is_set: bool| is_set.then_some(AttributeValue::Bool(true));
                self.put(LEASE_UNTIL, until);
                self.put(SLOT, flag(lease.is_some_and(|lease| lease.holds_slot)));
                self.put(UNACKNOWLEDGED, flag(lease.is_some_and(|lease| lease.unacknowledged)));
                self.stands(Status::Running, &["started_at", LEASE_UNTIL, SLOT, UNACKNOWLEDGED]);
            }
            Change::End(end, at) => self.end(end, *at)?,
            Change::Attempt(attempt) => self.set("attempt", n(attempt)),
            Change::MaxAttempts(max_attempts) => self.set("max_attempts", n(max_attempts)),
            Change::Failures(failures) => self.set("failures", n(failures)),
            Change::Holder(holder) => {
                let worker = holder.as_ref().map(|Holder { worker, .. }| s(worker));
                self.put("worker", worker);
                self.put(LEASE_TOKEN, holder.as_ref().map(|Holder { token, .. }| s(token.as_str())));
            }
            Change::LeaseUntil(until) => self.set(LEASE_UNTIL, time(*until)),
            Change::Acknowledge => self.put(UNACKNOWLEDGED, None),
            Change::Unheard(unheard) => self.put(UNHEARD, (*unheard > 0).then(|| n(unheard))),
            Change::TakeSlot => self.set(SLOT, AttributeValue::Bool(true)),
            Change::KeepTry(end) => self.keep_try(end)?,
            Change::Progress(progress) => {
                let value = progress.as_ref().map(progress_value).transpose()?;
                self.put(PROGRESS, value);
            }
            Change::Say(said) => self.say(said),
            Change::Report(report) => self.set("report", s(fingerprint_text(report))),
            Change::Cost(cost) => self.set("cost", n(cost.micros())),
            Change::Output { name, bytes } => {
                self.set(OUTPUT_NAME, s(name));
                self.set.push(("bytes", NewValue::SumOfAny("bytes", *bytes)));
            }
            Change::ChangedBy(bulk) => self.set(CHANGED_BY, s(bulk)),
            Change::RetriedBy(call) => self.set(RETRIED_BY, s(call)),
        }
        Ok(())
    }

    /// The job stands in this status, and has these of the attributes that only some statuses have.
    fn stands(&mut self, status: Status, has: &[Path]) {
        self.set("status", s(status));
        self.remove.extend(OF_STATUS.into_iter().filter(|path| !has.contains(path)));
    }

    fn end(&mut self, end: &End, at: Timestamp) -> Result<(), Corrupt> {
        self.set("completed_at", time(at));
        self.set.push((EXPIRES_AT, NewValue::Sum("ttl_seconds", at.seconds_ceil())));
        // An ended job still tells when its last attempt began.
        let has = ["started_at", "completed_at", EXPIRES_AT, "error"];
        let (status, has) = match end {
            End::Failed(error) => {
                self.set("error", error_value(error)?);
                (Status::Failed, has.as_slice())
            }
            End::Completed => (Status::Completed, &has[..3]),
            End::Cancelled => (Status::Cancelled, &has[..3]),
        };
        self.stands(status, has);
        Ok(())
    }

    /// Copies the attempt that ended. A head without a worker or an error has null in their place.
    fn keep_try(&mut self, end: &EndOfTry) -> Result<(), Corrupt> {
        self.set.push(("last_try", NewValue::CopyOf("attempt")));
        self.set.push(("last_started", NewValue::CopyOf("started_at")));
        self.set.push(("last_worker", NewValue::CopyOrNull("worker")));
        match end {
            EndOfTry::AsTheJob => {
                self.set.push(("last_ended", NewValue::CopyOf("completed_at")));
                self.set.push(("last_error", NewValue::CopyOrNull("error")));
            }
            EndOfTry::At(at, error) => {
                self.set("last_ended", time(*at));
                self.set("last_error", error_value(error)?);
            }
        }
        Ok(())
    }

    fn say(&mut self, said: &ReportedProgress) {
        let ReportedProgress { current_task, current_task_progress, overall_progress } = said;
        let share = |share: Percent| n(share.hundredths());
        if let Some(task) = current_task {
            self.set(CURRENT_TASK, s(task));
            self.put(CURRENT_SHARE, current_task_progress.map(share));
        }
        if let Some(overall) = overall_progress {
            self.set(OVERALL, share(*overall));
        }
    }
}

fn time(at: Timestamp) -> AttributeValue {
    n(at.millis())
}

fn error_value(error: &JobError) -> Result<AttributeValue, Corrupt> {
    serde_dynamo::to_attribute_value(ErrorRow::from(error)).map_err(|error| Corrupt::new("error", error))
}
