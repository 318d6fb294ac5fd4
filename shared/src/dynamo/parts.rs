//! The parts that heads name: inputs and outputs, each under a name of its own.

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::schema::{INPUT, OUTPUT};
use super::{Ledger, StoreError, decode_part, encode_part, part_bytes, plans};
use crate::domain::{Head, JobId};

/// The part that holds the input of this name.
pub fn input_part(name: Uuid) -> String {
    format!("{INPUT}{name}")
}

/// The part that holds the output of this name.
pub fn output_part(name: Uuid) -> String {
    format!("{OUTPUT}{name}")
}

/// The parts that a head names and the one that stays, if any, does not.
fn parts_of(gone: &Head, stays: Option<&Head>) -> impl Iterator<Item = String> {
    let parts = |head: &Head| [head.input.map(input_part), head.output.map(output_part)];
    let kept = stays.map(parts).unwrap_or_default();
    parts(gone).into_iter().filter(move |part| !kept.contains(part)).flatten()
}

impl Ledger {
    /// Writes a part. Answers how many bytes it keeps.
    pub async fn write_part(&self, id: JobId, part: &str, json: Vec<u8>) -> Result<u64, StoreError> {
        let item = encode_part(id, part, json);
        let bytes = part_bytes(&item);
        self.store.put(plans::put_part(&self.config.tables, item)).await?;
        Ok(bytes)
    }

    /// What a part says as of now, and how many bytes it keeps: nothing and none, where it is not named or not there.
    pub async fn read_part<T: DeserializeOwned + Default>(
        &self,
        id: JobId,
        part: Option<String>,
    ) -> Result<(T, u64), StoreError> {
        let Some(part) = part else { return Ok(Default::default()) };
        let plan = plans::get_part(&self.config.tables, id, &part).consistent_read(true);
        let Some(item) = self.store.get(plan).await? else { return Ok(Default::default()) };
        Ok((decode_part(&item)?, part_bytes(&item)))
    }

    /// Removes the parts that a head names and the one that stays, if any, does not.
    pub async fn remove_parts(&self, gone: &Head, stays: Option<&Head>) -> Result<(), StoreError> {
        for part in parts_of(gone, stays) {
            self.store.delete(plans::delete_part(&self.config.tables, gone.job.id, &part)).await?;
        }
        Ok(())
    }

    /// The same, where it may fail: then only space is lost.
    pub async fn drop_parts(&self, gone: &Head, stays: Option<&Head>) {
        for part in parts_of(gone, stays) {
            self.drop_part(gone.job.id, &part).await;
        }
    }

    /// Removes a part that no head names, or no longer. If that fails, only space is lost.
    pub async fn drop_part(&self, id: JobId, part: &str) {
        if let Err(error) = self.store.delete(plans::delete_part(&self.config.tables, id, part)).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, %id, part, "a part that no job names was left behind");
        }
    }
}
