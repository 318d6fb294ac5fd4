//! Tickets: each stands for a key and a query where a caller is sent on to another host.

use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use serde::Deserialize;

use super::Error;
use crate::domain::{Invalid, KeyHash, KeyId, Owner, QueryString, Timestamp};
use crate::store::schema::{EXPIRES_AT, ID, KIND, TICKETS};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Ledger, Memory, Store, Tables, plans};

/// How long it is remembered that there is no such ticket, in milliseconds. Nobody knows one before it is kept.
const UNKNOWN_REMEMBERED_MS: i64 = 5_000;

/// A ticket, without its text: that is only known to who was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The key that it stands for.
    pub key_id: KeyId,
    /// For whom its holder acts.
    pub owner: Owner,
    /// The only query that its holder may ask.
    pub query: QueryString,
    /// When it ends. Until then it may be used again: a transfer that broke off is begun anew.
    pub expires_at: Timestamp,
}

/// The tickets that were issued.
#[derive(Clone, Copy, Debug)]
pub struct Tickets<'a> {
    store: &'a Store,
    tables: &'a Tables,
}

impl Ledger {
    /// The tickets that were issued.
    pub fn tickets(&self) -> Tickets<'_> {
        Tickets::new(&self.store, &self.config.tables)
    }
}

impl<'a> Tickets<'a> {
    /// The tickets that this store has.
    pub(super) fn new(store: &'a Store, tables: &'a Tables) -> Self {
        Self { store, tables }
    }

    /// Keeps a ticket under the hash of its text.
    pub async fn issue(self, text: &str, ticket: &Ticket) -> Result<(), Error> {
        let plan = PutItemInput::builder()
            .table_name(&self.tables.settings)
            .item(KIND, s(TICKETS))
            .item(ID, s(KeyHash::of(text).as_str()))
            .item("key_id", s(&ticket.key_id))
            .item("owner", s(&ticket.owner))
            .item("query", s(ticket.query.to_text()))
            .item(EXPIRES_AT, n(ticket.expires_at.seconds_ceil()));
        self.store.put(plan).await?;
        Ok(())
    }
}

/// The hashes that this execution environment knows to have no ticket, or none any more: a caller who tries one costs a
/// read, but not each time.
#[derive(Debug, Default)]
pub(super) struct UnknownTickets {
    hashes: Memory<String, ()>,
}

#[derive(Deserialize)]
struct Row {
    key_id: String,
    owner: String,
    query: String,
    expires_at: i64,
}

impl UnknownTickets {
    /// The ticket with that hash; `None`: there is none, or its time is over. DynamoDB removes it only later.
    pub(super) async fn find(
        &self,
        tickets: Tickets<'_>,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Option<Ticket>, Error> {
        let id = hash.as_str();
        if self.hashes.recall(&id.to_owned(), now).is_some() {
            return Ok(None);
        }
        // As of now: it may be some milliseconds old, and its holder must not be sent away.
        let plan = plans::get_setting(tickets.tables, TICKETS, id).consistent_read(true);
        let ticket = tickets.store.get(plan).await?.map(of_item).transpose()?;
        let ticket = ticket.filter(|ticket| now < ticket.expires_at);
        if ticket.is_none() {
            self.hashes.remember(id.to_owned(), (), now, UNKNOWN_REMEMBERED_MS);
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
