//! How a key stands with its rate, as every answer says it: `RateLimit` and `RateLimit-Policy`, as the draft of the IETF has
//! them (draft-ietf-httpapi-ratelimit-headers).

use serde::Serialize;

use super::Answer;
use crate::access::RateLimitStatus;

/// The names of our policies, as structured fields have strings: calls in the long run, and at once.
const MINUTE: &str = "\"minute\"";
const BURST: &str = "\"burst\"";

/// The rest of a key's rate, in a body; units as in the headers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RateLimitView {
    requests_per_minute: u32,
    burst: u32,
    remaining: u32,
    full_in_seconds: u64,
}

impl RateLimitStatus {
    /// Puts both headers on an answer.
    pub(super) fn on(self, answer: Answer) -> Answer {
        let Self { rate_limit, remaining, next_in_seconds, full_in_seconds: _, retry_after_seconds: _ } =
            self;
        let (per_minute, burst) = (rate_limit.per_minute(), rate_limit.burst());
        let next = next_in_seconds.map_or_else(String::new, |seconds| format!(";t={seconds}"));
        answer
            .with("ratelimit-policy", format!("{MINUTE};q={per_minute};w=60, {BURST};q={burst}"))
            .with("ratelimit", format!("{BURST};r={remaining}{next}"))
    }
}

impl From<RateLimitStatus> for RateLimitView {
    fn from(limit_status: RateLimitStatus) -> Self {
        let RateLimitStatus { rate_limit, remaining, full_in_seconds, .. } = limit_status;
        let (requests_per_minute, burst) = (rate_limit.per_minute(), rate_limit.burst());
        Self { requests_per_minute, burst, remaining, full_in_seconds }
    }
}
