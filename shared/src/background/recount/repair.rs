//! Putting a bucket right, on the condition that it still is what was seen.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use super::level::{Compared, compare, put};
use super::look::{Seen, look};
use super::walk::types;
use crate::counts::{Bucket, Granularity, Group, MAX_ITEMS, Place};
use crate::domain::{Owner, Timestamp};
use crate::store::{Corrupt, Source, StoreError, Written};

/// How often a repair is tried that others come before.
const MAX_TRIES: usize = 5;

/// A bucket that is to be put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fix {
    pub(super) scope: String,
    /// The name of its item; an hour's stands for those of its types, too.
    pub(super) place: String,
    /// How many numbers are wrong.
    pub(super) wrong: u64,
    /// Of an hour: how it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<String>,
}

/// The outcome of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fixed {
    /// It was wrong, and is right now.
    Now,
    /// It was right.
    Before,
    /// It has changed since it was seen; the error stays until the next recount.
    Not,
}

/// Puts it right; answers with how many rows were read for it, too.
pub(super) async fn repair(source: Source<'_>, fix: &Fix) -> Result<(Fixed, u64), StoreError> {
    let corrupt = || Corrupt::new(&fix.place, "is not the name of a bucket that can be repaired");
    let place = Place::parse(&fix.place).ok_or_else(corrupt)?;
    if let Bucket::Span(Granularity::Hour, hour) = place.bucket {
        let owner = Owner::try_from(fix.scope.as_str()).map_err(|_| corrupt())?;
        return hour_right(source, &owner, hour, fix).await;
    }
    for _ in 0..MAX_TRIES {
        let (seen, right) = match compare(source, &fix.scope, &place).await? {
            Compared::Right => return Ok((Fixed::Before, 0)),
            Compared::Busy => return Ok((Fixed::Not, 0)),
            Compared::Wrong(_, both) => *both,
        };
        let item = put(source.tables, &fix.scope, &place, seen.as_ref(), &right)?;
        if is_written(source, vec![item]).await? {
            return Ok((Fixed::Now, 0));
        }
    }
    Ok((Fixed::Not, 0))
}

async fn hour_right(
    source: Source<'_>,
    owner: &Owner,
    hour: Timestamp,
    fix: &Fix,
) -> Result<(Fixed, u64), StoreError> {
    let mut types = types(source, owner.as_str()).await?;
    let found = look(source, owner, &mut types, hour, hour).await?;
    let Some(Seen { is_steady, view, rows, .. }) = found.into_iter().next() else {
        return Ok((Fixed::Before, 0));
    };
    if !is_steady || fix.seen.as_ref() != Some(&view.fingerprint()) {
        let is_right = is_steady && view.wrong() == 0;
        return Ok((if is_right { Fixed::Before } else { Fixed::Not }, rows));
    }
    let mut items = Vec::new();
    for (key, right) in view.right() {
        let place = Place::new(key.1.bucket(hour), key.0.clone());
        items.push(put(source.tables, owner.as_str(), &place, view.items.get(&key), &right)?);
    }
    while !items.is_empty() {
        let rest = items.split_off(items.len().min(MAX_ITEMS));
        if !is_written(source, items).await? {
            return Ok((Fixed::Not, rows));
        }
        items = rest;
    }
    Ok((Fixed::Now, rows))
}

async fn is_written(source: Source<'_>, items: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
    let plan = TransactWriteItemsInput::builder().set_transact_items(Some(items));
    Ok(match source.store.transact(plan).await? {
        Written::Done(_) => true,
        Written::Refused(_) => false,
    })
}

/// The name under which an hour's items are put right.
pub(super) fn hour_name(hour: Timestamp) -> String {
    Place::new(Bucket::of(Granularity::Hour, hour), Group::All).to_string()
}
