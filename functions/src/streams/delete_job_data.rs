//! `delete-job-data`: when a job's head is gone, deleted or expired, its other parts follow. And the other way round: a try
//! that a head tells no more becomes a part.

use jobledger::domain::{Head, Timestamp, Try};
use jobledger::store::Ledger;
use jobledger::stream::{Batch, Consumer, StreamRecord, function};
use jobledger::{Error, Function};

/// The function.
pub const FUNCTION: Function = function::<DeleteJobData>();

/// Removes what a removed job leaves behind, and keeps the tries that heads tell no more.
#[derive(Debug)]
pub struct DeleteJobData;

/// The work that a record asks for.
enum Work {
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
            let work = match record {
                Ok(record) if record.is_of_head() => work_of(record),
                Ok(_) => continue,
                Err(unreadable) => Err(unreadable.into()),
            };
            match work {
                Ok(Some(Work::Remove(head))) => ledger.jobs().remove_data(&head, now).await?,
                Ok(Some(Work::Keep(head, tried))) => ledger.jobs().keep_try(&head, &tried).await?,
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

fn work_of(record: StreamRecord) -> Result<Option<Work>, Error> {
    let (old, new) = record.heads()?;
    let Some(new) = new else { return Ok(Some(Work::Remove(Box::new(old)))) };
    let told = |head: &Head| head.job.last_try.as_ref().map(|tried| tried.number);
    let gone = old.job.last_try.clone().filter(|_| told(&old) != told(&new));
    Ok(gone.map(|tried| Work::Keep(Box::new(old), tried)))
}
