//! How the queues stand, for the note that the reaper leaves for the metrics.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use super::oldest::oldest_due;
use super::reaper::{Holders, Look, OWNERS_AT_ONCE};
use crate::counts::{
    BecameDue, Cell, Greatest, MAX_NOTED_TYPES, NotDue, NotedType, QueueNote, Tally, each_type, planned,
};
use crate::domain::{Owner, Status, Timestamp, TypeName, Wait};
use crate::store::plans::queue::Queue;
use crate::store::schema::ALL_OWNERS;
use crate::store::{Store, StoreError, Tables};

/// Parts of queues that are looked at side by side.
const QUEUES_AT_ONCE: usize = 16;

/// The counts of all owners.
pub(super) struct AllOwners {
    /// Whether any job waits or runs.
    pub(super) is_any: bool,
    /// Of the types that have waiting jobs, those of which there are most.
    busiest: BTreeMap<TypeName, Tally>,
}

/// How the queues of all owners stand.
#[derive(Default)]
pub(super) struct Standing {
    /// Since when the job of each type waits that has been due for longest.
    oldest: BTreeMap<TypeName, Timestamp>,
    became_due: BTreeMap<TypeName, BecameDue>,
}

/// Reads the counts of all types, however many there are, and keeps what a look needs.
pub(super) async fn counted(store: &Store, tables: &Tables) -> Result<AllOwners, StoreError> {
    let (mut is_any, mut busiest) = (false, Greatest::new(MAX_NOTED_TYPES));
    each_type(store, tables, ALL_OWNERS, |kind, tally| {
        let waiting = tally.count(Cell::Alive(Status::Queued));
        is_any |= waiting > 0 || tally.count(Cell::Alive(Status::Running)) > 0;
        if waiting > 0 {
            busiest.add(waiting, kind, tally.clone());
        }
    })
    .await?;
    let (busiest, _) = busiest.finish();
    Ok(AllOwners { is_any, busiest: busiest.collect() })
}

impl AllOwners {
    /// Whether a job waits that was not due when it was last changed.
    fn has_planned(&self) -> bool {
        let has = |tally: &Tally| Wait::ALL.iter().any(|wait| tally.get(Cell::AllPlanned(*wait)) != 0);
        self.busiest.values().any(has)
    }
}

impl Look<'_> {
    /// Looks at the queues of these owners, in which jobs wait.
    pub(super) async fn standing(&self, owners: &[Owner], counted: &AllOwners) -> Standing {
        let kinds = counted.busiest.keys().cloned().collect();
        let not_due = if counted.has_planned() { self.not_due(owners).await } else { BTreeMap::default() };
        let became_due = counted.busiest.iter().map(|(kind, tally)| {
            let not_due = not_due.get(kind).copied().unwrap_or_default();
            (kind.clone(), BecameDue::of(tally, not_due))
        });
        Standing { became_due: became_due.collect(), oldest: self.oldest(owners, &kinds).await }
    }

    /// How many jobs of each type of these owners are not due.
    async fn not_due(&self, owners: &[Owner]) -> BTreeMap<TypeName, NotDue> {
        let looks = owners.iter().map(|owner| async move {
            if !self.is_time_left() {
                return BTreeMap::new();
            }
            match planned(self.source, owner, (self.clock)()).await {
                Ok(planned) => planned.types,
                Err(error) => {
                    self.seen.missed(&error, "the planned jobs of an owner could not be counted");
                    BTreeMap::new()
                }
            }
        });
        let found: Vec<_> =
            stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(OWNERS_AT_ONCE).collect().await;
        let mut types: BTreeMap<TypeName, NotDue> = BTreeMap::new();
        for (kind, not_due) in found.into_iter().flatten() {
            let sum = types.entry(kind).or_default();
            *sum = sum.plus(&not_due);
        }
        types
    }

    /// Since when the job of each of these types waits that has been due for longest.
    async fn oldest(&self, owners: &[Owner], kinds: &BTreeSet<TypeName>) -> BTreeMap<TypeName, Timestamp> {
        let looks = owners.iter().map(|owner| self.oldest_of(owner, kinds));
        let found: Vec<_> =
            stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(OWNERS_AT_ONCE).collect().await;
        let mut oldest = BTreeMap::new();
        for (kind, due) in found.into_iter().flatten() {
            oldest.entry(kind).and_modify(|known: &mut Timestamp| *known = due.min(*known)).or_insert(due);
        }
        oldest
    }

    async fn oldest_of(&self, owner: &Owner, kinds: &BTreeSet<TypeName>) -> Vec<(TypeName, Timestamp)> {
        if !self.is_time_left() {
            return Vec::new();
        }
        let mut waiting = Vec::new();
        let read = each_type(self.source.store, self.source.tables, owner.as_str(), |kind, tally| {
            if tally.count(Cell::Alive(Status::Queued)) > 0 && kinds.contains(&kind) {
                waiting.push(kind);
            }
        });
        if let Err(error) = read.await {
            self.seen.missed(&error, "an owner's counts could not be read");
            return Vec::new();
        }
        let parts = waiting.iter().flat_map(|kind| (0..self.source.shards).map(move |shard| (kind, shard)));
        let looks = parts.map(|(kind, shard)| async move {
            if !self.is_time_left() {
                return None;
            }
            match oldest_due(self.source, Queue { owner, kind, shard }, (self.clock)()).await {
                Ok(due) => due.map(|due| (kind.clone(), due)),
                Err(error) => {
                    self.seen.missed(&error, "a queue could not be looked at");
                    None
                }
            }
        });
        let looks: Vec<_> = looks.collect();
        stream::iter(looks).buffer_unordered(QUEUES_AT_ONCE).filter_map(async |found| found).collect().await
    }
}

impl Standing {
    /// The note on the queues, and on the jobs that workers hold.
    pub(super) fn note(self, holders: &Holders, now: Timestamp) -> QueueNote {
        let mut held: Vec<_> = holders.tries.iter().map(|(kind, tries)| (*tries, kind)).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let mut types: BTreeMap<TypeName, NotedType> = BTreeMap::new();
        for (kind, due) in self.oldest {
            types.entry(kind).or_default().oldest_due = Some(due);
        }
        for (kind, became_due) in self.became_due {
            if became_due != BecameDue::default() {
                types.entry(kind).or_default().became_due = became_due;
            }
        }
        for (tries, kind) in held {
            if types.len() < MAX_NOTED_TYPES || types.contains_key(kind) {
                types.entry(kind.clone()).or_default().tries = tries;
            }
        }
        let workers = u64::try_from(holders.workers.len()).unwrap_or(u64::MAX);
        QueueNote { noted_at: now, workers, types }
    }
}
