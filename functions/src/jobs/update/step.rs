//! Everything else: the head is read, the new one decided by what it says, and put in its place if nothing changed
//! meanwhile.

use jobledger::domain::steps::{cancelled, completed, failed, handed_back, retried, started, stepped};
use jobledger::domain::{
    Head, Input, JobId, Output, Owner, State, Status, Timestamp, TypeName, TypeSettings, is_own,
};
use jobledger::http::{Call, Problem};
use jobledger::lambda::Environment;
use jobledger::queue::replace;
use jobledger::store::{Ledger, StoreError, Written, head_of_row, input_part, output_part, plans};

use super::parse::Change;
use super::refusal::without_lease;

/// How often a job may change between being read and being written.
const MAX_TRIES: usize = 8;

/// Makes a change to a job as it now is.
pub(crate) async fn take(
    call: &Call<'_, Ledger>,
    owner: &Owner,
    id: JobId,
    change: &Change,
) -> Result<Head, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let tables = &config.tables;
    for _ in 0..MAX_TRIES {
        let item = store.get(plans::get_head(tables, id).consistent_read(true)).await?;
        let head = head_of_row(item.ok_or_else(Problem::job_not_found)?)?;
        if head.job.owner != *owner {
            return Err(Problem::other_owner());
        }
        let mut next = match judged(call.backend, &head, change, call.now).await? {
            Judged::Write(next) => *next,
            Judged::Stands => return Ok(head),
        };
        parts(call, &head, change, &mut next).await?;
        // If nobody knows whether it was done, what was written may be the job's, and stays.
        let there = match replace(store, tables, &next, &head).await? {
            Written::Done(_) => Some(next.clone()),
            Written::Refused(item) => item.map(head_of_row).transpose()?,
        };
        // As well its own first try, whose answer was lost; others may have changed the job since.
        for gone in [&head, &next] {
            call.backend.drop_parts(gone, there.as_ref()).await;
        }
        if there.as_ref() == Some(&next) {
            return Ok(next);
        }
    }
    Err(Problem::unavailable(StoreError::Unavailable("the job changed at every try".into())))
}

/// What is to be done about a head.
enum Judged {
    /// Put this one in its place, with the parts that the change brings.
    Write(Box<Head>),
    /// Nothing: it was done before, or the job was called off.
    Stands,
}

async fn judged(ledger: &Ledger, head: &Head, change: &Change, now: Timestamp) -> Result<Judged, Problem> {
    let job = &head.job;
    if is_own(&job.kind) {
        return Err(Problem::service_job(&job.kind));
    }
    if let Some(lease) = &change.lease {
        if !job.is_held_by(&lease.token, now) {
            return without_lease(head.clone(), change, lease).map(|_| Judged::Stands);
        }
    } else if change.is_report() && job.lease().is_some() {
        return Err(Problem::leased());
    }
    let status = job.status();
    let target = change.status.unwrap_or(status);
    if head.report == Some(change.fingerprint) && is_led_to(status, target) {
        return Ok(Judged::Stands);
    }
    if target != status && !status.may_become(target) {
        return Err(Problem::wrong_status(status, &format!("made {target}")));
    }
    let says_more = change.progress.is_some() || change.phase.is_some() || !change.output.is_empty();
    if target == status
        && ((status.is_ended() && change.status.is_some()) || (status != Status::Running && says_more))
    {
        return Err(Problem::wrong_status(status, "reported on"));
    }
    let settings = settings(ledger, &job.owner, &job.kind, change).await?;
    let luck = Environment::chance();
    Ok(Judged::Write(Box::new(next(head, change, target, &settings, luck, now))))
}

/// The settings of a job's type, where a change needs them; else the default stands for them, unread.
pub(crate) async fn settings(
    ledger: &Ledger,
    owner: &Owner,
    kind: &TypeName,
    change: &Change,
) -> Result<TypeSettings, StoreError> {
    if change.needs_settings() {
        ledger.type_settings(owner, kind).await
    } else {
        Ok(TypeSettings::default())
    }
}

/// Whether a job that stands there is where the same report once led it: one that says `running` can be made again as
/// well, and after all others the job may have moved on, and may be led there anew.
fn is_led_to(status: Status, target: Status) -> bool {
    match target {
        Status::Running => false,
        Status::Failed => matches!(status, Status::Failed | Status::Queued),
        Status::Queued | Status::Completed | Status::Cancelled => status == target,
    }
}

/// The head as it is after a change that is legal, but for its parts.
fn next(
    head: &Head,
    change: &Change,
    target: Status,
    settings: &TypeSettings,
    luck: u64,
    now: Timestamp,
) -> Head {
    let mut seen = head.clone();
    if let Some(priority) = change.priority {
        seen.job.priority = priority;
    }
    if let Some(name) = &change.name {
        seen.job.name = Some(name.clone());
    }
    if let Some(labels) = &change.labels {
        seen.job.labels = labels.clone();
    }
    if change.cost.is_some() {
        seen.job.cost = change.cost;
    }
    let status = head.job.status();
    let mut next = if target == status {
        stepped(&seen, now)
    } else {
        match target {
            Status::Running => started(&seen, now),
            Status::Completed => completed(&seen, now),
            Status::Cancelled => cancelled(&seen, now),
            Status::Failed => {
                failed(&seen, change.failure(), settings.backoff_ms(head.job.attempt, luck), now)
            }
            Status::Queued if status == Status::Running => handed_back(&seen, now),
            Status::Queued => retried(&seen, now),
        }
    };
    if target != status {
        next.report = Some(change.fingerprint);
    }
    if let Some(said) = &change.progress
        && next.job.status().keeps_progress()
    {
        let before = next.job.progress.clone().or(head.job.progress.clone()).unwrap_or_default();
        next.job.progress = Some(before.after(said.clone().by_stages(settings)));
    }
    if let State::Running { phase, lease, .. } = &mut next.job.state {
        if change.phase.is_some() {
            phase.clone_from(&change.phase);
        }
        if let (Some(lease), Some(change)) = (lease, &change.lease) {
            lease.until = change.token.terms().until(now, change.seconds);
        }
    }
    next
}

/// Writes what the change brings, beside what the job has already, and names it in the head.
async fn parts(
    call: &Call<'_, Ledger>,
    head: &Head,
    change: &Change,
    next: &mut Head,
) -> Result<(), Problem> {
    let ledger = call.backend;
    let too_large = |error: jobledger::domain::PartError| Problem::too_large(error.to_string());
    let id = head.job.id;
    if !change.output.is_empty() {
        let (output, bytes): (Output, u64) = ledger.read_part(id, head.output.map(output_part)).await?;
        let json = output.with(change.output.clone()).to_json().map_err(too_large)?;
        let written = ledger.write_part(id, &output_part(call.fresh), json).await?;
        next.output = Some(call.fresh);
        next.job.bytes = next.job.bytes.saturating_sub(bytes).saturating_add(written);
    }
    if let Some(metadata) = &change.metadata {
        let (mut input, bytes): (Input, u64) = ledger.read_part(id, head.input.map(input_part)).await?;
        input.metadata = Some(metadata.clone());
        let json = input.to_json().map_err(too_large)?;
        let written = ledger.write_part(id, &input_part(call.fresh), json).await?;
        next.input = Some(call.fresh);
        next.job.bytes = next.job.bytes.saturating_sub(bytes).saturating_add(written);
    }
    Ok(())
}
