//! Whole answers, for snapshots: placeholders replace the values that differ in each run.

use serde_json::{Map, Value, json};

use crate::Reply;

/// Headers that belong to an answer. Other headers are the same in every answer.
const HEADERS: [&str; 7] =
    ["allow", "cache-control", "content-type", "link", "location", "retry-after", "www-authenticate"];
/// Times from this year on are times of the run: the jobs of tests have earlier ones.
const RUN_FROM: &str = "2025";
/// Fields whose numbers depend on the speed of the run.
const MEASURED: [&str; 2] = ["duration_ms", "eta_seconds"];
/// The length of an id as text.
const UUID: usize = 36;

/// The status, the headers and the body of an answer.
pub fn shown(reply: &Reply) -> Value {
    let headers = HEADERS.into_iter().filter_map(|name| Some((name, reply.header(name)?)));
    let headers: Map<String, Value> =
        headers.map(|(name, value)| (name.to_owned(), json!(header(name, value)))).collect();
    json!({ "status": reply.status, "headers": headers, "body": without_run(&reply.json) })
}

/// A header with placeholders for its seconds, cursor, ids and the stack's address.
fn header(name: &str, value: &str) -> String {
    if name == "retry-after" {
        return "[seconds]".to_owned();
    }
    let value = without_ids(&without_word(value, "cursor=", "[cursor]"));
    without_word(&value, "http://127.0.0.1:", "[port]")
}

/// The text with a placeholder for the word after this prefix.
fn without_word(text: &str, prefix: &str, placeholder: &str) -> String {
    let Some((before, rest)) = text.split_once(prefix) else { return text.to_owned() };
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).unwrap_or(rest.len());
    format!("{before}{prefix}{placeholder}{}", &rest[end..])
}

/// The value with placeholders for the values of this run.
fn without_run(value: &Value) -> Value {
    match value {
        Value::String(text) if is_time_of_run(text) => json!("[time]"),
        Value::String(text) => json!(without_word(&without_ids(text), "http://127.0.0.1:", "[port]")),
        Value::Array(values) => values.iter().map(without_run).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("next_cursor", Value::String(_)) => json!("[cursor]"),
                    (name, Value::Number(_)) if MEASURED.contains(&name) => json!("[number]"),
                    _ => without_run(value),
                };
                (name.clone(), value)
            });
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn is_time_of_run(text: &str) -> bool {
    text.len() == "2025-01-01T00:00:00.000Z".len() && text.ends_with('Z') && text[..4] >= *RUN_FROM
}

/// The text with a placeholder for each UUID, key, ticket and token in it.
fn without_ids(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut shown = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(is_part) {
        shown.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_uuid = word.len() == UUID && word.matches('-').count() == 4;
        let is_hex = word.len() >= 16 && !word.contains('-');
        shown.push_str(if is_uuid {
            "[id]"
        } else if is_hex {
            "[hex]"
        } else {
            word
        });
        rest = after;
    }
    shown + rest
}
