//! The findings of the last recount: noted by the recount, shown by a scrape.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::Timestamp;
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Store, StoreError, Tables};

/// The errors that a recount found, and has not repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recounted {
    /// When it ended.
    pub finished_at: Timestamp,
    /// How many hours it compared with the jobs.
    pub hours: u64,
    /// How many of them, and of the longer buckets, changed too often to be compared.
    pub busy: u64,
    /// How many numbers it put right.
    pub repaired: u64,
    /// How many numbers were still wrong at its end, by scope; scopes without any may be left out.
    pub drift: BTreeMap<String, u64>,
}

/// The place of the last recount among the buckets of all owners.
pub(super) const RECOUNT_BUCKET: &str = "recount";
/// Its numbers by scope.
const DRIFT: &str = "drift";

impl Recounted {
    pub(super) fn of_item(item: &AttributeMap) -> Option<Self> {
        let number = |value: &AttributeValue| value.as_n().ok()?.parse::<u64>().ok();
        let named = |name: &str| item.get(name).and_then(number);
        let drift = item.get(DRIFT)?.as_m().ok()?;
        Some(Self {
            finished_at: Timestamp::from_millis(i64::try_from(named("finished_at")?).ok()?),
            hours: named("hours")?,
            busy: named("busy")?,
            repaired: named("repaired")?,
            drift: drift.iter().filter_map(|(scope, count)| Some((scope.clone(), number(count)?))).collect(),
        })
    }

    /// How many numbers were still wrong in the sums of all owners, and in those of the owners together. Whose these are
    /// is not for everybody: the recount tells it to admins.
    pub fn drift_by_scope(&self) -> [(&'static str, u64); 2] {
        let of = |is_all: bool| -> u64 {
            let scopes = self.drift.iter().filter(|(scope, _)| (*scope == ALL_OWNERS) == is_all);
            scopes.map(|(_, count)| count).sum()
        };
        [(ALL_OWNERS, of(true)), ("owners", of(false))]
    }

    /// Writes it down in the place of the last one.
    pub(crate) async fn record(&self, store: &Store, tables: &Tables) -> Result<(), StoreError> {
        let drift = self.drift.iter().map(|(scope, count)| (scope.clone(), n(count)));
        let plan = PutItemInput::builder()
            .table_name(&tables.tallies)
            .item(SCOPE, s(ALL_OWNERS))
            .item(BUCKET, s(RECOUNT_BUCKET))
            .item("finished_at", n(self.finished_at.millis()))
            .item("hours", n(self.hours))
            .item("busy", n(self.busy))
            .item("repaired", n(self.repaired))
            .item(DRIFT, AttributeValue::M(drift.collect()));
        store.put(plan).await.map(drop)
    }

    /// Writes down what was found in one scope, beside what the last recount of all owners found in the others.
    pub(crate) async fn record_one(
        store: &Store,
        tables: &Tables,
        scope: &str,
        drift: u64,
    ) -> Result<(), StoreError> {
        let plan = UpdateItemInput::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(ALL_OWNERS))
            .key(BUCKET, s(RECOUNT_BUCKET))
            .update_expression("SET #drift.#scope = :drift")
            .condition_expression("attribute_exists(#drift)")
            .expression_attribute_names("#drift", DRIFT)
            .expression_attribute_names("#scope", scope)
            .expression_attribute_values(":drift", n(drift));
        store.update(plan).await.map(drop)
    }
}
