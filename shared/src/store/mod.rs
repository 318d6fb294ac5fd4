//! DynamoDB: how things are stored, which requests are sent, and the one place that sends them.
//!
//! Requests are values (the SDK's input builders), which only [`Store`] sends. [`plans`] makes those that are about jobs,
//! [`head_write`] those that write a job's head, and [`ranges`] those that read lists. Each other item has its requests
//! beside it, here or in the module that it belongs to.

mod client;
mod config;
mod error;
mod function_sums;
mod head_step;
pub mod head_write;
mod heads;
mod identity;
pub(crate) mod item;
mod jobs;
mod ledger;
mod memory;
mod owners;
pub mod pages;
mod part;
mod parts;
mod ping;
pub mod plans;
pub mod ranges;
pub mod records;
mod retry;
pub mod schema;
mod shards;
mod stream_record;
pub mod tries;
pub mod type_item;
pub(crate) mod type_names;
mod types;
pub(crate) mod value;
mod whole;

pub use client::{Store, Transacted, Written};
pub use config::{Config, ConfigError, Endpoint, Tables};
pub use error::{Corrupt, Error, StoreError};
pub use function_sums::FunctionSums;
pub(crate) use function_sums::{add as add_to_function, function_sums};
pub(crate) use heads::read_heads;
pub use heads::with_heads;
pub use item::{AttributeMap, head_of_row, head_row, id_of_row, job_of_row};
pub(crate) use item::{LATER, progress_value, queue_place};
pub use jobs::Jobs;
pub use ledger::{Ledger, Source};
pub use memory::Memory;
pub use owners::KnownOwners;
pub use part::{Part, decode_part, encode_part, part_bytes};
pub use parts::{input_part, output_part};
pub use ping::Table;
pub use retry::backoff;
pub use stream_record::{Batch, SequenceNumber, StreamRecord, Target, Unreadable};
pub use type_item::StoredType;
pub use whole::{Beside, WholeJob};
