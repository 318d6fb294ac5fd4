//! The service from outside: a whole local stack for each test, and a client that speaks HTTP to it.

mod client;
pub mod runtime_api;
mod service;
pub mod swf;

pub use client::{Call, Reply};
pub use service::{PATIENCE, Service};
