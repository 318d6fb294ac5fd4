//! Access: the right to call, the rate, and the usage of each key.
//!
//! [`AccessControl`] is the port that every request passes. [`StoredAccess`] implements it over the tables `settings` and
//! `usage`, and remembers for a while what it read. [`Keys`], [`Tickets`] and [`Usage`] are the operations that routes offer.
//! Nothing here knows HTTP.

mod control;
mod error;
mod key_item;
mod key_marks;
mod key_ring;
mod keys;
mod limiter;
mod rate_limit_status;
mod stored;
mod sum_writer;
mod tickets;
mod usage;

pub use control::{AccessControl, Flush, Freshness, MAX_WAIT_SECONDS, Used, WAIT_SECONDS_A_CALL};
pub use error::Error;
pub use key_item::{KeyChange, NewKey, StoredKey, put_key};
pub use keys::{KeyPage, Keys, Revocation, may_be_key};
pub use rate_limit_status::RateLimitStatus;
pub use stored::StoredAccess;
pub use sum_writer::SumWriter;
pub use tickets::{Ticket, Tickets};
pub use usage::{MAX_USAGE_DAYS, Usage, UsedDay};
