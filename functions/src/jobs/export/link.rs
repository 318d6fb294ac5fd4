//! `GET /v1/jobs/export`: checks all that can be checked, and sends the caller on to where the file is streamed, or tells
//! the address. API Gateway does not stream. On the way to another host, clients keep `Authorization` to themselves: a
//! ticket stands for the key.

use jobledger::access::{StoredAccess, Ticket};
use jobledger::domain::{Invalid, Timestamp};
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
    url: String,
    expires_at: Timestamp,
}

impl Route for ExportLink {
    const NAME: &'static str = "export-link";
    const KEY: RouteKey = RouteKey::get("/v1/jobs/export");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Issuer;

    async fn answer(mut call: Call<'_, Issuer>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let redirects = call.query.optional("redirect", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Invalid::new("must be true or false")),
        });
        Export::parse(owner.clone(), call.query.clone(), call.now)?;
        let expires_at = call.now.plus_millis(TICKET_MS);
        let key_id = call.caller()?.key.key_id.clone();
        let ticket = Ticket { key_id, owner, query: call.query, expires_at };
        let text = Environment::fresh_secret();
        let Issuer { ledger, export_url } = call.backend;
        ledger.tickets().issue(&text, &ticket).await?;
        let url = format!("{export_url}v1/jobs/export?ticket={text}");
        let redirects = redirects.unwrap_or(true);
        let status = if redirects { StatusCode::TEMPORARY_REDIRECT } else { StatusCode::OK };
        Ok(Answer::json(status, &Body { url: url.clone(), expires_at })
            .with("location", url)
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
