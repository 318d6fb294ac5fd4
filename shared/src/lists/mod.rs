//! Lists: which jobs, in which order, and how many there are.
//!
//! A request for a page takes this path, file by file:
//!
//! 1. [`Jobs::list`], in this file, is called with the query, the place to begin, and the most rows.
//! 2. `prepared` reads once what the page and the total both need: the jobs that an id leads to, and the owner's totals,
//!    if the list names several types or statuses. From these, `plan` chooses the ranges of one index.
//! 3. If the page begins at an offset or has a number, `counts::locate` finds the minute of its first row.
//! 4. `page` reads the rows of the page, and works out the total at the same time. If the list is sorted by something else
//!    than creation, `sorted` does this.
//! 5. `reader` merges the ranges, and reads each only as far as its turn comes.
//! 6. If the list has filters that jobs are not counted by, `matches` counts the rows that the page has not read.
//!    If the only filter is how queued jobs wait, `waits` knows the total from the counts.
//! 7. `rows` makes jobs of the rows.
//!
//! `count` answers how many jobs a list has by status and type. Exports and bulk changes read a list part by part.

mod count;
mod error;
mod matches;
mod page;
mod plan;
mod prepared;
mod reader;
mod rows;
mod sorted;
mod waits;
mod workers;

pub use count::Counts;
pub use error::ListError;
pub use matches::Total;
pub use page::From;
pub use workers::{HeldJobs, MAX_RUNNING, Workers};

use crate::domain::{Job, JobQuery, Owner, SortBy};
use crate::store::{Corrupt, Jobs, StoreError};
use page::Page;
use prepared::Prepared;

/// Most rows that one call looks at for a filter that jobs are not counted by.
pub const MAX_EXAMINED: usize = 250_000;
/// Most matches of such a filter that are counted, sorted, or passed over by an offset.
pub const MAX_MATCHES: usize = 10_000;

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Its jobs.
    pub jobs: Vec<Job>,
    /// After which sort key the list goes on; `None`: it ends here.
    pub next: Option<String>,
    /// How many jobs the whole list has.
    pub total: Total,
}

/// Some jobs of a list, one after the other, without its total.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk<J> {
    /// The jobs: fewer than asked for does not mean that the list ends here.
    pub jobs: Vec<J>,
    /// After which sort key the list goes on; `None`: it ends here.
    pub next: Option<String>,
}

impl Jobs<'_> {
    /// Reads a page of at most so many jobs, and how many the whole list has.
    pub async fn list(&self, query: &JobQuery, from: From<'_>, limit: usize) -> Result<Listing, ListError> {
        let list = Prepared::of(self.ledger.source().await?, query).await?;
        let Page { rows, next, total } = match query.sort {
            SortBy::Created => page::page(&list, from, limit).await?,
            SortBy::Updated | SortBy::Completed | SortBy::Priority => {
                sorted::page(&list, from, limit).await?
            }
        };
        Ok(Listing { jobs: rows::shown_jobs(list.source, rows).await?, next, total })
    }

    /// Counts the jobs of a list, by status and by type.
    pub async fn count(&self, query: &JobQuery, wants_waits: bool) -> Result<Counts, ListError> {
        count::count(self.ledger.source().await?, query, wants_waits).await
    }

    /// Reads which workers hold jobs of an owner.
    pub async fn workers(&self, owner: &Owner) -> Result<Workers, StoreError> {
        workers::workers(self.ledger.source().await?, owner).await
    }

    /// Reads at most so many jobs that come after a sort key in order of creation: for a list that is walked to its end.
    pub async fn chunk(
        &self,
        query: &JobQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Chunk<Job>, StoreError> {
        let source = self.ledger.source().await?;
        let (rows, next) = page::chunk(&Prepared::of(source, query).await?, after, limit).await?;
        Ok(Chunk { jobs: rows::shown_jobs(source, rows).await?, next })
    }

    /// The same without the data of heads. A job that cannot be read does not keep the others back.
    pub(crate) async fn chunk_of_heads(
        &self,
        query: &JobQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Chunk<Result<Job, Corrupt>>, StoreError> {
        let source = self.ledger.source().await?;
        let (rows, next) = page::chunk(&Prepared::of(source, query).await?, after, limit).await?;
        Ok(Chunk { jobs: rows.into_iter().map(rows::job).collect(), next })
    }
}
