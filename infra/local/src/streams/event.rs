//! The events that an event source mapping sends, and the parts of the answers that it reads.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::record::Change;
use super::window::OpenWindow;

/// The kind of a call within its window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Call {
    /// A call with records.
    Records,
    /// The last call of a window whose time is over.
    Last,
    /// The last call before the state grows too large. The window goes on without state.
    TooFull,
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "Records")]
    records: Vec<&'a RawValue>,
    #[serde(flatten)]
    window: Option<WindowFields<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowFields<'a> {
    window: Bounds,
    state: &'a Map<String, Value>,
    shard_id: &'a str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    is_final_invoke_for_window: bool,
    is_window_terminated_early: bool,
}

#[derive(Serialize)]
struct Bounds {
    start: String,
    end: String,
}

/// Writes an event. Only the events of a window name their shard.
pub(super) fn write(
    records: &[&Change],
    window: Option<&OpenWindow>,
    call: Call,
    shard: &str,
    arn: &str,
) -> serde_json::Result<Box<RawValue>> {
    to_raw_value(&Event {
        records: records.iter().filter_map(|change| change.wanted.as_deref()).collect(),
        window: window.map(|window| WindowFields {
            window: Bounds { start: time(window.start), end: time(window.end) },
            state: &window.state,
            shard_id: shard,
            event_source_arn: arn,
            is_final_invoke_for_window: call != Call::Records,
            is_window_terminated_early: call == Call::TooFull,
        }),
    })
}

fn time(second: i64) -> String {
    DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An answer, as far as the mapping reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// The state that the next call of the window gets.
    #[serde(default)]
    pub(super) state: Option<Map<String, Value>>,
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: Option<String>,
}

impl Answer {
    /// Reads an answer. If it is not a JSON object, it has no content.
    pub(super) fn of(text: &RawValue) -> Self {
        serde_json::from_str::<Option<Self>>(text.get()).ok().flatten().unwrap_or_default()
    }

    /// The place of the first failed record in a batch. A name that belongs to no record fails all of them.
    pub(super) fn failed_from(&self, records: &[&Change]) -> Option<usize> {
        let failures = self.batch_item_failures.as_deref().unwrap_or_default();
        let place = |failure: &Failure| {
            let named = failure.item_identifier.as_deref()?;
            records.iter().position(|change| change.sequence == named)
        };
        failures.iter().map(|failure| place(failure).unwrap_or(0)).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lambda_events::dynamodb::TimeWindowEvent;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::{Answer, Call, write};
    use crate::streams::record::Change;
    use crate::streams::window::Tumbling;

    fn change(sequence: &str) -> Change {
        let text = json!({"eventID": "e", "eventName": "INSERT", "awsRegion": "r", "dynamodb": {"Keys": {}}});
        Change {
            sequence: sequence.to_owned(),
            second: 61,
            wanted: serde_json::value::to_raw_value(&text).ok(),
        }
    }

    fn answer(value: &Value) -> Answer {
        Answer::of(&RawValue::from_string(value.to_string()).unwrap())
    }

    #[test]
    fn without_a_window_an_event_is_its_records() {
        let event = write(&[&change("1")], None, Call::Records, "shard", "arn").unwrap();
        let value: Value = serde_json::from_str(event.get()).unwrap();
        assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["Records"]);
    }

    #[test]
    fn a_windows_last_event_is_read_by_aws_lambda_events() {
        let mut window = Tumbling::new(Duration::from_mins(1)).at(61);
        window.state.insert("n".to_owned(), "3".into());
        let event = write(&[], Some(&window), Call::Last, "shard", "arn").unwrap();
        let event: TimeWindowEvent = serde_json::from_str(event.get()).unwrap();
        let fields = event.time_window_properties;
        assert_eq!(fields.shard_id.as_deref(), Some("shard"));
        assert_eq!(fields.window.start.to_rfc3339(), "1970-01-01T00:01:00+00:00");
        assert_eq!(fields.window.end.to_rfc3339(), "1970-01-01T00:02:00+00:00");
        assert_eq!(fields.state.get("n").map(String::as_str), Some("3"));
        assert!(fields.is_final_invoke_for_window && !fields.is_window_terminated_early);
    }

    #[test]
    fn a_batch_fails_from_its_first_failure_on() {
        let (one, two, three) = (change("1"), change("2"), change("3"));
        let records = [&one, &two, &three];
        let failed = |value: Value| answer(&value).failed_from(&records);
        assert_eq!(
            failed(json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]})),
            Some(1)
        );
        assert_eq!(failed(json!({"batchItemFailures": [{"itemIdentifier": "9"}]})), Some(0));
        assert_eq!(failed(json!({"batchItemFailures": [{"itemIdentifier": null}]})), Some(0));
        assert_eq!(failed(json!({"batchItemFailures": []})), None);
        assert_eq!(failed(json!({"state": {}})), None);
        assert_eq!(failed(json!(null)), None);
        assert_eq!(failed(json!("done")), None);
    }
}
