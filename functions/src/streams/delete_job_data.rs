//! `delete-job-data`: when a job's head is gone, deleted or expired, its other parts follow. And the other way round: a try
//! that a head tells no more becomes a part.

use jobledger::domain::{Head, Timestamp, Try};
use jobledger::store::schema::{HEAD, PART};
use jobledger::store::tries::{MAX_KEPT_TRIES, delete_try, encode_try, find_tries, try_part};
use jobledger::store::{AttributeMap, Ledger, StoreError, head_of_row, plans};
use jobledger::stream::{Batch, Consumer, StreamRecord, Target, function};
use jobledger::{Error, Function};

/// The function.
pub const FUNCTION: Function = function::<DeleteJobData>();

/// Removes what a removed job leaves behind, and keeps the tries that heads tell no more.
#[derive(Debug)]
pub struct DeleteJobData;

/// What a record asks for.
enum Step {
    /// The head is gone.
    Remove(Box<Head>),
    /// The head told this try, and now tells a later one.
    Keep(Box<Head>, Try),
}

impl Consumer for DeleteJobData {
    const NAME: &'static str = "delete-job-data";

    /// All that is done here may be done again. Parts of a job have names of their own, and tries say which life of the job
    /// they are of: so a delivery that comes late cannot touch a job that was created again.
    async fn consume(ledger: &Ledger, batch: Batch, now: Timestamp) -> Result<(), Error> {
        for record in batch.records {
            let step = match record {
                Ok(record) if record.target == Target::Part(HEAD.to_owned()) => step(record),
                Ok(_) => continue,
                Err(unreadable) => Err(unreadable.into()),
            };
            match step {
                Ok(Some(Step::Remove(head))) => remove(ledger, &head, now).await?,
                Ok(Some(Step::Keep(head, tried))) => keep(ledger, &head, &tried).await?,
                Ok(None) => {}
                Err(error) => {
                    let error: &(dyn std::error::Error + 'static) = error.as_ref();
                    tracing::error!(error, "a stream record cannot be read");
                }
            }
        }
        Ok(())
    }
}

fn step(record: StreamRecord) -> Result<Option<Step>, Error> {
    let old = head_of_row(record.old)?;
    if record.new.is_empty() {
        return Ok(Some(Step::Remove(Box::new(old))));
    }
    let new = head_of_row(record.new)?;
    let told = |head: &Head| head.job.last_try.as_ref().map(|tried| tried.number);
    let gone = old.job.last_try.clone().filter(|_| told(&old) != told(&new));
    Ok(gone.map(|tried| Step::Keep(Box::new(old), tried)))
}

async fn remove(ledger: &Ledger, head: &Head, now: Timestamp) -> Result<(), StoreError> {
    let Ledger { store, config, .. } = ledger;
    let (tables, job) = (&config.tables, &head.job);
    ledger.remove_parts(head, None).await?;
    ledger.sweep_parts(job.id, now).await?;
    // Only once there was a second one is any but the last a part.
    if job.last_try.as_ref().is_none_or(|tried| tried.number < 2) {
        return Ok(());
    }
    let mut from: Option<AttributeMap> = None;
    loop {
        let page = store.query(find_tries(tables, job.id).set_exclusive_start_key(from)).await?;
        for item in page.items.unwrap_or_default() {
            if let Some(part) = item.get(PART).and_then(|part| part.as_s().ok()) {
                store.delete(delete_try(tables, job, part)).await?;
            }
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(());
        }
    }
}

async fn keep(ledger: &Ledger, head: &Head, tried: &Try) -> Result<(), StoreError> {
    let (store, tables) = (&ledger.store, &ledger.config.tables);
    store.put(plans::put_part(tables, encode_try(&head.job, tried)?)).await?;
    if let Some(first) = tried.number.checked_sub(MAX_KEPT_TRIES).filter(|first| *first > 0) {
        store.delete(delete_try(tables, &head.job, &try_part(first))).await?;
    }
    Ok(())
}
