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

/// What the JSON of a part says.
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
