//! Capacity units by AWS's published rules, computed from items: tests compare them with the engine's.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html> says how to round and
//! add, <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html> how long an
//! item is, and <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html> how much a write costs in
//! each index. Units are counted in halves, so that no float is added up.

use jobledger_local::template::{Index, Projection, Table};
use serde_json::Value;

use crate::dynamo::Item;

/// The bytes of a write unit.
const WRITE_BYTES: usize = 1_024;
/// The bytes of a read unit.
const READ_BYTES: usize = 4_096;

/// Half capacity units.
pub type Halves = usize;

/// Whether a read must see every earlier write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It must; it costs a unit for 4 KB.
    Strong,
    /// It may not; it costs half a unit for 4 KB.
    Eventual,
}

/// Bytes of an item: the names and the values of its attributes.
pub fn item_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

/// Bytes of a value, in DynamoDB's JSON.
fn value_bytes(value: &Value) -> usize {
    let (kind, value) = value.as_object().and_then(|object| object.iter().next()).expect("a typed value");
    let list = |each: &dyn Fn(&str) -> usize| -> usize {
        value.as_array().into_iter().flatten().map(|value| each(value.as_str().unwrap_or_default())).sum()
    };
    match kind.as_str() {
        "S" => value.as_str().unwrap_or_default().len(),
        "N" => number_bytes(value.as_str().unwrap_or_default()),
        "B" => binary_bytes(value.as_str().unwrap_or_default()),
        "BOOL" | "NULL" => 1,
        "SS" => list(&str::len),
        "NS" => list(&number_bytes),
        "BS" => list(&binary_bytes),
        // Three bytes for the container, and one for each element besides the element's own bytes.
        "L" => 3 + value.as_array().into_iter().flatten().map(|value| 1 + value_bytes(value)).sum::<usize>(),
        "M" => {
            let entries = value.as_object().into_iter().flatten();
            3 + entries.map(|(name, value)| 1 + name.len() + value_bytes(value)).sum::<usize>()
        }
        other => panic!("no type of DynamoDB: {other}"),
    }
}

/// A byte for two significant digits, one more, and one for a sign. Zeros at the ends are not significant.
fn number_bytes(number: &str) -> usize {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_matches('0').len();
    significant.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

/// The length of the data in this base64 text.
fn binary_bytes(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

fn write_halves(bytes: usize) -> Halves {
    bytes.div_ceil(WRITE_BYTES).max(1) * 2
}

fn read_halves(bytes: usize, consistency: Consistency) -> Halves {
    let units = bytes.div_ceil(READ_BYTES).max(1);
    match consistency {
        Consistency::Strong => units * 2,
        Consistency::Eventual => units,
    }
}

/// The cost of reading one item, or of finding none.
pub fn get(item: Option<&Item>, consistency: Consistency) -> Halves {
    read_halves(item.map_or(0, item_bytes), consistency)
}

/// The cost of reading a range: the sum of the items' bytes, rounded up once.
pub fn query(items: &[Item], consistency: Consistency) -> Halves {
    read_halves(items.iter().map(item_bytes).sum(), consistency)
}

/// The cost of one write, in the table and in its indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// In the table.
    pub table: Halves,
    /// In all of its indexes.
    pub indexes: Halves,
}

impl Written {
    /// The cost outside of a transaction.
    pub const fn alone(self) -> Halves {
        self.table + self.indexes
    }

    /// The cost in a transaction, if only the table's part counts twice.
    pub const fn in_transaction_at_least(self) -> Halves {
        2 * self.table + self.indexes
    }

    /// The cost in a transaction, if the indexes' part counts twice, too. AWS's documentation allows both readings.
    pub const fn in_transaction_at_most(self) -> Halves {
        2 * (self.table + self.indexes)
    }
}

/// The cost of turning an item into another; `None`: there is none.
pub fn write(table: &Table, old: Option<&Item>, new: Option<&Item>) -> Written {
    let larger = old.map_or(0, item_bytes).max(new.map_or(0, item_bytes));
    let indexes = table.indexes.iter().map(|index| index_halves(table, index, old, new)).sum();
    Written { table: write_halves(larger), indexes }
}

/// A new or a deleted entry costs once, and so does a changed one. A moved entry costs twice, an unchanged one nothing.
fn index_halves(table: &Table, index: &Index, old: Option<&Item>, new: Option<&Item>) -> Halves {
    let entry = |item: Option<&Item>| item.and_then(|item| index_entry(table, index, item));
    let halves = |entry: &Item| write_halves(item_bytes(entry));
    match (entry(old), entry(new)) {
        (None, None) => 0,
        (Some(entry), None) | (None, Some(entry)) => halves(&entry),
        (Some(old), Some(new)) if old == new => 0,
        (Some(old), Some(new)) if index.key.iter().any(|(name, _)| old.get(name) != new.get(name)) => {
            halves(&old) + halves(&new)
        }
        (Some(old), Some(new)) => halves(&old).max(halves(&new)),
    }
}

/// An item's entry in an index; `None`: the item lacks a part of the index's key.
pub fn index_entry(table: &Table, index: &Index, item: &Item) -> Option<Item> {
    if index.key.iter().any(|(name, _)| !item.contains_key(name)) {
        return None;
    }
    let keys = || table.key.iter().chain(&index.key).map(|(name, _)| name.clone());
    let names: Vec<String> = match &index.projection {
        Projection::All => item.keys().cloned().collect(),
        Projection::KeysOnly => keys().collect(),
        Projection::Include(more) => keys().chain(more.iter().cloned()).collect(),
    };
    let kept = item.iter().filter(|(name, _)| names.contains(name));
    Some(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value, bytes: usize) {
        assert_eq!(value_bytes(value), bytes, "{value}");
    }

    #[test]
    fn values_are_as_long_as_aws_says() {
        check(&json!({ "S": "Bäume" }), 6);
        check(&json!({ "N": "0" }), 1);
        check(&json!({ "N": "1700" }), 2);
        check(&json!({ "N": "-42" }), 3);
        check(&json!({ "N": "1768107600123" }), 8);
        check(&json!({ "B": "AAEC" }), 3);
        check(&json!({ "B": "AA==" }), 1);
        check(&json!({ "BOOL": true }), 1);
        check(&json!({ "SS": ["a", "bc"] }), 3);
        check(&json!({ "L": [{ "S": "abc" }, { "NULL": true }] }), 3 + 2 + 4);
        check(&json!({ "M": { "ab": { "S": "c" } } }), 3 + 1 + 3);
    }

    #[test]
    fn reads_are_summed_before_they_are_rounded() {
        let item: Item = serde_json::from_value(json!({ "k": { "S": "x".repeat(3_000) } })).unwrap();
        assert_eq!(get(Some(&item), Consistency::Eventual), 1);
        assert_eq!(get(None, Consistency::Strong), 2);
        assert_eq!(query(&[item.clone(), item.clone()], Consistency::Eventual), 2);
        assert_eq!(query(&[item.clone(), item], Consistency::Strong), 4);
    }
}
