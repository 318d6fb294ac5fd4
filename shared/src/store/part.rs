//! The big parts of a job as items: JSON, packed where that pays.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use super::Corrupt;
use super::item::AttributeMap;
use super::schema::{JOB_ID, PART};
use super::value::s;
use crate::domain::{JobId, MAX_PART_BYTES};

/// Attribute that holds the JSON as text bytes.
const JSON: &str = "json";
/// Attribute that holds the JSON packed by zstd.
const ZSTD: &str = "zstd";
/// A write costs a unit per KB: packing pays where it saves one.
const UNIT_BYTES: usize = 1024;
/// zstd's own default: more costs time and saves little on JSON of this size.
const LEVEL: i32 = 3;

/// A part of a job that is to be written.
#[derive(Clone, Debug)]
pub struct Part(AttributeMap);

impl Part {
    /// The part of that name, which keeps this JSON.
    pub fn new(id: JobId, name: &str, json: Vec<u8>) -> Self {
        Self(encode_part(id, name, json))
    }

    /// The bytes that it keeps.
    pub fn bytes(&self) -> u64 {
        part_bytes(&self.0)
    }

    pub(crate) fn into_item(self) -> AttributeMap {
        self.0
    }
}

/// The item that keeps this JSON as the part of that name.
pub fn encode_part(id: JobId, part: &str, json: Vec<u8>) -> AttributeMap {
    let units = |bytes: usize| bytes.div_ceil(UNIT_BYTES);
    let packed =
        zstd::bulk::compress(&json, LEVEL).ok().filter(|packed| units(packed.len()) < units(json.len()));
    let (name, bytes) = match packed {
        Some(packed) => (ZSTD, packed),
        None => (JSON, json),
    };
    AttributeMap::from([
        (JOB_ID.to_owned(), s(id)),
        (PART.to_owned(), s(part)),
        (name.to_owned(), AttributeValue::B(Blob::new(bytes))),
    ])
}

/// Bytes that a part keeps: its JSON as it is stored, packed or not, without the item's key.
pub fn part_bytes(item: &AttributeMap) -> u64 {
    let bytes =
        |name| item.get(name).and_then(|value| value.as_b().ok()).map_or(0, |blob| blob.as_ref().len());
    u64::try_from(bytes(JSON) + bytes(ZSTD)).unwrap_or(u64::MAX)
}

/// The value in the JSON of a part.
pub fn decode_part<T: DeserializeOwned>(item: &AttributeMap) -> Result<T, Corrupt> {
    let key = |name| item.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
    let corrupt = |problem: String| Corrupt::new(format!("{} {}", key(JOB_ID), key(PART)), problem);
    let bytes = |name| item.get(name).and_then(|value| value.as_b().ok()).map(AsRef::as_ref);
    let json: Vec<u8> = match (bytes(JSON), bytes(ZSTD)) {
        (Some(json), None) => json.to_vec(),
        (None, Some(packed)) => {
            zstd::bulk::decompress(packed, MAX_PART_BYTES).map_err(|error| corrupt(error.to_string()))?
        }
        (None, None) | (Some(_), Some(_)) => return Err(corrupt("needs either json or zstd".to_owned())),
    };
    serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Input;

    fn id() -> JobId {
        JobId::from(Uuid::from_u128(1))
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            // Long and alike: packing is for such values.
            (0_usize..40).prop_map(|count| Value::from("the same again, ".repeat(count * 10))),
        ];
        leaf.prop_recursive(4, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".{0,8}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn bytes<'a>(item: &'a AttributeMap, name: &str) -> Option<&'a [u8]> {
        item.get(name)?.as_b().ok().map(AsRef::as_ref)
    }

    proptest! {
        #[test]
        fn json_comes_back_as_it_went(value in json()) {
            let text = serde_json::to_vec(&value).unwrap();
            let item = encode_part(id(), "input#1", text.clone());
            prop_assert_eq!(decode_part::<Value>(&item), Ok(value));
            let kept = bytes(&item, JSON).or(bytes(&item, ZSTD)).unwrap();
            prop_assert_eq!(part_bytes(&item), kept.len() as u64);
            // It is packed only where that saves a unit, and then it does.
            match (bytes(&item, JSON), bytes(&item, ZSTD)) {
                (Some(plain), None) => prop_assert_eq!(plain, &text[..]),
                (None, Some(packed)) => {
                    prop_assert!(packed.len().div_ceil(UNIT_BYTES) < text.len().div_ceil(UNIT_BYTES));
                }
                both => prop_assert!(false, "{:?}", both),
            }
        }

        #[test]
        fn numbers_keep_every_digit(digits in "-?[1-9][0-9]{0,60}(\\.[0-9]{1,60})?(e[+-]?[0-9]{1,3})?") {
            let text = format!("{{\"payload\":{digits}}}");
            let input: Input = decode_part(&encode_part(id(), "input#1", text.into_bytes())).unwrap();
            let payload = input.payload.unwrap();
            prop_assert_eq!(payload.get(), digits);
        }

        #[test]
        fn what_is_not_packed_by_us_is_corrupt(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut item = encode_part(id(), "input#1", b"{}".to_vec());
            item.remove(JSON);
            item.insert(ZSTD.to_owned(), AttributeValue::B(Blob::new(bytes)));
            prop_assert!(decode_part::<Value>(&item).is_err());
        }
    }

    #[test]
    fn the_longest_part_comes_back() {
        let text = format!("\"{}\"", "x".repeat(MAX_PART_BYTES - 2)).into_bytes();
        assert_eq!(text.len(), MAX_PART_BYTES);
        let item = encode_part(id(), "output#1", text);
        assert!(bytes(&item, ZSTD).is_some_and(|packed| packed.len() < UNIT_BYTES));
        assert_eq!(decode_part::<String>(&item).unwrap().len(), MAX_PART_BYTES - 2);
    }

    #[test]
    fn neither_and_both_are_corrupt_and_so_is_what_unpacks_to_too_much() {
        let mut item = encode_part(id(), "input#1", b"{}".to_vec());
        item.insert(ZSTD.to_owned(), AttributeValue::B(Blob::new(Vec::new())));
        assert!(decode_part::<Value>(&item).is_err());
        item.remove(ZSTD);
        item.remove(JSON);
        let corrupt = decode_part::<Value>(&item).unwrap_err();
        assert_eq!(corrupt.item, format!("{} input#1", id()));
        let bomb = zstd::bulk::compress(&vec![b' '; 64 * MAX_PART_BYTES], LEVEL).unwrap();
        item.insert(ZSTD.to_owned(), AttributeValue::B(Blob::new(bomb)));
        assert!(decode_part::<Value>(&item).is_err());
    }
}
