//! Guarded writes of a job's head, as values. The one place that prints expressions for them.
//!
//! Code that adds a clause pushes it: nobody takes an expression apart.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::item::AttributeMap;
use super::value::n;
use super::{Corrupt, Tables, head_row, plans};
use crate::domain::{Head, JobId};

/// A refused write answers with the item that is there.
const OLD_ITEM: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// The name of an attribute, or of a field within one: `progress.current_task`.
pub type Path = &'static str;

/// A condition on what is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It has this value.
    Is(Path, AttributeValue),
    /// It has one of these values.
    IsIn(Path, Vec<AttributeValue>),
    /// It is not there, or has another value.
    IsNot(Path, AttributeValue),
    /// It is there.
    Exists(Path),
    /// It is not there.
    Missing(Path),
    /// It is less than this value.
    Below(Path, AttributeValue),
    /// It is this value or less.
    AtMost(Path, AttributeValue),
    /// It is this value or more.
    AtLeast(Path, AttributeValue),
}

/// A new value.
#[derive(Clone, Debug, PartialEq)]
pub enum NewValue {
    /// This value.
    Is(AttributeValue),
    /// The value of another attribute, which must be there.
    CopyOf(Path),
    /// The value of another attribute; null if that is not there. The next reader takes null for nothing.
    CopyOrNull(Path),
    /// The value of an attribute, which must be there, and this number.
    Sum(Path, i64),
    /// The same, if the attribute may be missing.
    SumOfAny(Path, u64),
}

/// A change of some attributes of a head.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadUpdate {
    /// The job.
    pub id: JobId,
    /// The attributes that get a value.
    pub set: Vec<(Path, NewValue)>,
    /// The attributes that go.
    pub remove: Vec<Path>,
    /// The conditions.
    pub when: Vec<Condition>,
}

/// A whole head in the place of another, or of none.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadPut {
    row: AttributeMap,
    when: Vec<Condition>,
}

/// A guarded write of a head, by itself or in a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum HeadWrite {
    /// Of some of its attributes.
    Update(HeadUpdate),
    /// Of all of it.
    Put(HeadPut),
}

/// Expressions, with the names and values that they use.
#[derive(Debug, Default)]
struct Expressions {
    update: Option<String>,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

/// Prints the expressions.
fn expressions(set: &[(Path, NewValue)], remove: &[Path], when: &[Condition]) -> Expressions {
    let mut printed = Expressions::default();
    let set: Vec<_> = set.iter().map(|(path, value)| printed.assignment(path, value)).collect();
    let remove: Vec<_> = remove.iter().map(|path| printed.path(path)).collect();
    let when: Vec<_> = when.iter().map(|condition| printed.condition(condition)).collect();
    let clauses = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, terms)| !terms.is_empty());
    let clauses: Vec<_> = clauses.map(|(word, terms)| format!("{word} {}", terms.join(", "))).collect();
    printed.update = (!clauses.is_empty()).then(|| clauses.join(" "));
    printed.condition = (!when.is_empty()).then(|| when.join(" AND "));
    printed
}

impl Expressions {
    fn path(&mut self, path: Path) -> String {
        let words = path.split('.').map(|word| {
            let name = format!("#{word}");
            self.names.insert(name.clone(), word.to_owned());
            name
        });
        words.collect::<Vec<_>>().join(".")
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let name = format!(":v{}", self.values.len());
        self.values.insert(name.clone(), value.clone());
        name
    }

    fn assignment(&mut self, path: Path, value: &NewValue) -> String {
        let value = match value {
            NewValue::Is(value) => self.value(value),
            NewValue::CopyOf(other) => self.path(other),
            NewValue::CopyOrNull(other) => {
                format!("if_not_exists({}, {})", self.path(other), self.value(&AttributeValue::Null(true)))
            }
            NewValue::Sum(other, number) => format!("{} + {}", self.path(other), self.value(&n(number))),
            NewValue::SumOfAny(other, number) => {
                let (other, nothing) = (self.path(other), self.value(&n(0)));
                format!("if_not_exists({other}, {nothing}) + {}", self.value(&n(number)))
            }
        };
        format!("{} = {value}", self.path(path))
    }

    fn condition(&mut self, condition: &Condition) -> String {
        let mut compared =
            |path, sign: &str, value| format!("{} {sign} {}", self.path(path), self.value(value));
        match condition {
            Condition::Is(path, value) => compared(path, "=", value),
            Condition::Below(path, value) => compared(path, "<", value),
            Condition::AtMost(path, value) => compared(path, "<=", value),
            Condition::AtLeast(path, value) => compared(path, ">=", value),
            Condition::IsNot(path, value) => {
                let differs = compared(path, "<>", value);
                format!("(attribute_not_exists({}) OR {differs})", self.path(path))
            }
            Condition::IsIn(path, values) => {
                let values: Vec<_> = values.iter().map(|value| self.value(value)).collect();
                format!("{} IN ({})", self.path(path), values.join(", "))
            }
            Condition::Exists(path) => format!("attribute_exists({})", self.path(path)),
            Condition::Missing(path) => format!("attribute_not_exists({})", self.path(path)),
        }
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

impl HeadUpdate {
    /// The request. It answers the head as it then is.
    pub fn request(&self, tables: &Tables) -> UpdateItemInputBuilder {
        let printed = expressions(&self.set, &self.remove, &self.when);
        UpdateItemInput::builder()
            .table_name(&tables.jobs)
            .set_key(Some(plans::head_key(self.id)))
            .set_expression_attribute_names(printed.names())
            .set_expression_attribute_values(printed.values())
            .set_update_expression(printed.update)
            .set_condition_expression(printed.condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OLD_ITEM)
    }

    /// The request that removes the head on the same conditions.
    pub fn removal(&self, tables: &Tables) -> DeleteItemInputBuilder {
        let printed = expressions(&[], &[], &self.when);
        DeleteItemInput::builder()
            .table_name(&tables.jobs)
            .set_key(Some(plans::head_key(self.id)))
            .set_expression_attribute_names(printed.names())
            .set_expression_attribute_values(printed.values())
            .set_condition_expression(printed.condition)
            .return_values_on_condition_check_failure(OLD_ITEM)
    }

    fn item(&self, tables: &Tables) -> Result<Update, BuildError> {
        let printed = expressions(&self.set, &self.remove, &self.when);
        Update::builder()
            .table_name(&tables.jobs)
            .set_key(Some(plans::head_key(self.id)))
            .set_expression_attribute_names(printed.names())
            .set_expression_attribute_values(printed.values())
            .set_update_expression(printed.update)
            .set_condition_expression(printed.condition)
            .return_values_on_condition_check_failure(OLD_ITEM)
            .build()
    }
}

/// The attributes that tell whether a head has changed: every step and edit changes one of these, and every report a
/// lease's end or, at the latest end that it may have, only the progress or that it came.
const CHANGING: [Path; 9] = [
    "status",
    "updated_at",
    "fingerprint",
    "attempt",
    "lease_until",
    "slot",
    "output",
    "progress",
    "unacknowledged",
];

impl HeadPut {
    /// Creates a job, unless its id is taken.
    pub fn create(head: &Head) -> Result<Self, Corrupt> {
        Ok(Self { row: head_row(head)?, when: vec![Condition::Missing("job_id")] })
    }

    /// Puts a head in the place of another, unless that changed since it was read. If the job holds a slot and stops
    /// running, this is one half of a transaction.
    pub fn replace(head: &Head, seen: &Head) -> Result<Self, Corrupt> {
        let seen = head_row(seen)?;
        // A head that is gone has none of the attributes: `status`, which every head has, tells that.
        let when = CHANGING.map(|path| match seen.get(path) {
            Some(value) => Condition::Is(path, value.clone()),
            None => Condition::Missing(path),
        });
        Ok(Self { row: head_row(head)?, when: when.into() })
    }

    /// The request.
    pub fn request(&self, tables: &Tables) -> PutItemInputBuilder {
        let printed = expressions(&[], &[], &self.when);
        PutItemInput::builder()
            .table_name(&tables.jobs)
            .set_item(Some(self.row.clone()))
            .set_expression_attribute_names(printed.names())
            .set_expression_attribute_values(printed.values())
            .set_condition_expression(printed.condition)
            .return_values_on_condition_check_failure(OLD_ITEM)
    }

    fn item(&self, tables: &Tables) -> Result<Put, BuildError> {
        let printed = expressions(&[], &[], &self.when);
        Put::builder()
            .table_name(&tables.jobs)
            .set_item(Some(self.row.clone()))
            .set_expression_attribute_names(printed.names())
            .set_expression_attribute_values(printed.values())
            .set_condition_expression(printed.condition)
            .return_values_on_condition_check_failure(OLD_ITEM)
            .build()
    }
}

impl HeadWrite {
    /// The write as an item of a transaction.
    pub fn item(&self, tables: &Tables) -> Result<TransactWriteItem, BuildError> {
        let item = TransactWriteItem::builder();
        Ok(match self {
            Self::Update(update) => item.update(update.item(tables)?),
            Self::Put(put) => item.put(put.item(tables)?),
        }
        .build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::value::s;

    #[test]
    fn each_clause_is_printed_with_the_names_and_values_that_it_uses() {
        let update = HeadUpdate {
            id: JobId::from(uuid::Uuid::from_u128(7)),
            set: vec![
                ("status", NewValue::Is(s("queued"))),
                ("last_try", NewValue::CopyOf("attempt")),
                ("last_worker", NewValue::CopyOrNull("worker")),
                ("expires_at", NewValue::Sum("ttl_seconds", 9)),
                ("bytes", NewValue::SumOfAny("bytes", 5)),
            ],
            remove: vec!["phase", "progress.current_task"],
            when: vec![
                Condition::Is("owner", s("a")),
                Condition::IsIn("status", vec![s("failed"), s("cancelled")]),
                Condition::IsNot("changed_by", s("b")),
                Condition::Below("created", s("c")),
                Condition::AtMost("progress.overall_hundredths", n(1)),
                Condition::AtLeast("lease_until", n(2)),
                Condition::Exists("slot"),
                Condition::Missing("output"),
            ],
        };
        let request = update.request(&Tables { jobs: "j".into(), ..Tables::default() });
        assert_eq!(
            request.get_update_expression().as_deref(),
            Some(
                "SET #status = :v0, #last_try = #attempt, #last_worker = if_not_exists(#worker, :v1), \
                 #expires_at = #ttl_seconds + :v2, #bytes = if_not_exists(#bytes, :v3) + :v4 \
                 REMOVE #phase, #progress.#current_task"
            )
        );
        assert_eq!(
            request.get_condition_expression().as_deref(),
            Some(
                "#owner = :v5 AND #status IN (:v6, :v7) AND (attribute_not_exists(#changed_by) OR #changed_by <> :v8) \
                 AND #created < :v9 AND #progress.#overall_hundredths <= :v10 AND #lease_until >= :v11 \
                 AND attribute_exists(#slot) AND attribute_not_exists(#output)"
            )
        );
        let values = request.get_expression_attribute_values().clone().unwrap();
        assert_eq!((values.len(), &values[":v8"], &values[":v11"]), (12, &s("b"), &n(2)));
        let names = request.get_expression_attribute_names().clone().unwrap();
        assert!(names.iter().all(|(placeholder, name)| *placeholder == format!("#{name}")));
        assert_eq!(request.get_return_values_on_condition_check_failure(), &Some(OLD_ITEM));
        let removal = update.removal(&Tables::default());
        let condition = removal.get_condition_expression().clone().unwrap();
        assert!(condition.starts_with("#owner = :v0 AND #status IN (:v1, :v2)"), "{condition}");
    }
}
