//! Tickets: what stands for a key and a query where a caller is sent on to another host.

use super::QueryString;
use crate::domain::{KeyId, Owner, Timestamp};

/// A ticket, without its text: that is only known to who was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The key that it stands for.
    pub key_id: KeyId,
    /// For whom its holder acts.
    pub owner: Owner,
    /// What its holder may ask for, and nothing else.
    pub query: QueryString,
    /// When it ends. Until then it may be used again: a transfer that broke off is begun anew.
    pub expires_at: Timestamp,
}
