//! jobledger: a jobs API, a work queue and their exact numbers, as Lambda functions over DynamoDB.
//!
//! The modules point one way. `ARCHITECTURE.md` has their order, and a test holds it: [`domain`] knows nothing but itself;
//! [`environment`] brings in the time, ids and settings; [`store`] keeps what there is; [`access`] decides who may call;
//! [`counts`], [`lists`], [`queue`] and [`background`] work on what is stored; [`http`] answers with it; [`lambda`] starts it
//! all, on AWS and on one machine.

pub mod access;
pub mod audit;
pub mod background;
pub mod bell;
pub mod counts;
pub mod domain;
pub mod environment;
pub mod http;
pub mod lambda;
pub mod lists;
pub mod meter;
pub mod metrics_store;
pub mod queue;
pub mod store;
pub mod stream;
pub mod telemetry;

pub use environment::Environment;
pub use lambda::{Error, Function, run};
