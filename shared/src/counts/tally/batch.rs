//! The exactly-once algorithm: a batch of a stream is counted once, however often it is delivered.
//!
//! A stream delivers at least once. Each commit moves the shard's checkpoint together with the numbers, on the condition
//! that nobody else moved it: so a repeated, cut, overlapping or half-failed delivery changes nothing.

use super::change::{Change, Delta, deltas};
use super::checkpoint::Stream;
use super::commit::{Commit, commit, read_checkpoint};
use super::fold::Fold;
use super::probe::probe_time;
use super::record_change::{RecordChange, lessened, record_deltas, remove_empty};
use super::{failure_codes, failures};
use crate::domain::{ErrorCode, Job, State, Status, Timestamp, TraceId};
use crate::store::records::record_of_item;
use crate::store::schema::{HEAD, PROBE};
use crate::store::{
    AttributeMap, Batch, Corrupt, Ledger, SequenceNumber, StoreError, StreamRecord, Target, Unreadable,
    job_of_row,
};

/// How often a batch is begun anew because another delivery of the shard was faster.
const MAX_TRIES: usize = 5;

/// Why a batch was not counted to its end. It is delivered again.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// The event does not say of which shard its records are.
    #[error("the event names no shard: the event source needs a tumbling window")]
    NoShard,
    /// Another delivery of the shard moved the checkpoint each time.
    #[error("other deliveries of this shard were faster at every try")]
    Overtaken,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counts what a batch tells and nobody has counted before.
pub async fn tally_batch(ledger: &Ledger, batch: Batch, now: Timestamp) -> Result<(), TallyError> {
    if batch.records.is_empty() {
        return Ok(());
    }
    let shard_id = batch.shard_id.ok_or(TallyError::NoShard)?;
    let stream = batch.records.iter().flatten().map(|record| stream_of(&record.target)).next();
    let shard = Shard { id: &shard_id, stream };
    let entries: Vec<Entry> = batch.records.into_iter().map(|record| Entry::of(record, now)).collect();
    for _ in 0..MAX_TRIES {
        if count(ledger, shard, &entries, now).await? {
            return remove_what_is_empty(ledger, &entries).await;
        }
    }
    Err(TallyError::Overtaken)
}

/// The shard that a batch is of.
#[derive(Clone, Copy, Debug)]
struct Shard<'a> {
    id: &'a str,
    /// `None`: no record of the batch can be read.
    stream: Option<Stream>,
}

const fn stream_of(target: &Target) -> Stream {
    match target {
        Target::Part(_) => Stream::Jobs,
        Target::Record => Stream::Records,
    }
}

/// Removes counts of records that the batch has left at nothing. Those are told by all of the batch, also by what was
/// counted before: so a delivery that ended between its commit and this is made good by the next.
async fn remove_what_is_empty(ledger: &Ledger, entries: &[Entry]) -> Result<(), TallyError> {
    let moves = entries.iter().filter_map(|entry| match &entry.does {
        Does::Move(deltas) => Some(deltas),
        Does::Probe(_) | Does::Fail => None,
    });
    Ok(remove_empty(&ledger.store, &ledger.config.tables, lessened(moves.flatten())).await?)
}

/// The changes that one record makes to the counts.
#[derive(Debug)]
struct Entry {
    /// `None`: the record does not even say which it is; it is counted as unreadable, with its neighbours.
    sequence: Option<SequenceNumber>,
    written_at: Timestamp,
    does: Does,
}

#[derive(Debug)]
enum Does {
    /// Moves these numbers; none for what is not counted.
    Move(Vec<Delta>),
    /// Shows that records written then have come through.
    Probe(Timestamp),
    /// Nothing that can be told.
    Fail,
}

impl Entry {
    fn of(record: Result<StreamRecord, Unreadable>, now: Timestamp) -> Self {
        let failed = |unreadable: &Unreadable| {
            tracing::error!(error = unreadable as &dyn std::error::Error, "a stream record cannot be read");
            Self { sequence: unreadable.sequence.clone(), written_at: now, does: Does::Fail }
        };
        let record = match record {
            Ok(record) => record,
            Err(unreadable) => return failed(&unreadable),
        };
        let written_at = record.written_at.unwrap_or(now);
        let does = match &record.target {
            Target::Part(part) if part == HEAD => job_deltas(record.old, record.new).map(Does::Move),
            Target::Part(part) if part == PROBE => {
                Ok(probe_time(&record.new).map_or(Does::Move(Vec::new()), Does::Probe))
            }
            Target::Part(_) => Ok(Does::Move(Vec::new())),
            Target::Record => deltas_of_record(record.old, record.new).map(Does::Move),
        };
        let sequence = Some(record.sequence);
        match does {
            Ok(does) => Self { sequence, written_at, does },
            Err(corrupt) => failed(&Unreadable { sequence, problem: corrupt.to_string() }),
        }
    }
}

fn job_deltas(old: AttributeMap, new: AttributeMap) -> Result<Vec<Delta>, Corrupt> {
    let change = Change { old: image(old, job_of_row)?, new: image(new, job_of_row)? };
    log_failure(&change);
    Ok(deltas(&change))
}

/// Logs the one line of a job that failed. A batch that is delivered again repeats it.
fn log_failure(change: &Change) {
    let has_failed = |job: &&Job| job.status() == Status::Failed;
    let (Some(job), None) = (change.new.as_ref().filter(has_failed), change.old.as_ref().filter(has_failed))
    else {
        return;
    };
    let State::Failed(_, error) = &job.state else { return };
    let Job { id, owner, kind, attempt, holder, trace_id, .. } = job;
    let worker = holder.as_ref().map(|holder| holder.worker.as_str());
    let (code, trace_id) =
        (error.code.as_ref().map(ErrorCode::as_str), trace_id.as_ref().map(TraceId::as_str));
    tracing::info!(job_id = %id, %owner, r#type = %kind, attempt, worker, code, trace_id, "a job failed");
}

fn deltas_of_record(old: AttributeMap, new: AttributeMap) -> Result<Vec<Delta>, Corrupt> {
    Ok(record_deltas(&RecordChange { old: image(old, record_of_item)?, new: image(new, record_of_item)? }))
}

/// The value that an image shows; `None`: there was no item, or there is none any more.
fn image<T>(
    image: AttributeMap,
    read: impl FnOnce(AttributeMap) -> Result<T, Corrupt>,
) -> Result<Option<T>, Corrupt> {
    if image.is_empty() { Ok(None) } else { read(image).map(Some) }
}

/// The changes that have been added up and not yet written.
#[derive(Default)]
struct Pending {
    fold: Fold,
    unreadable: u64,
    probe: Option<Timestamp>,
    last: Option<(SequenceNumber, Timestamp)>,
}

/// Counts what lies after the checkpoint; false: the checkpoint or a group of failures moved meanwhile, and all has to be looked at anew.
async fn count(
    ledger: &Ledger,
    shard: Shard<'_>,
    entries: &[Entry],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let checkpoint = read_checkpoint(store, &config.tables, shard.id).await?;
    let mut read = checkpoint.map(|checkpoint| checkpoint.sequence);
    let mut pending = Pending::default();
    for entry in after(entries, read.as_ref()) {
        if let Does::Move(deltas) = &entry.does
            && !pending.fold.add(deltas)
        {
            if !write(ledger, shard, &mut read, &pending, now).await? {
                return Ok(false);
            }
            pending = Pending::default();
            pending.fold.add(deltas);
        }
        match &entry.does {
            Does::Move(_) => {}
            Does::Probe(at) => pending.probe = Some(*at),
            Does::Fail => pending.unreadable += 1,
        }
        if let Some(sequence) = &entry.sequence {
            pending.last = Some((sequence.clone(), entry.written_at));
        }
    }
    write(ledger, shard, &mut read, &pending, now).await
}

/// The records after the checkpoint.
///
/// A record without a sequence number goes with the record before it, or if there is none, with the next one. So it
/// counts once, too. If no record has a number, nothing tells them apart, and none is new.
fn after<'a>(entries: &'a [Entry], read: Option<&SequenceNumber>) -> Vec<&'a Entry> {
    let says =
        |entry: &Entry| entry.sequence.as_ref().map(|sequence| read.is_none_or(|read| sequence > read));
    let mut is_new = entries.iter().find_map(says).unwrap_or(false);
    let keep = |entry: &&Entry| {
        is_new = says(entry).unwrap_or(is_new);
        is_new
    };
    entries.iter().filter(keep).collect()
}

/// Writes what has been added up, if anything, and moves the checkpoint with it.
async fn write(
    ledger: &Ledger,
    shard: Shard<'_>,
    read: &mut Option<SequenceNumber>,
    pending: &Pending,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some((last, written_at)) = &pending.last else { return Ok(true) };
    let Pending { fold, unreadable, probe, .. } = pending;
    let owners = ledger.owners.unknown(fold.owners());
    let Ledger { store, config, .. } = ledger;
    let (groups, codes) = tokio::try_join!(
        failures::writes(store, &config.tables, fold),
        failure_codes::sums(store, &config.tables, fold)
    )?;
    let plan = Commit {
        shard_id: shard.id,
        stream: shard.stream,
        read: read.as_ref(),
        last,
        written_at: *written_at,
        fold,
        groups,
        codes,
        unreadable: *unreadable,
        probe: *probe,
        owners: &owners,
        now,
    };
    if plan.is_empty() {
        return Ok(true);
    }
    let done = commit(&ledger.store, &ledger.config.tables, &plan).await?;
    if done {
        *read = Some(last.clone());
        ledger.owners.remember(&owners);
    }
    Ok(done)
}
