//! Rows become jobs here, and nowhere else.

use crate::domain::Job;
use crate::store::pages::ListRow;
use crate::store::{Corrupt, Source, StoreError, job_of_row, with_heads};

/// The job of a row, as its index tells it.
pub(super) fn job(row: ListRow) -> Result<Job, Corrupt> {
    job_of_row(row.item)
}

/// The jobs of these rows, as they are shown: also with the data of running and retrying jobs that only their heads have.
pub(super) async fn shown_jobs(source: Source<'_>, rows: Vec<ListRow>) -> Result<Vec<Job>, StoreError> {
    let mut jobs: Vec<Job> = rows.into_iter().map(job).collect::<Result<_, _>>()?;
    with_heads(source.store, source.tables, &mut jobs).await?;
    Ok(jobs)
}
