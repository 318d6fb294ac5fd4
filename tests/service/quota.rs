//! Storage quotas: calls that a key may not make once its owner stores too much, as the stream has counted it.

use jobledger::counts::HEAD_BYTES;
use jobledger_tests::dynamo::Dynamo;
use jobledger_tests::keys::{id_and_key, with_key};
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Call, Reply, Service, text};
use serde_json::{Value, json};

/// The bytes of one job of [`body`]: its payload, and a constant for each job.
const JOB_BYTES: u64 = r#"{"payload":12345}"#.len() as u64 + HEAD_BYTES;

fn body() -> Value {
    json!({ "type": "a", "payload": 12_345 })
}

/// A stack with a key whose quota has room for two jobs.
struct QuotaFixture {
    service: Service,
    key: String,
}

impl QuotaFixture {
    async fn start() -> Self {
        Self::with_quota(JOB_BYTES + 1).await
    }

    async fn with_quota(bytes: u64) -> Self {
        let service = Service::start().await;
        let key = json!({ "owner": "acme", "scopes": ["admin"], "storage_quota_bytes": bytes });
        let (_, key) = id_and_key(&service, &key).await;
        Self { service, key }
    }

    fn call(&self, method: &str, path: &str) -> Call {
        with_key(&self.service, &self.key, method, path)
    }

    /// Creates a job, and waits until it is counted.
    async fn create(&self) -> String {
        let reply = self.call("POST", "/v1/jobs").json(&body()).expect(201).await;
        self.service.settled().await;
        text(reply.at("/job_id"))
    }

    /// A fixture with two jobs, whose quota has no room for a third.
    async fn full() -> (Self, [String; 2]) {
        let fixture = Self::start().await;
        let jobs = [fixture.create().await, fixture.create().await];
        (fixture, jobs)
    }

    async fn items(&self) -> usize {
        let table =
            self.service.stack.environment("get-job").expect("the function").vars["JOBS_TABLE"].clone();
        Dynamo::at(self.service.stack.dynamodb_endpoint()).scan(&table).await.len()
    }
}

#[track_caller]
fn is_full(reply: &Reply) {
    is_problem(reply, 403, "quota_exceeded");
    let detail = text(reply.at("/detail"));
    assert!(detail.contains(&format!("{} bytes", 2 * JOB_BYTES)), "{detail}");
}

#[tokio::test]
async fn over_the_quota_new_jobs_are_refused_and_other_calls_pass() {
    let (fixture, jobs) = QuotaFixture::full().await;
    let before = fixture.items().await;
    is_full(&fixture.call("POST", "/v1/jobs").json(&body()).send().await);
    is_full(&fixture.call("POST", "/v1/jobs").json(&json!({ "type": "without-payload" })).send().await);
    let line = json!([{ "external_id": "e", "type": "a", "status": "queued" }]);
    is_full(&fixture.call("POST", "/v1/admin/ingest/jobs").json(&line).send().await);
    assert_eq!(fixture.items().await, before, "a refused job leaves nothing behind");

    // The key can still read, work on, change and delete its jobs.
    for path in
        ["/v1/jobs", "/v1/jobs/count", "/v1/jobs/stats", "/v1/usage", &format!("/v1/jobs/{}", jobs[0])]
    {
        fixture.call("GET", path).expect(200).await;
    }
    let claim = json!({ "worker_id": "w", "types": ["a"] });
    let claimed = fixture.call("POST", "/v1/jobs/claim").json(&claim).expect(200).await;
    let report = json!({
        "lease_token": claimed.at("/jobs/0/lease_token"), "status": "completed", "result": "what it gave",
    });
    let path = format!("/v1/jobs/{}", text(claimed.at("/jobs/0/job_id")));
    fixture.call("PATCH", &path).json(&report).expect(200).await;
    fixture.call("DELETE", &path).expect(200).await;
    fixture.service.settled().await;
    let bulk = json!({ "action": "delete", "filter": { "type": "a" } });
    fixture.create().await;
    assert_eq!(fixture.call("POST", "/v1/jobs").json(&body()).send().await.status, 403);
    let bulk = fixture.call("POST", "/v1/jobs/bulk").json(&bulk).expect(202).await;
    fixture.service.settled().await;
    // The job of the bulk action takes storage as any job does: its filter and its result.
    fixture.call("DELETE", &format!("/v1/jobs/{}", text(bulk.at("/job_id")))).expect(200).await;
    fixture.service.settled().await;
    assert_eq!(fixture.call("GET", "/v1/jobs?type=a").expect(200).await.at("/total"), 0);
    fixture.create().await;
}

#[tokio::test]
async fn a_quota_holds_only_for_its_key() {
    let (fixture, _) = QuotaFixture::full().await;
    let (_, free) =
        id_and_key(&fixture.service, &json!({ "owner": "acme", "scopes": ["write", "read"] })).await;
    let larger = json!({ "owner": "acme", "scopes": ["write"], "storage_quota_bytes": 3 * JOB_BYTES });
    let (_, larger) = id_and_key(&fixture.service, &larger).await;
    let create = |key: &str| with_key(&fixture.service, key, "POST", "/v1/jobs").json(&body());
    is_full(&create(&fixture.key).send().await);
    create(&larger).expect(201).await;
    fixture.service.settled().await;
    is_problem(&create(&larger).send().await, 403, "quota_exceeded");
    create(&free).expect(201).await;
    // The quota concerns the owner's storage. Another owner has room.
    fixture.call("POST", "/v1/jobs?owner=other").json(&body()).expect(201).await;
    let stats = with_key(&fixture.service, &free, "GET", "/v1/jobs/stats").expect(200).await;
    assert_eq!(
        (stats.at("/storage/quota_bytes"), stats.at("/storage/percent")),
        (&json!(null), &json!(null))
    );
}

#[tokio::test]
async fn an_idempotency_key_of_a_refused_job_may_be_used_again() {
    let (fixture, jobs) = QuotaFixture::full().await;
    let before = fixture.items().await;
    let create =
        |key: &str, body: &Value| fixture.call("POST", "/v1/jobs").header("idempotency-key", key).json(body);
    let named = json!({ "type": "a", "payload": 1, "external_id": "e" });
    is_full(&create("plain", &body()).send().await);
    is_full(&create("beside", &named).send().await);
    assert_eq!(fixture.items().await, before);
    for id in jobs {
        fixture.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    }
    fixture.service.settled().await;
    // Other bodies, so that neither key would be a repetition.
    create("plain", &json!({ "type": "b", "payload": 12_345 })).expect(201).await;
    create("beside", &json!({ "type": "b", "external_id": "f" })).expect(201).await;
}

#[tokio::test]
async fn over_the_quota_a_repeated_call_returns_the_existing_job() {
    let fixture = QuotaFixture::start().await;
    let create = |key: Option<&str>, body: &Value| {
        let call = fixture.call("POST", "/v1/jobs").json(body);
        match key {
            Some(key) => call.header("idempotency-key", key),
            None => call,
        }
    };
    let named = json!({ "type": "a", "payload": 12_345, "external_id": "e" });
    let first = create(Some("k"), &body()).expect(201).await;
    let second = create(None, &named).expect(201).await;
    fixture.service.settled().await;
    is_full(&create(None, &body()).send().await);
    for (first, again) in [(first, create(Some("k"), &body())), (second, create(None, &named))] {
        assert_eq!(again.expect(200).await.at("/job_id"), first.at("/job_id"));
    }
    is_full(&create(Some("k"), &json!({ "type": "b" })).send().await);
    is_full(&create(None, &json!({ "type": "b", "external_id": "e" })).send().await);
}

#[tokio::test]
async fn usage_shows_the_stored_bytes_and_the_quota() {
    let fixture = QuotaFixture::with_quota(4 * JOB_BYTES).await;
    for (jobs, percent) in [(1_u64, "25"), (2, "50"), (4, "100"), (5, "125")] {
        let key = json!({ "owner": "acme", "scopes": ["write"] });
        let (_, free) = id_and_key(&fixture.service, &key).await;
        let kept =
            fixture.call("GET", "/v1/jobs?type=a").expect(200).await.at("/total").as_u64().expect("a total");
        for _ in kept..jobs {
            with_key(&fixture.service, &free, "POST", "/v1/jobs").json(&body()).expect(201).await;
        }
        fixture.service.settled().await;
        for path in ["/v1/jobs/stats", "/v1/usage"] {
            let reply = fixture.call("GET", path).expect(200).await;
            let storage = reply.at("/storage");
            assert_eq!(
                (&storage["used_bytes"], &storage["quota_bytes"]),
                (&json!(jobs * JOB_BYTES), &json!(4 * JOB_BYTES)),
                "{path}"
            );
            assert!(storage["percent"].to_string().starts_with(percent), "{path}: {storage}");
        }
    }
}

#[tokio::test]
async fn a_quota_of_zero_refuses_every_job() {
    let fixture = QuotaFixture::with_quota(0).await;
    let reply = fixture.call("POST", "/v1/jobs").json(&json!({ "type": "a" })).send().await;
    is_problem(&reply, 403, "quota_exceeded");
    let stats = fixture.call("GET", "/v1/jobs/stats").expect(200).await;
    let storage = json!({ "used_bytes": 0, "quota_bytes": 0, "percent": null });
    assert_eq!(stats.at("/storage"), &storage, "of nothing there is no part");
    fixture.call("GET", "/v1/jobs").expect(200).await;
}

#[tokio::test]
async fn jobs_without_a_payload_count_against_the_quota() {
    let fixture = QuotaFixture::with_quota(2 * HEAD_BYTES).await;
    let bare = json!({ "type": "a" });
    for _ in 0..2 {
        fixture.call("POST", "/v1/jobs").json(&bare).expect(201).await;
    }
    fixture.service.settled().await;
    is_problem(&fixture.call("POST", "/v1/jobs").json(&bare).send().await, 403, "quota_exceeded");
    for path in ["/v1/jobs/stats", "/v1/usage"] {
        let reply = fixture.call("GET", path).expect(200).await;
        assert_eq!(reply.at("/storage/used_bytes"), &json!(2 * HEAD_BYTES), "{path}");
    }
}
