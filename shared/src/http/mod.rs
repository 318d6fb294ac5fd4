//! HTTP: what every route passes on its way in and out.
//!
//! A function implements [`Route`]: it parses one kind of request and answers it. `serve` does the rest:
//! access, refusals, problems, request ids, and the log.

mod access;
mod answer;
mod call;
mod canonical;
mod cursor;
mod fields;
mod filters;
mod page;
mod problem;
mod query;
mod read;
mod serve;
mod view;

pub use access::{Access, AccessKey, Caller, Scope};
pub use answer::Answer;
pub use call::{Call, Wait};
pub use cursor::Cursor;
pub use fields::{BodyError, Fields};
pub use filters::{job_query, set};
pub use page::{Page, Window};
pub use problem::{FieldError, Problem};
pub use query::QueryString;
pub use read::{Raw, flag, integer, job_id, json, labels, money, object, percent, text, timestamp};
pub use serve::{Backend, Nothing, Route, function};
pub use view::{JobView, WholeJobView};
