//! Jobs that are found by an id and not by walking a list.

use futures_util::future::try_join_all;

use super::plan::{Plan, plan};
use super::reader::Reader;
use crate::domain::{ExternalId, JobId, JobQuery, created_key};
use crate::store::pages::ListRow;
use crate::store::ranges::Bounds;
use crate::store::{Source, StoreError, job_of_row, plans};

/// What is read to find the jobs of a list from some place on.
pub(super) async fn reader<'a>(
    source: Source<'a>,
    query: &JobQuery,
    bounds: Bounds,
    limit: usize,
) -> Result<Reader<'a>, StoreError> {
    let planning = async {
        // At most one job is called so, and its id says where it is.
        if query.filter.external_id.is_some() {
            return Ok(Plan { ranges: Vec::new(), wanted: 0, base: 0, is_known: false });
        }
        plan(source, query, limit).await
    };
    let (plan, found) = tokio::try_join!(planning, by_id(source, query))?;
    Ok(Reader::new(source, plan, bounds, query.order, found))
}

/// The jobs of a list that an id leads to, where the list asks for one.
pub(super) async fn by_id(source: Source<'_>, query: &JobQuery) -> Result<Vec<ListRow>, StoreError> {
    let reads = ids(query).into_iter().map(|id| source.store.get(plans::get_head(source.tables, id)));
    let mut rows = Vec::new();
    for item in try_join_all(reads).await?.into_iter().flatten() {
        let job = job_of_row(item.clone())?;
        if query.matches(&job) {
            rows.push(ListRow { id: job.id, created: created_key(job.created_at, job.id), item });
        }
    }
    Ok(rows)
}

fn ids(query: &JobQuery) -> Vec<JobId> {
    let of = |id: &ExternalId| JobId::of_external_id(&query.owner, id);
    if let Some(external_id) = &query.filter.external_id {
        return vec![of(external_id)];
    }
    let Some(search) = &query.filter.search else { return Vec::new() };
    let mut ids: Vec<JobId> = JobId::try_from(search.as_str()).into_iter().collect();
    ids.extend(ExternalId::try_from(search.as_str()).iter().map(of));
    ids
}
