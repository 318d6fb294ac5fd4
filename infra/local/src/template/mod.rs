//! `template.yaml`, read the way CloudFormation and SAM read it, as plain values.
//!
//! It keeps only properties that have an effect on one machine. Properties that matter only on AWS (permissions,
//! alarms, memory) are listed by name where they are skipped. Any other property is an error, so that none is ignored
//! by mistake.

mod events;
mod functions;
mod globals;
mod intrinsics;
mod parameters;
mod resources;
mod tables;
mod yaml;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use events::{DynamoDbSource, HttpApiRoute, MethodAndPath, Retries, ScheduleKind, ScheduleRule};
pub use functions::{Function, FunctionUrl};
pub use intrinsics::{ACCOUNT, FUNCTION_URLS, GATEWAY, REGION, function_arn};
pub use tables::{Index, Projection, Table, TimeToLive};

use intrinsics::Scope;

/// The content of a template that one machine can run.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its tables, in the order of their logical ids.
    pub tables: Vec<Table>,
    /// Its functions, in the order of their logical ids.
    pub functions: Vec<Function>,
}

/// A part of the template that this stack does not understand or that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("template: {at}: {problem}")]
pub struct TemplateError {
    at: String,
    problem: String,
}

impl TemplateError {
    pub(crate) fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into() }
    }
}

impl Template {
    /// Reads a template. `parameters` replace its parameters' defaults; `table_prefix` comes before the names that
    /// CloudFormation would make up (`""` takes the logical ids as they are).
    pub fn parse(
        text: &str,
        parameters: &BTreeMap<String, String>,
        table_prefix: &str,
    ) -> Result<Self, TemplateError> {
        let document = yaml::read(text)?;
        let mut sections = Sections::of(document)?;
        let scope = Scope::new(
            &sections.parameters,
            sections.conditions.take(),
            parameters,
            &sections.resources,
            table_prefix,
        )?;
        let globals = globals::functions(sections.globals.take())?;
        let mut template = Self { tables: Vec::new(), functions: Vec::new() };
        for (id, resource) in &sections.resources {
            if !scope.exists(id, resource)? {
                continue;
            }
            match resources::kind(id, resource)? {
                resources::Kind::Table => template.tables.push(tables::read(id, resource, &scope)?),
                resources::Kind::Function => {
                    template.functions.push(functions::read(id, resource, &globals, &scope)?);
                }
                resources::Kind::HttpApi => resources::check_http_api(id, resource, &scope)?,
                resources::Kind::OnlyOnAws => {}
            }
        }
        template.check()?;
        Ok(template)
    }

    /// The table that has this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    fn check(&self) -> Result<(), TemplateError> {
        let mut names = BTreeMap::new();
        for function in &self.functions {
            if let Some(other) = names.insert(&function.name, &function.id) {
                let problem = format!("{other} has the same Binary, `{}`", function.name);
                return Err(TemplateError::new(&function.id, problem));
            }
            for source in &function.streams {
                match self.table(&source.table) {
                    Some(Table { stream: Some(_), .. }) => {}
                    Some(_) => {
                        let problem = format!("table {} has no StreamSpecification", source.table);
                        return Err(TemplateError::new(
                            format!("{}.Events.{}", function.id, source.id),
                            problem,
                        ));
                    }
                    None => {
                        let problem = format!("the template has no table {}", source.table);
                        return Err(TemplateError::new(
                            format!("{}.Events.{}", function.id, source.id),
                            problem,
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The sections of a template that define resources.
struct Sections {
    parameters: BTreeMap<String, Value>,
    conditions: Option<Value>,
    globals: Option<Value>,
    resources: BTreeMap<String, Value>,
}

impl Sections {
    fn of(document: Value) -> Result<Self, TemplateError> {
        let Value::Object(entries) = document else {
            return Err(TemplateError::new("document", "is no mapping"));
        };
        let mut sections =
            Self { parameters: BTreeMap::new(), conditions: None, globals: None, resources: BTreeMap::new() };
        for (name, section) in entries {
            match name.as_str() {
                // AWS shows outputs after a deployment. Nothing here depends on them.
                "AWSTemplateFormatVersion" | "Transform" | "Description" | "Metadata" | "Outputs" => {}
                "Parameters" => sections.parameters = read("Parameters", section)?,
                "Conditions" => sections.conditions = Some(section),
                "Globals" => sections.globals = Some(section),
                "Resources" => sections.resources = read("Resources", section)?,
                _ => return Err(TemplateError::new(name, "the local stack does not know this section")),
            }
        }
        Ok(sections)
    }
}

/// Reads a resolved value into a type. The type's `deny_unknown_fields` names unknown fields.
fn read<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, TemplateError> {
    serde_json::from_value(value).map_err(|error| TemplateError::new(at, error.to_string()))
}

/// Removes entries without an effect on one machine from a mapping, before anything in it is resolved.
fn without(value: &Value, names: &[&str]) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .filter(|(name, _)| !names.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
