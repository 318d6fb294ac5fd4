//! The machine's clock: this crate is an edge, where the time comes in.

use chrono::{DateTime, Utc};

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the edge: here the time comes in")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
