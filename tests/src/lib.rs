//! The service from outside: a whole local stack for each test, and a client that speaks HTTP to it.

#![expect(clippy::missing_panics_doc, reason = "a helper that panics fails its test: that is what it is for")]

pub mod alone;
pub mod at_once;
pub mod capacity;
mod client;
pub mod clock;
mod dice;
pub mod dynamo;
pub mod engine;
pub mod faults;
mod recount;
pub mod runtime_api;
mod service;
pub mod stream;
pub mod swf;

pub use client::{Call, Reply};
pub use service::{PATIENCE, Service};
