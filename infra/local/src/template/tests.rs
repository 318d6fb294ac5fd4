//! Reading the template of this workspace, and small ones.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeyType, StreamViewType};

use super::{FunctionUrl, Projection, Retries, ScheduleKind, Template};
use crate::stack::TEMPLATE;

fn parse(text: &str) -> Result<Template, String> {
    Template::parse(text, &BTreeMap::new(), "").map_err(|error| error.to_string())
}

fn ours(parameters: &[(&str, &str)]) -> Result<Template, String> {
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Template::parse(TEMPLATE, &parameters, "").map_err(|error| error.to_string())
}

/// A function with these properties, indented by six.
fn function(properties: &str) -> String {
    format!(
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    \
         Metadata: {{ BuildProperties: {{ Binary: f }} }}\n    Properties:\n{properties}"
    )
}

#[test]
fn our_tables_have_their_keys_streams_and_indexes() {
    let template = ours(&[]).unwrap();
    let jobs = template.table("JobsTable").unwrap();
    let key = |parts: &[(&str, KeyType)]| -> Vec<(String, KeyType)> {
        parts.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect()
    };
    assert_eq!(jobs.key, key(&[("job_id", KeyType::Hash), ("part", KeyType::Range)]));
    assert_eq!(jobs.stream, Some(StreamViewType::NewAndOldImages));
    assert_eq!(jobs.time_to_live.as_ref().map(|ttl| ttl.attribute.as_str()), Some("expires_at"));
    let index = jobs.indexes.iter().find(|index| index.name == "type-status-index").unwrap();
    let hash = |name| (name, KeyType::Hash);
    assert_eq!(
        index.key,
        key(&[hash("owner"), hash("type"), hash("status"), hash("shard"), ("created", KeyType::Range)])
    );
    assert!(
        matches!(&index.projection, Projection::Include(names) if names.iter().any(|name| name == "labels"))
    );
    assert!(template.table("SettingsTable").unwrap().stream.is_none());
}

#[test]
fn our_functions_have_what_globals_and_parameters_give_them() {
    let template = ours(&[("IndexShards", "4")]).unwrap();
    let count = template.functions.iter().find(|function| function.name == "tally-jobs").unwrap();
    assert_eq!(count.variables["JOBS_TABLE"], "JobsTable");
    assert_eq!(count.variables["INDEX_SHARDS"], "4");
    assert_eq!(count.variables["DEFAULT_TTL_HOURS"], "24");
    assert_eq!(count.timeout, Duration::from_mins(1));
    let source = &count.streams[0];
    assert_eq!(
        (source.table.as_str(), source.retries, source.bisect),
        ("JobsTable", Retries::Forever, false)
    );
    assert!(source.window.is_some());
    let tasks = template.functions.iter().find(|function| function.name == "run-background-tasks").unwrap();
    let source = &tasks.streams[0];
    assert_eq!(
        (source.table.as_str(), source.batch_size, source.retries),
        ("TasksTable", 1, Retries::AtMost(20))
    );
    let health = template.functions.iter().find(|function| function.name == "health").unwrap();
    assert_eq!(health.routes[0].target.as_ref().unwrap().path, "/health");
    let url = |name: &str| template.functions.iter().find(|function| function.name == name).unwrap().url;
    assert_eq!(url("metrics"), Some(FunctionUrl::Buffered));
    assert_eq!(url("export-jobs"), Some(FunctionUrl::Streamed));
    assert_eq!(url("export-link"), None);
    let link = template.functions.iter().find(|function| function.name == "export-link").unwrap();
    assert_eq!(link.variables["EXPORT_URL"], "http://gateway.invalid/lambda-url/export-jobs/");
}

#[test]
fn names_can_have_a_prefix() {
    let template = Template::parse(TEMPLATE, &BTreeMap::new(), "t1-").unwrap();
    assert!(template.table("t1-JobsTable").is_some());
    assert!(template.functions.iter().all(|function| function.variables["JOBS_TABLE"] == "t1-JobsTable"));
}

#[test]
fn parameters_keep_to_their_bounds() {
    for (name, value, problem) in [
        ("IndexShards", "65", "template: Parameters.IndexShards: 65 is out of its range"),
        ("IndexShards", "x", "template: Parameters.IndexShards: `x` is no number"),
        ("Nothing", "1", "template: Parameters.Nothing: the template has no such parameter"),
    ] {
        assert_eq!(ours(&[(name, value)]).unwrap_err(), problem);
    }
    assert!(
        ours(&[("LogLevel", "LOUD")])
            .unwrap_err()
            .starts_with("template: Parameters.LogLevel: \"LOUD\" is none of")
    );
}

#[test]
fn schedules_are_read() {
    let properties = "      Events:\n        \
        A: { Type: Schedule, Properties: { Schedule: rate(5 minutes) } }\n        \
        B: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 day), Input: '{}' } }\n        \
        C: { Type: Schedule, Properties: { Schedule: rate(1 hour), Enabled: false } }\n";
    let template = parse(&function(properties)).unwrap();
    let schedules = &template.functions[0].schedules;
    let read: Vec<_> =
        schedules.iter().map(|rule| (rule.id.as_str(), rule.every.as_secs(), rule.kind)).collect();
    assert_eq!(read, [("A", 300, ScheduleKind::Rule), ("B", 86_400, ScheduleKind::Scheduler)]);
    assert_eq!(schedules[1].input.as_deref(), Some("{}"));
}

#[test]
fn expressions_are_resolved() {
    let text = "
Parameters:
  Stage: { Type: String, Default: test }
Conditions:
  IsTest: !Equals [!Ref Stage, test]
  IsLive: !Not [!Condition IsTest]
  Both: !And [!Condition IsTest, !Condition IsLive]
Resources:
  Gone:
    Type: AWS::DynamoDB::Table
    Condition: IsLive
  F:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: f } }
    Properties:
      Environment:
        Variables:
          A: !Sub '${Stage}-${AWS::Region}-${!kept}'
          B: !If [IsTest, yes-it-is, no]
          C: !Join ['/', [a, !Ref Stage, 7]]
          D: !Sub ['${Word}!', { Word: !Ref 'AWS::Partition' }]
          E: !If [Both, there, !Ref 'AWS::NoValue']
";
    let template = parse(text).unwrap();
    assert!(template.tables.is_empty());
    let variables = &template.functions[0].variables;
    let read: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(read, [("A", "test-us-east-1-${kept}"), ("B", "yes-it-is"), ("C", "a/test/7"), ("D", "aws!")]);
}

#[test]
fn what_is_not_understood_is_named() {
    let event = |event: &str| function(&format!("      Events:\n        E: {event}\n"));
    for (text, problem) in [
        ("Mappings: {}".to_owned(), "Mappings: the local stack does not know this section"),
        (
            "Resources: { A: { Type: AWS::S3::Bucket } }".to_owned(),
            "A: the local stack does not know AWS::S3::Bucket",
        ),
        (function("      Layers: [x]\n"), "F: unknown field `Layers`"),
        (function("      Environment: { Variables: { X: !Ref Nowhere } }\n"), "nothing is called Nowhere"),
        (
            function("      Environment: { Variables: { X: !FindInMap [a, b, c] } }\n"),
            "does not know Fn::FindInMap",
        ),
        (
            function("      Environment: { Variables: { X: !GetAtt FUrl.FunctionUrl } }\n"),
            "no function has the URL FUrl",
        ),
        (
            function(
                "      FunctionUrlConfig: { AuthType: NONE, InvokeMode: RESPONSE_STREAM }\n      \
                 Events: { E: { Type: HttpApi, Properties: { Method: GET, Path: / } } }\n",
            ),
            "F: RESPONSE_STREAM: only a Function URL streams",
        ),
        (event("{ Type: SQS, Properties: {} }"), "F.Events.E: unknown variant `SQS`"),
        (event("{ Type: Schedule, Properties: { Schedule: cron(0 5 * * ? *) } }"), "cron(0 5 * * ? *)"),
        (event("{ Type: HttpApi, Properties: { Method: GET } }"), "a route has Method and Path"),
        (event("{ Type: HttpApi, Properties: { Method: GET, Path: /, Auth: {} } }"), "unknown field `Auth`"),
        (
            event("{ Type: DynamoDB, Properties: { Stream: x, StartingPosition: LATEST } }"),
            "unknown variant `LATEST`, expected `TRIM_HORIZON`",
        ),
        (
            event("{ Type: DynamoDB, Properties: { Stream: x, StartingPosition: TRIM_HORIZON } }"),
            "Stream is no !GetAtt of a table's StreamArn",
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(problem), "{error} has not: {problem}");
    }
}
