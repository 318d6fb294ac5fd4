//! Heads and types as the observer sees them: read directly from the stored items.

use std::fmt;

use jobledger::domain::{Status, Timestamp};
use serde_json::Value;

use crate::observer::tail;

/// A head.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "an item has as many marks that are there or not")]
pub(crate) struct StoredHead {
    pub(crate) kind: String,
    pub(crate) status: Status,
    pub(crate) priority: i64,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) available_at: Option<Timestamp>,
    /// When its line arrived, if a call with many lines queued it.
    pub(crate) arrival: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) worker: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) has_slot: bool,
    pub(crate) is_unacknowledged: bool,
    pub(crate) unheard: u32,
    pub(crate) was_started: bool,
    /// Overall progress, in hundredths of a percent.
    pub(crate) overall: i64,
    pub(crate) last_try: Option<u32>,
    pub(crate) has_output: bool,
    pub(crate) error: Option<String>,
    /// The call that wrote this head.
    pub(crate) written_by: String,
    pub(crate) updated_at: i64,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredType {
    pub(crate) limit: Option<u32>,
    pub(crate) running: i64,
    pub(crate) opens_at: Option<Timestamp>,
    pub(crate) is_paused: bool,
}

fn text(item: &Value, name: &str) -> Option<String> {
    item[name]["S"].as_str().map(str::to_owned)
}

fn number(item: &Value, name: &str) -> Option<i64> {
    item[name]["N"].as_str()?.parse().ok()
}

fn small(item: &Value, name: &str) -> Option<u32> {
    u32::try_from(number(item, name)?).ok()
}

fn time(item: &Value, name: &str) -> Option<Timestamp> {
    number(item, name).map(Timestamp::from_millis)
}

impl StoredHead {
    /// The head in this item.
    pub(crate) fn of(item: &Value) -> Self {
        Self {
            kind: text(item, "type").unwrap_or_default(),
            status: Status::try_from(item["status"]["S"].as_str().unwrap_or_default()).expect("a status"),
            priority: number(item, "priority").unwrap_or_default(),
            attempt: small(item, "attempt").expect("a number of tries"),
            max_attempts: small(item, "max_attempts").expect("a number of tries"),
            available_at: time(item, "available_at"),
            arrival: text(item, "arrival"),
            queue: text(item, "queue"),
            worker: text(item, "worker"),
            token: text(item, "lease_token"),
            until: time(item, "lease_until"),
            has_slot: item["slot"]["BOOL"] == true,
            is_unacknowledged: item["unacknowledged"]["BOOL"] == true,
            unheard: small(item, "unheard").unwrap_or_default(),
            was_started: !item["started_at"].is_null(),
            overall: number(&item["progress"]["M"], "overall_hundredths").unwrap_or_default(),
            last_try: small(item, "last_try"),
            has_output: !item["output"].is_null(),
            error: text(&item["error"]["M"], "code"),
            written_by: text(item, "written_by").unwrap_or_default(),
            updated_at: number(item, "updated_at").unwrap_or_default(),
        }
    }

    /// Whether a worker holds the job, or its lease is over and the reaper has not ended the attempt.
    pub(crate) fn is_held(&self) -> bool {
        self.status == Status::Running && self.until.is_some()
    }

    /// Whether it waits, and a worker may claim it at this time.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.status == Status::Queued && self.available_at.is_some_and(|due| due <= now)
    }
}

impl fmt::Display for StoredHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, status, priority, attempt, max_attempts, has_slot, overall, .. } = self;
        write!(f, "[{kind} {status} p{priority} {attempt}/{max_attempts} {overall}")?;
        if let (Some(until), Some(token)) = (self.until, &self.token) {
            write!(f, " {} until {until}{}", tail(token), if *has_slot { " with a slot" } else { "" })?;
        }
        if let Some(due) = self.available_at {
            write!(f, " due {due}")?;
        }
        f.write_str("]")
    }
}

impl StoredType {
    /// The type in this item.
    pub(crate) fn of(item: &Value) -> Self {
        Self {
            limit: small(item, "max_concurrency"),
            running: number(item, "running").unwrap_or_default(),
            opens_at: time(item, "opens_at"),
            is_paused: !item["paused_at"].is_null(),
        }
    }
}
