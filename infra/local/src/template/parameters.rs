//! `Parameters`: their defaults, or the given values.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use super::TemplateError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Declaration {
    r#type: Type,
    default: Option<Value>,
    allowed_values: Option<Vec<Value>>,
    min_value: Option<i64>,
    max_value: Option<i64>,
    // The fields below are for people and for the console. A deployment checks the pattern.
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "ConstraintDescription")]
    _constraint_description: Option<IgnoredAny>,
    #[serde(rename = "AllowedPattern")]
    _allowed_pattern: Option<IgnoredAny>,
    #[serde(rename = "NoEcho")]
    _no_echo: Option<IgnoredAny>,
    #[serde(rename = "MinLength")]
    _min_length: Option<IgnoredAny>,
    #[serde(rename = "MaxLength")]
    _max_length: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Deserialize)]
enum Type {
    String,
    Number,
    CommaDelimitedList,
}

/// A parameter's value.
pub(super) fn value(name: &str, declaration: Value, given: Option<&String>) -> Result<Value, TemplateError> {
    let at = format!("Parameters.{name}");
    let declaration: Declaration = super::read(&at, declaration)?;
    let raw = match (given, &declaration.default) {
        (Some(given), _) => Value::String(given.clone()),
        (None, Some(default)) => default.clone(),
        (None, None) => return Err(TemplateError::new(at, "has no default: give it a value")),
    };
    let value = typed(&at, declaration.r#type, &raw)?;
    if let Some(allowed) = &declaration.allowed_values
        && !allowed.iter().any(|one| text(one) == text(&value))
    {
        let allowed: Vec<_> = allowed.iter().map(text).collect();
        return Err(TemplateError::new(at, format!("{value} is none of {}", allowed.join(", "))));
    }
    if let Some(number) = value.as_i64()
        && (declaration.min_value.is_some_and(|min| number < min)
            || declaration.max_value.is_some_and(|max| number > max))
    {
        return Err(TemplateError::new(at, format!("{number} is out of its range")));
    }
    Ok(value)
}

fn typed(at: &str, r#type: Type, raw: &Value) -> Result<Value, TemplateError> {
    match (r#type, raw) {
        (Type::Number, Value::Number(_)) | (Type::String, Value::String(_)) => Ok(raw.clone()),
        (Type::String, Value::Number(_) | Value::Bool(_)) => Ok(Value::String(text(raw))),
        (Type::Number, Value::String(digits)) => digits
            .parse::<Number>()
            .map(Value::Number)
            .map_err(|_| TemplateError::new(at, format!("`{digits}` is no number"))),
        (Type::CommaDelimitedList, Value::String(items)) => {
            Ok(items.split(',').map(|item| Value::from(item.trim())).collect())
        }
        _ => Err(TemplateError::new(at, format!("{raw} does not fit its Type"))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
