//! The data and the rules of a job: pure values, without AWS, HTTP, a clock, the environment, or `async`.

mod access_key;
mod bulk;
mod decimal;
mod edits;
mod failure_group;
mod field_error;
mod filters;
mod id;
mod ingest;
mod job;
mod job_change;
mod labels;
mod lease;
mod money;
mod names;
mod new_job;
mod parts;
mod progress;
mod query;
mod query_string;
mod rate_limit;
mod record;
mod reserved;
mod search;
mod seen;
mod spelling;
mod status;
pub mod step;
pub mod steps;
mod time;
mod type_settings;
mod wait;

pub use access_key::{AccessKey, MAX_TYPES_OF_OWNER, Scope};
pub use bulk::{BulkAction, BulkNumbers, BulkOutcome};
pub use decimal::{Decimal, Rate, Seconds};
pub use edits::{Edits, Misfit};
pub use failure_group::FailureGroup;
pub use field_error::FieldError;
pub use filters::{created_range, job_query, set, start_and_end, types};
pub use id::{Fingerprint, JobId, KeyHash, KeyId, created_key};
pub use ingest::{Defaults, Timeline, Upsert, Verdict, judge};
pub use job::{Arrival, Ended, Head, Holder, Job, JobError, Lease, State, Try};
pub use job_change::{JobChange, Renewal, Unfit};
pub use labels::{LabelChanges, Labels};
pub use lease::{LeaseToken, Terms, code};
pub use money::MicroDollars;
pub use names::{
    ErrorCode, ExternalId, IdempotencyKey, JobName, NO_STATUS, Owner, Phase, RecordId, RecordKind,
    RecordStatus, TaskName, TraceId, TypeName, WorkerId,
};
pub use new_job::{Creation, NewJob};
pub use parts::{Artifact, Input, Json, MAX_PART_BYTES, Output, PartError};
pub use progress::{Percent, Progress, ReportedProgress};
pub use query::{CreatedRange, Filter, JobQuery, MAX_TYPES, Order, SortBy};
pub use query_string::QueryString;
pub(crate) use query_string::RESERVED;
pub use rate_limit::{
    DEFAULT_REQUESTS_PER_MINUTE, Level, MAX_BURST, MAX_REQUESTS_PER_MINUTE, RateLimit, micros,
};
pub use record::Record;
pub use reserved::{
    BULK, OTHER, RECOUNT, RESERVED_TYPES, SERVICE_OWNER, callers_owner, callers_type, is_reserved, new_type,
};
pub use search::{Search, folded};
pub use seen::Seen;
pub(crate) use spelling::cut;
pub use status::{Status, StatusInput};
pub use step::{Mark, Step};
pub use steps::Failure;
pub use time::{Timestamp, parse_bound_end, parse_bound_start};
pub use type_settings::{
    MAX_BACKOFF_SECONDS, MAX_CONCURRENCY, MAX_STAGE_WEIGHT, MAX_STAGES, Mode, SettingsChange, Stage, Stages,
    TypeSettings,
};
pub use wait::{StatusWord, Wait};

/// Why a text is not the value that it should be; said to the caller, so it names the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// An error that says this.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A whole number between two bounds that have names.
pub fn bounded(value: i64, range: std::ops::RangeInclusive<i64>) -> Result<i64, Invalid> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Invalid(format!("must be between {} and {}", range.start(), range.end())))
    }
}

/// Highest priority of a job; 0 is the lowest and the default.
pub const MAX_PRIORITY: i64 = 10;
/// Most tries that a job may be given.
pub const MAX_ATTEMPTS: i64 = 100;
/// Longest time-to-live after a job's end, in hours.
pub const MAX_TTL_HOURS: i64 = 168;
/// Longest time that one try may take, in seconds: a week.
pub const MAX_TIMEOUT_SECONDS: i64 = 604_800;
