//! What knows who may call, how often, and what was called.

use std::fmt::Debug;
use std::future::{Future, ready};

use super::{AccessKey, Nothing, Problem, Standing, Ticket};
use crate::domain::{KeyHash, KeyId, Owner, Timestamp};

/// Keys, their rates and their use. One that knows no keys lets nobody through but on open routes.
pub trait Gate: Debug + Send + Sync {
    /// The access key with this hash.
    fn key(
        &self,
        _hash: &KeyHash,
        _now: Timestamp,
    ) -> impl Future<Output = Result<Option<AccessKey>, Problem>> + Send {
        ready(Ok(None))
    }

    /// The ticket with this hash.
    fn ticket(
        &self,
        _hash: &KeyHash,
        _now: Timestamp,
    ) -> impl Future<Output = Result<Option<Ticket>, Problem>> + Send {
        ready(Ok(None))
    }

    /// Takes a call off a key's rate, where there is one left; `None`: the key has no limit.
    fn spend(
        &self,
        _key: &AccessKey,
        _now: Timestamp,
    ) -> impl Future<Output = Result<Option<Standing>, Problem>> + Send {
        ready(Ok(None))
    }

    /// Takes up to so many calls off a key's rate, besides those that were made; answers how many were left to take. A key
    /// without a limit gives all.
    fn take(
        &self,
        _key: &AccessKey,
        calls: u32,
        _now: Timestamp,
    ) -> impl Future<Output = Result<u32, Problem>> + Send {
        ready(Ok(calls))
    }

    /// Notes a call that was answered.
    fn note(&self, _used: &Used<'_>) {}

    /// Whether what is noted has to be written down.
    fn remembers(&self) -> bool {
        false
    }

    /// Writes down what was noted.
    fn flush(&self, _now: Timestamp, _flush: Flush) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

impl Gate for Nothing {}

/// A call that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Used<'a> {
    /// Whose key was used.
    pub owner: &'a Owner,
    /// The key.
    pub key_id: &'a KeyId,
    /// The route, as the template has it: `GET /v1/jobs/{job_id}`; at a Function URL, the function.
    pub route: &'a str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// When the call came.
    pub now: Timestamp,
}

/// When to write down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Where the last time is long enough ago.
    Due,
    /// Now: the execution environment ends.
    All,
}
