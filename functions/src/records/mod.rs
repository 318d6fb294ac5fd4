//! `PUT`, `GET` and `DELETE /v1/records/{kind}/{id}`: something that jobs produced and that is counted.

use jobledger::Function;
use jobledger::domain::{Invalid, JobId, Record, RecordId, RecordKind, RecordStatus, Timestamp};
use jobledger::http::{Access, Answer, Call, Fields, Problem, Route, Scope, function, job_id, path, text};
use jobledger::store::Ledger;
use jobledger::store::records::PutRecord;
use lambda_http::http::{Method, StatusCode};
use serde::Serialize;

pub mod count;

/// The function.
pub const FUNCTION: Function = function::<RecordRoute>();

/// Longest body: the longest id with all of it escaped, two short fields, and white space.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// `PUT`, `GET` and `DELETE /v1/records/{kind}/{id}`.
#[derive(Debug)]
pub struct RecordRoute;

#[derive(Serialize)]
struct Body<'a> {
    kind: &'a RecordKind,
    id: &'a RecordId,
    status: Option<&'a RecordStatus>,
    job_id: Option<JobId>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Removal {
    kind: RecordKind,
    id: RecordId,
    deleted: bool,
}

impl Route for RecordRoute {
    const NAME: &'static str = "record";
    const ACCESS: Access = Access::Any(&[Scope::Read, Scope::Write]);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let method = call.method;
        call.require(if *method == Method::GET { Scope::Read } else { Scope::Write })?;
        let (kind, id) = name(&mut call)?;
        match *method {
            Method::PUT => put(&call, kind, id).await,
            Method::DELETE => delete(&call, kind, id).await,
            _ => get(&call, &kind, &id).await,
        }
    }
}

/// The record that the path names.
fn name(call: &mut Call<'_, Ledger>) -> Result<(RecordKind, RecordId), Problem> {
    let value = |name: &str| call.path_value(name).unwrap_or_default();
    let kind = RecordKind::try_from(value("kind"));
    let id = path::decoded(value("id")).and_then(RecordId::try_from);
    let kind = kind.map_err(|invalid| call.query.refuse("kind", invalid)).ok();
    let id = id.map_err(|invalid| call.query.refuse("id", invalid)).ok();
    call.query.finish(kind.zip(id))
}

/// Puts it there as a whole: what the body leaves out is not there afterwards. One write, whatever was there before.
async fn put(call: &Call<'_, Ledger>, kind: RecordKind, id: RecordId) -> Result<Answer, Problem> {
    let mut fields = Fields::parse(if call.body.is_empty() { b"{}" } else { call.body })?;
    if let Some(said) = fields.optional("id", text::<RecordId>)
        && said != id
    {
        fields.refuse("id", another(&id));
    }
    let record = Record {
        owner: call.owner()?.clone(),
        kind,
        id,
        status: fields.optional("status", text),
        job_id: fields.optional("job_id", job_id),
        created_at: call.now,
        updated_at: call.now,
    };
    let record = fields.finish(Some(record)).map_err(Problem::invalid_body)?;
    let PutRecord { record, is_new } = call.backend.records().put(&record, call.fresh).await?;
    if !is_new {
        return Ok(Answer::ok(&body(&record)));
    }
    let location = format!("/v1/records/{}/{}", record.kind, path::encoded(record.id.as_str()));
    Ok(Answer::json(StatusCode::CREATED, &body(&record)).with("location", location))
}

/// The path says another id than the body.
fn another(id: &RecordId) -> Invalid {
    Invalid(format!(
        "is another than the path's, which reads {:?}; a path is decoded until nothing in it is encoded any more, so an id \
         with a % before two hexadecimal digits cannot be kept: replace the %, or hash the id",
        id.as_str()
    ))
}

async fn get(call: &Call<'_, Ledger>, kind: &RecordKind, id: &RecordId) -> Result<Answer, Problem> {
    let record = call.backend.records().get(call.owner()?, kind, id).await?;
    Ok(Answer::ok(&body(&record)))
}

async fn delete(call: &Call<'_, Ledger>, kind: RecordKind, id: RecordId) -> Result<Answer, Problem> {
    call.backend.records().delete(call.owner()?, &kind, &id).await?;
    Ok(Answer::ok(&Removal { kind, id, deleted: true }))
}

fn body(record: &Record) -> Body<'_> {
    Body {
        kind: &record.kind,
        id: &record.id,
        status: record.status.as_ref(),
        job_id: record.job_id,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
