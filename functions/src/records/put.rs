//! `PUT /v1/records/{kind}/{id}`: puts a record as a whole. A field that the body leaves out is removed. One write, for
//! a new record and for an existing one.

use jobledger::domain::{Invalid, Record, RecordId};
use jobledger::http::{Access, Answer, Call, Fields, Problem, Route, RouteKey, Scope, job_id, path, text};
use jobledger::store::Ledger;
use jobledger::store::records::PutRecord;
use lambda_http::http::StatusCode;

use super::{body, named_record};

/// Longest body: the longest id with all of it escaped, two short fields, and white space.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// `PUT /v1/records/{kind}/{id}`.
#[derive(Debug)]
pub struct PutRecordRoute;

impl Route for PutRecordRoute {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::put("/v1/records/{kind}/{id+}");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let (kind, id) = named_record(&mut call)?;
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
}

/// The path says another id than the body.
fn another(id: &RecordId) -> Invalid {
    Invalid(format!(
        "is another than the path's, which reads {:?}; a path is decoded until nothing in it is encoded any more, so an id \
         with a % before two hexadecimal digits cannot be kept: replace the %, or hash the id",
        id.as_str()
    ))
}
