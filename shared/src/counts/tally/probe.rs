//! The probe: a write that shows how far the counters lag, even where nobody writes jobs.
//!
//! A scrape now and then writes one item beside the jobs; its stream record passes through the counter like any
//! other, which notes when. A counter that stands still is seen by the age of the first probe that it has not noted.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, Update};

use crate::domain::Timestamp;
use crate::store::schema::{ALL_OWNERS, JOB_ID, PART, PROBE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Store, StoreError, Tables, Written, plans};

/// The probe's place among the buckets of all owners.
pub(crate) const PROBE_BUCKET: &str = "probe";
/// The attribute that holds the time at which a probe was written.
const AT: &str = "at";
/// The attribute that holds the time at which it was counted.
const COUNTED_AT: &str = "counted_at";

/// A probe that came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was written.
    pub at: Timestamp,
    /// When it was counted.
    pub counted_at: Timestamp,
}

impl Probe {
    /// Reads a counted probe.
    pub(crate) fn of_item(item: &AttributeMap) -> Option<Self> {
        Some(Self { at: time(item, AT)?, counted_at: time(item, COUNTED_AT)? })
    }

    pub(super) fn record(&self, item: UpdateBuilder) -> Result<Update, BuildError> {
        item.update_expression("SET #at = :at, counted_at = :counted_at")
            .expression_attribute_names("#at", AT)
            .expression_attribute_values(":at", n(self.at.millis()))
            .expression_attribute_values(":counted_at", n(self.counted_at.millis()))
            .build()
    }
}

/// When the probe in a stream image was written.
pub(super) fn probe_time(image: &AttributeMap) -> Option<Timestamp> {
    time(image, AT)
}

/// Reads the last probe that came through, as of now.
pub async fn counted_probe(store: &Store, tables: &Tables) -> Result<Option<Probe>, StoreError> {
    read(store, plans::get_tally(tables, ALL_OWNERS, PROBE_BUCKET).consistent_read(true)).await
}

/// The same for half the units, as of a moment ago.
pub(crate) async fn last_probe(store: &Store, tables: &Tables) -> Result<Option<Probe>, StoreError> {
    read(store, plans::get_tally(tables, ALL_OWNERS, PROBE_BUCKET)).await
}

async fn read(store: &Store, plan: GetItemInputBuilder) -> Result<Option<Probe>, StoreError> {
    Ok(store.get(plan).await?.as_ref().and_then(Probe::of_item))
}

/// Writes a probe; answers when the one before it was written.
pub async fn send_probe(
    store: &Store,
    tables: &Tables,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let plan = UpdateItemInput::builder()
        .table_name(&tables.jobs)
        .key(JOB_ID, s(PROBE))
        .key(PART, s(PROBE))
        .update_expression("SET #at = :at")
        .expression_attribute_names("#at", AT)
        .expression_attribute_values(":at", n(now.millis()))
        .return_values(ReturnValue::UpdatedOld);
    Ok(match store.update(plan).await? {
        Written::Done(old) => old.as_ref().and_then(|old| time(old, AT)),
        Written::Refused(_) => None,
    })
}

fn time(item: &AttributeMap, name: &str) -> Option<Timestamp> {
    item.get(name)?.as_n().ok()?.parse().ok().map(Timestamp::from_millis)
}
