//! `/v1/analytics`.

mod cost;
