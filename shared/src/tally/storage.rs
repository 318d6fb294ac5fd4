//! What an owner keeps, and whether it may keep more.

use super::{Cell, sum};
use crate::domain::{CreatedRange, Owner};
use crate::dynamo::{Ledger, StoreError};
use crate::http::Problem;

/// Bytes of the inputs and outputs of an owner's jobs, as they have been counted: some seconds ago.
pub async fn used_bytes(ledger: &Ledger, owner: &Owner) -> Result<u64, StoreError> {
    Ok(sum(ledger.source().await?, owner, CreatedRange::ALL).await?.count(Cell::Bytes))
}

/// Refuses where an owner keeps as much as a key lets it. Only keys with a quota have it looked at.
pub async fn check_quota(ledger: &Ledger, owner: &Owner, quota_bytes: Option<u64>) -> Result<(), Problem> {
    let Some(quota_bytes) = quota_bytes else { return Ok(()) };
    let used_bytes = used_bytes(ledger, owner).await?;
    if used_bytes < quota_bytes { Ok(()) } else { Err(Problem::quota_exceeded(used_bytes, quota_bytes)) }
}
