//! Beginning a recount.

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{Recount, RecountState};
use crate::background::{self, Asked, Begun};
use crate::domain::{Input, Owner};
use crate::store::{Corrupt, Ledger, StoreError};

/// The comparison that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecountRequest {
    /// Whether errors are repaired.
    pub repair: bool,
    /// Whose counts; `None`: everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How long an hour that seems wrong is left alone before it is looked at again.
    pub settle_seconds: u16,
}

impl RecountRequest {
    /// The name of the action in the audit.
    pub const fn action(&self) -> &'static str {
        if self.repair { "recount.repair" } else { "recount.look" }
    }

    /// The request as the job keeps it.
    pub fn input(&self) -> Result<Input, StoreError> {
        let payload = to_raw_value(self).map_err(|error| Corrupt::new("request", error))?;
        Ok(Input { payload: Some(payload), metadata: None })
    }
}

/// Makes the job, and the task that does it.
pub async fn begin(ledger: &Ledger, asked: &Asked, request: &RecountRequest) -> Result<Begun, StoreError> {
    background::begin::<Recount>(ledger, asked, &RecountState::new(request)).await
}
