//! HTTP: what every route passes on its way in and out.
//!
//! A function implements [`Route`]: it parses one kind of request and answers it. `serve` does the rest:
//! access, refusals, problems, request ids, and the log. One whose answer has no bound implements [`StreamRoute`].

mod access;
mod answer;
mod arrival;
mod call;
mod canonical;
mod cursor;
mod encoding;
mod export;
mod fields;
mod filters;
mod gate;
mod job_refusals;
mod object;
mod page;
pub mod path;
mod prefer;
mod problem;
mod query;
mod rate_limit_status;
mod read;
mod serve;
mod streaming;
mod ticket;
mod view;

pub use access::{Access, Caller, bearer};
pub use answer::{Answer, MAX_ANSWER_BYTES};
pub use call::{Call, Wait};
pub use cursor::Cursor;
pub use export::{Export, Format};
pub use fields::{BodyError, Fields};
pub use filters::{created_range, job_query, set, start_and_end};
pub use gate::{Flush, Freshness, Gate, Used};
pub use page::{Page, Window};
pub use problem::{FieldError, Problem};
pub use query::QueryString;
pub use rate_limit_status::{RateLimitStatus, RateLimitView};
pub use read::{
    Raw, artifacts, flag, integer, job_error, job_id, json, labels, money, object, percent, status, text,
    timestamp, timings,
};
pub use serve::{Backend, Nothing, Route, function};
pub use streaming::{StreamRoute, Streamed, streaming};
pub use ticket::Ticket;
// What a route asks for beside `Access`.
pub use crate::domain::{AccessKey, Scope};
pub use view::{Beside, DateRange, JobView, StorageView, WholeJobView};
