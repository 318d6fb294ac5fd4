//! `Ref`, `Fn::Sub`, `Fn::GetAtt` and conditions, resolved to their values on this machine.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TemplateError;
use super::resources;

/// The region of everything here.
pub const REGION: &str = "us-east-1";
/// The account of everything here.
pub const ACCOUNT: &str = "000000000000";

/// A placeholder for the gateway's address until it is known.
pub const GATEWAY: &str = "http://gateway.invalid";
/// The path before all Function URLs; on AWS each has its own host.
pub const FUNCTION_URLS: &str = "/lambda-url/";

/// All that an expression can name.
pub(super) struct Scope<'a> {
    parameters: BTreeMap<String, Value>,
    conditions: Map<String, Value>,
    resources: &'a BTreeMap<String, Value>,
    table_prefix: &'a str,
}

/// Whether a mapping is a function of CloudFormation and not data.
pub(super) fn is_intrinsic(object: &Map<String, Value>) -> bool {
    object.len() == 1
        && object.keys().all(|key| key == "Ref" || key == "Condition" || key.starts_with("Fn::"))
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        declared: &BTreeMap<String, Value>,
        conditions: Option<Value>,
        overrides: &BTreeMap<String, String>,
        resources: &'a BTreeMap<String, Value>,
        table_prefix: &'a str,
    ) -> Result<Self, TemplateError> {
        if let Some(unknown) = overrides.keys().find(|name| !declared.contains_key(*name)) {
            return Err(TemplateError::new(
                format!("Parameters.{unknown}"),
                "the template has no such parameter",
            ));
        }
        let mut parameters = BTreeMap::new();
        for (name, declaration) in declared {
            let value = super::parameters::value(name, declaration.clone(), overrides.get(name))?;
            parameters.insert(name.clone(), value);
        }
        let conditions = match conditions {
            None => Map::new(),
            Some(Value::Object(conditions)) => conditions,
            Some(_) => return Err(TemplateError::new("Conditions", "is no mapping")),
        };
        Ok(Self { parameters, conditions, resources, table_prefix })
    }

    /// Whether a resource is created: it has no condition, or the condition holds.
    pub(super) fn exists(&self, id: &str, resource: &Value) -> Result<bool, TemplateError> {
        match resource.get("Condition") {
            None => Ok(true),
            Some(Value::String(name)) => self.condition_named(id, name),
            Some(other) => Err(TemplateError::new(id, format!("Condition: {other} is no name"))),
        }
    }

    /// The name that a table gets.
    pub(super) fn table_name(&self, id: &str) -> Result<String, TemplateError> {
        let named = self.resources.get(id).and_then(|resource| resource.pointer("/Properties/TableName"));
        match named {
            None => Ok(format!("{}{id}", self.table_prefix)),
            Some(value) => self.text(&format!("{id}.TableName"), value),
        }
    }

    /// A value with all expressions resolved.
    pub(super) fn resolve(&self, at: &str, value: &Value) -> Result<Value, TemplateError> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    if !is_no_value(item) {
                        resolved.push(self.resolve(&format!("{at}[{index}]"), item)?);
                    }
                }
                Ok(Value::Array(resolved))
            }
            Value::Object(entries) if is_intrinsic(entries) => self.intrinsic(at, entries),
            Value::Object(entries) => {
                let mut resolved = Map::new();
                for (name, value) in entries {
                    let value = self.choose(at, value)?;
                    if !is_no_value(value) {
                        resolved.insert(name.clone(), self.resolve(&format!("{at}.{name}"), value)?);
                    }
                }
                Ok(Value::Object(resolved))
            }
        }
    }

    /// A value as the text of an environment variable.
    pub(super) fn text(&self, at: &str, value: &Value) -> Result<String, TemplateError> {
        match self.resolve(at, value)? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
                Err(TemplateError::new(at, format!("{other} is no text")))
            }
        }
    }

    /// The branch that an `Fn::If` chooses. A branch of `AWS::NoValue` removes the entry of which it is the value.
    fn choose<'v>(&self, at: &str, value: &'v Value) -> Result<&'v Value, TemplateError> {
        match value.get("Fn::If").and_then(Value::as_array).map(Vec::as_slice) {
            Some([Value::String(condition), yes, no]) => {
                let branch = if self.condition_named(at, condition)? { yes } else { no };
                self.choose(at, branch)
            }
            Some(_) => Err(TemplateError::new(at, "Fn::If takes a condition's name and two values")),
            None => Ok(value),
        }
    }

    fn intrinsic(&self, at: &str, entries: &Map<String, Value>) -> Result<Value, TemplateError> {
        let Some((name, argument)) = entries.iter().next() else {
            return Err(TemplateError::new(at, "is an empty expression"));
        };
        match (name.as_str(), argument) {
            ("Ref", Value::String(target)) => self.reference(at, target),
            ("Fn::Sub", Value::String(pattern)) => self.substitute(at, pattern, &Map::new()),
            ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(pattern), Value::Object(names)] => self.substitute(at, pattern, names),
                _ => Err(TemplateError::new(at, "Fn::Sub takes a pattern and a mapping")),
            },
            ("Fn::GetAtt", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(id), Value::String(attribute)] => self.attribute(at, id, attribute),
                _ => Err(TemplateError::new(at, "Fn::GetAtt takes a resource and an attribute")),
            },
            ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(separator), Value::Array(items)] => {
                    let texts: Result<Vec<_>, _> = items.iter().map(|item| self.text(at, item)).collect();
                    Ok(Value::String(texts?.join(separator)))
                }
                _ => Err(TemplateError::new(at, "Fn::Join takes a separator and a list")),
            },
            ("Fn::If", _) => {
                let whole = Value::Object(entries.clone());
                self.resolve(at, self.choose(at, &whole)?)
            }
            ("Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" | "Condition", _) => {
                self.condition(at, &Value::Object(entries.clone())).map(Value::Bool)
            }
            _ => Err(TemplateError::new(at, format!("the local stack does not know {name} of {argument}"))),
        }
    }

    fn reference(&self, at: &str, target: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(target) {
            return Ok(value.clone());
        }
        let pseudo = match target {
            "AWS::Region" => Some(REGION),
            "AWS::AccountId" => Some(ACCOUNT),
            "AWS::Partition" => Some("aws"),
            "AWS::StackName" => Some("jobledger"),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            _ => None,
        };
        if let Some(text) = pseudo {
            return Ok(Value::from(text));
        }
        match self.kind_of(at, target)? {
            resources::Kind::Table => self.table_name(target).map(Value::String),
            resources::Kind::Function | resources::Kind::HttpApi => Ok(Value::from(target)),
            resources::Kind::OnlyOnAws => {
                Err(TemplateError::new(at, format!("{target} exists only on AWS, so it has no name here")))
            }
        }
    }

    fn attribute(&self, at: &str, id: &str, attribute: &str) -> Result<Value, TemplateError> {
        if attribute == "FunctionUrl" {
            return self.function_url(at, id).map(Value::String);
        }
        let text = match (self.kind_of(at, id)?, attribute) {
            (resources::Kind::Table, "Arn") => table_arn(&self.table_name(id)?),
            (resources::Kind::Table, "StreamArn") => stream_arn(&self.table_name(id)?),
            (resources::Kind::Function, "Arn") => function_arn(id),
            _ => {
                return Err(TemplateError::new(at, format!("{id}.{attribute} is not known on this machine")));
            }
        };
        Ok(Value::String(text))
    }

    /// SAM makes `<function>Url` of a function with a `FunctionUrlConfig`.
    fn function_url(&self, at: &str, id: &str) -> Result<String, TemplateError> {
        let function = id.strip_suffix("Url").and_then(|function| self.resources.get(function));
        let function =
            function.filter(|function| function.pointer("/Properties/FunctionUrlConfig").is_some());
        let name = function.and_then(|function| function.pointer("/Metadata/BuildProperties/Binary"));
        let name = name.and_then(Value::as_str);
        let name = name.ok_or_else(|| TemplateError::new(at, format!("no function has the URL {id}")))?;
        Ok(format!("{GATEWAY}{FUNCTION_URLS}{name}/"))
    }

    fn kind_of(&self, at: &str, id: &str) -> Result<resources::Kind, TemplateError> {
        let resource = self
            .resources
            .get(id)
            .ok_or_else(|| TemplateError::new(at, format!("nothing is called {id}")))?;
        resources::kind(id, resource)
    }

    /// `${Name}`, `${Resource.Attribute}`, and `${!Literal}`.
    fn substitute(
        &self,
        at: &str,
        pattern: &str,
        names: &Map<String, Value>,
    ) -> Result<Value, TemplateError> {
        let mut text = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| TemplateError::new(at, format!("`{pattern}` has an open brace")))?;
            text.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                text.push_str("${");
                text.push_str(literal);
                text.push('}');
            } else if let Some(value) = names.get(name) {
                text.push_str(&self.text(at, value)?);
            } else {
                let value = match name.split_once('.') {
                    Some((id, attribute)) => self.attribute(at, id, attribute)?,
                    None => self.reference(at, name)?,
                };
                text.push_str(&self.text(at, &value)?);
            }
            rest = after;
        }
        text.push_str(rest);
        Ok(Value::String(text))
    }

    fn condition_named(&self, at: &str, name: &str) -> Result<bool, TemplateError> {
        let condition = self
            .conditions
            .get(name)
            .ok_or_else(|| TemplateError::new(at, format!("the template has no condition {name}")))?;
        self.condition(&format!("Conditions.{name}"), condition)
    }

    fn condition(&self, at: &str, condition: &Value) -> Result<bool, TemplateError> {
        let bad = || TemplateError::new(at, format!("{condition} is no condition"));
        let Value::Object(entries) = condition else { return Err(bad()) };
        let mut entries = entries.iter();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else { return Err(bad()) };
        match (name.as_str(), argument) {
            ("Condition", Value::String(other)) => self.condition_named(at, other),
            ("Fn::Equals", Value::Array(sides)) => match sides.as_slice() {
                // Compared as text, as CloudFormation does: a number and its digits are equal.
                [left, right] => Ok(self.text(at, left)? == self.text(at, right)?),
                _ => Err(bad()),
            },
            ("Fn::Not", Value::Array(of)) => match of.as_slice() {
                [one] => Ok(!self.condition(at, one)?),
                _ => Err(bad()),
            },
            ("Fn::And", Value::Array(all)) => {
                all.iter().try_fold(true, |holds, one| Ok(self.condition(at, one)? && holds))
            }
            ("Fn::Or", Value::Array(any)) => {
                any.iter().try_fold(false, |holds, one| Ok(self.condition(at, one)? || holds))
            }
            _ => Err(bad()),
        }
    }
}

fn is_no_value(value: &Value) -> bool {
    value.get("Ref").is_some_and(|name| name == "AWS::NoValue")
}

fn table_arn(name: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}")
}

/// A placeholder for a stream within the template: the engine decides the real ARN.
fn stream_arn(table: &str) -> String {
    format!("{}/stream/local", table_arn(table))
}

/// The table of an ARN that this module made.
pub(super) fn table_of_stream(arn: &str) -> Option<&str> {
    arn.strip_suffix("/stream/local")?.rsplit_once('/').map(|(_, table)| table)
}

/// The ARN of a function.
pub fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}
