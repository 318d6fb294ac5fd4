//! The command `jobledger`. It brings jobs from files of any size into a jobledger, with a progress bar, and goes on where it
//! stopped: see [`Ingest`] for its options.
//!
//! - The file is read as a stream: never more is held than one call's jobs ([`MAX_BODY_BYTES`]) and one job more
//!   ([`MAX_JOB_BYTES`]).
//! - Jobs go in the order of the file, one call at a time, and no call names an `external_id` twice: of several lines about one
//!   job, the last one wins, as it does in the file.
//! - After every call that was confirmed, a file beside the source tells how many jobs have gone in, and their SHA-256. The
//!   service upserts, so a call whose answer was lost is sent again.
//! - The key is never an argument, which other users of the machine can see, and neither key nor jobs are ever shown.

mod answer;
mod call;
mod clock;
mod error;
mod http;
mod options;
mod rejected;
mod run;
mod show;
mod source;
mod state;
mod stop;
mod summary;

pub use call::{MAX_BODY_BYTES, MAX_JOBS};
pub use error::Error;
pub use jobledger_client::chain;
pub use options::{Cli, Command, Environment, Ingest};
pub use run::ingest;
pub use source::MAX_JOB_BYTES;
pub use summary::Summary;
