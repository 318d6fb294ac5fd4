//! What a job gives: written before the head that names it, and removed with the last head that did.

use uuid::Uuid;

use crate::domain::{Fingerprint, Head, JobId, Output};
use crate::dynamo::schema::OUTPUT;
use crate::dynamo::{Store, StoreError, Tables, decode_part, encode_part, part_bytes, plans};

/// The name of the output that comes with the end of a lease. The same report names the same one, so that it leaves none
/// behind when it is sent again; no other has it, as the token is part of what is said.
pub fn output_of_report(report: &Fingerprint) -> Uuid {
    Uuid::from_bytes(*report.bytes())
}

/// Writes an output under that name; answers how many bytes it takes.
pub async fn write_output(
    store: &Store,
    tables: &Tables,
    id: JobId,
    name: Uuid,
    json: Vec<u8>,
) -> Result<u64, StoreError> {
    let part = encode_part(id, &format!("{OUTPUT}{name}"), json);
    let bytes = part_bytes(&part);
    store.put(plans::put_part(tables, part)).await?;
    Ok(bytes)
}

/// Reads the output that a head names; empty where it names none.
pub async fn read_output(store: &Store, tables: &Tables, head: &Head) -> Result<(Output, u64), StoreError> {
    let Some(name) = head.output else { return Ok((Output::default(), 0)) };
    let plan = plans::get_part(tables, head.job.id, &format!("{OUTPUT}{name}")).consistent_read(true);
    let Some(item) = store.get(plan).await? else { return Ok((Output::default(), 0)) };
    Ok((decode_part(&item)?, part_bytes(&item)))
}

/// Removes an output that no head names, or no longer. If that fails, only space is lost.
pub async fn drop_output(store: &Store, tables: &Tables, id: JobId, name: Uuid) {
    let plan = plans::delete_part(tables, id, &format!("{OUTPUT}{name}"));
    if let Err(error) = store.delete(plan).await {
        tracing::warn!(error = &error as &dyn std::error::Error, %id, "an output without a job was left behind");
    }
}
