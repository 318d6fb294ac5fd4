//! Jobs that another system keeps, taken over: each upserted by the id that it has there.

use uuid::Uuid;

use super::{
    Ended, ExternalId, Fingerprint, Head, Input, Invalid, Job, JobError, JobId, JobName, Labels,
    MicroDollars, Output, Owner, Phase, Progress, State, Status, Timestamp, TypeName,
};

/// How far a source's clock may run ahead of ours, in milliseconds.
const MAX_CLOCK_SKEW_MS: i64 = 300_000;

/// One job as its source describes it: all of it, so that what is left out is not there.
#[derive(Clone, Debug)]
pub struct Upsert {
    /// Its id at the source.
    pub external_id: ExternalId,
    /// The kind of work.
    pub kind: TypeName,
    /// Its status.
    pub status: Status,
    /// A finer word for `running`.
    pub phase: Option<Phase>,
    /// 0 (lowest) to 10.
    pub priority: u8,
    /// Its name for people.
    pub name: Option<JobName>,
    /// The labels that it is told apart by.
    pub labels: Labels,
    /// The time when it came to be; if left out: the stored one, else the earliest time that is known.
    pub created_at: Option<Timestamp>,
    /// From when on it may be claimed; only queued jobs have one.
    pub available_at: Option<Timestamp>,
    /// When its last try began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// How far it is; kept where its status does not settle it.
    pub progress: Option<Progress>,
    /// Its cost.
    pub cost: Option<MicroDollars>,
    /// How many tries it may have.
    pub max_attempts: u32,
    /// How long one try may take.
    pub timeout_seconds: Option<u32>,
    /// How long it is kept; left out: an ended job is kept until somebody deletes it.
    pub ttl_hours: Option<u16>,
    /// Its input.
    pub input: Input,
    /// Its output.
    pub output: Output,
    /// All that the source said, hashed.
    pub fingerprint: Fingerprint,
}

/// The values that ingesting needs beside the line itself.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Whose jobs these are.
    pub owner: Owner,
    /// The current time.
    pub now: Timestamp,
    /// Names the parts that this call writes.
    pub fresh: Uuid,
    /// How many parts the indexes have.
    pub shards: u16,
    /// How long a job is kept after its end when nobody says, in hours.
    pub ttl_hours: u16,
}

/// The decision about a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nobody had it: this is its head.
    Create(Box<Head>),
    /// It changed: this is its new head.
    Update(Box<Head>),
    /// It says what it said the last time, or it arrived late and tells of an attempt that is over.
    Unchanged,
}

/// The status that a line gives its job, and since when: `None` if the line says nothing, or nothing that can be read.
#[derive(Clone, Copy, Debug)]
pub struct Timeline<'a> {
    /// Its status.
    pub status: Option<Status>,
    /// When it came to be.
    pub created_at: Option<Timestamp>,
    /// From when on it may be claimed.
    pub available_at: Option<Timestamp>,
    /// When its last try began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<&'a JobError>,
}

impl Timeline<'_> {
    /// Every field that contradicts another, or the clock, each as often as it does.
    pub fn contradictions(&self, now: Timestamp) -> Vec<(&'static str, Invalid)> {
        let mut found = Vec::new();
        if let Some(status) = self.status {
            self.against_status(status, &mut found);
        }
        let times = [
            ("created_at", self.created_at),
            ("started_at", self.started_at),
            ("completed_at", self.completed_at),
        ];
        let mut earlier: Option<(&str, Timestamp)> = None;
        for (field, time) in times {
            let Some(time) = time else { continue };
            if time > now.plus_millis(MAX_CLOCK_SKEW_MS) {
                let minutes = MAX_CLOCK_SKEW_MS / 60_000;
                found.push((
                    field,
                    Invalid(format!("must not lie in the future, by more than {minutes} minutes")),
                ));
            }
            if let Some((name, _)) = earlier.filter(|(_, limit)| time < *limit) {
                found.push((field, Invalid(format!("must not be before {name}"))));
            }
            earlier = Some((field, time));
        }
        if self.available_at.zip(self.created_at).is_some_and(|(available, created)| available < created) {
            found.push(("available_at", Invalid::new("must not be before created_at")));
        }
        found
    }

    /// The fields that a job in this status needs and lacks, or has and cannot have.
    fn against_status(&self, status: Status, found: &mut Vec<(&'static str, Invalid)>) {
        let (started, completed) = (self.started_at.is_some(), self.completed_at.is_some());
        let failed = status == Status::Failed;
        let mut check = |wrong: bool, field, message: String| {
            if wrong {
                found.push((field, Invalid(message)));
            }
        };
        check(status == Status::Queued && started, "started_at", "a queued job has not started".into());
        check(status == Status::Running && !started, "started_at", "a running job needs it".into());
        check(status.is_ended() && !completed, "completed_at", format!("a {status} job needs it"));
        check(!status.is_ended() && completed, "completed_at", format!("a {status} job has not ended"));
        check(failed && self.error.is_none(), "error", "a failed job needs it".into());
        check(!failed && self.error.is_some(), "error", format!("a {status} job has none"));
        let available = self.available_at.is_some();
        check(status != Status::Queued && available, "available_at", "only a queued job has it".into());
    }
}

impl Upsert {
    /// The id that the job has here.
    pub fn job_id(&self, owner: &Owner) -> JobId {
        JobId::of_external_id(owner, &self.external_id)
    }

    /// The first time at which the job is known to have been there.
    fn earliest(&self) -> Option<Timestamp> {
        self.created_at.or(self.started_at).or(self.completed_at)
    }

    /// Whether the line arrived late: it tells of a time before the job came to stand as it does.
    fn is_late(&self, job: &Job) -> bool {
        let last_end = job.last_try.as_ref().map(|tried| tried.ended_at);
        if self.status.is_ended() {
            let is_last = job.last_try.as_ref().is_some_and(|tried| {
                (Some(tried.started_at), Some(tried.ended_at)) == (self.started_at, self.completed_at)
            });
            if is_last && !job.status().is_ended() {
                return true;
            }
            return self.completed_at.is_some_and(|said| match job.state.started_at() {
                Some(begin) => said < begin,
                // The end of the last attempt itself is known already.
                None => last_end.is_some_and(|end| said <= end),
            });
        }
        let since = match &job.state {
            State::Running { started_at, .. } if self.status == Status::Queued => Some(*started_at),
            State::Queued { .. } | State::Running { .. } => last_end,
            State::Completed(ended) | State::Failed(ended, _) | State::Cancelled(ended) => {
                Some(ended.completed_at)
            }
        };
        self.started_at.or(self.available_at).zip(since).is_some_and(|(said, since)| said < since)
    }

    /// Whether the line tells of another attempt than the one that the job stands in, or ended with.
    fn is_another_attempt(&self, job: &Job) -> bool {
        match &job.state {
            State::Queued { .. } => self.started_at.is_some(),
            // A source may correct the beginning of an attempt, and the end of a completed job.
            State::Running { .. } | State::Completed(_) => false,
            // An attempt without a length begins and ends at the same time.
            State::Failed(ended, _) | State::Cancelled(ended) => {
                self.started_at != ended.started_at
                    && self.started_at.is_some_and(|begin| begin >= ended.completed_at)
            }
        }
    }

    /// The time from which a queued job is due, if its line does not say it.
    fn due(existing: Option<&Job>, created_at: Timestamp, now: Timestamp) -> Timestamp {
        let Some(job) = existing else { return created_at };
        match job.state {
            // It waits since it was created.
            State::Queued { available_at } if available_at == job.created_at => created_at,
            // It was queued again, or its line no longer says a later time.
            State::Queued { available_at } => available_at.min(now).max(created_at),
            _ => now.max(created_at),
        }
    }

    fn state(&self, existing: Option<&Job>, created_at: Timestamp, now: Timestamp) -> State {
        let ended = |completed_at: Timestamp| Ended {
            started_at: self.started_at,
            completed_at,
            expires_at: self.ttl_hours.map(|hours| completed_at.max(now).plus_hours(hours.into())),
        };
        let completed_at = self.completed_at.unwrap_or(now);
        match self.status {
            Status::Queued => State::Queued {
                available_at: self.available_at.unwrap_or_else(|| Self::due(existing, created_at, now)),
            },
            Status::Running => State::Running {
                started_at: self.started_at.unwrap_or(created_at),
                phase: self.phase.clone(),
                lease: None,
            },
            Status::Completed => State::Completed(ended(completed_at)),
            Status::Cancelled => State::Cancelled(ended(completed_at)),
            Status::Failed => {
                let unknown = || JobError { message: "unknown".to_owned(), failed_task: None, code: None };
                State::Failed(ended(completed_at), self.error.clone().unwrap_or_else(unknown))
            }
        }
    }
}

/// Decides what to do with a line, given the stored head. If the line is refused, the error tells every reason. The
/// code that makes the parts sets the head's `bytes`.
pub fn judge(
    upsert: &Upsert,
    existing: Option<&Head>,
    defaults: &Defaults,
) -> Result<Verdict, Vec<(&'static str, Invalid)>> {
    let id = upsert.job_id(&defaults.owner);
    let mut wrong = Vec::new();
    if let Some(head) = existing {
        if head.fingerprint == upsert.fingerprint {
            return Ok(Verdict::Unchanged);
        }
        let stored = head.job.status();
        if head.job.lease().is_some() {
            let held = "a worker holds the job: only its reports count until its lease ends";
            wrong.push(("status", Invalid::new(held)));
        } else if stored != Status::Completed && upsert.is_late(&head.job) {
            return Ok(Verdict::Unchanged);
        }
        if !stored.reaches(upsert.status) {
            wrong.push(("status", Invalid(format!("a {stored} job cannot become {}", upsert.status))));
        }
    }
    let created_at = upsert
        .created_at
        .or(existing.map(|head| head.job.created_at))
        .or(upsert.earliest())
        // If the job was due at an earlier time, it existed then. If it will be due later, it exists now.
        .or(upsert.available_at.filter(|due| *due < defaults.now))
        .unwrap_or(defaults.now);
    if upsert.earliest().is_some_and(|time| time < created_at) {
        wrong.push(("created_at", Invalid(format!("the job is stored as created at {created_at}"))));
    }
    if upsert.available_at.is_some_and(|due| due < created_at) {
        let message =
            format!("must not be before created_at, and the job is stored as created at {created_at}");
        wrong.push(("available_at", Invalid(message)));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let stored = existing.map(|head| &head.job);
    let state = upsert.state(stored, created_at, defaults.now);
    let tried = u32::from(state.started_at().is_some());
    let is_another = stored.is_some_and(|job| upsert.is_another_attempt(job));
    let attempt = stored.map_or(tried, |job| job.attempt.saturating_add(u32::from(is_another)).max(tried));
    // A job that moves on after its end keeps the attempt that ended, as after a retry.
    let moves_on = is_another || upsert.status == Status::Queued;
    let ended_try = stored.filter(|_| moves_on).and_then(Job::ended_try);
    let is_failure = upsert.status == Status::Failed
        && (is_another || stored.is_none_or(|job| job.status() != Status::Failed));
    let failures = stored.map_or(0, |job| job.failures).saturating_add(u32::from(is_failure));
    // Nobody has begun more tries than they may have, and a job that waits has one left.
    let waits = u32::from(state.status() == Status::Queued);
    let needed = attempt.saturating_add(waits).max(1);
    let head = Head {
        job: Job {
            id,
            owner: defaults.owner.clone(),
            kind: upsert.kind.clone(),
            external_id: Some(upsert.external_id.clone()),
            name: upsert.name.clone(),
            priority: upsert.priority,
            labels: upsert.labels.clone(),
            created_at,
            updated_at: defaults.now,
            attempt,
            max_attempts: upsert.max_attempts.max(needed),
            failures,
            unheard: 0,
            timeout_seconds: upsert.timeout_seconds,
            cost: upsert.cost,
            trace_id: existing.and_then(|head| head.job.trace_id.clone()),
            progress: upsert.progress.clone().filter(|_| upsert.status.keeps_progress()),
            holder: None,
            last_try: ended_try.or_else(|| stored.and_then(|job| job.last_try.clone())),
            arrival: None,
            bytes: 0,
            state,
        },
        shard: existing.map_or_else(|| id.shard(defaults.shards), |head| head.shard),
        fingerprint: upsert.fingerprint,
        written_by: defaults.fresh,
        ttl_hours: upsert.ttl_hours.unwrap_or(defaults.ttl_hours),
        input: (!upsert.input.is_empty()).then_some(defaults.fresh),
        output: (!upsert.output.is_empty()).then_some(defaults.fresh),
        report: None,
        changed_by: existing.and_then(|head| head.changed_by),
        retried_by: existing.and_then(|head| head.retried_by),
    };
    Ok(if existing.is_some() { Verdict::Update(Box::new(head)) } else { Verdict::Create(Box::new(head)) })
}

#[cfg(test)]
mod tests;
