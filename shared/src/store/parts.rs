//! The parts that heads name: inputs and outputs, each under a name of its own.

use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::schema::{INPUT, OUTPUT, OUTPUT_NAME, PART};
use super::value::s;
use super::{AttributeMap, Ledger, StoreError, Tables, decode_part, encode_part, part_bytes, plans};
use crate::domain::{Head, JobId, Timestamp};

/// How long after its beginning no call writes a head any more, in milliseconds: they have 30 s, and clocks differ.
const MAX_CALL_MS: i64 = 300_000;
/// Most parts that are looked at when a job is gone: each is of a call that died.
const MAX_LEFT_BEHIND: i32 = 100;
/// Attributes of a head that name parts which are its own, or will be: a job that shows a task names its output at the end.
const NAMES: [&str; 3] = ["input", OUTPUT_NAME, "written_by"];

/// The part that holds the input of this name.
pub fn input_part(name: Uuid) -> String {
    format!("{INPUT}{name}")
}

/// The part that holds the output of this name.
pub fn output_part(name: Uuid) -> String {
    format!("{OUTPUT}{name}")
}

/// The parts that a head names and the one that stays, if any, does not.
fn parts_of(gone: &Head, stays: Option<&Head>) -> impl Iterator<Item = String> {
    let parts = |head: &Head| [head.input.map(input_part), head.output.map(output_part)];
    let kept = stays.map(parts).unwrap_or_default();
    parts(gone).into_iter().filter(move |part| !kept.contains(part)).flatten()
}

/// Finds the names of the inputs and outputs of a job, written by any call.
fn find_parts(tables: &Tables, id: JobId) -> QueryInputBuilder {
    QueryInput::builder()
        .table_name(&tables.jobs)
        .key_condition_expression("job_id = :id AND part BETWEEN :first AND :last")
        .projection_expression(PART)
        .expression_attribute_values(":id", s(id))
        .expression_attribute_values(":first", s(input_part(Uuid::nil())))
        .expression_attribute_values(":last", s(output_part(Uuid::max())))
        .limit(MAX_LEFT_BEHIND)
        .consistent_read(true)
}

/// The name that a part has.
fn name_of(part: &str) -> Option<Uuid> {
    let name = part.strip_prefix(INPUT).or_else(|| part.strip_prefix(OUTPUT))?;
    Uuid::try_parse(name).ok()
}

/// Whether a part that was there before this head was looked at is nobody's, and will be nobody's.
///
/// Most names are those of calls (UUIDv7): one that has begun a while ago names nothing new. Others are made of what a
/// worker reported, and only a job that was there when it did can come to name them.
fn is_left_behind(name: Uuid, head: Option<&AttributeMap>, now: Timestamp) -> bool {
    let is_named = |head: &AttributeMap| NAMES.iter().any(|attribute| head.get(*attribute) == Some(&s(name)));
    let begun =
        (name.get_version_num() == 7).then(|| i64::try_from(name.as_u128() >> 80).unwrap_or(i64::MAX));
    match (head, begun) {
        (Some(head), _) if is_named(head) => false,
        (_, Some(begun)) => begun < now.millis() - MAX_CALL_MS,
        (head, None) => head.is_none(),
    }
}

impl Ledger {
    /// Writes a part. Answers how many bytes it keeps.
    pub async fn write_part(&self, id: JobId, part: &str, json: Vec<u8>) -> Result<u64, StoreError> {
        let item = encode_part(id, part, json);
        let bytes = part_bytes(&item);
        self.store.put(plans::put_part(&self.config.tables, item)).await?;
        Ok(bytes)
    }

    /// The content of a part as of now, and how many bytes it keeps: the default and 0, if it is not named or not
    /// there.
    pub async fn read_part<T: DeserializeOwned + Default>(
        &self,
        id: JobId,
        part: Option<String>,
    ) -> Result<(T, u64), StoreError> {
        let Some(part) = part else { return Ok(Default::default()) };
        let plan = plans::get_part(&self.config.tables, id, &part).consistent_read(true);
        let Some(item) = self.store.get(plan).await? else { return Ok(Default::default()) };
        Ok((decode_part(&item)?, part_bytes(&item)))
    }

    /// Removes the parts that a head names and the one that stays, if any, does not.
    pub async fn remove_parts(&self, gone: &Head, stays: Option<&Head>) -> Result<(), StoreError> {
        for part in parts_of(gone, stays) {
            self.store.delete(plans::delete_part(&self.config.tables, gone.job.id, &part)).await?;
        }
        Ok(())
    }

    /// The same, where it may fail: then only space is lost.
    pub async fn drop_parts(&self, gone: &Head, stays: Option<&Head>) {
        for part in parts_of(gone, stays) {
            self.drop_part(gone.job.id, &part).await;
        }
    }

    /// Removes a part that no head names, or no longer. If that fails, only space is lost.
    pub async fn drop_part(&self, id: JobId, part: &str) {
        if let Err(error) = self.store.delete(plans::delete_part(&self.config.tables, id, part)).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, %id, part, "a part that no job names was left behind");
        }
    }

    /// Removes the parts of a job that is gone which nobody names: calls that died between a part and its head left them,
    /// and other calls did their work.
    ///
    /// The job may be there again, or about to be. So the parts that the head there now names stay. Parts that a call
    /// has written, and that may not have come to its head yet, stay too. Parts that are so young are left behind for
    /// good.
    pub async fn sweep_parts(&self, id: JobId, now: Timestamp) -> Result<(), StoreError> {
        let tables = &self.config.tables;
        let found = self.store.query(find_parts(tables, id)).await?.items.unwrap_or_default();
        let parts: Vec<&String> = found.iter().filter_map(|item| item.get(PART)?.as_s().ok()).collect();
        if parts.is_empty() {
            return Ok(());
        }
        let head = self.store.get(plans::get_head(tables, id).consistent_read(true)).await?;
        for part in parts {
            if name_of(part).is_some_and(|name| is_left_behind(name, head.as_ref(), now)) {
                self.store.delete(plans::delete_part(tables, id, part)).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name that a call of that time gives.
    fn named(millis: i64) -> Uuid {
        let millis = u64::try_from(millis).unwrap();
        uuid::Builder::from_unix_timestamp_millis(millis, &[9; 10]).into_uuid()
    }

    #[test]
    fn only_what_nobody_will_name_is_left_behind() {
        let now = Timestamp::from_millis(1_769_898_600_000);
        let (old, young) = (named(now.millis() - MAX_CALL_MS - 1), named(now.millis() - MAX_CALL_MS));
        let ahead = named(now.millis() + 60_000);
        let reported = uuid::Builder::from_custom_bytes([1; 16]).into_uuid();
        let head = |attribute: &str, name: Uuid| AttributeMap::from([(attribute.to_owned(), s(name))]);
        let check = |name, head: Option<&AttributeMap>, expect| {
            assert_eq!(is_left_behind(name, head, now), expect, "{name} {head:?}");
        };
        let other = head("input", named(1));
        for there in [None, Some(&other)] {
            check(old, there, true);
            check(young, there, false);
            check(ahead, there, false);
            check(reported, there, there.is_none());
        }
        for attribute in NAMES {
            for name in [old, young, reported] {
                check(name, Some(&head(attribute, name)), false);
            }
        }
    }

    #[test]
    fn parts_have_the_names_that_they_were_given() {
        let name = named(1);
        assert_eq!((name_of(&input_part(name)), name_of(&output_part(name))), (Some(name), Some(name)));
        for other in ["head", "key", "try#0001", "input#", "input#x"] {
            assert_eq!(name_of(other), None, "{other}");
        }
    }
}
