//! `/v1/records`: records of what jobs produced, which are counted.

use jobledger::Function;
use jobledger::domain::{JobId, Record, RecordId, RecordKind, RecordStatus, Timestamp};
use jobledger::http::{Call, Problem, Served, Serves, function, path};
use jobledger::store::Ledger;
use serde::Serialize;

pub mod count;
pub mod delete;
pub mod get;
pub mod put;

/// The function.
pub const FUNCTION: Function = function::<Records>();

const NAME: &str = "record";

/// `/v1/records/{kind}/{id}`.
#[derive(Debug)]
pub struct Records;

impl Serves for Records {
    const NAME: &'static str = NAME;
    type Backend = Ledger;
    const ROUTES: &'static [Served<Ledger>] = &[
        Served::of::<put::PutRecordRoute>(),
        Served::of::<get::GetRecord>(),
        Served::of::<delete::DeleteRecord>(),
    ];
}

#[derive(Serialize)]
struct Body<'a> {
    kind: &'a RecordKind,
    id: &'a RecordId,
    status: Option<&'a RecordStatus>,
    job_id: Option<JobId>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The record that the path names.
fn named_record(call: &mut Call<'_, Ledger>) -> Result<(RecordKind, RecordId), Problem> {
    let value = |name: &str| call.path_value(name).unwrap_or_default();
    let kind = RecordKind::try_from(value("kind"));
    let id = path::decoded(value("id")).and_then(RecordId::try_from);
    let kind = kind.map_err(|invalid| call.query.refuse("kind", invalid)).ok();
    let id = id.map_err(|invalid| call.query.refuse("id", invalid)).ok();
    call.query.finish(kind.zip(id))
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
