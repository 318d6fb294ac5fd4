//! `Globals`: the properties that SAM merges into every function.

use serde_json::{Map, Value};

use super::TemplateError;
use super::intrinsics::is_intrinsic;

/// The properties that every function inherits.
pub(super) fn functions(globals: Option<Value>) -> Result<Value, TemplateError> {
    let mut functions = Value::Object(Map::new());
    let Some(globals) = globals else {
        return Ok(functions);
    };
    let Value::Object(entries) = globals else {
        return Err(TemplateError::new("Globals", "is no mapping"));
    };
    for (name, value) in entries {
        if name != "Function" {
            let problem = "the local stack knows only Globals.Function";
            return Err(TemplateError::new(format!("Globals.{name}"), problem));
        }
        functions = value;
    }
    Ok(functions)
}

/// SAM's rule: mappings are merged and lists are joined. For anything else, the function's own value is used.
pub(super) fn merge(global: &Value, own: &Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(own)) if !is_intrinsic(global) && !is_intrinsic(own) => {
            let mut merged = global.clone();
            for (name, value) in own {
                let value = global.get(name).map_or_else(|| value.clone(), |global| merge(global, value));
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(global), Value::Array(own)) => global.iter().chain(own).cloned().collect(),
        _ => own.clone(),
    }
}
