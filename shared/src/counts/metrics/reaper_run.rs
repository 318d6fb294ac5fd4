//! When the reaper ran last. It is an item by itself: the note on the queues may be large, and this is read often.

use aws_sdk_dynamodb::operation::put_item::PutItemInput;

use crate::domain::Timestamp;
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{Store, StoreError, Tables, plans};

/// Its place among the buckets of all owners.
const REAPER_BUCKET: &str = "reaper";
/// The attribute that holds the time.
const RAN_AT: &str = "ran_at";

/// Notes that the reaper has just run, whether or not it had time for everything.
pub async fn record_reaper_run(store: &Store, tables: &Tables, now: Timestamp) -> Result<(), StoreError> {
    let plan = PutItemInput::builder()
        .table_name(&tables.tallies)
        .item(SCOPE, s(ALL_OWNERS))
        .item(BUCKET, s(REAPER_BUCKET))
        .item(RAN_AT, n(now.millis()));
    store.put(plan).await.map(drop)
}

/// When it ran last. `None`: it has not run yet.
pub(super) async fn last(store: &Store, tables: &Tables) -> Result<Option<Timestamp>, StoreError> {
    let item = store.get(plans::get_tally(tables, ALL_OWNERS, REAPER_BUCKET)).await?;
    let millis = item.as_ref().and_then(|item| item.get(RAN_AT)?.as_n().ok()?.parse().ok());
    Ok(millis.map(Timestamp::from_millis))
}
