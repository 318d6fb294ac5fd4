//! `/v1/analytics`.

pub mod cost;
