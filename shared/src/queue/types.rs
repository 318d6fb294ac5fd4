//! An owner's types: their settings, how many jobs they have, and how their queues stand.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Jobs;
use super::oldest::oldest_due;
use crate::counts::{NotDue, Planned, StatusCounts, planned_exactly, types_with_jobs};
use crate::domain::{Owner, Status, Timestamp, TypeName, Wait, is_reserved};
use crate::store::pages::READS_AT_ONCE;
use crate::store::plans::queue::Queue;
use crate::store::type_item::{type_of_item, types_after};
use crate::store::{Source, StoreError, StoredType};

/// How far the jobs of a type that may be claimed are counted by the queue. If there are more, the counts tell.
const MAX_DUE: u64 = 1_000;

/// A type, and how it stands.
#[derive(Clone, Debug)]
pub struct TypeOverview {
    /// Its name.
    pub kind: TypeName,
    /// The stored form of its settings; `None`: nobody has decided anything.
    pub stored: Option<StoredType>,
    /// How many jobs it has in each status, as far as they are counted.
    pub counts: StatusCounts,
    /// How its queued jobs wait, and how many.
    pub waits: [(Wait, u64); 3],
    /// Whether these numbers are all that there are.
    pub is_exact: bool,
    /// Since when the one of them may be claimed that waits for longest.
    pub oldest_due: Option<Timestamp>,
}

/// A page of types.
#[derive(Clone, Debug)]
pub struct TypePage {
    /// The types, in the order of their names.
    pub types: Vec<TypeOverview>,
    /// After which name the list goes on; `None`: it ends here.
    pub next: Option<String>,
}

/// The names that one source has on a page, with what it says of each.
struct Names<T> {
    found: BTreeMap<TypeName, T>,
    /// The source has more names, all after those.
    has_more: bool,
}

impl<T> Names<T> {
    /// The last name up to which this source hides nothing; `None`: it hides nothing at all.
    fn complete_to(&self) -> Option<&TypeName> {
        self.found.keys().next_back().filter(|_| self.has_more)
    }
}

impl Jobs<'_> {
    /// The types of an owner after a name: those with settings, and those that have or had jobs.
    pub async fn types(
        &self,
        owner: &Owner,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<TypePage, StoreError> {
        let source = self.ledger.source().await?;
        // One more than the page has says whether there is a next one.
        let at_once = i32::try_from(limit + 1).unwrap_or(i32::MAX);
        let (mut stored, mut counted) = tokio::try_join!(
            stored_types(source, owner, after, at_once),
            counted_types(source, owner, after, at_once)
        )?;
        let end = [stored.complete_to(), counted.complete_to()].into_iter().flatten().min().cloned();
        let mut kinds: Vec<TypeName> = stored.found.keys().chain(counted.found.keys()).cloned().collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.retain(|kind| end.as_ref().is_none_or(|end| kind <= end));
        let has_more = end.is_some() || kinds.len() > limit;
        kinds.truncate(limit);
        let next = kinds.last().filter(|_| has_more).map(ToString::to_string);
        kinds.retain(|kind| !is_reserved(kind));
        let looks = kinds.iter().map(|kind| look(source, owner, kind, now));
        let looks: Vec<_> =
            stream::iter(looks.collect::<Vec<_>>()).buffered(READS_AT_ONCE).try_collect().await?;
        let waits = kinds.iter().any(|kind| counted.queued(kind) > 0);
        let planned = if waits {
            planned_exactly(source, owner, |kind| kinds.binary_search(kind).is_ok(), now).await?
        } else {
            Planned { is_exact: true, ..Planned::default() }
        };
        let types = kinds.into_iter().zip(looks).map(|(kind, look)| {
            let (queued, not_due) = (counted.queued(&kind), planned.of(&kind));
            TypeOverview {
                stored: stored.found.remove(&kind),
                counts: counted.found.remove(&kind).unwrap_or_default(),
                waits: look.waits(queued, not_due),
                is_exact: planned.is_exact,
                oldest_due: look.oldest_due,
                kind,
            }
        });
        Ok(TypePage { types: types.collect(), next })
    }
}

async fn stored_types(
    source: Source<'_>,
    owner: &Owner,
    after: Option<&str>,
    limit: i32,
) -> Result<Names<StoredType>, StoreError> {
    let page = source.store.query(types_after(source.tables, owner, after, limit)).await?;
    let found = page.items.unwrap_or_default().into_iter().map(type_of_item);
    let found = found.collect::<Result<_, _>>()?;
    Ok(Names { found, has_more: page.last_evaluated_key.is_some() })
}

async fn counted_types(
    source: Source<'_>,
    owner: &Owner,
    after: Option<&str>,
    limit: i32,
) -> Result<Names<StatusCounts>, StoreError> {
    let (found, has_more) = types_with_jobs(source, owner, after, limit).await?;
    Ok(Names { found, has_more })
}

/// The jobs of a type that may be claimed, as the queue has them.
struct Look {
    /// How many; `None`: more than [`MAX_DUE`].
    due: Option<u64>,
    /// Since when the first of them.
    oldest_due: Option<Timestamp>,
}

impl Look {
    /// How the queued jobs wait. The queue itself knows best which are due, as it is never late.
    fn waits(&self, queued: u64, not_due: NotDue) -> [(Wait, u64); 3] {
        let waits = not_due.split(queued);
        waits.map(|(wait, count)| match (wait, self.due) {
            (Wait::Due, Some(due)) => (wait, due),
            (Wait::Due, None) => (wait, count.max(MAX_DUE)),
            (Wait::Scheduled | Wait::Retrying, _) => (wait, count),
        })
    }
}

impl Names<StatusCounts> {
    fn queued(&self, kind: &TypeName) -> u64 {
        self.found.get(kind).map_or(0, |counts| counts.get(Status::Queued))
    }
}

async fn look(
    source: Source<'_>,
    owner: &Owner,
    kind: &TypeName,
    now: Timestamp,
) -> Result<Look, StoreError> {
    let (mut due, mut oldest) = (0, None);
    for shard in 0..source.shards {
        let queue = Queue { owner, kind, shard };
        let Some(first) = oldest_due(source, queue, now).await? else { continue };
        oldest = oldest.into_iter().chain([first]).min();
        let limit = i32::try_from(MAX_DUE).unwrap_or(i32::MAX);
        let page = source.store.query(queue.count_due(source.tables, now, limit)).await?;
        due += u64::try_from(page.count).unwrap_or(0);
    }
    Ok(Look { due: Some(due).filter(|due| *due < MAX_DUE), oldest_due: oldest })
}
