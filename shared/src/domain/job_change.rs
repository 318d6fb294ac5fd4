//! A change of a job that a caller or a worker asks for, and the decision what it comes to.

use super::step::Step;
use super::steps::{Failure, cancelled, completed, edited, failed, handed_back, retried, started};
use super::{
    Edits, Fingerprint, Head, Job, JobError, LeaseToken, MicroDollars, Misfit, Output, Phase,
    ReportedProgress, Seen, State, Status, Timestamp, TypeSettings,
};

/// A change of a job. A field that is absent stays as it is.
#[derive(Clone, Debug)]
pub struct JobChange {
    /// The lease that the worker shows; `None`: the caller that changes the job does not hold it.
    pub lease: Option<Renewal>,
    /// The fields that its caller gave anew.
    pub edits: Edits,
    /// The new status.
    pub status: Option<Status>,
    /// A finer word for `running`.
    pub phase: Option<Phase>,
    /// How far the job is.
    pub progress: Option<ReportedProgress>,
    /// The output of the job.
    pub output: Output,
    /// Why the attempt failed.
    pub error: Option<JobError>,
    /// Whether a failed attempt may be followed by another.
    pub retryable: Option<bool>,
    /// The cost of the job.
    pub cost: Option<MicroDollars>,
    /// All that was said, hashed: tells a report that comes again from another one.
    pub fingerprint: Fingerprint,
}

/// A lease, and for how long it is renewed.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The token.
    pub token: LeaseToken,
    /// The seconds.
    pub seconds: u32,
}

/// Why a status does not allow a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No step leads from the status of the job to this one.
    NoStep(Status),
    /// A job in its status is not reported on.
    NoReport,
    /// The job cannot have the values that are edited.
    Edit(Misfit),
}

impl JobChange {
    /// Whether it says something of the work on the job.
    pub fn is_report(&self) -> bool {
        self.lease.is_some()
            || self.status.is_some()
            || self.phase.is_some()
            || self.progress.is_some()
            || self.cost.is_some()
            || !self.output.is_empty()
    }

    /// Whether it changes what the job's creator said.
    pub fn is_edit(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Whether it changes nothing that an index has.
    pub fn is_heartbeat(&self) -> bool {
        let goes_on = matches!(self.status, None | Some(Status::Running));
        goes_on && !self.is_edit() && self.phase.is_none() && self.cost.is_none() && self.output.is_empty()
    }

    /// Whether it is a good end and no edit.
    pub fn is_plain_end(&self) -> bool {
        self.status == Some(Status::Completed) && !self.is_edit()
    }

    /// Whether it takes the settings of the job's type to tell what it comes to: when a failed try may be followed by the
    /// next one, or how far all of it is.
    pub fn needs_settings(&self) -> bool {
        self.status == Some(Status::Failed)
            || self.progress.as_ref().is_some_and(ReportedProgress::needs_stages)
    }

    /// Whether the job was called off under the lease that the change shows, which says no end of it.
    pub fn was_called_off(&self, head: &Head) -> bool {
        head.job.status() == Status::Cancelled
            && self.lease.as_ref().is_some_and(|lease| head.job.was_given(&lease.token))
            && matches!(self.status, None | Some(Status::Running))
    }

    /// Whether the job stands where this very report led it before.
    ///
    /// A report that says `running` can be made again as well. After all others the job may have moved on, and may be led
    /// there anew.
    pub fn was_made(&self, head: &Head) -> bool {
        let status = head.job.status();
        let is_led_there = match self.status.unwrap_or(status) {
            Status::Running => false,
            Status::Failed => matches!(status, Status::Failed | Status::Queued),
            target @ (Status::Queued | Status::Completed | Status::Cancelled) => status == target,
        };
        is_led_there && head.report == Some(self.fingerprint)
    }

    /// Refuses a change that the job as it stands does not allow.
    pub fn check(&self, job: &Job) -> Result<(), Unfit> {
        let status = job.status();
        let target = self.status.unwrap_or(status);
        if target != status && !status.may_become(target) {
            return Err(Unfit::NoStep(target));
        }
        let says_more = self.progress.is_some() || self.phase.is_some() || !self.output.is_empty();
        let is_over = status.is_ended() && self.status.is_some();
        if target == status && (is_over || (status != Status::Running && says_more)) {
            return Err(Unfit::NoReport);
        }
        self.edits.check(job, target).map_err(Unfit::Edit)
    }

    /// The head as it is after the change, but for its parts. The change must be one that [`Self::check`] allows.
    pub fn apply(&self, head: &Head, settings: &TypeSettings, luck: u64, now: Timestamp) -> Head {
        let status = head.job.status();
        let target = self.status.unwrap_or(status);
        let seen = self.edit(head);
        let mut next = self.step(&seen, target, settings, luck, now).apply(&seen);
        self.edits.put_off(&mut next.job, now);
        if target != status {
            next.report = Some(self.fingerprint);
        }
        if let Some(said) = &self.progress
            && next.job.status().keeps_progress()
        {
            let before = next.job.progress.clone().or(head.job.progress.clone()).unwrap_or_default();
            next.job.progress = Some(before.after(said.clone().by_stages(settings)));
        }
        if let State::Running { phase, lease, .. } = &mut next.job.state {
            if self.phase.is_some() {
                phase.clone_from(&self.phase);
            }
            if let (Some(lease), Some(shown)) = (lease, &self.lease) {
                lease.until = shown.token.terms().until(now, shown.seconds);
                lease.unacknowledged = false;
            }
        }
        if self.lease.is_some() {
            next.job.unheard = 0;
        }
        next
    }

    fn edit(&self, head: &Head) -> Head {
        let mut next = head.clone();
        let job = &mut next.job;
        self.edits.apply(job);
        if self.cost.is_some() {
            job.cost = self.cost;
        }
        next
    }

    fn step(&self, head: &Head, target: Status, settings: &TypeSettings, luck: u64, now: Timestamp) -> Step {
        let (job, status) = (&head.job, head.job.status());
        if target == status {
            return edited(now);
        }
        match target {
            Status::Running => started(job, now),
            Status::Completed => completed(now),
            Status::Cancelled => cancelled(now),
            Status::Failed => failed(job, self.failure(), settings.backoff_ms(job.failures, luck), now),
            Status::Queued if status == Status::Running => handed_back(job, now),
            Status::Queued => retried(Seen::from(job), now),
        }
    }

    fn failure(&self) -> Failure {
        let unknown = || JobError { message: "unknown".to_owned(), failed_task: None, code: None };
        Failure {
            error: self.error.clone().unwrap_or_else(unknown),
            is_retryable: self.retryable.unwrap_or(true),
        }
    }
}
