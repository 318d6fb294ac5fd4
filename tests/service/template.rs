//! The template is the only list of routes, tables and streams: template and code must agree.

use jobledger_tests::workspace::function_binaries;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use jobledger::domain::{
    ExternalId, Fingerprint, Head, Job, JobError, JobId, JobName, Labels, MicroDollars, Owner, Percent,
    Phase, Progress, State, Status, TaskName, Timestamp, TraceId, TypeName,
};
use jobledger::http::RouteKey;
use jobledger::store::{AttributeMap, head_row, job_of_row, schema};
use jobledger_local::template::{Function, Index, Projection, Template};
use jobledger_local::{Options, Stack, TEMPLATE};

fn template() -> Template {
    Template::parse(TEMPLATE, &BTreeMap::new(), "").expect("our template")
}

#[test]
fn binaries_template_and_registry_name_the_same_functions() {
    let declared: BTreeSet<String> = template().functions.into_iter().map(|function| function.name).collect();
    let registered: BTreeSet<String> =
        jobledger_functions::all().iter().map(|function| function.name.to_owned()).collect();
    assert_eq!(declared, function_binaries());
    assert_eq!(registered, function_binaries());
}

#[test]
fn parameters_reach_the_functions_that_they_are_for() {
    let with = |name: &str, value: &str| {
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Template::parse(TEMPLATE, &given, "").map(|template| template.functions)
    };
    // At that level, the libraries under the functions would log whole events.
    assert!(with("LogLevel", "TRACE").is_err());
    for function in with("LogLevel", "ERROR").expect("our template") {
        assert_eq!(function.variables["LOG_LEVEL"], "ERROR", "{}", function.name);
    }
    for function in with("ScrapeToken", "scrape-0123456789").expect("our template") {
        let token = function.variables.get("SCRAPE_TOKEN").map(String::as_str);
        assert_eq!(token, (function.name == "metrics").then_some("scrape-0123456789"), "{}", function.name);
    }
    for function in with("WaitsPerKey", "20").expect("our template") {
        assert_eq!(function.variables["WAITS_PER_KEY"], "20", "{}", function.name);
    }
    for function in with("TypesPerOwner", "7").expect("our template") {
        assert_eq!(function.variables["TYPES_PER_OWNER"], "7", "{}", function.name);
    }
    for name in ["ReservedConcurrency", "TallyReservedConcurrency", "ReaperReservedConcurrency"] {
        for most in ["0", "5"] {
            assert_eq!(with(name, most).expect("our template").len(), function_binaries().len());
        }
        assert!(with(name, "-1").is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_stack_does_not_start_without_one_of_its_functions() {
    let mut functions = jobledger_functions::all();
    let missing = functions.pop().expect("a function");
    let error = Stack::start(Options::default(), functions).await.expect_err("a function is missing");
    assert!(error.to_string().contains(missing.name), "{error}");
}

/// The method, the path and the function of each route in the template.
fn declared_routes() -> BTreeSet<(String, String, String)> {
    let mut declared = BTreeSet::new();
    for function in template().functions {
        for target in function.routes.iter().filter_map(|route| route.target.as_ref()) {
            declared.insert((target.method.clone(), target.path.clone(), function.name.clone()));
        }
    }
    declared
}

/// The method, the path and the function of each route in the code.
fn served_routes() -> BTreeSet<(String, String, String)> {
    let mut served = BTreeSet::new();
    for function in jobledger_functions::all() {
        for RouteKey { method, path } in (function.routes)() {
            served.insert((method.to_owned(), path.to_owned(), function.name.to_owned()));
        }
    }
    served
}

#[test]
fn functions_serve_the_routes_that_the_template_declares() {
    assert_eq!(served_routes(), declared_routes());
}

/// The code determines the table of routes for `cargo lambda watch`. `JOBLEDGER_WRITE_ROUTER` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "whoever adds a route asks for the table by a variable")]
fn cargo_lambda_serves_the_routes_of_the_code() {
    const HEAD: &str = "[workspace.metadata.lambda.watch.router]\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let manifest = fs::read_to_string(path).expect("a manifest");
    let (before, written) = manifest.split_once(HEAD).expect("a table of routes at the end");
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (method, path, function) in served_routes() {
        // The rest of a path, in the syntax of cargo-lambda's router.
        let path = path.replace("{id+}", "{*id}");
        let route = format!("{{ method = \"{method}\", function = \"{function}\" }}");
        lines.entry(path).or_default().push(route);
    }
    let table: Vec<String> =
        lines.iter().map(|(path, routes)| format!("\"{path}\" = [{}]\n", routes.join(", "))).collect();
    let table = table.concat();
    if std::env::var_os("JOBLEDGER_WRITE_ROUTER").is_some() {
        fs::write(path, format!("{before}{HEAD}{table}")).expect("the manifest is written");
        return;
    }
    assert_eq!(written, table, "run this test with JOBLEDGER_WRITE_ROUTER=1");
}

/// The text of a resource of the template.
fn block(id: &str) -> String {
    let (_, resources) = TEMPLATE.split_once("\nResources:\n").expect("resources");
    let (_, block) = resources.split_once(&format!("\n  {id}:\n")).expect("a resource");
    let lines = block.lines().take_while(|line| !line.starts_with("  ") || line.starts_with("   "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The functions that write audit lines.
const AUDITED: [&str; 6] =
    ["keys", "create-admin-key", "bulk-jobs", "recount", "schedule-recount", "run-background-tasks"];

/// Only AWS would show this: the local stack has no accounts that run out, and no logs that are deleted.
#[test]
fn logs_tables_and_the_functions_that_nobody_calls_are_protected() {
    let says = |id: &str, words: &[&str]| {
        let block = block(id);
        for word in words {
            assert!(block.contains(word), "{id} has no {word:?}:\n{block}");
        }
    };
    let retained = ["DeletionPolicy: Retain", "UpdateReplacePolicy: Retain"];
    for Function { id, name, .. } in template().functions {
        let logs = format!("{}Logs", id.strip_suffix("Function").expect("the id of a function"));
        says(&id, &[&format!("LogGroup: !Ref {logs}")]);
        let days = if AUDITED.contains(&name.as_str()) { "AuditRetentionDays" } else { "LogRetentionDays" };
        says(&logs, &[&format!("RetentionInDays: !Ref {days}")]);
        says(&logs, &retained);
    }
    says("AccessLogs", &retained);
    says("HttpApi", &["\"ip\":\"$context.identity.sourceIp\""]);
    for table in ["Jobs", "Tallies", "Settings", "Tasks", "Records", "Usage"] {
        let table = format!("{table}Table");
        says(&table, &["DeletionProtectionEnabled: true", "MaxReadRequestUnits", "MaxWriteRequestUnits"]);
        says(&table, &retained);
    }
    says(
        "TallyJobsFunction",
        &["ReservedConcurrentExecutions: !If [ReservesForTally, !Ref TallyReservedConcurrency"],
    );
    says(
        "ReapLeasesFunction",
        &["ReservedConcurrentExecutions: !If [ReservesForReaper, !Ref ReaperReservedConcurrency"],
    );
    says("MissedTicksAlarm", &["!Ref ReapLeasesFunction", "Invocations", "TreatMissingData: breaching"]);
    says("RefusedCallers", &["!Ref AccessLogs", "401", "403"]);
}

#[test]
fn functions_that_add_up_numbers_may_write_them() {
    // The local stack imitates no permissions. Without this one, every call would fail, and only on AWS.
    let is_open = |function: &&Function| ["health", "metrics", "no-route"].contains(&function.name.as_str());
    let reads_stream = ["delete-job-data", "run-background-tasks", "tally-jobs"];
    let functions = template().functions;
    let (open, others): (Vec<&Function>, Vec<&Function>) = functions.iter().partition(is_open);
    assert_eq!(open.len(), 3);
    for function in others {
        let is_called = !function.routes.is_empty() || function.url.is_some();
        let is_called = is_called || reads_stream.contains(&function.name.as_str());
        assert_eq!(block(&function.id).contains("- !Ref UsagePolicy"), is_called, "{}", function.name);
    }
}

/// A job in each status, with every optional field.
fn heads() -> Vec<Head> {
    let time = |seconds: i64| Timestamp::from_millis(1_768_107_600_000 + seconds * 1_000);
    let ended = jobledger::domain::Ended {
        started_at: Some(time(1)),
        completed_at: time(2),
        expires_at: Some(time(90_000)),
    };
    let error = JobError { message: "it broke".into(), failed_task: Some("upload".into()), code: None };
    let states = [
        State::Queued { available_at: time(5) },
        State::Running {
            started_at: time(1),
            phase: Some(Phase::try_from("transcoding").expect("valid")),
            lease: None,
        },
        State::Completed(ended),
        State::Failed(ended, error),
        State::Cancelled(ended),
    ];
    let id = JobId::try_from("01981b5e-7c3a-7000-8000-000000000001").expect("valid");
    let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    states
        .into_iter()
        .map(|state| Head {
            job: Job {
                id,
                owner: Owner::try_from("default").expect("valid"),
                kind: TypeName::try_from("scrape").expect("valid"),
                external_id: Some(ExternalId::try_from("x-1").expect("valid")),
                name: Some(JobName::try_from("a name").expect("valid")),
                priority: 7,
                labels: Labels::try_from(labels.clone()).expect("valid"),
                created_at: time(0),
                updated_at: time(3),
                attempt: 1,
                max_attempts: 3,
                failures: 0,
                unheard: 0,
                timeout_seconds: Some(60),
                cost: Some(MicroDollars::try_from("0.5").expect("valid")),
                trace_id: Some(TraceId::try_from("4bf92f3577b34da6a3ce929d0e0e4736").expect("valid")),
                progress: Some(Progress {
                    current_task: Some(TaskName::try_from("transcode, second pass").expect("valid")),
                    current_task_progress: Some(Percent::try_from("33.33").expect("valid")),
                    overall_progress: Percent::try_from("66.67").expect("valid"),
                }),
                holder: None,
                last_try: None,
                arrival: None,
                bytes: 123_456,
                state,
            },
            shard: 0,
            fingerprint: Fingerprint::of(b"x"),
            written_by: id.as_uuid(),
            ttl_hours: 24,
            input: Some(id.as_uuid()),
            output: Some(id.as_uuid()),
            report: None,
            changed_by: None,
            retried_by: Some(id.as_uuid()),
        })
        .collect()
}

/// Whether an index has an attribute: always the keys of the table and of the index, else those that it projects.
fn holds(index: &Index, attribute: &str) -> bool {
    let projected = match &index.projection {
        Projection::All => true,
        Projection::KeysOnly => false,
        Projection::Include(names) => names.iter().any(|name| name == attribute),
    };
    projected
        || [schema::JOB_ID, schema::PART].contains(&attribute)
        || index.key.iter().any(|(name, _)| name == attribute)
}

#[test]
fn every_list_index_projects_all_that_a_list_shows() {
    let jobs = template().tables.into_iter().find(|table| table.name == "JobsTable").expect("the table");
    let lists = [
        schema::OWNER_INDEX,
        schema::STATUS_INDEX,
        schema::TYPE_INDEX,
        schema::TYPE_STATUS_INDEX,
        schema::QUEUE_INDEX,
    ];
    let names: Vec<&str> = jobs.indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(names, lists);
    for head in heads() {
        let row = head_row(&head).expect("valid");
        let waits = head.job.status() == Status::Queued;
        assert_eq!(row.contains_key(schema::QUEUE), waits, "only queued jobs are in the queue");
        for index in jobs.indexes.iter().filter(|index| index.name != schema::QUEUE_INDEX) {
            let seen: AttributeMap = row.clone().into_iter().filter(|(name, _)| holds(index, name)).collect();
            let shown = job_of_row(seen).expect("valid");
            // Lists read the progress of running jobs from their heads, and do not show `bytes`.
            let listed = Job { progress: None, bytes: 0, ..head.job.clone() };
            assert_eq!(shown, listed, "{}", index.name);
        }
    }
}

#[test]
fn a_typical_head_costs_one_write_unit() {
    for head in heads() {
        let bytes: usize = head_row(&head)
            .expect("valid")
            .into_iter()
            .map(|(name, value)| name.len() + format!("{value:?}").len().min(64))
            .sum();
        assert!(bytes < 1_024, "{bytes}");
    }
}
