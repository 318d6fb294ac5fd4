//! The port: it decides whether and how often a caller may call, and counts the calls.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use super::{Error, RateLimitStatus, Ticket};
use crate::domain::{AccessKey, KeyHash, KeyId, Owner, Timestamp};

/// A call that waits takes one more off its key's rate for each so many seconds, begun.
pub const WAIT_SECONDS_A_CALL: u32 = 5;
/// Longest time that an answer is held back, in seconds: API Gateway gives up at 30.
pub const MAX_WAIT_SECONDS: u32 = 25;

/// Knows keys, their rates and their use.
pub trait AccessControl: Debug + Send + Sync {
    /// Whether its functions read no bodies, and answer few bytes. Then their binaries need no code for compression.
    const IS_BARE: bool = false;

    /// The access key with this hash.
    fn key(
        &self,
        hash: &KeyHash,
        freshness: Freshness,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<AccessKey>, Error>> + Send;

    /// The ticket with this hash, and the key that it stands for.
    fn ticket(
        &self,
        hash: &KeyHash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<(Ticket, AccessKey)>, Error>> + Send;

    /// Takes a call off a key's rate, where there is one left; `None`: the key has no limit.
    fn spend(
        &self,
        key: &AccessKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<RateLimitStatus>, Error>> + Send;

    /// Takes up to so many calls for a wait off a key's rate, besides those that were made, and off the rate that all its
    /// waits together have; answers how many were left to take.
    fn take(
        &self,
        key: &AccessKey,
        calls: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<u32, Error>> + Send;

    /// Notes a call that was answered.
    fn note(&self, used: &Used<'_>);

    /// Notes the same for operators, with the time that the answer took.
    fn answered(&self, route: &str, status: u16, took: Duration);

    /// Whether what is noted has to be written down.
    fn remembers(&self) -> bool;

    /// Writes down what was noted.
    fn flush(&self, now: Timestamp, flush: Flush) -> impl Future<Output = ()> + Send;
}

/// How fresh must be what is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be remembered for a while.
    Remembered,
    /// As it is stored now.
    Now,
}

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
    /// If the last time is long enough ago.
    Due,
    /// Now: the execution environment ends.
    All,
}
