//! Beginning a recount: the job that shows it, its input, and the task.

use serde::Serialize;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::{Recount, RecountState};
use crate::domain::{
    Fingerprint, Head, Input, Job, JobId, Labels, Owner, RECOUNT, State, Timestamp, TraceId, TypeName,
};
use crate::dynamo::schema::INPUT;
use crate::dynamo::{Corrupt, Ledger, StoreError, encode_part, part_bytes, plans};

/// What is to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecountRequest {
    /// Whether what is wrong is put right.
    pub repair: bool,
    /// Whose counts; `None`: everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How long an hour that seems wrong is left alone before it is looked at again.
    pub settle_seconds: u16,
}

/// A recount that somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The id of the job that shows it.
    pub id: JobId,
    /// Whose job that is.
    pub owner: Owner,
    /// What people call the key that asks: for the log.
    pub key_id: &'a str,
    /// An id that nobody had before.
    pub fresh: Uuid,
    /// What time it is.
    pub now: Timestamp,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
    /// Tells the request from others under the same key.
    pub fingerprint: Fingerprint,
    /// What is asked for.
    pub request: RecountRequest,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It begins.
    New(Box<Head>),
    /// There was a job with this id, and nothing was begun.
    There(Box<Head>),
}

/// Makes the job, and the task that does it.
pub async fn begin(ledger: &Ledger, asked: Asked<'_>) -> Result<Begun, StoreError> {
    let payload = to_raw_value(&asked.request).map_err(|error| Corrupt::new("request", error))?;
    let input = Input { payload: Some(payload), metadata: None };
    let json = input.to_json().map_err(|error| StoreError::Refused(error.into()))?;
    let part = format!("{INPUT}{}", asked.fresh);
    let input = encode_part(asked.id, &part, json);
    let mut head = head(ledger, &asked).await?;
    head.job.bytes = part_bytes(&input);
    ledger.store.put(plans::put_part(&ledger.config.tables, input)).await?;
    let state = RecountState::new(&asked.request);
    let begun = crate::tasks::begin::<Recount>(ledger, &head, asked.key_id, &state).await;
    // Whether it began is not known when the store did not say: then the input may be the job's.
    if !matches!(begun, Ok(None) | Err(StoreError::Unavailable(_))) {
        let plan = plans::delete_part(&ledger.config.tables, asked.id, &part);
        if let Err(error) = ledger.store.delete(plan).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an input without a job was left behind"
            );
        }
    }
    if let Some(existing) = begun? {
        return Ok(Begun::There(Box::new(existing)));
    }
    let Asked { id, owner, key_id, request, .. } = &asked;
    tracing::info!(%id, %owner, key_id, repair = request.repair, "a recount begins");
    Ok(Begun::New(Box::new(head)))
}

/// The job that shows the work: running from the start, so that no worker can take it.
async fn head(ledger: &Ledger, asked: &Asked<'_>) -> Result<Head, StoreError> {
    let shards = ledger.shards_to_write().await?;
    Ok(Head {
        job: Job {
            id: asked.id,
            owner: asked.owner.clone(),
            kind: TypeName::try_from(RECOUNT).map_err(|error| Corrupt::new("type recount", error))?,
            external_id: None,
            name: None,
            priority: 0,
            labels: Labels::default(),
            created_at: asked.now,
            updated_at: asked.now,
            attempt: 1,
            max_attempts: 1,
            timeout_seconds: None,
            cost: None,
            trace_id: asked.trace_id.clone(),
            progress: None,
            bytes: 0,
            state: State::Running { started_at: asked.now, phase: None },
        },
        shard: asked.id.shard(shards),
        fingerprint: asked.fingerprint,
        written_by: asked.fresh,
        ttl_hours: ledger.config.default_ttl_hours,
        input: Some(asked.fresh),
        output: None,
    })
}
