//! `tally-jobs`: keeps the counts of jobs and of records, from their streams, each stream record once.

use jobledger::counts::tally_batch;
use jobledger::domain::Timestamp;
use jobledger::store::Ledger;
use jobledger::stream::{Batch, Consumer, function};
use jobledger::{Error, Function};

/// The function.
pub const FUNCTION: Function = function::<TallyJobs>();

/// Counts what the streams tell.
#[derive(Debug)]
pub struct TallyJobs;

impl Consumer for TallyJobs {
    const NAME: &'static str = "tally-jobs";

    async fn consume(ledger: &Ledger, batch: Batch, now: Timestamp) -> Result<(), Error> {
        Ok(tally_batch(ledger, batch, now).await?)
    }
}
