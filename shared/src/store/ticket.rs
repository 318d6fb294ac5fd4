//! Tickets, read from `settings`.

use serde::Deserialize;

use super::memory::Memory;
use super::schema::TICKETS;
use super::{AttributeMap, Corrupt, Store, StoreError, Tables, plans};
use crate::domain::{Invalid, KeyHash, KeyId, Owner, Timestamp};
use crate::http::{QueryString, Ticket};

/// How long it is remembered that there is no such ticket, in milliseconds. Nobody knows one before it is kept.
const UNKNOWN_REMEMBERED_MS: i64 = 5_000;

/// What this execution environment knows of tickets.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    /// Hashes of which there is none, or none any more: who tries one costs a read, but not each time.
    unknown: Memory<String, ()>,
}

#[derive(Deserialize)]
struct Row {
    key_id: String,
    owner: String,
    query: String,
    expires_at: i64,
}

impl Tickets {
    /// The ticket with that hash; `None`: there is none, or its time is over. DynamoDB removes it only later.
    pub(super) async fn find(
        &self,
        store: &Store,
        tables: &Tables,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let id = hash.as_str();
        if self.unknown.recall(&id.to_owned(), now).is_some() {
            return Ok(None);
        }
        // As of now: it may be some milliseconds old, and its holder must not be sent away.
        let plan = plans::get_setting(tables, TICKETS, id).consistent_read(true);
        let ticket =
            store.get(plan).await?.map(of_item).transpose()?.filter(|ticket| now < ticket.expires_at);
        if ticket.is_none() {
            self.unknown.remember(id.to_owned(), (), now, UNKNOWN_REMEMBERED_MS);
        }
        Ok(ticket)
    }
}

fn of_item(item: AttributeMap) -> Result<Ticket, Corrupt> {
    let row: Row =
        serde_dynamo::from_item(item).map_err(|error: serde_dynamo::Error| Corrupt::new("ticket", error))?;
    let corrupt = |invalid: Invalid| Corrupt::new("ticket", invalid);
    Ok(Ticket {
        key_id: KeyId::try_from(row.key_id.as_str()).map_err(corrupt)?,
        owner: Owner::try_from(row.owner).map_err(corrupt)?,
        query: QueryString::of_text(&row.query),
        expires_at: Timestamp::from_millis(row.expires_at.saturating_mul(1000)),
    })
}
