//! Lives of jobs that the service's own functions write: they create, ingest, cancel and delete.

use aws_sdk_dynamodb::types::AttributeValue;
use jobledger::domain::{ExternalId, Head, JobId, Owner};
use jobledger::store::{AttributeMap, head_of_row};
use jobledger_tests::alone::Request;
use jobledger_tests::dynamo::Item;
use jobledger_tests::stream::Dice;
use serde_json::{Value, json};

use crate::engine::FunctionSet;
use crate::run::Run;

/// Calls of a run.
const CALLS: usize = 24;
/// Most jobs of one ingest.
const MAX_LINES: usize = 6;
/// Different ids of ingested jobs; they repeat.
const EXTERNAL_IDS: u64 = 12;

/// Calls functions that write, and notes their writes.
pub(crate) async fn live(run: &mut Run<'_>, dice: &mut Dice) {
    for _ in 0..CALLS {
        let (owner, kind) = (dice.pick(&run.history.owners).clone(), dice.pick(&run.history.kinds).clone());
        let ids: Vec<JobId> = run.history.heads.keys().copied().collect();
        let some = (!ids.is_empty()).then(|| *dice.pick(&ids));
        let touched = match (dice.roll(6), some) {
            (0, Some(id)) => vec![end(run, "cancel-job", "POST", id, "/cancel").await],
            (1, Some(id)) => vec![end(run, "delete-job", "DELETE", id, "").await],
            (2 | 3, _) => ingest(run.functions, &owner, &kind, dice).await,
            _ => vec![create(run.functions, &owner, &kind, dice).await],
        };
        for id in touched {
            note(run, id);
        }
        if dice.is_one_in(4) {
            run.deliver().await;
        }
    }
    run.is_written();
}

/// Notes the new state of a job.
fn note(run: &mut Run<'_>, id: JobId) {
    let old = run.history.heads.get(&id).cloned();
    let new = run.functions.head(id).map(head);
    if old != new {
        let place = run.history.writes.len();
        run.history.note(old, new);
        run.take(place, &[id]);
    }
}

fn head(item: Item) -> Head {
    head_of_row(attributes(&Value::Object(item))).expect("a head")
}

fn attributes(item: &Value) -> AttributeMap {
    let attribute = |value: &Value| {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        text("S")
            .map(AttributeValue::S)
            .or_else(|| text("N").map(AttributeValue::N))
            .unwrap_or_else(|| AttributeValue::M(attributes(&value["M"])))
    };
    item.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

async fn create(functions: &FunctionSet, owner: &str, kind: &str, dice: &mut Dice) -> JobId {
    let body = json!({
        "type": kind, "priority": dice.roll(4), "name": dice.pick(&["Report.PDF", "x"]),
        "payload": "x".repeat(dice.below(500)), "labels": { "team": dice.pick(&["red", "blue"]) },
    });
    let request = Request::new("POST", &format!("/v1/jobs?owner={owner}")).body(body.to_string());
    let reply = functions.writer("create-job").call(&request).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    JobId::try_from(reply.json["job_id"].as_str().expect("an id")).expect("an id")
}

async fn ingest(functions: &FunctionSet, owner: &str, kind: &str, dice: &mut Dice) -> Vec<JobId> {
    let mut ids = Vec::new();
    let mut lines = Vec::new();
    for _ in 0..=dice.below(MAX_LINES) {
        let name = format!("line-{}", dice.roll(EXTERNAL_IDS));
        let external_id = ExternalId::try_from(name.as_str()).expect("an id");
        let id = JobId::of_external_id(&Owner::try_from(owner).expect("an owner"), &external_id);
        if ids.contains(&id) {
            continue;
        }
        let minute = dice.roll(60);
        lines.push(
            json!({
                "external_id": name, "type": kind, "created_at": format!("2026-01-31T23:{minute:02}:59.999Z"),
                "status": dice.pick(&["queued", "processing", "completed", "failed", "canceled"]),
                "started_at": "2026-02-01T00:10:00Z", "completed_at": "2026-02-01T01:00:00Z",
                "labels": { "model": dice.pick(&["gpt-4", "x#y"]) }, "cost_usd": format!("0.{:06}", dice.roll(999_999)),
            })
            .to_string(),
        );
        ids.push(id);
    }
    let request =
        Request::new("POST", &format!("/v1/admin/ingest/jobs?owner={owner}")).body(lines.join("\n"));
    let reply = functions.writer("ingest-jobs").call(&request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    ids
}

/// Ends a job, if its status allows it.
async fn end(run: &Run<'_>, function: &str, method: &str, id: JobId, action: &str) -> JobId {
    let owner = &run.history.heads[&id].job.owner;
    let request = Request::new(method, &format!("/v1/jobs/{id}{action}?owner={owner}"));
    let reply = run.functions.writer(function).call(&request).await;
    assert!([200, 409].contains(&reply.status), "{}", reply.text);
    id
}
