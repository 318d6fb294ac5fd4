//! `GET /v1/jobs/export`: checks all that can be checked, and sends the caller on to where the file is streamed. API
//! Gateway does not stream, and clients keep their key to themselves on the way to another host: a ticket stands for it.

use jobledger::access::{StoredAccess, Ticket};
use jobledger::domain::Timestamp;
use jobledger::http::{Access, Answer, Backend, Call, Export, Problem, Route, RouteKey, Scope, function};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};
use lambda_http::http::StatusCode;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<ExportLink>();

/// How long a ticket holds: time to follow a redirection, and to begin again where a transfer broke off.
const TICKET_MS: i64 = 5 * 60 * 1000;

/// `GET /v1/jobs/export`.
#[derive(Debug)]
pub struct ExportLink;

#[derive(Serialize)]
struct Body {
    expires_at: Timestamp,
}

impl Route for ExportLink {
    const NAME: &'static str = "export-link";
    const KEY: RouteKey = RouteKey::get("/v1/jobs/export");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Issuer;

    async fn answer(call: Call<'_, Issuer>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        Export::parse(owner.clone(), call.query.clone(), call.now)?;
        let expires_at = call.now.plus_millis(TICKET_MS);
        let key_id = call.caller()?.key.key_id.clone();
        let ticket = Ticket { key_id, owner, query: call.query, expires_at };
        let text = Environment::fresh_secret();
        let Issuer { ledger, export_url } = call.backend;
        ledger.tickets().issue(&text, &ticket).await?;
        Ok(Answer::json(StatusCode::TEMPORARY_REDIRECT, &Body { expires_at })
            .with("location", format!("{export_url}v1/jobs/export?ticket={text}"))
            .with("cache-control", "no-store"))
    }
}

/// Issues tickets.
#[derive(Debug)]
pub struct Issuer {
    ledger: Ledger,
    /// `EXPORT_URL`: the Function URL of `export-jobs`, with the slash at its end.
    export_url: String,
}

impl Backend for Issuer {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let export_url = environment.vars.get("EXPORT_URL").filter(|url| url.ends_with('/'));
        let export_url =
            export_url.ok_or("environment variable EXPORT_URL must be a URL that ends with /")?;
        let (ledger, access) = <Ledger as Backend>::start(environment).await?;
        Ok((Self { ledger, export_url: export_url.clone() }, access))
    }
}
