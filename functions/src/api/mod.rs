//! `/api`: what pages and tools of operators ask for.

pub mod metrics;
