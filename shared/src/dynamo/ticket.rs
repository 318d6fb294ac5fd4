//! Tickets, read from `settings`.

use serde::Deserialize;

use super::schema::TICKETS;
use super::{Corrupt, Store, StoreError, Tables, plans};
use crate::domain::{KeyHash, Owner, Timestamp};
use crate::http::{QueryString, Ticket};

#[derive(Deserialize)]
struct Row {
    key_id: String,
    owner: String,
    query: String,
    expires_at: i64,
}

/// The ticket with that hash; `None`: there is none, or its time is over. DynamoDB removes it only later.
pub(super) async fn find(
    store: &Store,
    tables: &Tables,
    hash: &KeyHash,
    now: Timestamp,
) -> Result<Option<Ticket>, StoreError> {
    // As of now: it may be some milliseconds old, and its holder must not be sent away.
    let plan = plans::get_setting(tables, TICKETS, hash.as_str()).consistent_read(true);
    let Some(item) = store.get(plan).await? else { return Ok(None) };
    let row: Row =
        serde_dynamo::from_item(item).map_err(|error: serde_dynamo::Error| Corrupt::new("ticket", error))?;
    let owner = Owner::try_from(row.owner.as_str()).map_err(|error| Corrupt::new("ticket", error))?;
    let expires_at = Timestamp::from_millis(row.expires_at.saturating_mul(1000));
    let ticket = Ticket { key_id: row.key_id, owner, query: QueryString::of_text(&row.query), expires_at };
    Ok((now < ticket.expires_at).then_some(ticket))
}
