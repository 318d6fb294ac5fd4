//! The head of a queue: which jobs may go, in the order in which they should.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use uuid::Uuid;

use super::memory::LongQueues;
use crate::domain::{JobId, Owner, Step, Timestamp, TypeName};
use crate::store::head_write::{Condition, HeadUpdate};
use crate::store::pages::READS_AT_ONCE;
use crate::store::plans::queue::Queue;
use crate::store::schema::QUEUE;
use crate::store::value::s;
use crate::store::{AttributeMap, Corrupt, LATER, Source, StoreError, queue_place};

/// How many jobs of each type a claim looks at.
pub(super) const WINDOW: i32 = 50;
/// How many it looks at where so many others claim that they would lose most races for the first.
pub(super) const CROWDED_WINDOW: i32 = 200;
/// How many of those that became due since they were queued it looks at. If there are more, some are moved up.
const DUE_PAGE: i32 = 100;

/// A job that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: JobId,
    pub(super) kind: TypeName,
    /// Its sort key as it is stored.
    pub(super) queue: String,
    /// Its place among all that may go: as its sort key is where it was due when it was queued.
    pub(super) place: String,
    pub(super) priority: u8,
    pub(super) attempt: u32,
    pub(super) timeout_seconds: Option<u32>,
    /// The name of its input.
    pub(super) input: Option<Uuid>,
}

#[derive(Deserialize)]
struct Row {
    job_id: JobId,
    queue: String,
    priority: u8,
    attempt: u32,
    #[serde(default)]
    timeout_seconds: Option<u32>,
    #[serde(default)]
    input: Option<Uuid>,
}

impl Candidate {
    fn of_row(item: AttributeMap, kind: &TypeName) -> Result<Self, Corrupt> {
        let row: Row = serde_dynamo::from_item(item)
            .map_err(|error: serde_dynamo::Error| Corrupt::new("row of the queue", error))?;
        let place = match row.queue.strip_prefix(LATER) {
            Some(due) => queue_place(row.priority, due),
            None => row.queue.clone(),
        };
        Ok(Self {
            id: row.job_id,
            kind: kind.clone(),
            queue: row.queue,
            place,
            priority: row.priority,
            attempt: row.attempt,
            timeout_seconds: row.timeout_seconds,
            input: row.input,
        })
    }

    /// The update that makes a step of the job, if it still waits where its row was seen.
    pub(super) fn update(&self, step: &Step) -> Result<HeadUpdate, Corrupt> {
        let mut update = HeadUpdate::of(self.id, step)?;
        update.when.push(Condition::Is(QUEUE, s(&self.queue)));
        Ok(update)
    }

    /// Whether it became due since it was queued.
    fn is_late(&self) -> bool {
        self.queue != self.place
    }
}

/// A claim's view of the queues.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The jobs that may go, in order.
    pub(super) candidates: Vec<Candidate>,
    /// The jobs that became due, of queues with more of these than are looked at: they should be moved up.
    pub(super) crowded: Vec<Candidate>,
}

/// Looks at the heads of the queues of these types.
pub(super) async fn view(
    source: Source<'_>,
    long: &LongQueues,
    (owner, kinds): (&Owner, &BTreeSet<TypeName>),
    window: i32,
    now: Timestamp,
) -> Result<View, StoreError> {
    let mut reads = Vec::new();
    for kind in kinds {
        for shard in 0..source.shards {
            reads.push(part(source, long, Queue { owner, kind, shard }, window, now));
        }
    }
    let parts: Vec<View> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut view = View::default();
    for part in parts {
        view.candidates.extend(part.candidates);
        view.crowded.extend(part.crowded);
    }
    view.candidates.sort_unstable_by(|a, b| a.place.cmp(&b.place));
    Ok(view)
}

async fn part(
    source: Source<'_>,
    long: &LongQueues,
    queue: Queue<'_>,
    window: i32,
    now: Timestamp,
) -> Result<View, StoreError> {
    let Source { store, tables, .. } = source;
    let read = |plan| async move {
        let items = store.query(plan).await?.items.unwrap_or_default().into_iter();
        let rows = items.map(|item| Candidate::of_row(item, queue.kind));
        Ok::<Vec<Candidate>, StoreError>(rows.collect::<Result<_, _>>()?)
    };
    let (first, due) = (queue.first(tables, now, window), queue.due(tables, now, DUE_PAGE));
    // Jobs that became due lie behind a full window, and may have to go before all of it. If it was full a moment ago,
    // both are read at once; else the second is not worth its unit before the first is there.
    let was_long = long.has(queue);
    let (first, late) = if was_long {
        tokio::try_join!(read(first), read(due)).map(|(first, late)| (first, Some(late)))?
    } else {
        (read(first).await?, None)
    };
    let is_long = first.len() >= usize::try_from(window).unwrap_or(usize::MAX);
    if is_long != was_long {
        long.set(queue, is_long);
    }
    if !is_long {
        return Ok(View { candidates: first, crowded: Vec::new() });
    }
    let late = match late {
        Some(late) => late,
        None => read(queue.due(tables, now, DUE_PAGE)).await?,
    };
    let is_crowded = late.len() >= usize::try_from(DUE_PAGE).unwrap_or(usize::MAX);
    let crowded = if is_crowded { late.clone() } else { Vec::new() };
    let on_time = first.into_iter().filter(|candidate| !candidate.is_late());
    Ok(View { candidates: on_time.chain(late).collect(), crowded })
}
