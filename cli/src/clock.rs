//! The time: this crate is an edge, where it comes in.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "the edge: here the time comes in")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
