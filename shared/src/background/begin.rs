//! Beginning a task: the job that shows it and the task itself, both or neither.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use uuid::Uuid;

use super::{Task, Work, write};
use crate::domain::{
    Fingerprint, Head, Input, Invalid, Job, JobId, KeyId, Labels, Owner, State, Timestamp, TraceId, TypeName,
};
use crate::store::head_write::{HeadPut, HeadWrite};
use crate::store::{
    AttributeMap, Corrupt, Ledger, StoreError, Tables, Written, encode_part, head_of_row, input_part,
    part_bytes, plans,
};

/// How often a job may go between the write that it kept from being made and the look at it.
const MAX_TRIES: usize = 3;

/// Work that a caller or a schedule asks for. `http/asked.rs` makes it of a call.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The id of the job that shows it.
    pub id: JobId,
    /// Whose job that is.
    pub owner: Owner,
    /// The key or schedule that asks: for the log.
    pub by: AskedBy,
    /// An id that nobody had before.
    pub fresh: Uuid,
    /// The current time.
    pub now: Timestamp,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
    /// Tells the request from others under the same key.
    pub fingerprint: Fingerprint,
    /// The request, as the job keeps it.
    pub input: Input,
}

/// The key or schedule that asks for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// A caller with this key.
    Key(KeyId),
    /// Nobody: a schedule.
    Schedule,
}

impl AskedBy {
    /// The word that is kept and logged for a schedule, in the place of a key. No key is called so.
    const SCHEDULE: &str = "schedule";

    /// The word that is kept and logged.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(key_id) => key_id.as_str(),
            Self::Schedule => Self::SCHEDULE,
        }
    }
}

impl TryFrom<&str> for AskedBy {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        if text == Self::SCHEDULE { Ok(Self::Schedule) } else { KeyId::try_from(text).map(Self::Key) }
    }
}

/// The outcome of a request for work.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It begins.
    New(Box<Head>),
    /// There was a job with this id, and nothing was begun.
    There(Box<Head>),
}

/// Keeps the idempotency key that gives the job its id; false: it stands for a request with an `external_id`.
pub async fn keep_key(ledger: &Ledger, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
    let kept = ledger.store.put(plans::keep_key_of_id(&ledger.config.tables, id, now)).await?;
    Ok(matches!(kept, Written::Done(_)))
}

/// Makes the job, of the type that its kind of work is called by, and the task that does it.
pub async fn begin<W: Work>(ledger: &Ledger, asked: &Asked, state: &W::State) -> Result<Begun, StoreError> {
    let tables = &ledger.config.tables;
    let json = asked.input.to_json().map_err(|error| StoreError::Refused(error.into()))?;
    let input = encode_part(asked.id, &input_part(asked.fresh), json);
    let head = head::<W>(ledger, asked, part_bytes(&input)).await?;
    // Before the head, which decides whether there is a job.
    ledger.store.put(plans::put_part(tables, input)).await?;
    let there = head_and_task::<W>(ledger, &head, &asked.by, state).await;
    // Whether it began is not known when the store did not say: then the input may be the job's.
    if !matches!(there, Ok(None) | Err(StoreError::Unavailable(_))) {
        ledger.drop_parts(&head, None).await;
    }
    Ok(there?.map_or_else(|| Begun::New(Box::new(head)), |there| Begun::There(Box::new(there))))
}

/// The job that shows the work: running from the start, so that no worker can take it.
async fn head<W: Work>(ledger: &Ledger, asked: &Asked, bytes: u64) -> Result<Head, StoreError> {
    let shards = ledger.shards_to_write().await?;
    Ok(Head {
        job: Job {
            id: asked.id,
            owner: asked.owner.clone(),
            kind: TypeName::try_from(W::KIND).map_err(|error| Corrupt::new(W::KIND, error))?,
            external_id: None,
            name: None,
            priority: 0,
            labels: Labels::default(),
            created_at: asked.now,
            updated_at: asked.now,
            attempt: 1,
            max_attempts: 1,
            failures: 0,
            unheard: 0,
            timeout_seconds: None,
            cost: None,
            trace_id: asked.trace_id.clone(),
            progress: None,
            holder: None,
            last_try: None,
            arrival: None,
            bytes,
            state: State::Running { started_at: asked.now, phase: None, lease: None },
        },
        shard: asked.id.shard(shards),
        fingerprint: asked.fingerprint,
        written_by: asked.fresh,
        ttl_hours: ledger.config.default_ttl_hours,
        input: Some(asked.fresh),
        output: None,
        report: None,
        changed_by: None,
        retried_by: None,
    })
}

/// Writes both; `Some`: there was a job with this id, and nothing was made.
async fn head_and_task<W: Work>(
    ledger: &Ledger,
    head: &Head,
    by: &AskedBy,
    state: &W::State,
) -> Result<Option<Head>, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let task = Task::begun(head, W::KIND, by, write::<W>(state)?);
    let plan = plan(&config.tables, HeadPut::create(head)?, task.item()?)
        .map_err(|error| StoreError::Refused(error.into()))?;
    for _ in 0..MAX_TRIES {
        if let Written::Done(_) = store.transact(plan.clone()).await? {
            return Ok(None);
        }
        let there = store.get(plans::get_head(&config.tables, head.job.id).consistent_read(true)).await?;
        if let Some(there) = there.map(head_of_row).transpose()? {
            // Its own first try, whose answer was lost, is no other job.
            return Ok((!there.is_same_write(head)).then_some(there));
        }
    }
    Err(StoreError::Unavailable("another job of this id came and went at every try".into()))
}

/// A task of an earlier job under the same id is put out of the way: that job is gone, or the head would be there.
fn plan(
    tables: &Tables,
    head: HeadPut,
    task: AttributeMap,
) -> Result<TransactWriteItemsInputBuilder, BuildError> {
    let task = Put::builder().table_name(&tables.tasks).set_item(Some(task)).build()?;
    let task = TransactWriteItem::builder().put(task).build();
    let items = vec![HeadWrite::Put(head).item(tables)?, task];
    Ok(TransactWriteItemsInput::builder().set_transact_items(Some(items)))
}
