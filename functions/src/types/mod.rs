//! `PUT` and `GET /v1/types/{type}`: how jobs of a type are worked on.

use jobledger::Function;
use jobledger::domain::{Mode, Stages, Timestamp, TypeName, TypeSettings, callers_type};
use jobledger::http::{Access, Answer, Call, Problem, Route, Scope, function};
use jobledger::store::{Ledger, StoredType};
use lambda_http::http::Method;
use serde::Serialize;

mod parse;

/// The function.
pub const FUNCTION: Function = function::<TypesRoute>();

/// Longest body: the most stages, with the longest names, with white space, and the other fields.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// `PUT` and `GET /v1/types/{type}`.
#[derive(Debug)]
pub struct TypesRoute;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a TypeName,
    max_concurrency: Option<u32>,
    timeout_seconds: Option<u32>,
    max_attempts: Option<u32>,
    backoff_seconds: u32,
    stages: &'a Stages,
    mode: Mode,
    /// Slots that are taken; they are only counted where there is a limit.
    running: Option<u64>,
    updated_at: Option<Timestamp>,
}

impl Route for TypesRoute {
    const NAME: &'static str = "type-settings";
    const ACCESS: Access = Access::Any(&[Scope::Read, Scope::Write]);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let is_put = *call.method == Method::PUT;
        call.require(if is_put { Scope::Write } else { Scope::Read })?;
        let owner = call.owner()?.clone();
        let kind = kind(&mut call);
        let kind = call.query.finish(kind)?;
        let stored = if is_put {
            let settings = parse::settings(call.body)?;
            Some(call.backend.types().put(&owner, &kind, &settings, call.now).await?)
        } else {
            call.backend.types().get(&owner, &kind).await?
        };
        Ok(Answer::ok(&body(&kind, stored.as_ref(), &TypeSettings::default())))
    }
}

/// The type that the path names; what is wrong with it is said when the query is finished.
fn kind(call: &mut Call<'_, Ledger>) -> Option<TypeName> {
    let kind = TypeName::try_from(call.path_value("type").unwrap_or_default()).and_then(callers_type);
    kind.map_err(|invalid| call.query.refuse("type", invalid)).ok()
}

fn body<'a>(kind: &'a TypeName, stored: Option<&'a StoredType>, default: &'a TypeSettings) -> Body<'a> {
    let settings = stored.map_or(default, |stored| &stored.settings);
    Body {
        r#type: kind,
        max_concurrency: settings.max_concurrency,
        timeout_seconds: settings.timeout_seconds,
        max_attempts: settings.max_attempts,
        backoff_seconds: settings.backoff_seconds,
        stages: &settings.stages,
        mode: settings.mode,
        running: settings.max_concurrency.and(stored).map(|stored| stored.running),
        updated_at: stored.map(|stored| stored.updated_at),
    }
}
