//! The usage of keys, as it is stored: the operations that routes offer.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::Error;
use super::sum_writer::{CALLS, DAY, Span};
use crate::domain::{KeyId, Owner};
use crate::store::schema::{OWNER, SPAN};
use crate::store::value::s;
use crate::store::{AttributeMap, Corrupt, Ledger, StoreError, Tables};

/// Most days of a report: as many items as one request names of a key.
pub const MAX_USAGE_DAYS: usize = 100;
/// Most reads of a report over all keys, 1 MB each: a function has time for so many.
const MAX_READS: usize = 32;

/// The usage of keys.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    ledger: &'a Ledger,
}

/// The calls of one key on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedDay {
    /// The day, as `2026-01-11`.
    pub day: String,
    /// The key.
    pub key_id: KeyId,
    /// Calls by route and HTTP status.
    pub calls: BTreeMap<(String, u16), u64>,
}

impl Ledger {
    /// The usage of keys.
    pub fn usage(&self) -> Usage<'_> {
        Usage { ledger: self }
    }
}

impl Usage<'_> {
    /// The usage of one key on these days: read by name, however many other keys the owner has.
    pub async fn of_key(self, owner: &Owner, key_id: &KeyId, days: &[String]) -> Result<Vec<UsedDay>, Error> {
        let plan = used_on(&self.ledger.config.tables, owner, key_id, days)?;
        let items = self.ledger.store.batch_get(plan).await?.into_values().flatten();
        let mut used = items.map(|item| used_day(&item)).collect::<Result<Vec<_>, _>>()?;
        used.sort_by(|one, other| one.day.cmp(&other.day));
        Ok(used)
    }

    /// The usage of all keys of an owner, from one day to another, both included.
    pub async fn of_owner(self, owner: &Owner, first: &str, last: &str) -> Result<Vec<UsedDay>, Error> {
        let plan = used_between(&self.ledger.config.tables, owner, first, last);
        let (mut used, mut next) = (Vec::new(), None);
        for _ in 0..MAX_READS {
            let page = self.ledger.store.query(plan.clone().set_exclusive_start_key(next)).await?;
            for item in page.items.iter().flatten() {
                used.push(used_day(item)?);
            }
            next = page.last_evaluated_key;
            if next.is_none() {
                return Ok(used);
            }
        }
        Err(Error::TooManyDays)
    }
}

/// Reads what an owner's keys were used for from one day to another, both included.
fn used_between(tables: &Tables, owner: &Owner, first: &str, last: &str) -> QueryInputBuilder {
    QueryInput::builder()
        .table_name(&tables.usage)
        .key_condition_expression("#owner = :owner AND #span BETWEEN :first AND :last")
        .expression_attribute_names("#owner", OWNER)
        .expression_attribute_names("#span", SPAN)
        .expression_attribute_values(":owner", s(owner))
        .expression_attribute_values(":first", s(format!("{DAY}{first}#")))
        // `$` follows `#`.
        .expression_attribute_values(":last", s(format!("{DAY}{last}$")))
}

/// Reads what a key was used for on these days, 100 at most.
fn used_on(
    tables: &Tables,
    owner: &Owner,
    key_id: &KeyId,
    days: &[String],
) -> Result<BatchGetItemInputBuilder, StoreError> {
    let keys = days.iter().map(|day| {
        let span = Span { day: day.clone(), key_id: key_id.clone() };
        HashMap::from([(OWNER.to_owned(), s(owner)), (SPAN.to_owned(), s(span.sort_key()))])
    });
    let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build();
    let wanted = wanted.map_err(|error| StoreError::Refused(error.into()))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.usage, wanted))
}

/// Reads an item of [`used_between`] or [`used_on`].
fn used_day(item: &AttributeMap) -> Result<UsedDay, Corrupt> {
    let span = item.get(SPAN).and_then(|span| span.as_s().ok()).map_or("", String::as_str);
    let corrupt = || Corrupt::new(format!("usage {span}"), "is no day of a key");
    let (day, key_id) = span.strip_prefix(DAY).and_then(|rest| rest.split_once('#')).ok_or_else(corrupt)?;
    let key_id = KeyId::try_from(key_id).map_err(|_| corrupt())?;
    let calls = item.iter().filter_map(|(name, value)| {
        let (status, route) = name.strip_prefix(CALLS)?.split_once(':')?;
        let calls = value.as_n().ok()?.parse().ok()?;
        Some(((route.to_owned(), status.parse().ok()?), calls))
    });
    Ok(UsedDay { day: day.to_owned(), key_id, calls: calls.collect() })
}
