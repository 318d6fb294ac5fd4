//! The progress of the running jobs in a list: the function reads it from their heads, and reads no others.

use std::sync::Arc;

use jobledger::domain::{Job, Percent, Status};
use jobledger::meter::Meter;
use jobledger::store::{Config, Store, job_of_row, with_heads};
use jobledger_tests::Service;
use jobledger_tests::dynamo::{Dynamo, Item, text};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::jobs::ingest;
use jobledger_tests::stored::tables;
use jobledger_tests::stream::BEGIN;
use serde_json::{Value, json};

/// A running job, whose progress is one hundredth more than that of the number before.
fn running(number: usize) -> Value {
    json!({
        "external_id": format!("r{number}"), "type": "a", "status": "running", "created_at": BEGIN, "started_at": BEGIN,
        "name": number.to_string(), "progress": { "current_task": "t", "overall_progress": format!("0.{number:02}").parse::<f64>().expect("a number") },
    })
}

fn ended(status: &str) -> Value {
    json!({
        "external_id": status, "type": "a", "status": status, "created_at": BEGIN, "completed_at": BEGIN,
        "progress": { "overall_progress": 5 }, "error": (status == "failed").then_some("why"),
    })
}

/// All jobs, as rows of an index.
async fn rows(service: &Service) -> Vec<Job> {
    let (store, config) = tables(service).await;
    let id = |item: &Item| jobledger::domain::JobId::try_from(text(item, "job_id")).expect("an id");
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&config.tables.jobs).await;
    let mut jobs = Vec::new();
    for item in items.iter().filter(|item| text(item, "part") == "head") {
        let plan = jobledger::store::plans::get_head(&config.tables, id(item));
        let mut row = store.get(plan).await.expect("an answer").expect("the head");
        row.remove("progress");
        row.remove("bytes");
        jobs.push(job_of_row(row).expect("a job"));
    }
    jobs
}

#[tokio::test]
async fn only_running_jobs_of_a_page_are_read_for_progress_and_in_parallel() {
    let service = Service::start().await;
    let mut jobs: Vec<Value> = (0..100).map(running).collect();
    jobs.extend((100..140).map(|number| {
        let mut job = running(0);
        job["external_id"] = json!(format!("silent{number}"));
        job["progress"] = json!(null);
        job
    }));
    jobs.extend(["completed", "failed", "cancelled"].map(ended));
    jobs.push(json!({ "external_id": "q", "type": "a", "status": "queued" }));
    assert_eq!(ingest(&service, &json!(jobs)).await, [144, 0, 0, 0]);
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let environment = service.environment_at("list-jobs", proxy.url());
    let config = Config::from_vars(&environment.vars).expect("its settings");
    let meter = Arc::new(Meter::default());
    let store = Store::connect(config.endpoint.as_ref(), Some(Arc::clone(&meter)), None).await;

    let mut filled = rows(&service).await;
    assert!(filled.iter().all(|job| job.progress.is_none()));
    // A job that the list has but that was deleted since has no progress.
    let mut gone = filled.iter().find(|job| job.status() == Status::Running).expect("one runs").clone();
    gone.id = jobledger::domain::JobId::from(jobledger::Environment::fresh_id());
    filled.push(gone);
    let before = filled.clone();
    proxy.plan(|_| Fault::None);
    with_heads(&store, &config.tables, &mut filled).await.expect("progress");
    let spent = meter.take();
    // 141 running jobs take two reads at the same time. A unit reads two items under 4 KB.
    assert_eq!((spent.requests, spent.round_trips), (2, 1));
    assert!(spent.read_units <= 70.5, "{spent:?}");
    for (job, before) in filled.iter().zip(&before) {
        let number = job
            .name
            .as_ref()
            .filter(|_| job.external_id.as_ref().is_some_and(|id| id.as_str().starts_with('r')));
        let expect = number.filter(|_| filled.last().is_some_and(|gone| gone.id != job.id));
        let overall = job.progress.as_ref().map(|progress| progress.overall_progress);
        let expect = expect.map(|number| {
            Percent::try_from(number.as_str().parse::<u16>().expect("a number")).expect("a share")
        });
        assert_eq!(overall, expect, "{job:?}");
        assert_eq!(&Job { progress: None, ..job.clone() }, before, "nothing else changed");
    }
    // The function reads again the keys that the store left undone.
    let mut again = before.clone();
    proxy.plan(|_| Fault::LeftOver(30));
    with_heads(&store, &config.tables, &mut again).await.expect("progress");
    assert_eq!(again, filled);
    assert!(meter.take().requests > 2);
    // If no job runs, the function reads nothing.
    let mut still: Vec<Job> = before.into_iter().filter(|job| job.status() != Status::Running).collect();
    let as_they_were = still.clone();
    with_heads(&store, &config.tables, &mut still).await.expect("nothing to read");
    assert_eq!((still, meter.take().requests), (as_they_were, 0));
}
