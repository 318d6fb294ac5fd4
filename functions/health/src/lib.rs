//! `GET /health`: whether the service answers at all. It touches nothing.

use jobledger::Function;
use jobledger::http::{Access, Answer, Call, Nothing, Problem, Route, RouteKey, function};
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<Health>();

/// `GET /health`.
#[derive(Debug)]
pub struct Health;

#[derive(Serialize)]
struct Body {
    status: &'static str,
}

impl Route for Health {
    const NAME: &'static str = "health";
    const KEY: RouteKey = RouteKey::get("/health");
    const ACCESS: Access = Access::Open;
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Nothing;

    async fn answer(mut call: Call<'_, Nothing>) -> Result<Answer, Problem> {
        call.query.finish(Some(()))?;
        Ok(Answer::ok(&Body { status: "healthy" }))
    }
}
