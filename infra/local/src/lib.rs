//! `template.yaml`, run on one machine: the gateway, DynamoDB with its streams and time to live, schedules.
//!
//! The template is the only list of routes, functions and tables. [`template`] reads it, and [`Stack::start`] runs it:
//! an HTTP request becomes the event that API Gateway sends, and a change in a table the event that Lambda's event
//! source mapping sends. A function cannot tell this machine from AWS.

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

/// The embedded engine allocates much: it parses, copies and prints each item. With glibc's allocator, a loaded stack
/// spends a quarter of its time on that. It is set in the library, so that tests and benchmarks use the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use error::{BoxError, Error, Result};
pub use key::{LOCAL_KEY, LOCAL_OWNER};
pub use pattern::Pattern;
pub use stack::{DynamoDb, Http, Options, Stack, Storage, TEMPLATE};
