//! A stream record as Lambda sends it.

use aws_sdk_dynamodbstreams::types::{AttributeValue, Identity, Record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::pattern::Pattern;
use crate::template::REGION;

/// One change of one item.
#[derive(Debug)]
pub(super) struct Change {
    /// Its sequence number.
    pub(super) sequence: String,
    /// When it was written, in seconds since 1970.
    pub(super) second: i64,
    /// The record's JSON, if a pattern matches it. Any other record only moves the position.
    pub(super) wanted: Option<Box<RawValue>>,
}

impl Change {
    /// Reads a record. Its JSON is kept if a pattern matches it, or if there is no pattern.
    pub(super) fn of(record: Record, arn: &str, patterns: &[Pattern]) -> serde_json::Result<Self> {
        let sequence = record
            .dynamodb()
            .and_then(|change| change.sequence_number())
            .map(str::to_owned)
            .unwrap_or_default();
        let time = record.dynamodb().and_then(|change| change.approximate_creation_date_time());
        let second = time.map_or(0, aws_sdk_dynamodbstreams::primitives::DateTime::secs);
        let value = written(record, arn);
        let wanted = if patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(&value)) {
            Some(serde_json::value::to_raw_value(&value)?)
        } else {
            None
        };
        Ok(Self { sequence, second, wanted })
    }
}

fn written(record: Record, arn: &str) -> Value {
    let mut event = Map::new();
    put(&mut event, "eventID", record.event_id);
    put(&mut event, "eventName", record.event_name.map(|name| name.as_str().to_owned()));
    put(&mut event, "eventVersion", record.event_version.or_else(|| Some("1.1".to_owned())));
    put(&mut event, "eventSource", record.event_source.or_else(|| Some("aws:dynamodb".to_owned())));
    // The region of the stack, not the engine's name for its own.
    put(&mut event, "awsRegion", Some(REGION));
    let mut change = Map::new();
    if let Some(dynamodb) = record.dynamodb {
        let time = dynamodb.approximate_creation_date_time.map(|time| time.secs());
        put(&mut change, "ApproximateCreationDateTime", time);
        put(&mut change, "Keys", dynamodb.keys.map(item));
        put(&mut change, "NewImage", dynamodb.new_image.map(item));
        put(&mut change, "OldImage", dynamodb.old_image.map(item));
        put(&mut change, "SequenceNumber", dynamodb.sequence_number);
        put(&mut change, "SizeBytes", dynamodb.size_bytes);
        put(&mut change, "StreamViewType", dynamodb.stream_view_type.map(|view| view.as_str().to_owned()));
    }
    event.insert("dynamodb".to_owned(), Value::Object(change));
    put(&mut event, "userIdentity", record.user_identity.map(identity));
    put(&mut event, "eventSourceARN", Some(arn));
    Value::Object(event)
}

/// If there is no value, the field is left out.
fn put(object: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}

fn identity(identity: Identity) -> Value {
    let mut object = Map::new();
    put(&mut object, "type", identity.r#type);
    put(&mut object, "principalId", identity.principal_id);
    Value::Object(object)
}

fn item(item: std::collections::HashMap<String, AttributeValue>) -> Value {
    Value::Object(item.into_iter().map(|(name, value)| (name, attribute(value))).collect())
}

fn attribute(value: AttributeValue) -> Value {
    let binary = |blob: aws_sdk_dynamodbstreams::primitives::Blob| STANDARD.encode(blob);
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(blob) => json!({ "B": binary(blob) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(blobs) => json!({ "BS": blobs.into_iter().map(binary).collect::<Vec<_>>() }),
        AttributeValue::L(values) => json!({ "L": values.into_iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(values) => json!({ "M": item(values) }),
        // The SDK's variant for types that are newer than this SDK.
        other => {
            tracing::error!(?other, "an attribute of a type that this SDK does not know was left empty");
            json!({ "NULL": true })
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::dynamodb::EventRecord;
    use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
    use aws_sdk_dynamodbstreams::types::{
        AttributeValue, Identity, OperationType, Record, StreamRecord, StreamViewType,
    };
    use serde_json::{Value, json};

    use super::Change;
    use crate::pattern::Pattern;

    fn removal() -> Record {
        let change = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_768_107_600))
            .keys("job_id", AttributeValue::S("1".to_owned()))
            .old_image("job_id", AttributeValue::S("1".to_owned()))
            .old_image("size", AttributeValue::N("12".to_owned()))
            .old_image("input", AttributeValue::B(Blob::new([1, 2, 3])))
            .old_image("labels", AttributeValue::M([("a".to_owned(), AttributeValue::Bool(true))].into()))
            .sequence_number("100000000000000000007")
            .size_bytes(30)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build();
        let identity = Identity::builder().r#type("Service").principal_id("dynamodb.amazonaws.com").build();
        Record::builder()
            .event_id("e")
            .event_name(OperationType::Remove)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .dynamodb(change)
            .user_identity(identity)
            .build()
    }

    #[test]
    fn a_record_is_written_as_lambda_writes_it() {
        let change = Change::of(removal(), "arn", &[]).unwrap();
        assert_eq!((change.sequence.as_str(), change.second), ("100000000000000000007", 1_768_107_600));
        let text = change.wanted.unwrap();
        let value: Value = serde_json::from_str(text.get()).unwrap();
        assert_eq!(
            value,
            json!({
                "eventID": "e", "eventName": "REMOVE", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1", "eventSourceARN": "arn",
                "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_768_107_600,
                    "Keys": {"job_id": {"S": "1"}},
                    "OldImage": {
                        "job_id": {"S": "1"}, "size": {"N": "12"}, "input": {"B": "AQID"},
                        "labels": {"M": {"a": {"BOOL": true}}},
                    },
                    "SequenceNumber": "100000000000000000007", "SizeBytes": 30,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            })
        );
        let event: EventRecord = serde_json::from_str(text.get()).unwrap();
        assert_eq!(event.event_name, "REMOVE");
    }

    #[test]
    fn what_no_pattern_matches_only_has_a_position() {
        let pattern = Pattern::parse(r#"{"eventName":["INSERT"]}"#).unwrap();
        let change = Change::of(removal(), "arn", &[pattern]).unwrap();
        assert!(change.wanted.is_none());
        assert_eq!(change.sequence, "100000000000000000007");
    }
}
