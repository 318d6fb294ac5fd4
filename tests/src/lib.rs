//! The code that tests share. Most tests see the service from outside: through a client that speaks HTTP to a whole
//! local stack, their own or a shared one.

#![expect(clippy::missing_panics_doc, reason = "a helper that panics fails its test: that is what it is for")]

pub mod alone;
pub mod at_once;
pub mod background;
pub mod capacity;
pub mod claims;
mod client;
pub mod clock;
mod dice;
pub mod direct;
pub mod dynamo;
pub mod engine;
pub mod exports;
pub mod faults;
pub mod jobs;
pub mod keys;
pub mod lists;
pub mod log;
pub mod metrics;
pub mod metrics_store;
pub mod percentiles;
pub mod problems;
pub mod prometheus;
mod recount;
pub mod runtime_api;
mod service;
mod shared;
pub mod snapshots;
pub mod stored;
pub mod stream;
pub mod swf;
pub mod workspace;

pub use client::{Call, Reply, text};
pub use service::{PATIENCE, Service};
