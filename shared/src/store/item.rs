//! A job's head as an item, and back.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(in crate::store) use self::nested::{ErrorRow, text};
use self::nested::{ProgressRow, progress, progress_row};
use super::Corrupt;
use super::schema::{HEAD, JOB_ID};
use crate::domain::{
    Arrival, Ended, ExternalId, Fingerprint, Head, Holder, Job, JobId, JobName, Labels, Lease, LeaseToken,
    MAX_PRIORITY, MicroDollars, Owner, Phase, Progress, State, Status, Timestamp, TraceId, Try, TypeName,
    WorkerId, created_key, folded,
};

/// An item as the SDK has it.
pub type AttributeMap = HashMap<String, AttributeValue>;

/// The head as it is stored. A row of an index has only what is projected: the rest is optional here.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    job_id: String,
    part: String,
    owner: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    shard: u16,
    created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// The place among the jobs that are due at the same time, as the key has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arrival: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The name as it is searched, where that is not the name itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folded: Option<String>,
    priority: u8,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
    updated_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    available_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_at: Option<i64>,
    /// Seconds, as DynamoDB's time-to-live wants them; all other times are milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    attempt: u32,
    max_attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    /// Millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressRow>,
    /// Bytes of input and output as they are stored; absent where there are neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_by: Option<Uuid>,
    /// Seconds from a job's end to its removal: a transition adds it to the time without reading it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Uuid>,
    /// The holder of its attempt, or of the last one, and the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until: Option<i64>,
    /// There where the job is counted among those of its type that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot: Option<bool>,
    /// There where its worker promised a report and has sent none yet; and how many tries in a row ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unacknowledged: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unheard: Option<u32>,
    /// The number of the last try that ended before the job was queued again, and what else there is to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_try: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failures: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_worker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_started: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_ended: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<ErrorRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_by: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retried_by: Option<Uuid>,
}

/// Begins the sort key of a job in its queue that was not due when the key was written. Sorts after all that were.
pub(crate) const LATER: &str = "later#";

/// The sort key of a queued job that is due: the highest priority first, then the first due, then the first that came,
/// then the first id.
pub(crate) fn queue_key(
    priority: u8,
    available_at: Timestamp,
    arrival: Option<Arrival>,
    id: JobId,
) -> String {
    queue_place(priority, &due_key(available_at, arrival, id))
}

/// The sort key of a job that became due since its key was written, by the rest of that key behind [`LATER`].
pub(crate) fn queue_place(priority: u8, due_key: &str) -> String {
    format!("{:02}#{due_key}", MAX_PRIORITY - i64::from(priority))
}

fn due_key(available_at: Timestamp, arrival: Option<Arrival>, id: JobId) -> String {
    let arrival = arrival.map(|arrival| arrival_text(arrival) + "#").unwrap_or_default();
    format!("{available_at}#{arrival}{id}")
}

/// Written as ids of calls begin (UUIDv7), so that jobs of a call with many and of calls with one go by their times.
fn arrival_text(Arrival { at, line }: Arrival) -> String {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    format!("{:08x}-{:04x}-{line:08x}", millis >> 16, millis & 0xffff)
}

fn arrival(text: &str) -> Option<Arrival> {
    let mut numbers = text.split('-').map(|part| u32::from_str_radix(part, 16));
    let (high, low, line) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let millis = (i64::from(high) << 16) | i64::from(low);
    Some(Arrival { at: Timestamp::from_millis(millis), line })
        .filter(|arrival| arrival_text(*arrival) == text)
}

/// The sort key of a job in its queue, as of its last change; `None`: it does not wait. A job that was not due then is
/// kept apart until a claimer finds that it is.
pub(crate) fn queue_key_of(job: &Job) -> Option<String> {
    match &job.state {
        State::Queued { available_at } if *available_at > job.updated_at => {
            Some(format!("{LATER}{}", due_key(*available_at, job.arrival, job.id)))
        }
        State::Queued { available_at } => Some(queue_key(job.priority, *available_at, job.arrival, job.id)),
        State::Running { .. } | State::Completed(_) | State::Failed(..) | State::Cancelled(_) => None,
    }
}

/// A name without regard to case, where that is another text.
fn folded_name(name: &JobName) -> Option<String> {
    let text = folded(name.as_str());
    (text != name.as_str()).then_some(text)
}

/// The item that stores this head.
pub fn head_row(head: &Head) -> Result<AttributeMap, Corrupt> {
    let job = &head.job;
    let mut row = Row {
        job_id: job.id.to_string(),
        part: HEAD.to_owned(),
        owner: job.owner.to_string(),
        kind: job.kind.to_string(),
        status: job.status().to_string(),
        shard: head.shard,
        created: created_key(job.created_at, job.id),
        arrival: job.arrival.map(arrival_text),
        external_id: job.external_id.as_ref().map(ToString::to_string),
        name: job.name.as_ref().map(ToString::to_string),
        folded: job.name.as_ref().and_then(folded_name),
        priority: job.priority,
        labels: job.labels.as_map().clone(),
        updated_at: job.updated_at.millis(),
        started_at: job.state.started_at().map(Timestamp::millis),
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        failures: (job.failures > 0).then_some(job.failures),
        unheard: (job.unheard > 0).then_some(job.unheard),
        timeout_seconds: job.timeout_seconds,
        cost: job.cost.map(MicroDollars::micros),
        trace_id: job.trace_id.as_ref().map(ToString::to_string),
        progress: job.progress.as_ref().map(progress_row),
        bytes: (job.bytes > 0).then_some(job.bytes),
        fingerprint: Some(fingerprint_text(&head.fingerprint)),
        written_by: Some(head.written_by),
        ttl_seconds: Some(i64::from(head.ttl_hours) * 3600),
        input: head.input,
        output: head.output,
        report: head.report.as_ref().map(fingerprint_text),
        changed_by: head.changed_by,
        retried_by: head.retried_by,
        ..Row::default()
    };
    if let Some(Holder { worker, token }) = &job.holder {
        row.worker = Some(worker.to_string());
        row.lease_token = Some(token.as_str().to_owned());
    }
    if let Some(Try { number, worker, started_at, ended_at, error }) = &job.last_try {
        row.last_try = Some(*number);
        row.last_worker = worker.as_ref().map(ToString::to_string);
        row.last_started = Some(started_at.millis());
        row.last_ended = Some(ended_at.millis());
        row.last_error = error.as_ref().map(ErrorRow::from);
    }
    if let Some(ended) = job.state.ended() {
        row.completed_at = Some(ended.completed_at.millis());
        row.expires_at = ended.expires_at.map(Timestamp::seconds_ceil);
    }
    match &job.state {
        State::Queued { available_at } => {
            row.queue = queue_key_of(job);
            row.available_at = Some(available_at.millis());
        }
        State::Running { phase, lease, .. } => {
            row.phase = phase.as_ref().map(ToString::to_string);
            row.lease_until = lease.map(|lease| lease.until.millis());
            row.slot = lease.filter(|lease| lease.holds_slot).map(|_| true);
            row.unacknowledged = lease.filter(|lease| lease.unacknowledged).map(|_| true);
        }
        State::Failed(_, error) => row.error = Some(ErrorRow::from(error)),
        State::Completed(_) | State::Cancelled(_) => {}
    }
    serde_dynamo::to_item(row).map_err(|error| Corrupt::new(job.id, error))
}

/// How far a job is, as heads have it.
pub(crate) fn progress_value(progress: &Progress) -> Result<AttributeValue, Corrupt> {
    serde_dynamo::to_attribute_value(progress_row(progress)).map_err(|error| Corrupt::new("progress", error))
}

/// The job that a head, or a row of a list index, describes.
pub fn job_of_row(item: AttributeMap) -> Result<Job, Corrupt> {
    let name = name_of(&item);
    job(row(item)?).map_err(|problem| Corrupt::new(name, problem))
}

/// The head that an item stores; a row of an index is not enough.
pub fn head_of_row(item: AttributeMap) -> Result<Head, Corrupt> {
    let name = name_of(&item);
    let row = row(item)?;
    let (shard, input, output) = (row.shard, row.input, row.output);
    let (said, written_by, ttl_seconds) = (row.fingerprint.clone(), row.written_by, row.ttl_seconds);
    let (report, changed_by, retried_by) = (row.report.clone(), row.changed_by, row.retried_by);
    let whole = || {
        let said = fingerprint(&said.ok_or("no fingerprint")?)?;
        let ttl_hours = u16::try_from(ttl_seconds.ok_or("no ttl_seconds")? / 3600).map_err(text)?;
        Ok(Head {
            job: job(row)?,
            shard,
            fingerprint: said,
            written_by: written_by.ok_or("no written_by")?,
            ttl_hours,
            input,
            output,
            report: report.as_deref().map(fingerprint).transpose()?,
            changed_by,
            retried_by,
        })
    };
    whole().map_err(|problem: String| Corrupt::new(name, problem))
}

pub(crate) fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    URL_SAFE_NO_PAD.encode(fingerprint.bytes())
}

fn fingerprint(stored: &str) -> Result<Fingerprint, String> {
    let bytes = URL_SAFE_NO_PAD.decode(stored).map_err(text)?;
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| "fingerprint of a wrong length")?;
    Ok(Fingerprint::from(bytes))
}

/// The id in an item's key.
pub fn id_of_row(item: &AttributeMap) -> Result<JobId, Corrupt> {
    let name = name_of(item);
    JobId::try_from(name.as_str()).map_err(|problem| Corrupt::new(name, problem))
}

fn name_of(item: &AttributeMap) -> String {
    item.get(JOB_ID).and_then(|id| id.as_s().ok()).cloned().unwrap_or_else(|| "without job_id".to_owned())
}

fn row(item: AttributeMap) -> Result<Row, Corrupt> {
    let name = name_of(&item);
    serde_dynamo::from_item(item).map_err(|error| Corrupt::new(name, error))
}

fn job(row: Row) -> Result<Job, String> {
    let created = row.created.split_once('#').ok_or("created without '#'")?.0;
    let state = state(&row)?;
    let (holder, last_try) = (holder(&row)?, last_try(&row)?);
    let arrival = row.arrival.as_deref().map(|text| arrival(text).ok_or("arrival of another form"));
    Ok(Job {
        id: JobId::try_from(row.job_id.as_str()).map_err(text)?,
        owner: Owner::try_from(row.owner).map_err(text)?,
        kind: TypeName::try_from(row.kind).map_err(text)?,
        external_id: row.external_id.map(ExternalId::try_from).transpose().map_err(text)?,
        name: row.name.map(JobName::of_store).transpose().map_err(text)?,
        priority: row.priority,
        labels: Labels::of_store(row.labels).map_err(text)?,
        created_at: Timestamp::parse(created).map_err(text)?,
        updated_at: Timestamp::from_millis(row.updated_at),
        attempt: row.attempt,
        max_attempts: row.max_attempts,
        failures: row.failures.unwrap_or(0),
        unheard: row.unheard.unwrap_or(0),
        timeout_seconds: row.timeout_seconds,
        cost: row.cost.map(MicroDollars::try_from).transpose().map_err(text)?,
        trace_id: row.trace_id.map(TraceId::try_from).transpose().map_err(text)?,
        progress: row.progress.map(progress).transpose()?,
        holder,
        last_try,
        arrival: arrival.transpose()?,
        bytes: row.bytes.unwrap_or(0),
        state,
    })
}

fn holder(row: &Row) -> Result<Option<Holder>, String> {
    let (Some(worker), Some(token)) = (&row.worker, &row.lease_token) else { return Ok(None) };
    let worker = WorkerId::try_from(worker.as_str()).map_err(text)?;
    Ok(Some(Holder { worker, token: LeaseToken::try_from(token.clone()).map_err(text)? }))
}

fn last_try(row: &Row) -> Result<Option<Try>, String> {
    let Some(number) = row.last_try else { return Ok(None) };
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis).ok_or("last_try without its times");
    Ok(Some(Try {
        number,
        worker: row.last_worker.as_deref().map(WorkerId::try_from).transpose().map_err(text)?,
        started_at: time(row.last_started)?,
        ended_at: time(row.last_ended)?,
        error: row.last_error.clone().map(ErrorRow::error).transpose()?,
    }))
}

fn state(row: &Row) -> Result<State, String> {
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    let ended = || {
        Ok::<_, String>(Ended {
            started_at: time(row.started_at),
            completed_at: time(row.completed_at).ok_or("ended without completed_at")?,
            expires_at: row.expires_at.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))),
        })
    };
    Ok(match Status::try_from(row.status.as_str()).map_err(text)? {
        Status::Queued => {
            State::Queued { available_at: time(row.available_at).ok_or("queued without available_at")? }
        }
        Status::Running => State::Running {
            started_at: time(row.started_at).ok_or("running without started_at")?,
            phase: row.phase.clone().map(Phase::try_from).transpose().map_err(text)?,
            lease: time(row.lease_until).map(|until| Lease {
                until,
                holds_slot: row.slot == Some(true),
                unacknowledged: row.unacknowledged == Some(true),
            }),
        },
        Status::Completed => State::Completed(ended()?),
        Status::Cancelled => State::Cancelled(ended()?),
        Status::Failed => {
            let error = row.error.clone().ok_or("failed without error")?;
            State::Failed(ended()?, error.error()?)
        }
    })
}

mod nested;
#[cfg(test)]
mod tests;
