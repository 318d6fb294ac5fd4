//! The watch over the queues: ends tries whose leases ran out, and notes what only a look at the jobs can tell.
//!
//! It reads the heads of the running jobs once a minute. No index is sorted by the ends of leases: each heartbeat would
//! have to pay for it, and heartbeats are many times as many as these reads.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::any_of;
use super::give_back::give_back_all;
use super::send::{Made, replace};
use super::standing::{Standing, counted};
use crate::counts::{counts_by_owner, owners, record_reaper_run};
use crate::domain::{
    CreatedRange, Head, Job, JobId, JobQuery, Order, Owner, Status, Timestamp, TypeName, WorkerId,
    is_reserved, steps::expired,
};
use crate::environment::Environment;
use crate::store::plans::get_heads;
use crate::store::ranges::{Bounds, Range, exact_ranges};
use crate::store::{AttributeMap, Ledger, Source, StoreError, head_of_row, id_of_row};

/// Owners that are looked at side by side.
pub(super) const OWNERS_AT_ONCE: usize = 8;
/// Batches of heads of one owner that are read side by side.
const BATCHES_AT_ONCE: usize = 4;
/// Heads in one batch: as many as DynamoDB gives.
const HEADS_A_READ: usize = 100;
/// Tries of one batch that are ended side by side, where no slots are given back.
const ENDS_AT_ONCE: usize = 8;
/// How long before its end it begins nothing more, in milliseconds.
pub(super) const MARGIN_MS: u64 = 10_000;
/// Each so many minutes, all owners' running jobs are looked at, whatever the counts say: even if the counter stands
/// still, leases must run out.
const THOROUGH_MINUTES: i64 = 10;

/// The actions and the findings of one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// Owners whose running jobs were looked at.
    pub owners: u64,
    /// Jobs that ran, but for the service's own.
    pub running: u64,
    /// Of these, those that a worker holds.
    pub held: u64,
    /// Tries that were ended, and whose jobs wait for the next one.
    pub queued: u64,
    /// Tries that were ended, and whose jobs have failed.
    pub failed: u64,
    /// Jobs that changed between being read and being written: a report came.
    pub changed: u64,
    /// The reads and writes that failed; the next look tries again.
    pub errors: u64,
    /// Types without jobs that gave their places back.
    pub types_given_back: u64,
    /// Whether everything was looked at: there was time, and the store answered.
    pub whole: bool,
}

/// Looks at all queues once, until `ends_at` at the latest.
///
/// # Errors
///
/// Only where nothing can be known: the counts or the owners cannot be read, or the note not be written. All else is
/// logged and left to the next look.
pub async fn watch(
    ledger: &Ledger,
    clock: fn() -> Timestamp,
    ends_at: Option<Timestamp>,
) -> Result<Watched, StoreError> {
    let (now, Ledger { store, config, .. }) = (clock(), ledger);
    let is_thorough = (now.millis() / 60_000) % THOROUGH_MINUTES == 0;
    let counted = counted(store, &config.tables).await?;
    let (mut seen, mut standing, mut all) = (Seen::default(), Standing::default(), Vec::new());
    if is_thorough || counted.is_any {
        let source = ledger.source().await?;
        let look = Look { ledger, source, clock, ends_at, seen };
        let mut owners = owners(source).await?;
        let counts = counts_by_owner(source, &owners).await?;
        let has = |owner: &Owner, status| counts.get(owner).is_some_and(|counts| counts.get(status) > 0);
        let waiting: Vec<_> = owners.iter().filter(|owner| has(owner, Status::Queued)).cloned().collect();
        owners.retain(|owner| is_thorough || has(owner, Status::Running));
        // Begun somewhere else each time: if the time is ever too short, nobody is always the last.
        let begin = any_of(owners.len());
        owners.rotate_left(begin);
        let looks = owners.iter().map(|owner| look.owner(owner));
        stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(OWNERS_AT_ONCE).collect::<()>().await;
        standing = look.standing(&waiting, &counted).await;
        seen = look.seen;
        all = owners;
    }
    let whole = !seen.is_partial.load(Ordering::Relaxed);
    // A result that is half known is not told: the metrics show how old the last note is.
    if whole {
        let note = standing.note(&seen.holders(), now);
        note.record(store, &config.tables).await?;
    }
    let types_given_back = if is_thorough { give_back_all(ledger, &all, clock, ends_at).await } else { 0 };
    record_reaper_run(store, &config.tables, now).await?;
    Ok(Watched { types_given_back, ..seen.watched(whole) })
}

/// The values that one look works with.
pub(super) struct Look<'a> {
    ledger: &'a Ledger,
    pub(super) source: Source<'a>,
    pub(super) clock: fn() -> Timestamp,
    ends_at: Option<Timestamp>,
    pub(super) seen: Seen,
}

/// Its findings so far.
#[derive(Default)]
pub(super) struct Seen {
    owners: AtomicU64,
    running: AtomicU64,
    queued: AtomicU64,
    failed: AtomicU64,
    changed: AtomicU64,
    errors: AtomicU64,
    /// Whether some of it was not looked at: the time was too short, or the store did not answer.
    is_partial: AtomicBool,
    holders: Mutex<Holders>,
}

#[derive(Default)]
pub(super) struct Holders {
    pub(super) workers: BTreeSet<(Owner, WorkerId)>,
    pub(super) tries: BTreeMap<TypeName, u64>,
}

impl Look<'_> {
    /// Whether something more may begin.
    pub(super) fn is_time_left(&self) -> bool {
        let is_left = self.ends_at.is_none_or(|end| end.since((self.clock)()) > MARGIN_MS);
        if !is_left {
            self.seen.is_partial.store(true, Ordering::Relaxed);
        }
        is_left
    }

    /// Looks at an owner's running jobs.
    async fn owner(&self, owner: &Owner) {
        if !self.is_time_left() {
            return;
        }
        add(&self.seen.owners, 1);
        let running =
            JobQuery { statuses: BTreeSet::from([Status::Running]), ..JobQuery::all(owner.clone()) };
        for range in exact_ranges(&running, self.source.shards) {
            if let Err(error) = self.range(owner, &range).await {
                self.seen.missed(&error, "running jobs could not be looked at");
            }
        }
    }

    async fn range(&self, owner: &Owner, range: &Range) -> Result<(), StoreError> {
        let mut from = None;
        while self.is_time_left() {
            let plan = range
                .read(self.source.tables, &Bounds::of(CreatedRange::ALL), Order::Asc)
                .projection_expression("job_id, #type")
                .expression_attribute_names("#type", "type");
            let page = self.source.store.query(plan.set_exclusive_start_key(from)).await?;
            let ids: Vec<JobId> =
                page.items.unwrap_or_default().iter().filter_map(|row| self.seen.callers_job(row)).collect();
            add(&self.seen.running, u64::try_from(ids.len()).unwrap_or(0));
            let batches = ids.chunks(HEADS_A_READ).map(|ids| self.batch(owner, ids));
            stream::iter(batches.collect::<Vec<_>>()).buffer_unordered(BATCHES_AT_ONCE).collect::<()>().await;
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks at some heads. They may be as of a moment ago: if a worker reported since then, it is not hurt, as the
    /// write says what it has seen.
    async fn batch(&self, owner: &Owner, ids: &[JobId]) {
        if !self.is_time_left() {
            return;
        }
        let read = async {
            let found = self.source.store.batch_get(get_heads(self.source.tables, ids)?).await?;
            Ok::<_, StoreError>(found.into_values().flatten().collect::<Vec<_>>())
        };
        let items = match read.await {
            Ok(items) => items,
            Err(error) => return self.seen.missed(&error, "heads of running jobs could not be read"),
        };
        let now = (self.clock)();
        let (mut with_slot, mut without) = (Vec::new(), Vec::new());
        for item in items {
            let head = match head_of_row(item) {
                Ok(head) => head,
                Err(error) => {
                    self.seen.trouble(&error, "the head of a running job cannot be read");
                    continue;
                }
            };
            match head.job.lease() {
                None => {}
                Some(lease) if lease.until >= now => self.seen.holds(owner, &head),
                Some(lease) if lease.holds_slot => with_slot.push(head),
                Some(_) => without.push(head),
            }
        }
        let ends = without.iter().map(|head| self.end(head, now));
        stream::iter(ends.collect::<Vec<_>>()).buffer_unordered(ENDS_AT_ONCE).collect::<()>().await;
        // One after the other: they share the item that counts their slots.
        for head in &with_slot {
            self.end(head, now).await;
        }
    }

    /// Ends a try whose lease ran out, unless a report came in between.
    async fn end(&self, head: &Head, now: Timestamp) {
        let Head { job, .. } = head;
        let end = async {
            let settings = self.ledger.type_settings(&job.owner, &job.kind).await?;
            let backoff_ms = settings.backoff_ms(job.failures, Environment::chance());
            let Some(step) = expired(job, backoff_ms, now) else { return Ok(()) };
            let next = step.apply(head);
            let status = next.job.status();
            match replace(self.ledger, &next, head).await? {
                Made::Done(_) if status == Status::Queued => add(&self.seen.queued, 1),
                Made::Done(_) => add(&self.seen.failed, 1),
                Made::Refused(_) => {
                    add(&self.seen.changed, 1);
                    return Ok(());
                }
            }
            let Job { id, owner, kind, attempt, holder, .. } = job;
            let worker = holder.as_ref().map(|holder| holder.worker.as_str());
            let status = status.as_str();
            tracing::info!(job_id = %id, %owner, r#type = %kind, attempt, worker, status, "a lease expired");
            Ok::<_, StoreError>(())
        };
        if let Err(error) = end.await {
            self.seen.trouble(&error, "a try whose lease ran out could not be ended");
        }
    }
}

impl Seen {
    /// The job of a row, if a worker may hold it: the service's own have no leases.
    fn callers_job(&self, row: &AttributeMap) -> Option<JobId> {
        let kind = row.get("type").and_then(|kind| kind.as_s().ok()).cloned().unwrap_or_default();
        if TypeName::try_from(kind).is_ok_and(|kind| is_reserved(&kind)) {
            return None;
        }
        id_of_row(row).inspect_err(|error| self.trouble(error, "a running job cannot be read")).ok()
    }

    /// A worker holds it.
    fn holds(&self, owner: &Owner, head: &Head) {
        let mut holders = self.holders();
        *holders.tries.entry(head.job.kind.clone()).or_default() += 1;
        if let Some(holder) = &head.job.holder {
            holders.workers.insert((owner.clone(), holder.worker.clone()));
        }
    }

    /// Something could not be read. If a stored item is corrupt, it does not keep the rest from being told.
    pub(super) fn missed(&self, error: &StoreError, what: &str) {
        if !matches!(error, StoreError::Corrupt(_)) {
            self.is_partial.store(true, Ordering::Relaxed);
        }
        self.trouble(error, what);
    }

    fn trouble(&self, error: &(dyn Error + 'static), what: &str) {
        add(&self.errors, 1);
        tracing::warn!(error, "{what}; the next look tries again");
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self, whole: bool) -> Watched {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Watched {
            owners: count(&self.owners),
            running: count(&self.running),
            held: self.holders().tries.values().sum(),
            queued: count(&self.queued),
            failed: count(&self.failed),
            changed: count(&self.changed),
            errors: count(&self.errors),
            types_given_back: 0,
            whole,
        }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}
