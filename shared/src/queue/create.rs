//! Creating a job. One conditional write decides; the job's input is written before it.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::send::announce;
use super::{Error, Jobs};
use crate::counts::{mean_run_ms, used_bytes};
use crate::domain::{Creation, Head, IdempotencyKey, JobId, Mode, NewJob, Timestamp};
use crate::store::head_write::HeadPut;
use crate::store::pages::READS_AT_ONCE;
use crate::store::{Ledger, Part, StoreError, Written, head_of_row, input_part, plans};

/// How far a job's position in its queue is counted.
const MAX_POSITION: i32 = 1_000;

/// A job that was created now, or before by the same request.
#[derive(Clone, Debug)]
pub struct Created {
    /// The head.
    pub head: Head,
    /// Whether it was created now.
    pub is_new: bool,
    /// How many jobs go before it; `None`: it does not wait, is not due yet, or more than are counted do.
    pub ahead: Option<u64>,
    /// The mean time that jobs of its type run, in milliseconds, where that is known.
    pub mean_run_ms: Option<u64>,
    /// How creating jobs of its type is answered.
    pub mode: Mode,
}

impl Jobs<'_> {
    /// Creates a job, unless the same request has created it before.
    pub async fn create(&self, call: &Creation, new: &NewJob) -> Result<Created, Error> {
        let ledger = self.ledger;
        let Ledger { store, config, .. } = ledger;
        let json = new.input.to_json()?;
        let mut head = new.head(call, ledger.shards_to_write().await?, config.default_ttl_hours);
        let input = head.input.map(|name| Part::new(head.job.id, &input_part(name), json));
        head.job.bytes = input.as_ref().map_or(0, Part::bytes);
        // All are waited for, so that an input is not still on its way when it is removed again.
        let (read, written, claimed) = tokio::join!(
            async {
                let mean = mean_run_ms(store, &config.tables, &head.job.owner, &head.job.kind);
                let settings = ledger.type_settings(&head.job.owner, &head.job.kind);
                tokio::try_join!(self.count_ahead(&head, call.now), mean, settings)
            },
            self.write_input(input),
            async {
                // Before the key is kept: a key that came with a refused job still stands for nothing.
                tokio::try_join!(self.check_room(call, &head), self.check_type(call, &head))?;
                match &call.key {
                    Some(key) => self.claim_key(&head, key, call.now).await,
                    None => Ok(()),
                }
            },
        );
        let done = claimed.and(written.map_err(Error::from)).and(read.map_err(Error::from));
        let (ahead, mean_run_ms, settings) = match done {
            Ok(read) => read,
            Err(error) => {
                ledger.drop_parts(&head, None).await;
                return Err(error);
            }
        };
        if let (None, Some(max_attempts)) = (new.max_attempts, settings.max_attempts) {
            head.job.max_attempts = max_attempts;
        }
        let created = |head, is_new, ahead| Created { head, is_new, ahead, mean_run_ms, mode: settings.mode };
        let existing = match store.put(HeadPut::create(&head)?.request(&config.tables)).await? {
            Written::Done(_) => {
                announce(ledger, &head);
                return Ok(created(head, true, ahead));
            }
            Written::Refused(item) => head_of_row(item.ok_or(Error::NotFound)?)?,
        };
        if existing.is_same_write(&head) {
            announce(ledger, &existing);
            return Ok(created(existing, true, ahead));
        }
        ledger.drop_parts(&head, None).await;
        same_job(&head, &existing, call.key.is_some())?;
        let ahead = self.count_ahead(&existing, call.now).await?;
        Ok(created(existing, false, ahead))
    }

    /// Refuses where the owner keeps too much for one more job. One that is there already, for the same request, is no more.
    async fn check_room(&self, call: &Creation, head: &Head) -> Result<(), Error> {
        let Some(quota_bytes) = call.quota_bytes else { return Ok(()) };
        let used_bytes = used_bytes(self.ledger, &head.job.owner).await?;
        if used_bytes < quota_bytes {
            return Ok(());
        }
        let refused = Error::QuotaExceeded { used_bytes, quota_bytes };
        if head.job.id == JobId::from(call.fresh) {
            return Err(refused);
        }
        match self.find_head(head.job.id).await? {
            Some(there) if there.fingerprint == head.fingerprint => Ok(()),
            Some(_) | None => Err(refused),
        }
    }

    /// Refuses a new type where the owner uses as many as it may.
    async fn check_type(&self, call: &Creation, head: &Head) -> Result<(), Error> {
        let kinds = BTreeSet::from([head.job.kind.clone()]);
        let (refused, limit) = self.admit(&head.job.owner, &kinds, call.max_types).await?;
        if refused.is_empty() { Ok(()) } else { Err(Error::TooManyTypes(limit)) }
    }

    /// Makes sure that a key never stood for another request, whether that had an `external_id` or not.
    ///
    /// Both kinds of request write the same item, on a condition that the other kind's item does not meet. So of two that
    /// come at once, one is refused. Among requests without an `external_id`, creating the job decides.
    async fn claim_key(&self, head: &Head, key: &IdempotencyKey, now: Timestamp) -> Result<(), Error> {
        let Ledger { store, config, .. } = self.ledger;
        let id = JobId::of_idempotency_key(&head.job.owner, key);
        let kept = if head.job.external_id.is_some() {
            // Of a job that outlived its key, or is older than keys of such jobs are.
            if store.get(plans::get_head(&config.tables, id).consistent_read(true)).await?.is_some() {
                return Err(Error::IdempotencyKeyReused);
            }
            plans::keep_key(&config.tables, id, &head.fingerprint, now)
        } else {
            plans::keep_key_of_id(&config.tables, id, now)
        };
        match store.put(kept).await? {
            Written::Done(_) => Ok(()),
            Written::Refused(_) => Err(Error::IdempotencyKeyReused),
        }
    }

    /// Writes what the job is given, before the head that decides whether there is a job.
    async fn write_input(&self, input: Option<Part>) -> Result<(), StoreError> {
        if let Some(input) = input {
            let plan = plans::put_part(&self.ledger.config.tables, input.into_item());
            self.ledger.store.put(plan).await?;
        }
        Ok(())
    }

    /// How many jobs of its type go before this one; `None`: it does not wait, is not due yet, or more than are counted
    /// do.
    pub async fn count_ahead(&self, head: &Head, now: Timestamp) -> Result<Option<u64>, StoreError> {
        if !head.job.is_due(now) {
            return Ok(None);
        }
        let source = self.ledger.source().await?;
        let plans = (0..source.shards)
            .flat_map(|shard| plans::queue::count_ahead(source.tables, &head.job, shard, now, MAX_POSITION));
        let counts = plans.map(|plan| async {
            let page = source.store.query(plan).await?;
            Ok::<_, StoreError>((page.last_evaluated_key.is_none()).then_some(page.count))
        });
        let counts: Vec<Option<i32>> = stream::iter(counts).buffered(READS_AT_ONCE).try_collect().await?;
        let ahead: Option<i32> = counts.into_iter().sum();
        Ok(ahead.filter(|ahead| *ahead < MAX_POSITION).and_then(|ahead| u64::try_from(ahead).ok()))
    }
}

/// Refuses where the job that has this id was created by another request.
fn same_job(wanted: &Head, existing: &Head, by_key: bool) -> Result<(), Error> {
    if wanted.fingerprint == existing.fingerprint {
        return Ok(());
    }
    Err(match (&wanted.job.external_id, by_key) {
        (None, true) => Error::IdempotencyKeyReused,
        (Some(_), _) | (None, false) => Error::ExternalIdTaken(existing.job.status()),
    })
}
