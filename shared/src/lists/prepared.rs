//! A list, prepared: the data that both its page and its total need is read here, once.

use futures_util::future::try_join_all;

use super::plan::{Plan, choose, given};
use super::reader::Reader;
use crate::counts::{Totals, total, totals};
use crate::domain::{CreatedRange, ExternalId, JobId, JobQuery, Order, Status, created_key};
use crate::store::pages::ListRow;
use crate::store::ranges::Bounds;
use crate::store::{AttributeMap, Source, StoreError, job_of_row, plans};

/// A list, and what is known of it before its rows are read.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) source: Source<'a>,
    pub(super) query: &'a JobQuery,
    /// The jobs that an id leads to, if the list asks for one.
    pub(super) found: Vec<Found>,
    /// How many jobs the owner has of each type and status; `None`: the list has only one choice of ranges.
    totals: Option<Totals>,
}

/// A job that an id led to.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) row: ListRow,
    /// Whether the ranges of the list show it too: a search finds it by its name as well.
    pub(super) is_in_ranges: bool,
}

impl<'a> Prepared<'a> {
    /// Reads what the list needs to know.
    pub(super) async fn of(source: Source<'a>, query: &'a JobQuery) -> Result<Self, StoreError> {
        let known =
            async { if has_choice(query) { totals(source, query).await.map(Some) } else { Ok(None) } };
        let (totals, found) = tokio::try_join!(known, by_id(source, query))?;
        Ok(Self { source, query, found, totals })
    }

    /// The ranges to read so many rows from.
    pub(super) fn plan(&self, wanted: usize) -> Plan {
        // At most one job is called so, and its id says where it is.
        if self.query.filter.external_id.is_some() {
            return Plan::nothing();
        }
        match &self.totals {
            None => given(self.query, self.source.shards),
            Some(totals) => choose(self.query, self.source.shards, wanted, totals),
        }
    }

    /// Reads the list from these ranges, within bounds.
    pub(super) fn reader(&self, plan: &Plan, bounds: Bounds, order: Order) -> Reader<'a> {
        let found = self.found.iter().map(|found| found.row.clone()).collect();
        Reader::new(self.source, plan, bounds, order, found)
    }

    /// How many jobs the list has, by the counts: for a list without filters.
    pub(super) async fn total(&self) -> Result<u64, StoreError> {
        match &self.totals {
            Some(totals) if self.query.created == CreatedRange::ALL => Ok(totals.sum(self.query)),
            Some(_) | None => total(self.source, self.query).await,
        }
    }
}

/// Whether the list may be read from several choices of ranges: which is best, the owner's totals tell.
fn has_choice(query: &JobQuery) -> bool {
    let (types, statuses) = (query.types.len(), query.statuses.len());
    let names_several = types > 1 || (statuses > 1 && statuses < Status::ALL.len());
    names_several && query.filter.external_id.is_none()
}

/// The jobs of a list that an id leads to, where the list asks for one.
async fn by_id(source: Source<'_>, query: &JobQuery) -> Result<Vec<Found>, StoreError> {
    let reads = ids(query).into_iter().map(|id| source.store.get(plans::get_head(source.tables, id)));
    let mut found = Vec::new();
    for item in try_join_all(reads).await?.into_iter().flatten() {
        let job = job_of_row(item.clone())?;
        if query.matches(&job) {
            let is_in_ranges = is_found_by_name(query, &item);
            let row = ListRow { id: job.id, created: created_key(job.created_at, job.id), item };
            found.push(Found { row, is_in_ranges });
        }
    }
    Ok(found)
}

/// Whether the ranges find the job by its name, too: by the texts that are stored of it.
fn is_found_by_name(query: &JobQuery, head: &AttributeMap) -> bool {
    let Some(search) = &query.filter.search else { return false };
    let names = ["name", "folded"].map(|name| head.get(name).and_then(|text| text.as_s().ok()));
    let forms = search.stored_forms();
    names.into_iter().flatten().any(|text| forms.iter().any(|form| text.contains(form)))
}

/// The ids that the list asks for: its own word for one, or a search that may be one or the other.
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
