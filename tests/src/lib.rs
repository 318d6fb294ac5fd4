//! The service from outside: a whole local stack for each test, and a client that speaks HTTP to it.

pub mod alone;
pub mod capacity;
mod client;
pub mod dynamo;
pub mod faults;
pub mod runtime_api;
mod service;
pub mod stream;
pub mod swf;

pub use client::{Call, Reply};
pub use service::{PATIENCE, Service};
