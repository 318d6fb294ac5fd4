//! `/v1/jobs/export`: the route of the API, which sends callers on, and the Function URL, which streams.

pub mod link;
pub mod stream;
