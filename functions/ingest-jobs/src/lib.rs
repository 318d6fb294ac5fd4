//! `POST /v1/admin/ingest/jobs`: jobs that another system keeps, each upserted by the id that it has there.
//!
//! Every line is judged and written by itself, under a condition, so a call that broke off is simply sent again.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jobledger::Function;
use jobledger::domain::Defaults;
use jobledger::dynamo::Ledger;
use jobledger::http::{Access, Answer, Call, FieldError, Problem, Route, Scope, function};
use jobledger::tally::check_quota;
use serde::Serialize;

mod line;
mod lines;
mod upsert;

use line::Line;
use upsert::Done;

/// The function.
pub const FUNCTION: Function = function::<IngestJobs>();

/// Longest body: a synchronous call of Lambda takes 6 MB.
const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;
/// Most jobs of one call.
const MAX_JOBS: usize = 10_000;
/// Jobs whose heads are read at once: as many as one request of DynamoDB takes.
const CHUNK: usize = 100;
/// Chunks worked on at the same time.
const MAX_CHUNKS_AT_ONCE: usize = 4;
/// Most errors told of one line.
const MAX_ERRORS: usize = 20;
/// Most errors told of one call in such detail; of further lines only the first: an answer must stay under 6 MB.
const MAX_ERRORS_IN_ALL: usize = 5_000;

/// `POST /v1/admin/ingest/jobs`.
#[derive(Debug)]
pub struct IngestJobs;

#[derive(Debug, Default, Serialize)]
struct Body {
    created: u64,
    updated: u64,
    unchanged: u64,
    rejected: Vec<Rejected>,
}

/// A line that did not go in, and why.
#[derive(Debug, Serialize)]
struct Rejected {
    line: usize,
    external_id: Option<String>,
    errors: Vec<FieldError>,
}

impl Route for IngestJobs {
    const NAME: &'static str = "ingest-jobs";
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        call.query.finish(Some(()))?;
        let ledger = call.backend;
        check_quota(ledger, &owner, call.storage_quota_bytes()).await?;
        let texts = lines::split(call.body)?;
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
        let chunks: Vec<_> =
            lines.chunks(CHUNK).map(|chunk| upsert::chunk(ledger, &defaults, chunk)).collect();
        let done: Vec<Vec<Done>> = stream::iter(chunks).buffered(MAX_CHUNKS_AT_ONCE).try_collect().await?;
        let mut body = Body::default();
        for (line, done) in lines.iter().zip(done.into_iter().flatten()) {
            match done {
                Done::Created => body.created += 1,
                Done::Updated => body.updated += 1,
                Done::Unchanged => body.unchanged += 1,
                Done::Rejected(error) => rejected.push(line.rejected(vec![error])),
            }
        }
        rejected.sort_by_key(|rejected| rejected.line);
        body.rejected = rejected;
        Ok(Answer::ok(&body))
    }
}

/// Reads every line, and refuses those that cannot be read or say the same job twice.
fn read(texts: &[(usize, &[u8])], defaults: &Defaults) -> (Vec<Line>, Vec<Rejected>) {
    let (mut lines, mut rejected): (Vec<Line>, Vec<Rejected>) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashMap::new();
    let mut errors = 0;
    for (number, text) in texts {
        match Line::parse(*number, text, defaults.now) {
            Ok(line) => match seen.insert(line.upsert.external_id.clone(), *number) {
                None => lines.push(line),
                Some(first) => {
                    seen.insert(line.upsert.external_id.clone(), first);
                    let message = format!("is on line {first} of this call too; send one of them at a time");
                    rejected
                        .push(line.rejected(vec![FieldError { field: "external_id".to_owned(), message }]));
                }
            },
            Err(mut wrong) => {
                wrong.errors.truncate(if errors < MAX_ERRORS_IN_ALL { MAX_ERRORS } else { 1 });
                errors += wrong.errors.len();
                rejected.push(wrong);
            }
        }
    }
    (lines, rejected)
}
