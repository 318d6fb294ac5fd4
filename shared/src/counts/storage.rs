//! What an owner keeps.

use super::{Cell, StatusCounts, Tally, sum};
use crate::domain::{CreatedRange, Owner};
use crate::store::{Ledger, StoreError};

/// What a job takes besides its inputs and outputs, in bytes: its head, and its rows in the indexes. About that, so that jobs
/// without a payload are not free.
pub const HEAD_BYTES: u64 = 1_024;

/// Bytes that an owner's jobs take, as they have been counted: some seconds ago.
pub async fn used_bytes(ledger: &Ledger, owner: &Owner) -> Result<u64, StoreError> {
    Ok(bytes_of(&sum(ledger.source().await?, owner, CreatedRange::ALL).await?))
}

/// Bytes that the jobs of a tally take: of their inputs and outputs, and so much for each.
pub fn bytes_of(tally: &Tally) -> u64 {
    let jobs = StatusCounts::of(tally).total();
    tally.count(Cell::Bytes).saturating_add(jobs.saturating_mul(HEAD_BYTES))
}
