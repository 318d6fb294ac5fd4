//! HTTP: the steps that every route passes on its way in and out.
//!
//! A [`Route`] parses one kind of request and answers it. A function serves one route or, by [`Serves`], several. `serve`
//! does the rest: access, refusals, problems, request ids, and the log. A route whose answer has no bound implements
//! [`StreamRoute`].

mod answer;
mod asked;
mod backend;
mod call;
mod caller;
mod canonical;
mod cors;
mod cursor;
mod decode;
mod encoding;
mod event;
mod export;
mod fields;
mod incoming;
mod job_refusals;
mod key_view;
mod methods;
mod object;
mod packing;
mod page;
mod panics;
pub mod path;
mod prefer;
mod problem;
mod query;
mod rate_limit_status;
mod refusals;
mod route;
mod serve;
mod streaming;
mod tags;
mod view;

pub use answer::{Answer, MAX_ANSWER_BYTES};
pub use backend::{Backend, Nothing};
pub use call::{Call, Wait};
pub use caller::{Access, Caller, bearer};
pub use cursor::Cursor;
pub use decode::{
    Raw, artifacts, flag, integer, job_error, job_id, json, label_changes, labels, money, object, percent,
    status, text, timestamp, timings, told,
};
pub use export::{Export, Format};
pub use fields::{BodyError, Fields};
pub use key_view::KeyView;
pub use page::{Page, Window, limit};
pub use problem::{Problem, TOO_MANY_TYPES, type_limit};
pub use rate_limit_status::RateLimitView;
pub use route::{Route, Served, Serves};
pub use serve::function;
pub use streaming::{StreamRoute, Streamed, streaming};
pub use view::{DateRange, JobView, StorageView, WholeJobView};
// Routes need these beside their own module.
pub use crate::domain::{
    AccessKey, FieldError, QueryString, Scope, created_range, job_query, set, start_and_end, types,
};
pub use crate::lambda::RouteKey;
pub use crate::store::Beside;
