//! `GET /api/metrics/health`: whether the metrics store answers.

use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use serde::Serialize;

use super::{Asking, NO_OWNER, problem};

/// `GET /api/metrics/health`.
#[derive(Debug)]
pub struct StoreHealth;

#[derive(Serialize)]
struct Body {
    state: &'static str,
    latency_ms: u64,
}

impl Route for StoreHealth {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/api/metrics/health");
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Asking;

    async fn answer(mut call: Call<'_, Asking>) -> Result<Answer, Problem> {
        call.refuse_owner(NO_OWNER);
        call.query.clone().finish(Some(()))?;
        call.backend.0.check(call.now).await.map_err(problem)?;
        Ok(Answer::ok(&Body { state: "healthy", latency_ms: (call.clock)().since(call.now) }))
    }
}
