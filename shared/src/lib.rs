//! jobledger: a jobs API, a work queue and their exact numbers, as Lambda functions over DynamoDB.
//!
//! The modules point one way: [`domain`] knows nothing but itself; `dynamo` and [`tally`] store it; [`http`] answers
//! with it; [`lambda`] starts it all, on AWS and on one machine. See `ARCHITECTURE.md`.

pub mod audit;
#[cfg(feature = "dynamo")]
pub mod bulk;
pub mod domain;
#[cfg(feature = "dynamo")]
pub mod dynamo;
pub mod http;
pub mod lambda;
#[cfg(feature = "dynamo")]
pub mod list;
pub mod meter;
#[cfg(feature = "dynamo")]
pub mod recount;
#[cfg(feature = "dynamo")]
pub mod stream;
#[cfg(feature = "dynamo")]
pub mod tally;
#[cfg(feature = "dynamo")]
pub mod tasks;
#[cfg(feature = "dynamo")]
pub mod work;

pub use lambda::{Environment, Error, Function, run};
