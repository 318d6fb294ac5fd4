//! `/api`.

mod metrics;
