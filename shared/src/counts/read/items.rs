//! Reading the items of `tallies`.

use aws_sdk_dynamodb::operation::query::QueryInput;

use crate::counts::{Bucket, Group, Place, Tally};
use crate::store::schema::{BUCKET, SCOPE};
use crate::store::value::s;
use crate::store::{AttributeMap, Corrupt, Store, StoreError, Tables, plans};

/// The numbers of one item; none where there is none.
pub(crate) async fn read_one(
    store: &Store,
    tables: &Tables,
    scope: &str,
    place: &Place,
) -> Result<Tally, StoreError> {
    read_named(store, tables, scope, &place.to_string()).await
}

/// The same of the item of this name.
pub(super) async fn read_named(
    store: &Store,
    tables: &Tables,
    scope: &str,
    name: &str,
) -> Result<Tally, StoreError> {
    let plan = plans::get_tally(tables, scope, name);
    Ok(store.get(plan).await?.as_ref().map(Tally::of_item).unwrap_or_default())
}

/// The numbers of some jobs in all buckets of a length from one to another, in order.
pub(crate) async fn read_buckets(
    store: &Store,
    tables: &Tables,
    scope: &str,
    group: &Group,
    first: Bucket,
    last: Bucket,
) -> Result<Vec<(Bucket, Tally)>, StoreError> {
    let name = |bucket| Place::new(bucket, group.clone()).to_string();
    let items = read_items(store, tables, scope, &name(first), &name(last)).await?;
    let buckets = items.iter().map(|item| Ok((place_of(item)?.bucket, Tally::of_item(item))));
    buckets.collect()
}

/// Reads the items of a scope from one name to another, both included.
pub(crate) async fn read_items(
    store: &Store,
    tables: &Tables,
    scope: &str,
    first: &str,
    last: &str,
) -> Result<Vec<AttributeMap>, StoreError> {
    let mut items = Vec::new();
    each_item(store, tables, scope, first, last, |item| items.push(item)).await?;
    Ok(items)
}

/// The same, one item after the other: however many there are, one page of them is held.
pub(crate) async fn each_item(
    store: &Store,
    tables: &Tables,
    scope: &str,
    first: &str,
    last: &str,
    mut each: impl FnMut(AttributeMap),
) -> Result<(), StoreError> {
    let mut from = None;
    loop {
        let page = store.query(range(tables, scope, first, last).set_exclusive_start_key(from)).await?;
        page.items.unwrap_or_default().into_iter().for_each(&mut each);
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(());
        }
    }
}

/// The range of a scope from one name to another, as a request.
pub(crate) fn range(
    tables: &Tables,
    scope: &str,
    first: &str,
    last: &str,
) -> aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder {
    QueryInput::builder()
        .table_name(&tables.tallies)
        .key_condition_expression("#scope = :scope AND #bucket BETWEEN :first AND :last")
        .expression_attribute_names("#scope", SCOPE)
        .expression_attribute_names("#bucket", BUCKET)
        .expression_attribute_values(":scope", s(scope))
        .expression_attribute_values(":first", s(first))
        .expression_attribute_values(":last", s(last))
}

/// An item's name within its scope.
pub(crate) fn name_of(item: &AttributeMap) -> &str {
    item.get(BUCKET).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// Which bucket's item it is, and for which jobs.
pub(crate) fn place_of(item: &AttributeMap) -> Result<Place, Corrupt> {
    let name = name_of(item);
    Place::parse(name).ok_or_else(|| Corrupt::new(name, "is not the name of a bucket's item"))
}
