//! jobledger: a jobs API, a work queue and their exact numbers, as Lambda functions over DynamoDB.
//!
//! The modules point one way: [`domain`] knows nothing but itself; [`store`] keeps it; [`counts`], [`lists`], [`queue`] and
//! [`background`] work on it; [`http`] answers with it; [`lambda`] starts it all, on AWS and on one machine. See
//! `ARCHITECTURE.md`.

pub mod audit;
pub mod background;
pub mod counts;
pub mod domain;
pub mod http;
pub mod lambda;
pub mod lists;
pub mod meter;
pub mod queue;
pub mod store;
pub mod stream;

pub use lambda::{Environment, Error, Function, run};
