//! Types without jobs give their places back: another type may then be used, and readers of all types pass over one less.
//!
//! It takes two looks. The first notes that a type has no jobs. The second gives it back if nothing has moved its counts
//! since then, and nobody used it. An execution environment remembers for a shorter time that a type has a place, so it
//! asks again in between.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use futures_util::stream::{self, StreamExt};

use super::reaper::{MARGIN_MS, OWNERS_AT_ONCE};
use crate::counts::{Idle, idle_types};
use crate::domain::{Owner, Timestamp, TypeName};
use crate::store::schema::ALL_OWNERS;
use crate::store::type_item::{any_job, get_type};
use crate::store::type_names::{get_name, give_place, leave_place, name_of_item};
use crate::store::{Ledger, StoreError, Written};

/// How long a type has no jobs before it is given back, in milliseconds.
pub const IDLE_MS: i64 = 600_000;
/// Most types of one owner, or of all together, that one look notes or gives back.
const MAX_TYPES_A_LOOK: usize = 1_000;
/// Types that are looked at side by side: all of an owner share the item that counts its places.
const TYPES_AT_ONCE: usize = 4;

/// Notes which types of an owner have no jobs, and gives back those that have had none for long; `None`: the types of all
/// owners together. To do it at any time and any number of times is safe. Answers with how many were given back.
///
/// # Errors
///
/// If the counts cannot be read. If the store fails for a type, that is left to the next look.
pub async fn give_back(ledger: &Ledger, owner: Option<&Owner>, now: Timestamp) -> Result<u64, StoreError> {
    let scope = owner.map_or(ALL_OWNERS, Owner::as_str);
    let idle = idle_types(&ledger.store, &ledger.config.tables, scope, MAX_TYPES_A_LOOK).await?;
    let looks: Vec<_> = idle.iter().map(|idle| look(ledger, owner, idle, now)).collect();
    let looks: Vec<_> = stream::iter(looks).buffer_unordered(TYPES_AT_ONCE).collect().await;
    let mut given = 0;
    for look in looks {
        match look {
            Ok(is_given) => given += u64::from(is_given),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, scope, "a type could not be given back; the next look tries again");
            }
        }
    }
    Ok(given)
}

/// The same for all owners and for all together, until a function's time ends.
pub(super) async fn give_back_all(
    ledger: &Ledger,
    owners: &[Owner],
    clock: fn() -> Timestamp,
    ends_at: Option<Timestamp>,
) -> u64 {
    let scopes = owners.iter().map(Some).chain([None]);
    let looks = scopes.map(|owner| async move {
        if ends_at.is_some_and(|end| end.since(clock()) <= MARGIN_MS) {
            return 0;
        }
        give_back(ledger, owner, clock()).await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the types of an owner could not be looked at; the next look tries again");
            0
        })
    });
    let looks: Vec<_> = looks.collect();
    stream::iter(looks).buffer_unordered(OWNERS_AT_ONCE).fold(0, async |sum, given| sum + given).await
}

/// Whether so much time has passed between two looks.
fn is_long(since: Timestamp, now: Timestamp) -> bool {
    now.millis().saturating_sub(since.millis()) >= IDLE_MS
}

/// Looks at a type without jobs; true: it is given back.
async fn look(
    ledger: &Ledger,
    owner: Option<&Owner>,
    idle: &Idle,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let scope = owner.map_or(ALL_OWNERS, Owner::as_str);
    let Some(since) = idle.since else {
        store.update(idle.mark(&config.tables, scope, now)).await?;
        if let Some(owner) = owner {
            store.update(leave_place(&config.tables, owner, &idle.kind, now)).await?;
        }
        return Ok(false);
    };
    if !is_long(since, now) {
        return Ok(false);
    }
    let refused = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(error.into());
    let mut items = idle.leave(&config.tables, scope, since).map_err(refused)?;
    if let Some(owner) = owner {
        if is_wanted(ledger, owner, &idle.kind).await? {
            return Ok(false);
        }
        let place = store.get(get_name(&config.tables, owner, &idle.kind)).await?;
        match place.as_ref().and_then(name_of_item) {
            // It had jobs before places were counted.
            None => {}
            Some((_, Some(leaving_at))) if is_long(leaving_at, now) => {
                items.extend(give_place(&config.tables, owner, &idle.kind, leaving_at).map_err(refused)?);
            }
            Some((_, Some(_))) => return Ok(false),
            // Somebody asked for it since, and made no job.
            Some((_, None)) => {
                store.update(leave_place(&config.tables, owner, &idle.kind, now)).await?;
                return Ok(false);
            }
        }
    }
    let plan = TransactWriteItemsInput::builder().set_transact_items(Some(items));
    Ok(matches!(store.transact(plan).await?, Written::Done(_)))
}

/// Whether a type has settings, or a job that is not counted yet.
async fn is_wanted(ledger: &Ledger, owner: &Owner, kind: &TypeName) -> Result<bool, StoreError> {
    let source = ledger.source().await?;
    if source.store.get(get_type(source.tables, owner, kind)).await?.is_some() {
        return Ok(true);
    }
    for shard in 0..source.shards {
        if source.store.query(any_job(source.tables, owner, kind, shard)).await?.count > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
