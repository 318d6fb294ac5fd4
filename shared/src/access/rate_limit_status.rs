//! How a key stands with its rate.

use crate::domain::RateLimit;

/// The rest of a key's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The rate limit of the key.
    pub rate_limit: RateLimit,
    /// Calls that may be made now.
    pub remaining: u32,
    /// Seconds until one more may be made; `None`: there are as many as there can be.
    pub next_in_seconds: Option<u64>,
    /// Seconds until the whole burst may be made again.
    pub full_in_seconds: u64,
    /// After how many seconds this call should come again; `None`: it is let through.
    pub retry_after_seconds: Option<u64>,
}
