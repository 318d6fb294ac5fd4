//! `POST /v1/admin/ingest/jobs`: jobs that another system keeps, each upserted by the id that it has there. And
//! `POST /v1/admin/ingest/jobs/mock`: the bundled sample, in the same way.
//!
//! Every line is judged and written by itself, under a condition, so a call that broke off is simply sent again.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jobledger::Function;
use jobledger::counts::used_bytes;
use jobledger::domain::{Defaults, Invalid};
use jobledger::http::{
    Access, Answer, Call, FieldError, Problem, Route, RouteKey, Scope, Served, Serves, TOO_MANY_TYPES,
    function, type_limit,
};
use jobledger::store::Ledger;
use serde::Serialize;

mod line;
mod lines;
mod pace;
mod rejected;
mod upsert;

use line::Line;
use pace::Pace;
use rejected::{Rejected, fitting};
use upsert::{Done, Upserts};

/// The function.
pub const FUNCTION: Function = function::<Ingest>();

/// Longest body: a synchronous call of Lambda takes 6 MB.
const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;
/// Most jobs of one call.
const MAX_JOBS: usize = 10_000;
/// Jobs whose heads are read at once: as many as one request of DynamoDB takes.
const CHUNK: usize = 100;
/// Chunks worked on at the same time.
const MAX_CHUNKS_AT_ONCE: usize = 4;
/// The bundled sample: 30 jobs of 3 teams, from 1 to 14 January 2026. All of them have ended: one that waits would be
/// handed to the owner's workers, and one that runs would run for ever.
const SAMPLE: &[u8] = include_bytes!("mock.ndjson");

pub(super) const NAME: &str = "ingest-jobs";

/// `/v1/admin/ingest`, `/v1/admin/ingest/jobs` and `/v1/admin/ingest/jobs/mock`.
#[derive(Debug)]
pub struct Ingest;

impl Serves for Ingest {
    const NAME: &'static str = NAME;
    type Backend = Ledger;
    const ROUTES: &'static [Served<Ledger>] =
        &[Served::of::<IngestJobs>(), Served::of::<IngestSample>(), Served::of::<super::get::GetIngest>()];
}

/// `POST /v1/admin/ingest/jobs`: the jobs of the body.
#[derive(Debug)]
pub struct IngestJobs;

/// `POST /v1/admin/ingest/jobs/mock`: the bundled sample.
#[derive(Debug)]
pub struct IngestSample;

#[derive(Debug, Default, Serialize)]
struct Body {
    created: u64,
    updated: u64,
    unchanged: u64,
    rejected: Vec<Rejected>,
}

impl Route for IngestJobs {
    const NAME: &'static str = NAME;
    const KEY: RouteKey = RouteKey::post("/v1/admin/ingest/jobs");
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let body = call.body;
        ingest(call, Ok(body)).await
    }
}

impl Route for IngestSample {
    const NAME: &'static str = NAME;
    const KEY: RouteKey = RouteKey::post("/v1/admin/ingest/jobs/mock");
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let body = call.body;
        ingest(call, sample(body)).await
    }
}

/// Ingests the lines of a text. The query and the quota are checked before the text's own problem counts.
async fn ingest(mut call: Call<'_, Ledger>, text: Result<&[u8], Problem>) -> Result<Answer, Problem> {
    let owner = call.owner()?.clone();
    call.query.finish(Some(()))?;
    let ledger = call.backend;
    if call.storage_quota_bytes().is_some() {
        call.check_room(used_bytes(ledger, &owner).await?)?;
    }
    let texts = lines::split(text?)?;
    if texts.len() > MAX_JOBS {
        let detail = format!("{} jobs in one call; send at most {MAX_JOBS} at a time", texts.len());
        return Err(Problem::too_large(detail));
    }
    let defaults = Defaults {
        owner,
        now: call.now,
        fresh: call.fresh,
        shards: ledger.shards_to_write().await?,
        ttl_hours: ledger.config.default_ttl_hours,
    };
    let (lines, mut rejected) = read(&texts, &defaults);
    let pace = Pace::new(call.now, call.clock);
    let max_types = call.max_types();
    let upserts = Upserts { ledger, defaults: &defaults, pace: &pace, max_types };
    let chunks: Vec<_> = lines.chunks(CHUNK).map(|chunk| upserts.chunk(chunk)).collect();
    let done: Vec<Vec<Done>> = stream::iter(chunks).buffered(MAX_CHUNKS_AT_ONCE).try_collect().await?;
    let mut body = Body::default();
    for (line, done) in lines.iter().zip(done.into_iter().flatten()) {
        match done {
            Done::Created => body.created += 1,
            Done::Updated => body.updated += 1,
            Done::Unchanged => body.unchanged += 1,
            Done::Rejected(errors) => rejected.push(line.rejected(errors)),
            Done::TooManyTypes(limit) => {
                let errors = vec![FieldError::new("type", Invalid(type_limit(limit)))];
                rejected.push(line.rejected(errors).with_code(TOO_MANY_TYPES));
            }
        }
    }
    body.rejected = fitting(rejected);
    Ok(Answer::ok(&body))
}

/// The sample, where nobody sent jobs of their own: they would be lost without a word.
fn sample(body: &[u8]) -> Result<&'static [u8], Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(SAMPLE);
    }
    let message = "must be left out: the sample has its own jobs; send yours to /v1/admin/ingest/jobs";
    Err(Problem::invalid_body(vec![FieldError::new("body", Invalid::new(message))]))
}

/// Reads every line, and refuses those that cannot be read or say the same job twice.
fn read(texts: &[(usize, &[u8])], defaults: &Defaults) -> (Vec<Line>, Vec<Rejected>) {
    let (mut lines, mut rejected): (Vec<Line>, Vec<Rejected>) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashMap::new();
    for (number, text) in texts {
        match Line::parse(*number, text, defaults.now) {
            Ok(line) => match seen.insert(line.upsert.external_id.clone(), *number) {
                None => lines.push(line),
                Some(first) => {
                    seen.insert(line.upsert.external_id.clone(), first);
                    let message = format!("is on line {first} of this call too; send one of them at a time");
                    rejected.push(line.rejected(vec![FieldError::new("external_id", Invalid(message))]));
                }
            },
            Err(wrong) => rejected.push(wrong),
        }
    }
    (lines, rejected)
}
