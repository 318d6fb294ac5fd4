//! `GET /api/metrics/query_range`: a query over a range of time, answered as Prometheus answers it.

use jobledger::domain::Invalid;
use jobledger::http::{Access, Answer, Call, FieldError, Problem, Route, RouteKey, Scope};
use jobledger::metrics_store::{RangeQuery, moment, step};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Asking, NO_OWNER, problem};

/// `GET /api/metrics/query_range`.
#[derive(Debug)]
pub struct QueryRange;

#[derive(Serialize)]
struct Body {
    status: &'static str,
    data: Data,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: &'static str,
    result: Box<RawValue>,
}

impl Route for QueryRange {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/api/metrics/query_range");
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Asking;

    async fn answer(mut call: Call<'_, Asking>) -> Result<Answer, Problem> {
        call.refuse_owner(NO_OWNER);
        let query = call.query.optional("query", |text| Ok(text.to_owned()));
        let (start, end) = (call.query.optional("start", moment), call.query.optional("end", moment));
        let step_ms = call.query.optional("step", step);
        if query.is_none() {
            call.query.refuse("query", Invalid::new("must be a query in PromQL"));
        }
        let end = end.unwrap_or(call.now);
        let start = start.unwrap_or_else(|| end.plus_hours(-1));
        call.query.clone().finish(Some(()))?;
        let range = RangeQuery::new(&query.unwrap_or_default(), start, end, step_ms);
        let range = range
            .map_err(|(field, invalid)| Problem::invalid_query(vec![FieldError::new(field, invalid)]))?;
        let result = call.backend.0.range(&range, call.now).await.map_err(problem)?;
        let data = Data { result_type: "matrix", result };
        Ok(Answer::ok(&Body { status: "success", data }))
    }
}
