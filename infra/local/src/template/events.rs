//! The events that call a function: `Events` of a SAM function.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::TemplateError;
use super::intrinsics::table_of_stream;
use crate::pattern::Pattern;

/// An HTTP route.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpApiRoute {
    /// The event's id within its function.
    pub id: String,
    /// The method, or `ANY`. A route without one takes all that no other route takes.
    pub target: Option<MethodAndPath>,
}

/// The method and the path that a route answers to.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodAndPath {
    /// In capitals; `ANY` takes all.
    pub method: String,
    /// With `{name}` and `{name+}`.
    pub path: String,
}

/// A stream of a table that is delivered to a function.
#[derive(Clone, Debug)]
pub struct DynamoDbSource {
    /// The event's id within its function.
    pub id: String,
    /// The table's name.
    pub table: String,
    /// Most records in one invocation.
    pub batch_size: usize,
    /// The length of a tumbling window, if the events belong to one.
    pub window: Option<Duration>,
    /// Records that match one of these are delivered; without any, all are.
    pub patterns: Vec<Pattern>,
    /// How often a failing batch is tried again.
    pub retries: Retries,
    /// Whether a failing batch is halved before it is tried again.
    pub bisect: bool,
    /// Whether the function names the records that failed (`ReportBatchItemFailures`).
    pub reports_failures: bool,
}

/// How often a failing batch is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Retries {
    /// Until it succeeds.
    Forever,
    /// This many times. Then the batch is given up and logged, and the next one is delivered.
    AtMost(u32),
}

/// A function that is called at intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleRule {
    /// The event's id within its function.
    pub id: String,
    /// The time between two calls.
    pub every: Duration,
    /// Which service calls.
    pub kind: ScheduleKind,
    /// The event's whole text, if the template has one.
    pub input: Option<String>,
}

/// The service that calls, which decides the form of the event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScheduleKind {
    /// An EventBridge rule (`Schedule`).
    Rule,
    /// An EventBridge Scheduler schedule (`ScheduleV2`).
    Scheduler,
}

pub(super) enum Event {
    HttpApi(HttpApiRoute),
    DynamoDb(DynamoDbSource),
    Schedule(ScheduleRule),
    Disabled,
}

/// Properties without effect here: the destination of a batch that was given up, and the rate limit of a route.
const ONLY_ON_AWS: [&str; 3] = ["DestinationConfig", "RouteSettings", "Description"];

/// Removes these from each event before they are resolved, because they name resources that do not exist here.
pub(super) fn without_what_is_only_on_aws(function: &Value) -> Value {
    let mut function = function.clone();
    if let Some(Value::Object(events)) = function.get_mut("Events") {
        for event in events.values_mut() {
            if let Some(properties) = event.get_mut("Properties") {
                *properties = super::without(properties, &ONLY_ON_AWS);
            }
        }
    }
    function
}

#[derive(Deserialize)]
#[serde(tag = "Type", content = "Properties", deny_unknown_fields)]
enum Declared {
    HttpApi(#[serde(default)] HttpApi),
    #[serde(rename = "DynamoDB")]
    DynamoDb(Box<DynamoDb>),
    Schedule(Schedule),
    ScheduleV2(ScheduleV2),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct HttpApi {
    #[serde(rename = "ApiId")]
    _api_id: Option<String>,
    method: Option<String>,
    path: Option<String>,
    payload_format_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct DynamoDb {
    stream: String,
    #[serde(rename = "StartingPosition")]
    _starting_position: StartingPosition,
    #[serde(default = "batch_size_default")]
    batch_size: usize,
    // The longest wait for more records. On one machine, waiting has no use.
    #[serde(rename = "MaximumBatchingWindowInSeconds")]
    _batching_window: Option<u32>,
    tumbling_window_in_seconds: Option<u64>,
    filter_criteria: Option<FilterCriteria>,
    parallelization_factor: Option<u32>,
    bisect_batch_on_function_error: Option<bool>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    #[serde(default)]
    function_response_types: Vec<ResponseType>,
    enabled: Option<bool>,
}

/// `LATEST` would lose records that are written while the stack does not run.
#[derive(Deserialize)]
enum StartingPosition {
    #[serde(rename = "TRIM_HORIZON")]
    TrimHorizon,
}

/// Lambda's default for a stream without `BatchSize`.
fn batch_size_default() -> usize {
    100
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct FilterCriteria {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Filter {
    pattern: String,
}

#[derive(Deserialize, PartialEq)]
enum ResponseType {
    ReportBatchItemFailures,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Schedule {
    #[serde(rename = "Schedule")]
    expression: String,
    input: Option<String>,
    enabled: Option<bool>,
    #[serde(rename = "Name")]
    _name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ScheduleV2 {
    schedule_expression: String,
    input: Option<String>,
    state: Option<ScheduleState>,
    #[serde(rename = "Name")]
    _name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ScheduleState {
    Enabled,
    Disabled,
}

/// Reads one event. Its values are resolved already.
pub(super) fn read(function: &str, id: &str, event: Value) -> Result<Event, TemplateError> {
    let at = format!("{function}.Events.{id}");
    let declared: Declared = super::read(&at, event)?;
    match declared {
        Declared::HttpApi(api) => http_api(at, id, api).map(Event::HttpApi),
        Declared::DynamoDb(source) if source.enabled == Some(false) => Ok(Event::Disabled),
        Declared::DynamoDb(source) => dynamo_db(at, id, *source).map(Event::DynamoDb),
        Declared::Schedule(Schedule { enabled: Some(false), .. })
        | Declared::ScheduleV2(ScheduleV2 { state: Some(ScheduleState::Disabled), .. }) => {
            Ok(Event::Disabled)
        }
        Declared::Schedule(schedule) => {
            let every = rate(&at, &schedule.expression)?;
            let kind = ScheduleKind::Rule;
            Ok(Event::Schedule(ScheduleRule { id: id.to_owned(), every, kind, input: schedule.input }))
        }
        Declared::ScheduleV2(ScheduleV2 {
            state: None | Some(ScheduleState::Enabled),
            schedule_expression,
            input,
            ..
        }) => {
            let every = rate(&at, &schedule_expression)?;
            Ok(Event::Schedule(ScheduleRule {
                id: id.to_owned(),
                every,
                kind: ScheduleKind::Scheduler,
                input,
            }))
        }
    }
}

fn http_api(at: String, id: &str, api: HttpApi) -> Result<HttpApiRoute, TemplateError> {
    if let Some(version) = api.payload_format_version.filter(|version| version != "2.0") {
        return Err(TemplateError::new(at, format!("payload format {version}: only 2.0 is spoken here")));
    }
    let target = match (api.method, api.path) {
        (None, None) => None,
        (Some(method), Some(path)) if path.starts_with('/') => {
            let method = if method == "*" { "ANY".to_owned() } else { method.to_ascii_uppercase() };
            Some(MethodAndPath { method, path })
        }
        _ => return Err(TemplateError::new(at, "a route has Method and Path, or neither for $default")),
    };
    Ok(HttpApiRoute { id: id.to_owned(), target })
}

fn dynamo_db(at: String, id: &str, source: DynamoDb) -> Result<DynamoDbSource, TemplateError> {
    let Some(table) = table_of_stream(&source.stream) else {
        return Err(TemplateError::new(at, "Stream is no !GetAtt of a table's StreamArn"));
    };
    // The stack delivers one batch of a shard at a time: slower than several, in an order that is also allowed.
    if source.parallelization_factor.is_some_and(|factor| !(1..=10).contains(&factor)) {
        return Err(TemplateError::new(at, "ParallelizationFactor is 1 to 10"));
    }
    if source.maximum_record_age_in_seconds.is_some_and(|age| age != -1) {
        return Err(TemplateError::new(at, "MaximumRecordAgeInSeconds: records do not grow too old here"));
    }
    if !(1..=10_000).contains(&source.batch_size) {
        return Err(TemplateError::new(at, "BatchSize is 1 to 10000"));
    }
    let retries = match source.maximum_retry_attempts {
        None | Some(-1) => Retries::Forever,
        Some(times) => u32::try_from(times)
            .map(Retries::AtMost)
            .map_err(|_| TemplateError::new(at.as_str(), "MaximumRetryAttempts is -1 to 10000"))?,
    };
    let filters = source.filter_criteria.map(|criteria| criteria.filters).unwrap_or_default();
    let patterns = filters
        .iter()
        .map(|filter| {
            Pattern::parse(&filter.pattern).map_err(|problem| TemplateError::new(at.as_str(), problem))
        })
        .collect::<Result<_, _>>()?;
    Ok(DynamoDbSource {
        id: id.to_owned(),
        table: table.to_owned(),
        batch_size: source.batch_size,
        window: source.tumbling_window_in_seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        patterns,
        retries,
        bisect: source.bisect_batch_on_function_error == Some(true),
        reports_failures: source.function_response_types.contains(&ResponseType::ReportBatchItemFailures),
    })
}

/// `rate(5 minutes)`.
fn rate(at: &str, expression: &str) -> Result<Duration, TemplateError> {
    let bad = || {
        let problem =
            format!("`{expression}`: the local stack knows rate(N minutes), rate(N hours) and rate(N days)");
        TemplateError::new(at, problem)
    };
    let inside =
        expression.trim().strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(bad)?;
    let (number, unit) = inside.trim().split_once(' ').ok_or_else(bad)?;
    let seconds: u64 = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        "day" | "days" => 24 * 60 * 60,
        _ => return Err(bad()),
    };
    match number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)) {
        None | Some(0) => Err(bad()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
    }
}
