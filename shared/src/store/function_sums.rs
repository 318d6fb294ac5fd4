//! The numbers of each function for operators, in the table `usage`: one item for each function, to which all its execution
//! environments add.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::schema::{EXPIRES_AT, OWNER, SPAN};
use super::value::{n, s};
use super::{AttributeMap, Store, StoreError, Tables};
use crate::domain::Timestamp;
use crate::environment::MemoryUse;
use crate::telemetry::Number;

/// The partition of these items. No owner can be called so.
const FUNCTIONS: &str = "*functions";
/// How long an item is kept after its last change, in hours: 400 days.
const KEPT_HOURS: i64 = 400 * 24;
/// Bytes of a mebibyte, in which memory is stored.
const MEBIBYTE: u64 = 1 << 20;
/// Memory is stored as `minute * MINUTE + mebibytes`: so a set of numbers tells the maximum of a minute.
const MINUTE: i64 = 1_000_000;
const MINUTE_MS: i64 = 60_000;
/// Attributes that take turns, minute by minute. Each write removes those of the minutes before the last one.
const TURNS: i64 = 4;
/// For how many minutes the memory of a function is shown that is not called.
const MINUTES_SHOWN: i64 = 5;

/// The numbers of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionSums {
    /// Those that add up.
    pub numbers: BTreeMap<Number, u64>,
    /// The greatest memory of an execution environment in the last minute with requests; `None`: that is too long ago.
    pub memory: Option<MemoryUse>,
}

/// The names of the attributes for the memory, resident and virtual, of a minute.
fn memory_names(minute: i64) -> [String; 2] {
    let turn = minute.rem_euclid(TURNS);
    ["rss", "vms"].map(|word| format!("{word}:{turn}"))
}

/// Adds to the numbers of a function.
pub(crate) fn add(
    tables: &Tables,
    function: &str,
    numbers: &BTreeMap<Number, u64>,
    memory: Option<MemoryUse>,
    now: Timestamp,
) -> Result<Update, BuildError> {
    let mut item = Update::builder()
        .table_name(&tables.usage)
        .key(OWNER, s(FUNCTIONS))
        .key(SPAN, s(function))
        .expression_attribute_names("#end", EXPIRES_AT)
        .expression_attribute_values(":end", n(now.plus_hours(KEPT_HOURS).seconds_ceil()));
    let mut terms = Vec::new();
    for (index, (number, by)) in numbers.iter().enumerate() {
        terms.push(format!("#{index} :{index}"));
        item = item
            .expression_attribute_names(format!("#{index}"), number.to_string())
            .expression_attribute_values(format!(":{index}"), n(by));
    }
    let mut gone = Vec::new();
    if let Some(memory) = memory {
        let minute = now.millis().div_euclid(MINUTE_MS);
        for (name, bytes) in memory_names(minute).into_iter().zip([memory.resident, memory.virtual_]) {
            let mebibytes = i64::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(0).min(MINUTE - 1);
            let value = (minute * MINUTE + mebibytes).to_string();
            let alias = name.replace(':', "_");
            terms.push(format!("#{alias} :{alias}"));
            item = item
                .expression_attribute_names(format!("#{alias}"), name)
                .expression_attribute_values(format!(":{alias}"), AttributeValue::Ns(vec![value]));
        }
        for name in [minute - 2, minute - 3].into_iter().flat_map(memory_names) {
            let alias = name.replace(':', "_");
            gone.push(format!("#{alias}"));
            item = item.expression_attribute_names(format!("#{alias}"), name);
        }
    }
    let mut expression = format!("SET #end = :end ADD {}", terms.join(", "));
    if !gone.is_empty() {
        expression.push_str(" REMOVE ");
        expression.push_str(&gone.join(", "));
    }
    item.update_expression(expression).build()
}

/// Reads the numbers of all functions, by name.
pub(crate) async fn function_sums(
    store: &Store,
    tables: &Tables,
    now: Timestamp,
) -> Result<BTreeMap<String, FunctionSums>, StoreError> {
    let plan = QueryInput::builder()
        .table_name(&tables.usage)
        .key_condition_expression("#owner = :owner")
        .expression_attribute_names("#owner", OWNER)
        .expression_attribute_values(":owner", s(FUNCTIONS));
    let (mut functions, mut from) = (BTreeMap::new(), None);
    loop {
        let page = store.query(plan.clone().set_exclusive_start_key(from)).await?;
        for item in page.items.iter().flatten() {
            let name = item.get(SPAN).and_then(|name| name.as_s().ok()).cloned().unwrap_or_default();
            functions.insert(name, FunctionSums::of_item(item, now));
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(functions);
        }
    }
}

impl FunctionSums {
    fn of_item(item: &AttributeMap, now: Timestamp) -> Self {
        let numbers = item
            .iter()
            .filter_map(|(name, value)| Some((Number::parse(name)?, value.as_n().ok()?.parse().ok()?)));
        Self { numbers: numbers.collect(), memory: memory_of(item, now) }
    }

    /// One number.
    pub fn get(&self, number: &Number) -> u64 {
        self.numbers.get(number).copied().unwrap_or(0)
    }
}

/// The greatest memory of the last minute that an item tells, and of the minute before it.
fn memory_of(item: &AttributeMap, now: Timestamp) -> Option<MemoryUse> {
    let values = |word: &str| -> Vec<i64> {
        let sets =
            item.iter().filter(|(name, _)| name.starts_with(word)).filter_map(|(_, set)| set.as_ns().ok());
        sets.flatten().filter_map(|value| value.parse().ok()).collect()
    };
    let (resident, virtual_) = (values("rss:"), values("vms:"));
    let last = resident.iter().map(|value| value / MINUTE).max()?;
    if now.millis().div_euclid(MINUTE_MS) - last > MINUTES_SHOWN {
        return None;
    }
    let greatest = |values: Vec<i64>| {
        let recent = values.into_iter().filter(|value| value / MINUTE >= last - 1);
        let mebibytes = recent.map(|value| value % MINUTE).max()?;
        Some(u64::try_from(mebibytes).ok()? * MEBIBYTE)
    };
    Some(MemoryUse { resident: greatest(resident)?, virtual_: greatest(virtual_)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 29_000_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * MINUTE_MS + 30_000)
    }

    fn item(values: &[(i64, i64)]) -> AttributeMap {
        let mut item = AttributeMap::new();
        for (minute, mebibytes) in values {
            for name in memory_names(*minute) {
                let mut set = item
                    .remove(&name)
                    .and_then(|set: AttributeValue| set.as_ns().ok().cloned())
                    .unwrap_or_default();
                set.push((minute * MINUTE + mebibytes).to_string());
                item.insert(name, AttributeValue::Ns(set));
            }
        }
        item
    }

    #[track_caller]
    fn check(values: &[(i64, i64)], expect: Option<u64>) {
        let memory = memory_of(&item(values), at(NOW));
        assert_eq!(memory.map(|memory| memory.resident), expect.map(|mebibytes| mebibytes * MEBIBYTE));
    }

    #[test]
    fn the_memory_is_the_greatest_of_the_last_minutes() {
        check(&[], None);
        check(&[(NOW, 20), (NOW, 31), (NOW, 25)], Some(31));
        check(&[(NOW - 1, 40), (NOW, 20)], Some(40));
        check(&[(NOW - 2, 40), (NOW, 20)], Some(20));
        // Four minutes ago had the same turn.
        check(&[(NOW - 4, 90), (NOW, 20)], Some(20));
        check(&[(NOW - 5, 20)], Some(20));
        check(&[(NOW - 6, 20)], None);
    }

    #[test]
    fn a_write_adds_to_the_numbers_and_removes_old_memory() {
        let numbers = BTreeMap::from([(Number::ColdStarts, 1)]);
        let memory = Some(MemoryUse { resident: MEBIBYTE + 1, virtual_: 9 * MEBIBYTE });
        let update = add(&Tables::default(), "a", &numbers, memory, at(NOW)).unwrap();
        assert_eq!(
            update.update_expression(),
            "SET #end = :end ADD #0 :0, #rss_0 :rss_0, #vms_0 :vms_0 REMOVE #rss_2, #vms_2, #rss_1, #vms_1"
        );
        let values = update.expression_attribute_values().unwrap();
        assert_eq!(values[":rss_0"], AttributeValue::Ns(vec!["29000000000002".to_owned()]));
        let update = add(&Tables::default(), "a", &numbers, None, at(NOW)).unwrap();
        assert_eq!(update.update_expression(), "SET #end = :end ADD #0 :0");
    }
}
