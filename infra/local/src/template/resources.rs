//! The resources that exist on one machine.

use serde::Deserialize;
use serde_json::Value;

use super::TemplateError;
use super::intrinsics::Scope;

/// The kind of a resource here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A DynamoDB table.
    Table,
    /// A function.
    Function,
    /// The gateway: there is one here, with all routes.
    HttpApi,
    /// A resource without an effect on one machine.
    OnlyOnAws,
}

/// Attributes of a resource that concern only deployments.
const DEPLOYMENT_ONLY: [&str; 3] = ["DeletionPolicy", "UpdateReplacePolicy", "DependsOn"];

/// The kind of the resource. An unknown type is an error: it might be something that functions need.
pub(super) fn kind(id: &str, resource: &Value) -> Result<Kind, TemplateError> {
    let Some(Value::String(r#type)) = resource.get("Type") else {
        return Err(TemplateError::new(id, "has no Type"));
    };
    if let Some(entries) = resource.as_object()
        && let Some(unknown) = entries.keys().find(|name| {
            !matches!(name.as_str(), "Type" | "Properties" | "Condition" | "Metadata")
                && !DEPLOYMENT_ONLY.contains(&name.as_str())
        })
    {
        return Err(TemplateError::new(
            format!("{id}.{unknown}"),
            "the local stack does not know this attribute",
        ));
    }
    match r#type.as_str() {
        "AWS::DynamoDB::Table" => Ok(Kind::Table),
        "AWS::Serverless::Function" => Ok(Kind::Function),
        "AWS::Serverless::HttpApi" => Ok(Kind::HttpApi),
        "AWS::CloudWatch::Alarm"
        | "AWS::CloudWatch::Dashboard"
        | "AWS::IAM::ManagedPolicy"
        | "AWS::IAM::Role"
        | "AWS::Lambda::Permission"
        | "AWS::Logs::LogGroup"
        | "AWS::Logs::MetricFilter"
        | "AWS::SNS::Topic"
        | "AWS::SQS::Queue"
        | "AWS::SQS::QueuePolicy" => Ok(Kind::OnlyOnAws),
        other => Err(TemplateError::new(id, format!("the local stack does not know {other}"))),
    }
}

/// The properties that an `HttpApi` has only on AWS: its log, its limits and its names.
const HTTP_API_ONLY_ON_AWS: [&str; 8] = [
    "AccessLogSettings",
    "DefaultRouteSettings",
    "Description",
    "Domain",
    "FailOnWarnings",
    "Name",
    "RouteSettings",
    "Tags",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct HttpApi {
    stage_name: Option<String>,
}

/// The gateway here has no settings. This refuses an API that would behave differently on AWS.
pub(super) fn check_http_api(id: &str, resource: &Value, scope: &Scope<'_>) -> Result<(), TemplateError> {
    let properties = match resource.get("Properties") {
        Some(properties) => scope.resolve(id, &super::without(properties, &HTTP_API_ONLY_ON_AWS))?,
        None => Value::Object(serde_json::Map::new()),
    };
    let api: HttpApi = super::read(id, properties)?;
    match api.stage_name.as_deref() {
        None | Some("$default") => Ok(()),
        Some(other) => {
            let problem =
                format!("stage {other} would come before every path: the local stack has only $default");
            Err(TemplateError::new(format!("{id}.StageName"), problem))
        }
    }
}
