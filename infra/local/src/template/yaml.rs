//! YAML into JSON values, the short forms (`!Ref x`) written out as CloudFormation's long ones (`{"Ref": "x"}`).

use serde_json::{Map, Value};
use yaml_serde::Value as Yaml;

use super::TemplateError;

/// Reads the document.
pub(super) fn read(text: &str) -> Result<Value, TemplateError> {
    let document: Yaml =
        yaml_serde::from_str(text).map_err(|error| TemplateError::new("document", error.to_string()))?;
    json(document)
}

fn json(value: Yaml) -> Result<Value, TemplateError> {
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => serde_json::to_value(&number)
            .map_err(|error| TemplateError::new(number.to_string(), error.to_string()))?,
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(name(key)?, json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let short = tag.trim_start_matches('!');
            let long = match short {
                "Ref" | "Condition" => short.to_owned(),
                _ => format!("Fn::{short}"),
            };
            let mut argument = json(tagged.value)?;
            // `!GetAtt a.b` is the only short form whose argument has another form, too.
            if let ("GetAtt", Value::String(path)) = (short, &argument) {
                let (resource, attribute) = path
                    .split_once('.')
                    .ok_or_else(|| TemplateError::new(format!("!GetAtt {path}"), "names no attribute"))?;
                argument = Value::from(vec![resource, attribute]);
            }
            Value::Object(Map::from_iter([(long, argument)]))
        }
    })
}

/// A mapping's key as text. In YAML it may be another value.
fn name(key: Yaml) -> Result<String, TemplateError> {
    match json(key)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(TemplateError::new(other.to_string(), "cannot be a key"))
        }
    }
}
