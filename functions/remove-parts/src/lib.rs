//! `remove-parts`: when a job's head is gone, deleted or expired, its input and output follow.

use jobledger::domain::Timestamp;
use jobledger::dynamo::schema::{HEAD, INPUT, OUTPUT};
use jobledger::dynamo::{Ledger, head_of_row, plans};
use jobledger::stream::{Batch, Consumer, function};
use jobledger::{Error, Function};

/// The function.
pub const FUNCTION: Function = function::<RemoveParts>();

/// Removes what a removed job leaves behind.
#[derive(Debug)]
pub struct RemoveParts;

impl Consumer for RemoveParts {
    const NAME: &'static str = "remove-parts";

    /// Parts have names of their own, so a delivery that comes late cannot touch a job that was created again.
    async fn consume(ledger: &Ledger, batch: Batch, _: Timestamp) -> Result<(), Error> {
        for record in batch.records {
            let record = match record {
                Ok(record) if record.part == HEAD && record.new.is_empty() => record,
                Ok(_) => continue,
                Err(unreadable) => {
                    tracing::error!(
                        error = &unreadable as &dyn std::error::Error,
                        "a stream record cannot be read"
                    );
                    continue;
                }
            };
            let head = match head_of_row(record.old) {
                Ok(head) => head,
                Err(corrupt) => {
                    tracing::error!(
                        error = &corrupt as &dyn std::error::Error,
                        "a removed head cannot be read"
                    );
                    continue;
                }
            };
            let input = head.input.map(|name| format!("{INPUT}{name}"));
            let output = head.output.map(|name| format!("{OUTPUT}{name}"));
            for part in [input, output].into_iter().flatten() {
                ledger.store.delete(plans::delete_part(&ledger.config.tables, head.job.id, &part)).await?;
            }
        }
        Ok(())
    }
}
