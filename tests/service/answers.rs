//! The whole answer of every route and of every kind of problem, as snapshots. If an answer should change, run
//! `INSTA_UPDATE=always cargo test -p jobledger-tests --test service answers::` and read the difference.

use jobledger_tests::claims::ClaimedJob;
use jobledger_tests::keys::{add_key, with_key};
use jobledger_tests::snapshots::shown;
use jobledger_tests::{Call, Service, text};
use serde_json::{Value, json};

/// Sends the call, and compares its whole answer with the snapshot of this name.
async fn check(name: &str, call: Call) -> Value {
    let reply = call.send().await;
    insta::assert_json_snapshot!(name.replace(' ', "_"), shown(&reply));
    reply.json
}

fn job(body: &Value) -> String {
    format!("/v1/jobs/{}", text(&body["job_id"]))
}

#[tokio::test]
async fn routes_of_jobs_have_their_whole_answers() {
    let service = Service::start().await;
    let (post, get) = (|path: &str, body: Value| service.post(path, &body), |path: &str| service.get(path));
    let line = json!({
        "external_id": "7", "type": "render", "status": "failed", "priority": 3, "name": "a.mp4",
        "created_at": "2020-01-01T00:00:00Z", "started_at": "2020-01-01T00:01:00Z",
        "completed_at": "2020-01-01T00:01:01.250Z", "error": { "message": "no GPU", "failed_task": "encode" },
        "labels": { "team": "red", "model": "m1" }, "payload": [1], "result": { "done": 0.5 }, "cost_usd": "0.1234",
    });
    check("ingest", post("/v1/admin/ingest/jobs", json!([line, { "external_id": "8" }]))).await;
    let created =
        check("create", post("/v1/jobs", json!({ "type": "scrape", "payload": { "url": "x" } }))).await;
    let path = job(&created);
    service.settled().await;
    check("get", get(&path)).await;
    check("get a failed job", get(&job(get("/v1/jobs?status=failed").expect(200).await.at("/jobs/0")))).await;
    check("list", get("/v1/jobs?limit=1")).await;
    check("count", get("/v1/jobs/count")).await;
    check("stats", get("/v1/jobs/stats?from_date=2020-01-01&to_date=2020-01-02")).await;
    check("cost by team", get("/v1/analytics/cost/by-team?start=2020-01-01&end=2020-01-02")).await;
    check("batch status", post("/v1/jobs/batch-status", json!({ "job_ids": [created["job_id"]] }))).await;
    let claim = json!({ "worker_id": "w", "types": ["scrape"], "lease_seconds": 30 });
    let claimed = check("claim", post("/v1/jobs/claim", claim)).await;
    let claimed = ClaimedJob::of(&claimed["jobs"][0]);
    let report = json!({ "progress": { "current_task": "a", "overall_progress": 40 } });
    check("report progress", claimed.report(&service, &report)).await;
    check("report the end", claimed.report(&service, &json!({ "status": "completed", "result": 1 }))).await;
    check("edit", service.call("PATCH", &path).json(&json!({ "name": "b" }))).await;
    check("delete", service.call("DELETE", &path)).await;
    let path = job(&post("/v1/jobs", json!({ "type": "scrape" })).expect(201).await.json);
    check("cancel", service.call("POST", &format!("{path}/cancel"))).await;
    check("retry", service.call("POST", &format!("{path}/retry"))).await;
    check("bulk", post("/v1/jobs/bulk", json!({ "action": "cancel", "filter": { "type": "none" } }))).await;
    check("export link", service.staying("GET", "/v1/jobs/export").header("x-api-key", &service.key)).await;
}

#[tokio::test]
async fn other_routes_have_their_whole_answers() {
    let service = Service::start().await;
    let put = |path: &str, body: Value| service.call("PUT", path).json(&body);
    check("health", service.anonymous("GET", "/health")).await;
    check("a type by default", service.get("/v1/types/render")).await;
    let settings = json!({ "max_concurrency": 3, "stages": [{ "name": "load", "weight": 2 }] });
    check("put a type", put("/v1/types/render", settings)).await;
    let changed = service.call("PATCH", "/v1/types/render").json(&json!({ "max_attempts": 2 }));
    check("change a type", changed).await;
    check("pause a type", service.call("POST", "/v1/types/render/pause")).await;
    check("types", service.get("/v1/types")).await;
    check("resume a type", service.call("POST", "/v1/types/render/resume")).await;
    check("put a record", put("/v1/records/source/1", json!({ "status": "ready" }))).await;
    check("a record", service.get("/v1/records/source/1")).await;
    service.settled().await;
    check("count of records", service.get("/v1/records/count")).await;
    check("delete a record", service.call("DELETE", "/v1/records/source/1")).await;
    let key = json!({ "owner": "acme", "scopes": ["read"], "name": "ci" });
    let created = check("create a key", service.post("/v1/admin/keys", &key)).await;
    let path = format!("/v1/admin/keys/{}", text(&created["key_id"]));
    check("a key", service.get(&path)).await;
    check("keys", service.get("/v1/admin/keys?owner=acme")).await;
    check("change a key", service.call("PATCH", &path).json(&json!({ "name": "nightly" }))).await;
    check("revoke a key", service.call("DELETE", &path)).await;
    check(
        "usage of an owner without calls",
        service.get("/v1/usage?owner=acme&from_date=2020-01-01&to_date=2020-01-02"),
    )
    .await;
    check("recount", service.post("/v1/admin/recount", &json!({ "owner": "acme", "settle_seconds": 0 })))
        .await;
}

#[tokio::test]
async fn every_kind_of_problem_has_its_whole_answer() {
    let service = Service::start().await;
    add_key(&service, "reads", "default", &["read"], None).await;
    add_key(&service, "others", "other", &["read"], None).await;
    let post = |path: &str, body: Value| service.post(path, &body);
    let path = job(&post("/v1/jobs", json!({ "type": "a", "external_id": "e" })).expect(201).await.json);
    check("unauthenticated", service.anonymous("GET", "/v1/jobs")).await;
    check("missing scope", with_key(&service, "reads", "POST", "/v1/jobs").json(&json!({ "type": "a" })))
        .await;
    check("another owners job", with_key(&service, "others", "GET", &path)).await;
    check("no such route", service.get("/v1/nothing")).await;
    check("no such job", service.get("/v1/jobs/01981b5e-7c3a-7000-8000-000000000001")).await;
    check("no such record", service.get("/v1/records/source/1")).await;
    check("no such key", service.get("/v1/admin/keys/0000000000000000")).await;
    check("invalid query", service.get("/v1/jobs?limit=0&colour=red")).await;
    check("invalid body", post("/v1/jobs", json!({ "type": "a b", "priority": 11, "colour": "red" }))).await;
    check("no JSON", service.call("POST", "/v1/jobs").body("{")).await;
    check("body too large", service.call("POST", "/v1/jobs").body("x".repeat(5 * 1024 * 1024))).await;
    let gzip = service.call("POST", "/v1/jobs").header("content-encoding", "br").body("x");
    check("unsupported encoding", gzip).await;
    let keyed = |body: Value| service.post("/v1/jobs", &body).header("idempotency-key", "k");
    keyed(json!({ "type": "a" })).expect(201).await;
    check("idempotency key reused", keyed(json!({ "type": "b" }))).await;
    check("external id taken", post("/v1/jobs", json!({ "type": "b", "external_id": "e" }))).await;
    check("status conflict", service.call("POST", &format!("{path}/retry"))).await;
    let token = "f.1.60.0.00000000000000000000000000000001.a";
    let report = json!({ "lease_token": token, "status": "completed" });
    check("lease lost", service.call("PATCH", &path).json(&report)).await;
    let limited = json!({ "owner": "default", "scopes": ["read"], "requests_per_minute": 1, "burst": 1 });
    let key = text(&post("/v1/admin/keys", limited).expect(201).await.json["key"]);
    with_key(&service, &key, "GET", "/v1/jobs").expect(200).await;
    check("too many requests", with_key(&service, &key, "GET", "/v1/jobs")).await;
    service.settled().await;
    let full = json!({ "owner": "default", "scopes": ["write"], "storage_quota_bytes": 0 });
    let key = text(&post("/v1/admin/keys", full).expect(201).await.json["key"]);
    check("over the quota", with_key(&service, &key, "POST", "/v1/jobs").json(&json!({ "type": "a" }))).await;
}
