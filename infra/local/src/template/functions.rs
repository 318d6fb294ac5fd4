//! `AWS::Serverless::Function`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::TemplateError;
use super::events::{self, DynamoDbSource, Event, HttpApiRoute, ScheduleRule};
use super::globals;
use super::intrinsics::Scope;

/// A function with its events.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its logical id.
    pub id: String,
    /// Its crate: `Metadata.BuildProperties.Binary`.
    pub name: String,
    /// Its environment variables.
    pub variables: BTreeMap<String, String>,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Its routes.
    pub routes: Vec<HttpApiRoute>,
    /// The streams it reads.
    pub streams: Vec<DynamoDbSource>,
    /// The schedules that call it.
    pub schedules: Vec<ScheduleRule>,
    /// Its own Function URL, where it has one.
    pub url: Option<FunctionUrl>,
}

/// How a Function URL answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionUrl {
    /// In one piece (`BUFFERED`).
    Buffered,
    /// Piece by piece (`RESPONSE_STREAM`).
    Streamed,
}

/// Lambda's default for a function without `Timeout`.
const TIMEOUT_DEFAULT_S: u64 = 3;

/// Properties without effect here: how a function is built, its permissions, its cost, and its log.
const ONLY_ON_AWS: [&str; 17] = [
    "Architectures",
    "AutoPublishAlias",
    "CodeUri",
    "DeploymentPreference",
    "Description",
    "EphemeralStorage",
    "FunctionName",
    "Handler",
    "LoggingConfig",
    "MemorySize",
    "PermissionsBoundary",
    "Policies",
    "ReservedConcurrentExecutions",
    "Role",
    "Runtime",
    "Tags",
    "Tracing",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Properties {
    timeout: Option<u64>,
    environment: Option<Environment>,
    #[serde(default)]
    events: BTreeMap<String, Value>,
    function_url_config: Option<UrlConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct UrlConfig {
    auth_type: AuthType,
    invoke_mode: Option<InvokeMode>,
}

/// On one machine, requests are not signed.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum AuthType {
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum InvokeMode {
    Buffered,
    ResponseStream,
}

/// Reads one function.
pub(super) fn read(
    id: &str,
    resource: &Value,
    shared: &Value,
    scope: &Scope<'_>,
) -> Result<Function, TemplateError> {
    let Some(Value::String(name)) = resource.pointer("/Metadata/BuildProperties/Binary") else {
        return Err(TemplateError::new(
            id,
            "has no Metadata.BuildProperties.Binary, so nobody knows its crate",
        ));
    };
    let own = resource.get("Properties").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let merged = super::without(&globals::merge(shared, &own), &ONLY_ON_AWS);
    let merged = events::without_what_is_only_on_aws(&merged);
    let properties: Properties = super::read(id, scope.resolve(id, &merged)?)?;

    let mut variables = BTreeMap::new();
    for (variable, value) in
        properties.environment.map(|environment| environment.variables).unwrap_or_default()
    {
        let text = scope.text(&format!("{id}.Environment.Variables.{variable}"), &value)?;
        variables.insert(variable, text);
    }
    let mut function = Function {
        id: id.to_owned(),
        name: name.clone(),
        variables,
        timeout: Duration::from_secs(properties.timeout.unwrap_or(TIMEOUT_DEFAULT_S)),
        routes: Vec::new(),
        streams: Vec::new(),
        schedules: Vec::new(),
        url: properties.function_url_config.map(|UrlConfig { auth_type: AuthType::None, invoke_mode }| {
            match invoke_mode {
                None | Some(InvokeMode::Buffered) => FunctionUrl::Buffered,
                Some(InvokeMode::ResponseStream) => FunctionUrl::Streamed,
            }
        }),
    };
    for (event_id, event) in properties.events {
        match events::read(id, &event_id, event)? {
            Event::HttpApi(route) => function.routes.push(route),
            Event::DynamoDb(source) => function.streams.push(source),
            Event::Schedule(rule) => function.schedules.push(rule),
            Event::Disabled => {}
        }
    }
    let is_called =
        !(function.routes.is_empty() && function.streams.is_empty() && function.schedules.is_empty());
    if is_called && function.url == Some(FunctionUrl::Streamed) {
        return Err(TemplateError::new(
            id,
            "RESPONSE_STREAM: only a Function URL streams, so it has no Events",
        ));
    }
    Ok(function)
}
