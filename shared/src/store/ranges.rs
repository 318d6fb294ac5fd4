//! A list is one or more ranges of one index: this is the only way to read one.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::Tables;
use super::schema::{OWNER_INDEX, STATUS_INDEX, TYPE_INDEX, TYPE_STATUS_INDEX};
use super::value::{n, s};
use crate::domain::{CreatedRange, Filter, JobQuery, Order, Status, TypeName, Wait, WorkerId};

/// One part of one index: the jobs that share a partition, sorted by creation, and of these perhaps only some.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    index: &'static str,
    partition: Vec<(&'static str, AttributeValue)>,
    condition: Option<Condition>,
    /// Of these rows, only jobs that this worker holds: their heads tell.
    holder: Option<WorkerId>,
}

/// The condition on the rows of a range: rows that do not fulfil it are read and paid for, but not sent.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    expression: String,
    names: Vec<(String, String)>,
    values: Vec<(String, AttributeValue)>,
}

/// The bounds of reading within each range: sort keys, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    lower: String,
    upper: String,
}

/// Which of the two a list's ranges are made by; by the other one, rows are filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// A range for each type that is asked for.
    pub types: bool,
    /// A range for each status that is asked for.
    pub statuses: bool,
}

impl By {
    /// By all that is asked for: then no row is read in vain.
    pub const BOTH: Self = Self { types: true, statuses: true };
}

/// The ranges whose merge is the list, as far as type and status decide.
pub fn exact_ranges(query: &JobQuery, shards: u16) -> Vec<Range> {
    let plain = JobQuery { filter: Filter::default(), ..query.clone() };
    ranges(&plain, shards, By::BOTH).into_iter().map(|(range, _, _)| range).collect()
}

/// The ranges that hold all jobs of the list's types, in whatever status.
pub fn ranges_by_type(query: &JobQuery, shards: u16) -> Vec<Range> {
    let all = JobQuery { statuses: BTreeSet::new(), ..query.clone() };
    exact_ranges(&all, shards)
}

/// The ranges whose merge is the list, each with the type and the status that it is made by.
pub fn ranges(query: &JobQuery, shards: u16, by: By) -> Vec<(Range, Option<TypeName>, Option<Status>)> {
    let every_status = query.statuses.len() == Status::ALL.len();
    let types: Vec<Option<&TypeName>> = if by.types { or_any(query.types.iter()) } else { vec![None] };
    let statuses: Vec<Option<&Status>> =
        if by.statuses && !every_status { or_any(query.statuses.iter()) } else { vec![None] };
    let condition = condition(query, !by.types, !by.statuses && !every_status);
    let mut ranges = Vec::new();
    for kind in &types {
        for status in &statuses {
            for shard in 0..shards {
                let (condition, holder) = (condition.clone(), query.filter.worker.clone());
                let range = Range { condition, holder, ..range(query, *kind, *status, shard) };
                ranges.push((range, kind.cloned(), status.copied()));
            }
        }
    }
    ranges
}

fn or_any<'a, T>(wanted: impl Iterator<Item = &'a T>) -> Vec<Option<&'a T>> {
    let wanted: Vec<_> = wanted.map(Some).collect();
    if wanted.is_empty() { vec![None] } else { wanted }
}

fn range(query: &JobQuery, kind: Option<&TypeName>, status: Option<&Status>, shard: u16) -> Range {
    let index = match (kind, status) {
        (None, None) => OWNER_INDEX,
        (None, Some(_)) => STATUS_INDEX,
        (Some(_), None) => TYPE_INDEX,
        (Some(_), Some(_)) => TYPE_STATUS_INDEX,
    };
    let mut partition = vec![("owner", s(&query.owner))];
    partition.extend(kind.map(|kind| ("type", s(kind))));
    partition.extend(status.map(|status| ("status", s(status))));
    partition.push(("shard", n(shard)));
    Range { index, partition, condition: None, holder: None }
}

/// The condition that is asked for beside the partition, as DynamoDB checks it; `None`: no condition.
fn condition(query: &JobQuery, types: bool, statuses: bool) -> Option<Condition> {
    let mut terms = Vec::new();
    let (mut names, mut values) = (Vec::new(), Vec::new());
    let mut name = |alias: &str, name: &str| names.push((alias.to_owned(), name.to_owned()));
    let mut value = |alias: String, value: AttributeValue| {
        values.push((alias.clone(), value));
        alias
    };
    if types && !query.types.is_empty() {
        name("#type", "type");
        let any: Vec<_> =
            (0..).zip(&query.types).map(|(index, kind)| value(format!(":type{index}"), s(kind))).collect();
        terms.push(format!("#type IN ({})", any.join(", ")));
    }
    if statuses && !query.statuses.is_empty() {
        name("#status", "status");
        let any: Vec<_> =
            query.statuses.iter().map(|status| value(format!(":{status}"), s(status))).collect();
        terms.push(format!("#status IN ({})", any.join(", ")));
    }
    if let Some(priority) = query.filter.priority {
        terms.push(format!("priority = {}", value(":priority".to_owned(), n(priority))));
    }
    for (index, (label, wanted)) in (0..).zip(&query.filter.labels) {
        name("#labels", "labels");
        name(&format!("#label{index}"), label);
        terms.push(format!("#labels.#label{index} = {}", value(format!(":label{index}"), s(wanted))));
    }
    if let Some(search) = &query.filter.search {
        name("#name", "name");
        let any = (0..).zip(search.stored_forms()).map(|(index, form)| {
            let part = value(format!(":search{index}"), s(form));
            format!("contains(#name, {part}) OR contains(folded, {part})")
        });
        terms.push(format!("({})", any.collect::<Vec<_>>().join(" OR ")));
    }
    for (attribute, range) in [("completed_at", query.filter.completed), ("updated_at", query.filter.updated)]
    {
        let Some(range) = range else { continue };
        let from = value(format!(":{attribute}_from"), n(range.from().millis()));
        let to = value(format!(":{attribute}_to"), n(range.to().millis()));
        terms.push(format!("{attribute} BETWEEN {from} AND {to}"));
    }
    if let Some(code) = &query.filter.error_code {
        name("#error", "error");
        name("#code", "code");
        terms.push(format!("#error.#code = {}", value(":code".to_owned(), s(code))));
    }
    if !query.filter.waits.is_empty() {
        let (at, none) = (value(":at".to_owned(), n(query.at.millis())), ":no_attempt");
        // Only queued jobs have `available_at`. Their status may be a part of the key, which no condition may name.
        let ways = query.filter.waits.iter().map(|wait| match wait {
            Wait::Due => format!("available_at <= {at}"),
            Wait::Scheduled => format!("(available_at > {at} AND attempt = {none})"),
            Wait::Retrying => format!("(available_at > {at} AND attempt > {none})"),
        });
        let ways = ways.collect::<Vec<_>>().join(" OR ");
        terms.push(format!("(attribute_not_exists(available_at) OR {ways})"));
        if query.filter.waits.iter().any(|wait| *wait != Wait::Due) {
            value(none.to_owned(), n(0));
        }
    }
    (!terms.is_empty()).then(|| Condition { expression: terms.join(" AND "), names, values })
}

impl Bounds {
    /// The sort keys of jobs created within `created`. `#` parts the time of a key from its id, `$` follows `#`.
    pub fn of(created: CreatedRange) -> Self {
        Self { lower: created.from().to_string(), upper: format!("{}$", created.to()) }
    }

    /// The part after the job with this sort key.
    #[must_use]
    pub fn after(mut self, key: &str, order: Order) -> Self {
        match order {
            Order::Asc => self.lower = self.lower.max(format!("{key}!")),
            Order::Desc => self.upper = self.upper.min(before(key)),
        }
        self
    }

    /// The part up to the job with this sort key, and that job: all that [`Self::after`] leaves out.
    #[must_use]
    pub fn up_to(mut self, key: &str, order: Order) -> Self {
        match order {
            Order::Asc => self.upper = self.upper.min(key.to_owned()),
            Order::Desc => self.lower = self.lower.max(key.to_owned()),
        }
        self
    }

    /// The part within both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            lower: self.lower.clone().max(other.lower.clone()),
            upper: self.upper.clone().min(other.upper.clone()),
        }
    }

    /// Whether a sort key lies within.
    pub fn hold(&self, key: &str) -> bool {
        self.lower.as_str() <= key && key <= self.upper.as_str()
    }

    /// Whether no key can lie within.
    pub fn is_empty(&self) -> bool {
        self.lower > self.upper
    }
}

/// The greatest text of the same length that sorts before `key`, as keys have only visible ASCII characters.
pub(super) fn before(key: &str) -> String {
    let mut chars: Vec<char> = key.chars().collect();
    if let Some(last) = chars.last_mut() {
        *last = char::from_u32(u32::from(*last).saturating_sub(1)).unwrap_or(' ');
    }
    chars.into_iter().collect()
}

impl Range {
    /// Reads what lies within the bounds, in this order.
    pub fn read(&self, tables: &Tables, bounds: &Bounds, order: Order) -> QueryInputBuilder {
        let mut plan = QueryInput::builder()
            .table_name(&tables.jobs)
            .index_name(self.index)
            .scan_index_forward(order == Order::Asc)
            .expression_attribute_values(":lower", s(&bounds.lower))
            .expression_attribute_values(":upper", s(&bounds.upper));
        let mut conditions = Vec::with_capacity(self.partition.len() + 1);
        for (name, value) in &self.partition {
            conditions.push(format!("#{name} = :{name}"));
            plan = plan
                .expression_attribute_names(format!("#{name}"), *name)
                .expression_attribute_values(format!(":{name}"), value.clone());
        }
        conditions.push("created BETWEEN :lower AND :upper".to_owned());
        if let Some(condition) = &self.condition {
            plan = plan.filter_expression(&condition.expression);
            for (alias, name) in &condition.names {
                plan = plan.expression_attribute_names(alias, name);
            }
            for (alias, value) in &condition.values {
                plan = plan.expression_attribute_values(alias, value.clone());
            }
        }
        plan.key_condition_expression(conditions.join(" AND "))
    }

    /// Whether some of the rows that it goes through are not wanted.
    pub fn is_filtered(&self) -> bool {
        self.condition.is_some() || self.holder.is_some()
    }

    /// The worker that holds the jobs that are wanted, if that is asked for.
    pub(super) const fn holder(&self) -> Option<&WorkerId> {
        self.holder.as_ref()
    }

    /// Counts what lies within the bounds.
    pub fn count(&self, tables: &Tables, bounds: &Bounds) -> QueryInputBuilder {
        self.read(tables, bounds, Order::Asc).select(Select::Count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Owner, Timestamp};

    fn query(types: &[&str], statuses: &[Status]) -> JobQuery {
        JobQuery {
            types: types.iter().map(|name| TypeName::try_from(*name).unwrap()).collect(),
            statuses: statuses.iter().copied().collect(),
            ..JobQuery::all(Owner::try_from("a").unwrap())
        }
    }

    #[track_caller]
    fn check(query: &JobQuery, shards: u16, index: &str, count: usize) {
        let ranges = exact_ranges(query, shards);
        assert!(ranges.iter().all(|range| range.index == index), "{ranges:?}");
        assert_eq!(ranges.len(), count);
    }

    #[test]
    fn each_plain_list_is_one_range_of_one_index() {
        check(&query(&[], &[]), 1, OWNER_INDEX, 1);
        check(&query(&[], &[Status::Failed]), 1, STATUS_INDEX, 1);
        check(&query(&["x"], &[]), 1, TYPE_INDEX, 1);
        check(&query(&["x"], &[Status::Failed]), 1, TYPE_STATUS_INDEX, 1);
        check(&query(&[], &Status::ALL), 1, OWNER_INDEX, 1);
    }

    #[test]
    fn shards_and_choices_multiply_ranges() {
        check(&query(&[], &[]), 8, OWNER_INDEX, 8);
        check(&query(&["x", "y"], &[Status::Failed, Status::Queued]), 2, TYPE_STATUS_INDEX, 8);
    }

    #[test]
    fn bounds_include_both_ends_and_exclude_the_cursor() {
        let time = |millis| Timestamp::from_millis(millis);
        let key = |millis, id| format!("{}#{id}", time(millis));
        let bounds = Bounds::of(CreatedRange::new(Some(time(10)), Some(time(20))).unwrap());
        let within =
            |bounds: &Bounds, key: &str| bounds.lower.as_str() <= key && key <= bounds.upper.as_str();
        assert!(within(&bounds, &key(10, "00")) && within(&bounds, &key(20, "ff")));
        assert!(!within(&bounds, &key(9, "ff")) && !within(&bounds, &key(21, "00")));
        let down = bounds.clone().after(&key(15, "a0"), Order::Desc);
        assert!(
            !within(&down, &key(15, "a0")) && within(&down, &key(15, "9f")) && !within(&down, &key(15, "a1"))
        );
        let up = bounds.after(&key(15, "a0"), Order::Asc);
        assert!(!within(&up, &key(15, "a0")) && within(&up, &key(15, "a1")) && !within(&up, &key(15, "9f")));
        assert!(up.after(&key(21, "00"), Order::Asc).is_empty());
    }

    #[test]
    fn up_to_and_after_a_key_make_the_whole() {
        let time = |millis| Timestamp::from_millis(millis);
        let key = |millis, id| format!("{}#{id}", time(millis));
        let whole = Bounds::of(CreatedRange::new(Some(time(10)), Some(time(20))).unwrap());
        for order in [Order::Asc, Order::Desc] {
            for cursor in [key(10, "00"), key(15, "a0"), key(20, "ff"), key(9, "ff"), key(21, "00")] {
                let (before, after) =
                    (whole.clone().up_to(&cursor, order), whole.clone().after(&cursor, order));
                assert!(before.and(&after).is_empty(), "{order:?} {cursor}");
                for row in [key(10, "00"), key(15, "9f"), key(15, "a0"), key(15, "a1"), key(20, "ff")] {
                    assert_ne!(before.hold(&row), after.hold(&row), "{order:?} {cursor} {row}");
                    assert_eq!(before.hold(&row), order.compare(&row, &cursor).is_le(), "{row}");
                }
            }
        }
    }
}
