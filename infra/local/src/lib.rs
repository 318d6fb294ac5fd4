//! `template.yaml`, run on one machine: the gateway, DynamoDB with its streams and time to live, schedules.
//!
//! The template is the only list of what there is. [`template`] reads it; [`Stack::start`] makes it real: an HTTP request
//! becomes the event that API Gateway sends, a change in a table the event that Lambda's event source mapping sends, and a
//! function cannot tell this machine from AWS.

mod clock;
mod data;
mod engine;
mod error;
mod gateway;
mod instances;
mod invoke;
mod key;
mod net;
mod pattern;
mod schedules;
mod stack;
mod stop;
mod streams;
pub mod template;

/// The embedded engine allocates much: each item is parsed, copied and printed. With the allocator of glibc, a quarter of the
/// time of a loaded stack goes there. It stands in the library, so that tests and benchmarks run with the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use error::{BoxError, Error, Result};
pub use key::{LOCAL_KEY, LOCAL_OWNER};
pub use pattern::Pattern;
pub use stack::{DynamoDb, Http, Options, Stack, Storage, TEMPLATE};
