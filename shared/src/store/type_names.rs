//! The places that an owner's types take: an item of `settings` for each type that is used, and one that says how many
//! those are. Both change in one transaction, so an owner never uses more types than it may.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{
    Delete, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::schema::{ID, KIND, TYPE_NAMES, TYPE_PLACES};
use super::type_item::type_id;
use super::value::{n, s};
use super::{AttributeMap, Corrupt, Tables, plans};
use crate::domain::{Owner, Timestamp, TypeName};

/// On the item of an owner: how many types it uses.
const PLACES: &str = "types";
/// On the item of a type: since when it may be given back, as it has no jobs. A call that uses it again removes this first.
const LEAVING_AT: &str = "leaving_at";

/// Most types that one request reads.
pub(crate) const MAX_NAMES: usize = 100;

fn name_key(owner: &Owner, kind: &TypeName) -> AttributeMap {
    AttributeMap::from([(KIND.to_owned(), s(TYPE_NAMES)), (ID.to_owned(), s(type_id(owner, kind)))])
}

fn places_key(owner: &Owner) -> AttributeMap {
    AttributeMap::from([(KIND.to_owned(), s(TYPE_PLACES)), (ID.to_owned(), s(owner))])
}

/// Reads which of up to 100 types an owner uses, as of a moment ago.
pub(crate) fn get_names(
    tables: &Tables,
    owner: &Owner,
    kinds: &[&TypeName],
) -> Result<BatchGetItemInputBuilder, Corrupt> {
    let keys = kinds.iter().map(|kind| name_key(owner, kind)).collect();
    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).build();
    let keys = keys.map_err(|error| Corrupt::new("batch of names of types", error))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.settings, keys))
}

/// Reads the item of a type that is used, as of now.
pub(crate) fn get_name(tables: &Tables, owner: &Owner, kind: &TypeName) -> GetItemInputBuilder {
    plans::get_setting(tables, TYPE_NAMES, &type_id(owner, kind)).consistent_read(true)
}

/// The type that an item is of, and since when it may be given back.
pub(crate) fn name_of_item(item: &AttributeMap) -> Option<(TypeName, Option<Timestamp>)> {
    let (_, kind) = item.get(ID)?.as_s().ok()?.split_once('#')?;
    let leaving_at = item.get(LEAVING_AT).and_then(|at| at.as_n().ok()?.parse().ok());
    Some((TypeName::try_from(kind).ok()?, leaving_at.map(Timestamp::from_millis)))
}

/// How many types an owner uses, as its item says.
pub(crate) fn places_of_item(item: &AttributeMap) -> u32 {
    item.get(PLACES).and_then(|places| places.as_n().ok()?.parse().ok()).unwrap_or(0)
}

/// Takes a place for a type. Refused for the first item: it has one; for the second: the owner uses so many already.
pub(crate) fn take_place(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    limit: Option<u32>,
    now: Timestamp,
) -> Result<TransactWriteItemsInputBuilder, BuildError> {
    let back = ReturnValuesOnConditionCheckFailure::AllOld;
    let name = Put::builder()
        .table_name(&tables.settings)
        .set_item(Some(name_key(owner, kind)))
        .item("used_since", n(now.millis()))
        .condition_expression("attribute_not_exists(#id)")
        .expression_attribute_names("#id", ID)
        .build()?;
    let mut places = Update::builder()
        .table_name(&tables.settings)
        .set_key(Some(places_key(owner)))
        .update_expression("ADD #places :one")
        .expression_attribute_names("#places", PLACES)
        .expression_attribute_values(":one", n(1))
        .return_values_on_condition_check_failure(back);
    if let Some(limit) = limit {
        places = places
            .condition_expression("attribute_not_exists(#places) OR #places < :limit")
            .expression_attribute_values(":limit", n(limit));
    }
    let items = vec![
        TransactWriteItem::builder().put(name).build(),
        TransactWriteItem::builder().update(places.build()?).build(),
    ];
    Ok(TransactWriteItemsInput::builder().set_transact_items(Some(items)))
}

/// Keeps the place of a type that is used again; refused: it has none any more.
pub(crate) fn keep_place(tables: &Tables, owner: &Owner, kind: &TypeName) -> UpdateItemInputBuilder {
    of_name(tables, owner, kind)
        .update_expression("REMOVE #leaving")
        .condition_expression("attribute_exists(#id)")
}

/// Notes that a type may be given back from some time after this; refused: it has no place, or this was noted before.
pub(crate) fn leave_place(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    of_name(tables, owner, kind)
        .update_expression("SET #leaving = :now")
        .condition_expression("attribute_exists(#id) AND attribute_not_exists(#leaving)")
        .expression_attribute_values(":now", n(now.millis()))
}

fn of_name(tables: &Tables, owner: &Owner, kind: &TypeName) -> UpdateItemInputBuilder {
    UpdateItemInput::builder()
        .table_name(&tables.settings)
        .set_key(Some(name_key(owner, kind)))
        .expression_attribute_names("#id", ID)
        .expression_attribute_names("#leaving", LEAVING_AT)
}

/// The writes that give a place back, if nobody has used the type since this was noted.
pub(crate) fn give_place(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    leaving_at: Timestamp,
) -> Result<[TransactWriteItem; 2], BuildError> {
    let name = Delete::builder()
        .table_name(&tables.settings)
        .set_key(Some(name_key(owner, kind)))
        .condition_expression("#leaving = :seen")
        .expression_attribute_names("#leaving", LEAVING_AT)
        .expression_attribute_values(":seen", n(leaving_at.millis()))
        .build()?;
    let places = Update::builder()
        .table_name(&tables.settings)
        .set_key(Some(places_key(owner)))
        .update_expression("ADD #places :less")
        .expression_attribute_names("#places", PLACES)
        .expression_attribute_values(":less", n(-1))
        .build()?;
    Ok([
        TransactWriteItem::builder().delete(name).build(),
        TransactWriteItem::builder().update(places).build(),
    ])
}

/// The types in chunks that one request reads.
pub(crate) fn chunks(kinds: &BTreeSet<TypeName>) -> Vec<Vec<&TypeName>> {
    let kinds: Vec<&TypeName> = kinds.iter().collect();
    kinds.chunks(MAX_NAMES).map(<[_]>::to_vec).collect()
}
