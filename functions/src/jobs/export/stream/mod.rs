//! The file of `GET /v1/jobs/export`, streamed: a list without its limit, in the list's order, part by part. The next part
//! is read only when the caller has taken the last, so that the memory it takes does not depend on the length of the list.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use jobledger::Function;
use jobledger::domain::{Job, JobQuery, Timestamp};
use jobledger::http::{
    Access, Answer, Call, Export, Format, Problem, Scope, StreamRoute, Streamed, streaming,
};
use jobledger::lists::Chunk;
use jobledger::store::Ledger;

mod file;
mod table;

use file::File;

/// The function.
pub const FUNCTION: Function = streaming::<ExportJobs>();

/// Most jobs read at once: some hundred KB, of the list and of the file.
const PART_JOBS: usize = 500;

/// The file of `GET /v1/jobs/export`.
#[derive(Debug)]
pub struct ExportJobs;

impl StreamRoute for ExportJobs {
    const NAME: &'static str = "export-jobs";
    const ACCESS: Access = Access::ScopeOrTicket(Scope::Read);
    type Backend = Ledger;

    async fn answer(call: Call<'_, Arc<Ledger>>) -> Result<Streamed, Problem> {
        let owner = call.owner()?.clone();
        let Export { jobs, format } = Export::parse(owner, call.query, call.now)?;
        // Before the head: a store that does not answer is still an ordinary problem.
        let first = call.backend.jobs().chunk(&jobs, None, PART_JOBS).await?;
        let file = File::begin(format, call.now).map_err(Problem::internal)?;
        let name = file_name(call.now, format);
        let head = Answer::text(format.content_type(), String::new())
            .with("content-disposition", format!("attachment; filename=\"{name}\""))
            .with("cache-control", "no-store");
        let ledger = Arc::clone(call.backend);
        let export = Exporting { ledger, jobs, file, ahead: Ahead::Part(first) };
        Ok(Streamed::new(head, stream::try_unfold(export, Exporting::next)))
    }
}

/// `jobs-20260111T050000Z.csv`.
fn file_name(now: Timestamp, format: Format) -> String {
    let to_the_second = now.to_string().split('.').next().unwrap_or_default().replace(['-', ':'], "");
    format!("jobs-{to_the_second}Z.{}", format.as_str())
}

/// A file that is being written.
struct Exporting {
    ledger: Arc<Ledger>,
    jobs: JobQuery,
    file: File,
    ahead: Ahead,
}

/// The part that is still to come.
enum Ahead {
    /// This part, which has been read.
    Part(Chunk<Job>),
    /// The jobs after this sort key.
    After(String),
    /// Nothing.
    Nothing,
}

impl Exporting {
    /// The next piece of the file; `None`: it is whole.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        loop {
            let Chunk { jobs, next } = match self.ahead {
                Ahead::Part(part) => part,
                Ahead::After(key) => self.ledger.jobs().chunk(&self.jobs, Some(&key), PART_JOBS).await?,
                Ahead::Nothing => return Ok(None),
            };
            self.file.add(&jobs).map_err(Problem::internal)?;
            if next.is_none() {
                self.file.end();
            }
            self.ahead = next.map_or(Ahead::Nothing, Ahead::After);
            let piece = self.file.take();
            // A part may hold no job that is asked for, and still not be the last.
            if !piece.is_empty() {
                return Ok(Some((Bytes::from(piece), self)));
            }
        }
    }
}
