//! The audit: lines of the log that name the actor, the action and its object, for those who have to know it later.

use crate::domain::Owner;

/// The target of lines that are logged at any level: they name the actor, the action and its object.
pub const AUDIT: &str = "audit";

/// One deed. Its line has these fields, those that are `None` left out. It never holds the text or the hash of a key, and
/// nothing of what jobs are given or give.
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a> {
    /// The action: `key.made`, `bulk.delete`.
    pub action: &'a str,
    /// To what: the id of a key, or of the job that shows the work.
    pub subject: &'a str,
    /// Whose that is; `None`: that cannot be read.
    pub owner: Option<&'a Owner>,
    /// More about it, as JSON.
    pub detail: Option<&'a str>,
    /// By which key; `None`: by none of ours, but by somebody whom AWS let.
    pub key_id: Option<&'a str>,
    /// Whose key that is, where it is known: an admin may act for others.
    pub key_owner: Option<&'a Owner>,
    /// By which request.
    pub request_id: Option<&'a str>,
    /// From which address that came; `None`: from no caller of a route.
    pub source_ip: Option<&'a str>,
}

impl Audit<'_> {
    /// Writes its line, at whatever level the process logs.
    pub fn log(&self) {
        let Self { action, subject, owner, detail, key_id, key_owner, request_id, source_ip } = *self;
        let (owner, key_owner) = (owner.map(Owner::as_str), key_owner.map(Owner::as_str));
        tracing::info!(target: AUDIT, audit = action, subject, owner, detail, key_id, key_owner, request_id, source_ip, "audit");
    }
}
