//! Event patterns: the records of a stream that a function receives (`FilterCriteria`).
//!
//! It supports a part of Lambda's language: lists of exact values, under nested keys. An operator (`prefix`,
//! `numeric`, …) is refused when the template is read, not ignored when a record comes.

use std::collections::BTreeMap;

use serde_json::Value;

/// One pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// All of these keys are there, and match.
    All(BTreeMap<String, Node>),
    /// The value is one of these.
    OneOf(Vec<Value>),
}

impl Pattern {
    /// Reads a pattern's JSON text; an error says why it is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("pattern `{text}`: {error}"))?;
        match node("pattern", value)? {
            node @ Node::All(_) => Ok(Self(node)),
            Node::OneOf(_) => Err(format!("pattern `{text}` is no mapping")),
        }
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.matches(event)
    }
}

impl Node {
    fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::All(keys), Value::Object(entries)) => {
                keys.iter().all(|(key, node)| entries.get(key).is_some_and(|value| node.matches(value)))
            }
            (Self::All(_), _) => false,
            // A list in the event matches by any of its elements.
            (Self::OneOf(wanted), Value::Array(values)) => values.iter().any(|value| wanted.contains(value)),
            (Self::OneOf(wanted), value) => wanted.contains(value),
        }
    }
}

fn node(at: &str, value: Value) -> Result<Node, String> {
    match value {
        Value::Object(entries) => {
            let nodes = entries.into_iter().map(|(key, value)| {
                let node = node(&format!("{at}.{key}"), value)?;
                Ok((key, node))
            });
            Ok(Node::All(nodes.collect::<Result<_, String>>()?))
        }
        Value::Array(values) => match values.iter().find(|value| value.is_object() || value.is_array()) {
            Some(operator) => Err(format!("{at}: the local stack does not know the operator {operator}")),
            None if values.is_empty() => Err(format!("{at}: an empty list matches nothing")),
            None => Ok(Node::OneOf(values)),
        },
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            Err(format!("{at}: {other} must stand in a list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Pattern;

    fn record(name: &str, part: &str) -> serde_json::Value {
        json!({"eventName": name, "dynamodb": {"Keys": {"job_id": {"S": "1"}, "part": {"S": part}}}})
    }

    #[test]
    fn all_keys_must_match_and_any_value_may() {
        let pattern = r#"{"eventName":["REMOVE"],"dynamodb":{"Keys":{"part":{"S":["head","probe"]}}}}"#;
        let pattern = Pattern::parse(pattern).unwrap();
        assert!(pattern.matches(&record("REMOVE", "head")));
        assert!(pattern.matches(&record("REMOVE", "probe")));
        assert!(!pattern.matches(&record("REMOVE", "input")));
        assert!(!pattern.matches(&record("INSERT", "head")));
        assert!(!pattern.matches(&json!({"eventName": "REMOVE"})));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (pattern, problem) in [
            (
                r#"{"a":{"b":[{"prefix":"x"}]}}"#,
                "pattern.a.b: the local stack does not know the operator {\"prefix\":\"x\"}",
            ),
            (r#"{"a":"x"}"#, "pattern.a: \"x\" must stand in a list"),
            (r#"{"a":[]}"#, "pattern.a: an empty list matches nothing"),
            (r#"["a"]"#, "pattern `[\"a\"]` is no mapping"),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap_err(), problem);
        }
    }
}
