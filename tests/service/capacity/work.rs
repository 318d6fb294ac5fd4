//! The work queue: claims, reports, edits, retries.

use jobledger_tests::alone::Request;
use serde_json::{Value, json};

use super::{Bill, CostFixture, Metered, written};

fn claim(kind: &str, max: usize) -> Request {
    let body = json!({ "worker_id": "host-17.worker-3", "types": [kind], "max": max });
    Request::new("POST", "/v1/jobs/claim").body(body.to_string())
}

/// Creates typical jobs: with a name, labels and a small payload.
async fn create(fixture: &CostFixture, kind: &str, count: usize) {
    for _ in 0..count {
        let body = json!({
            "type": kind, "priority": 5, "name": "scene-000001.blend", "payload": { "frames": 25 },
            "labels": { "team": "pictures", "model": "cycles" }, "max_attempts": 2,
        });
        fixture.service.post("/v1/jobs", &body).expect(201).await;
    }
}

/// Calls, and compares the writes with the changed items of jobs. Each is written once, in no transaction.
async fn changed(fixture: &CostFixture, function: &Metered, request: &Request) -> (Value, Bill) {
    let before = fixture.jobs().await;
    let (reply, bill) = function.call(fixture, request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(bill.write, written(&fixture.jobs, &before, &fixture.jobs().await));
    (reply.json, bill)
}

async fn limit(fixture: &CostFixture, kind: &str) {
    let settings = json!({ "max_concurrency": 100, "backoff_seconds": 0 });
    fixture.service.call("PUT", &format!("/v1/types/{kind}")).json(&settings).expect(200).await;
}

#[tokio::test]
async fn claiming_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    limit(&fixture, "limited").await;
    let claimer = fixture.metered("claim-jobs").await;
    claimer.call(&fixture, &claim("render", 1)).await;
    let (_, bill) = changed(&fixture, &claimer, &claim("render", 10)).await;
    bill.show("claim of an empty queue");
    bill.within(1, 1, 0);
    let types: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    let body = json!({ "worker_id": "w", "types": types });
    let (_, bill) =
        changed(&fixture, &claimer, &Request::new("POST", "/v1/jobs/claim").body(body.to_string())).await;
    bill.show("claim of 20 empty queues");
    // A bound limits how many queues the function reads at once.
    bill.within(3, 10, 0);
    create(&fixture, "render", 11).await;
    let (jobs, bill) = changed(&fixture, &claimer, &claim("render", 1)).await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1));
    bill.show("claim of a job");
    bill.within(3, 4, 8);
    let (jobs, bill) = changed(&fixture, &claimer, &claim("render", 10)).await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(10));
    bill.show("claim of ten jobs");
    bill.within(3, 13, 80);
    create(&fixture, "limited", 1).await;
    let (reply, bill) = claimer.call(&fixture, &claim("limited", 1)).await;
    assert_eq!(reply.at("/jobs").as_array().map(Vec::len), Some(1));
    bill.show("claim of a job of a type with a limit");
    // A transaction costs twice as much; and there is the slot.
    bill.within(4, 5, 16);
}

#[tokio::test]
async fn reporting_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    limit(&fixture, "limited").await;
    create(&fixture, "render", 8).await;
    create(&fixture, "limited", 1).await;
    let claimer = fixture.metered("claim-jobs").await;
    let (reply, _) = claimer.call(&fixture, &claim("render", 8)).await;
    let held = reply.at("/jobs").as_array().expect("jobs").clone();
    let (reply, _) = claimer.call(&fixture, &claim("limited", 1)).await;
    let limited = reply.at("/jobs/0").clone();
    let report_of = |job: &Value, mut report: Value| {
        report["lease_token"] = job["lease_token"].clone();
        let path = format!("/v1/jobs/{}", job["job_id"].as_str().expect("an id"));
        Request::new("PATCH", &path).body(report.to_string())
    };
    let report = |number: usize, said: Value| report_of(&held[number], said);
    let function = fixture.metered("update-job").await;
    // The first call reads the key, and the settings of the type.
    function.call(&fixture, &report(0, json!({ "status": "failed", "error": "x" }))).await;
    let progress = json!({ "current_task": "render", "current_task_progress": 3, "overall_progress": 40 });
    let fails = json!({ "status": "failed", "error": { "message": "no GPU" } });
    for (what, number, said, round_trips, read, write) in [
        ("heartbeat", 1, json!({}), 1, 0, 1),
        ("heartbeat with progress", 1, json!({ "progress": progress }), 1, 0, 1),
        ("heartbeat with the same progress", 1, json!({ "progress": progress }), 1, 0, 1),
        ("completion", 1, json!({ "status": "completed" }), 1, 0, 8),
        ("completion with a cost", 2, json!({ "status": "completed", "cost_usd": 1 }), 1, 0, 8),
        ("completion with a result", 3, json!({ "status": "completed", "result": { "ok": true } }), 2, 0, 9),
        ("failure of a try, others left", 4, fails.clone(), 2, 1, 10),
        ("hand back", 5, json!({ "status": "queued" }), 2, 1, 10),
        ("a phase", 6, json!({ "phase": "uploading" }), 2, 1, 8),
    ] {
        let (_, bill) = changed(&fixture, &function, &report(number, said)).await;
        bill.show(what);
        bill.within(round_trips, read, write);
    }
    let (reply, bill) = function.call(&fixture, &report_of(&limited, json!({ "status": "completed" }))).await;
    assert_eq!(reply.status, 200);
    bill.show("completion, of a type with a limit");
    bill.within(2, 1, 16);
    // The write's condition fails. A report without a valid lease costs no read.
    let (reply, bill) = function.call(&fixture, &report(1, json!({}))).await;
    assert_eq!(reply.status, 409);
    bill.show("a report that is refused");
    bill.within(1, 0, 0);
}

#[tokio::test]
async fn editing_and_retrying_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    create(&fixture, "render", 2).await;
    let claimer = fixture.metered("claim-jobs").await;
    let (reply, _) = claimer.call(&fixture, &claim("render", 1)).await;
    let ids = fixture.service.get("/v1/jobs?status=queued").expect(200).await;
    let waits = format!("/v1/jobs/{}", ids.at("/jobs/0/job_id").as_str().expect("an id"));
    let unseen = fixture.service.post("/v1/jobs", &json!({ "type": "unseen" })).expect(201).await;
    let unseen = format!("/v1/jobs/{}", unseen.at("/job_id").as_str().expect("an id"));
    let runs = format!("/v1/jobs/{}", reply.at("/jobs/0/job_id").as_str().expect("an id"));
    let function = fixture.metered("update-job").await;
    let edit = |path: &str, body: Value| Request::new("PATCH", path).body(body.to_string());
    function.call(&fixture, &edit(&waits, json!({ "name": "x" }))).await;
    for (what, request, round_trips, read, write) in [
        // The function neither knows nor reads the settings of this type.
        ("edit of a name, of a new type", edit(&unseen, json!({ "name": "x" })), 2, 1, 5),
        ("edit of a priority, queued", edit(&waits, json!({ "priority": 9 })), 2, 1, 7),
        (
            "edit of a name and labels",
            edit(&runs, json!({ "name": "y", "labels": { "team": "b" } })),
            2,
            1,
            5,
        ),
        ("edit of metadata", edit(&waits, json!({ "metadata": { "x": 1 } })), 5, 2, 8),
        ("edit of a payload", edit(&waits, json!({ "payload": { "x": 1 } })), 5, 2, 8),
        ("a job put off", edit(&waits, json!({ "available_at": "2100-01-01T00:00:00Z" })), 2, 1, 7),
        ("other attempts", edit(&runs, json!({ "max_attempts": 5, "timeout_seconds": 60 })), 2, 1, 5),
    ] {
        let (_, bill) = function.call(&fixture, &request).await;
        bill.show(what);
        bill.within(round_trips, read, write);
    }
    fixture.service.call("POST", &format!("{runs}/cancel")).expect(200).await;
    fixture.service.call("POST", &format!("{waits}/cancel")).expect(200).await;
    let retrier = fixture.metered("retry-job").await;
    retrier.call(&fixture, &Request::new("POST", &format!("{waits}/retry"))).await;
    let (_, bill) = changed(&fixture, &retrier, &Request::new("POST", &format!("{runs}/retry"))).await;
    bill.show("retry");
    bill.within(2, 1, 8);
}

#[tokio::test]
async fn listing_workers_reads_the_heads_of_running_jobs() {
    let fixture = CostFixture::start().await;
    create(&fixture, "render", 11).await;
    let claimer = fixture.metered("claim-jobs").await;
    let (reply, _) = claimer.call(&fixture, &claim("render", 10)).await;
    assert_eq!(reply.at("/jobs").as_array().map(Vec::len), Some(10));
    let lister = fixture.metered("list-workers").await;
    let get = Request::new("GET", "/v1/workers");
    // The first call reads the key.
    lister.call(&fixture, &get).await;
    let (reply, bill) = lister.call(&fixture, &get).await;
    assert_eq!((reply.status, reply.at("/workers/0/jobs")), (200, &json!(10)), "{}", reply.text);
    bill.show("list of workers, of 10 running jobs");
    bill.within(2, 7, 0);
}
