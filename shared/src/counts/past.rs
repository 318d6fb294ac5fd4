//! Types without jobs leave the items that everybody reads. Their numbers go on to be counted: in the item of the past of
//! the type, and for all owners together in the type `other` too, so that no sum of the metrics falls.
//!
//! A change that is counted later begins a new item. So each number of a type is the sum of its total and its past.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{Delete, KeysAndAttributes, TransactWriteItem, Update};

use super::read::{each_item, name_of};
use super::tally::{REVISION, name_in_past};
use super::{Bucket, Cell, Group, Place, Tally};
use crate::domain::{OTHER, Owner, Status, Timestamp, TypeName, is_reserved};
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Store, StoreError, Tables};

/// Items that are read at once: as many as DynamoDB gives.
const ITEMS_A_READ: usize = 100;

/// Begins the names of the items of the past. They lie after all that a scrape or a look at the queues reads.
const PAST: &str = "was";
/// On a total: since when nothing has moved it, as far as somebody looked.
const IDLE_SINCE: &str = "idle_since";
/// On a total: its revision then.
const IDLE_REVISION: &str = "idle_revision";

/// The name of the item that has the past of a type.
pub(crate) fn past_of(kind: &TypeName) -> String {
    format!("{PAST}@{kind}")
}

/// The names between which the past of every type lies, and nothing else.
pub(crate) fn pasts() -> (String, String) {
    (format!("{PAST}@"), format!("{PAST}A"))
}

/// The type whose past an item has.
pub(crate) fn kind_of_past(item: &AttributeMap) -> Option<TypeName> {
    TypeName::try_from(name_of(item).strip_prefix(PAST)?.strip_prefix('@')?).ok()
}

/// A type that has no jobs.
#[derive(Clone, Debug)]
pub(crate) struct Idle {
    /// Its name.
    pub(crate) kind: TypeName,
    /// Since when its numbers have not moved, as far as somebody looked before; `None`: nobody did since they moved.
    pub(crate) since: Option<Timestamp>,
    item: AttributeMap,
}

fn number(item: &AttributeMap, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn total_of(kind: &TypeName) -> String {
    Place::new(Bucket::Total, Group::Type(kind.clone())).to_string()
}

/// The first so many types of a scope that have no jobs. One page and those are held.
pub(crate) async fn idle_types(
    store: &Store,
    tables: &Tables,
    scope: &str,
    most: usize,
) -> Result<Vec<Idle>, StoreError> {
    let mut idle = Vec::new();
    let (first, last) = Place::totals();
    each_item(store, tables, scope, &first, &last, |item| {
        if idle.len() < most {
            idle.extend(Idle::of_item(item));
        }
    })
    .await?;
    Ok(idle)
}

impl Idle {
    fn of_item(item: AttributeMap) -> Option<Self> {
        let Place { group: Group::Type(kind), .. } = Place::parse(name_of(&item))? else { return None };
        let tally = Tally::of_item(&item);
        let is_idle = Status::ALL.into_iter().all(|status| tally.get(Cell::Alive(status)) == 0);
        if !is_idle || is_reserved(&kind) || kind.as_str() == OTHER {
            return None;
        }
        let revision = number(&item, REVISION)?;
        let is_marked = number(&item, IDLE_REVISION) == Some(revision);
        let since = number(&item, IDLE_SINCE).filter(|_| is_marked).map(Timestamp::from_millis);
        Some(Self { kind, since, item })
    }

    fn revision(&self) -> i64 {
        number(&self.item, REVISION).unwrap_or(0)
    }

    /// Notes since when its numbers stand; refused: they have moved.
    pub(crate) fn mark(&self, tables: &Tables, scope: &str, now: Timestamp) -> UpdateItemInputBuilder {
        UpdateItemInput::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(scope))
            .key(BUCKET, s(total_of(&self.kind)))
            .update_expression("SET #since = :now, #idle = :revision")
            .condition_expression("#revision = :revision")
            .expression_attribute_names("#since", IDLE_SINCE)
            .expression_attribute_names("#idle", IDLE_REVISION)
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":now", n(now.millis()))
            .expression_attribute_values(":revision", n(self.revision()))
    }

    /// The writes that move its numbers into the past, if they have not moved since this time, when they were marked.
    ///
    /// The revision alone does not tell: the item may have left, and begun again, and come to the same revision.
    pub(crate) fn leave(
        &self,
        tables: &Tables,
        scope: &str,
        since: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let gone = Delete::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(scope))
            .key(BUCKET, s(total_of(&self.kind)))
            .condition_expression("#revision = :revision AND #since = :since")
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_names("#since", IDLE_SINCE)
            .expression_attribute_values(":revision", n(self.revision()))
            .expression_attribute_values(":since", n(since.millis()))
            .build()?;
        let mut items = vec![
            TransactWriteItem::builder().delete(gone).build(),
            self.added_to(tables, scope, &past_of(&self.kind))?,
        ];
        if scope == ALL_OWNERS {
            items.push(self.added_to(tables, scope, &other_total())?);
        }
        Ok(items)
    }

    /// Adds all its numbers to those of another item, also those that only a newer version knows.
    fn added_to(&self, tables: &Tables, scope: &str, bucket: &str) -> Result<TransactWriteItem, BuildError> {
        let own = [REVISION, IDLE_SINCE, IDLE_REVISION];
        let numbers = self.item.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let numbers = numbers.filter(|(_, value)| value.as_n().is_ok_and(|number| number != "0"));
        let mut terms = vec![format!("{REVISION} :one")];
        let mut plan = Update::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(scope))
            .key(BUCKET, s(bucket))
            .expression_attribute_values(":one", n(1));
        // Codes of failures go on as one number, so that the item stays small.
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        for (name, value) in numbers {
            let number = value.as_n().ok().and_then(|number| number.parse::<i128>().ok()).unwrap_or(0);
            *sums.entry(name_in_past(name)).or_default() += number;
        }
        for (index, (name, value)) in sums.into_iter().enumerate() {
            terms.push(format!("#{index} :{index}"));
            plan = plan
                .expression_attribute_names(format!("#{index}"), name)
                .expression_attribute_values(format!(":{index}"), n(value));
        }
        let plan = plan.update_expression(format!("ADD {}", terms.join(", "))).build()?;
        Ok(TransactWriteItem::builder().update(plan).build())
    }
}

fn other_total() -> String {
    format!("total@{OTHER}")
}

/// Which of these types an owner has a count of.
pub(crate) async fn types_ever_counted(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kinds: &BTreeSet<TypeName>,
) -> Result<Vec<TypeName>, StoreError> {
    let mut found = Vec::new();
    let kinds: Vec<&TypeName> = kinds.iter().collect();
    for chunk in kinds.chunks(ITEMS_A_READ) {
        let key = |kind: &&TypeName| {
            AttributeMap::from([(SCOPE.to_owned(), s(owner)), (BUCKET.to_owned(), s(total_of(kind)))])
        };
        let keys = KeysAndAttributes::builder().set_keys(Some(chunk.iter().map(key).collect())).build();
        let keys = keys.map_err(|error| Corrupt::new("batch of totals", error))?;
        let plan = BatchGetItemInput::builder().request_items(&tables.tallies, keys);
        for item in store.batch_get(plan).await?.into_values().flatten() {
            let Some(Place { group: Group::Type(kind), .. }) = Place::parse(name_of(&item)) else { continue };
            found.push(kind);
        }
    }
    Ok(found)
}
