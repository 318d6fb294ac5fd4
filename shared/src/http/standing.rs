//! How a key stands with its rate, as every answer says it: `RateLimit` and `RateLimit-Policy`, as the draft of the IETF has
//! them (draft-ietf-httpapi-ratelimit-headers).

use serde::Serialize;

use super::Answer;
use crate::domain::Allowance;

/// The name of our one policy.
const POLICY: &str = "\"requests\"";

/// What is left of a key's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the key may do.
    pub allowance: Allowance,
    /// Calls that may be made now.
    pub remaining: u32,
    /// Seconds until the whole burst may be made again.
    pub full_in_seconds: u64,
    /// After how many seconds a call may be made; `None`: this one may.
    pub retry_after_seconds: Option<u64>,
}

/// The same in a body; units as in the headers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StandingView {
    requests_per_minute: u32,
    burst: u32,
    remaining: u32,
    full_in_seconds: u64,
}

impl Standing {
    /// Puts both headers on an answer.
    pub(super) fn on(self, answer: Answer) -> Answer {
        let Self { allowance, remaining, full_in_seconds, retry_after_seconds: _ } = self;
        let window = u64::try_from(allowance.fill_us()).unwrap_or(0).div_ceil(1_000_000);
        answer
            .with("ratelimit-policy", format!("{POLICY};q={};w={window}", allowance.burst()))
            .with("ratelimit", format!("{POLICY};r={remaining};t={full_in_seconds}"))
    }
}

impl From<Standing> for StandingView {
    fn from(standing: Standing) -> Self {
        let Standing { allowance, remaining, full_in_seconds, retry_after_seconds: _ } = standing;
        Self {
            requests_per_minute: allowance.per_minute(),
            burst: allowance.burst(),
            remaining,
            full_in_seconds,
        }
    }
}
