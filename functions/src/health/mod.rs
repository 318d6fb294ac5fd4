//! Whether the service works. `GET /health` has a crate of its own, so that its binary has nothing of the store.

pub mod detailed;

pub use jobledger_health::{FUNCTION, Health};
