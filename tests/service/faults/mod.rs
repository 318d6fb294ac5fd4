//! Failures of DynamoDB: down, slow, throttled, broken, in conflict, partly done, done without an answer. Each function
//! runs by itself behind a proxy. Also stored data that cannot be read.

mod broken_off;
mod corrupt;
mod interleaved;
mod lasting;
mod lost_answers;
mod lost_answers_of_keys;
mod lost_answers_of_queue;
mod passing;
mod stale;
mod throttled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::dynamo::{Dynamo, Item, text};
use jobledger_tests::faults::{Proxy, SECRET};
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

/// A stack in which tests create jobs and read their state.
struct FaultFixture {
    service: Service,
    dynamo: Dynamo,
    jobs: String,
}

/// A function behind a proxy that at first forwards all requests.
struct ProxiedFunction {
    function: Alone,
    proxy: Proxy,
}

impl FaultFixture {
    async fn start() -> Self {
        let service = Service::start().await;
        let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
        let jobs = service.stack.environment("get-job").expect("the function").vars["JOBS_TABLE"].clone();
        Self { service, dynamo, jobs }
    }

    /// The function behind its own proxy, started while DynamoDB works.
    async fn behind(&self, name: &str) -> ProxiedFunction {
        self.behind_by(name, system_clock).await
    }

    /// The same, with a clock that stands still: the function never runs out of time.
    async fn patient(&self, name: &str) -> ProxiedFunction {
        static NOW: LazyLock<Timestamp> = LazyLock::new(system_clock);
        self.behind_by(name, || *NOW).await
    }

    /// The same, with a clock that moves ten seconds at each reading: the function soon runs out of time.
    async fn hurried(&self, name: &str) -> ProxiedFunction {
        static LOOKS: AtomicI64 = AtomicI64::new(0);
        self.behind_by(name, || system_clock().plus_millis(10_000 * LOOKS.fetch_add(1, Ordering::Relaxed)))
            .await
    }

    async fn behind_by(&self, name: &str, clock: fn() -> Timestamp) -> ProxiedFunction {
        let proxy = Proxy::start(self.service.stack.dynamodb_endpoint()).await;
        let environment = Environment { clock, ..self.service.environment_at(name, proxy.url()) };
        ProxiedFunction { function: Alone::start(name, environment).await, proxy }
    }

    async fn function_at(&self, name: &str, endpoint: &str) -> Alone {
        Alone::start(name, self.service.environment_at(name, endpoint)).await
    }

    /// Creates a job directly, past every proxy; returns its id.
    async fn job(&self, body: &Value) -> String {
        let reply = self.service.post("/v1/jobs", body).expect(201).await;
        reply.at("/job_id").as_str().expect("an id").to_owned()
    }

    /// Creates a job and claims it; returns its id and its lease token.
    async fn held(&self, kind: &str) -> (String, String) {
        // The priority is the highest, so the claim returns this job.
        let id = self.job(&json!({ "type": kind, "payload": 1, "priority": 10, "max_attempts": 2 })).await;
        let body = json!({ "worker_id": "w", "types": [kind] });
        let reply = self.service.post("/v1/jobs/claim", &body).expect(200).await;
        assert_eq!(reply.at("/jobs/0/job_id"), &json!(id), "{}", reply.text);
        (id, reply.at("/jobs/0/lease_token").as_str().expect("a token").to_owned())
    }

    /// All heads, by their ids.
    async fn heads(&self) -> BTreeMap<String, Item> {
        let items = self.dynamo.scan(&self.jobs).await.into_iter();
        let heads = items.filter(|item| text(item, "part") == "head");
        heads.map(|item| (text(&item, "job_id").to_owned(), item)).collect()
    }

    /// A request to each function that uses DynamoDB and answers in one piece. It names jobs that exist.
    async fn requests(&self) -> Vec<(&'static str, Request)> {
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            ids.push(self.job(&json!({ "type": "render", "payload": { "frames": 3 } })).await);
        }
        let limit =
            Request::new("PUT", "/v1/types/limited").body(r#"{"max_concurrency":9,"backoff_seconds":0}"#);
        let reply = self
            .function_at("type-settings", self.service.stack.dynamodb_endpoint())
            .await
            .call(&limit)
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        for kind in ["free", "limited"] {
            self.job(&json!({ "type": kind, "payload": { "frames": 3 } })).await;
        }
        let held = [self.held("worked").await, self.held("worked").await, self.held("limited").await];
        let cancelled = self.job(&json!({ "type": "worked" })).await;
        self.service.call("POST", &format!("/v1/jobs/{cancelled}/cancel")).expect(200).await;
        for id in ["1", "2"] {
            self.service.call("PUT", &format!("/v1/records/source/{id}")).expect(201).await;
        }
        // From now on it is only read.
        self.service.get("/v1/admin/ingest").expect(200).await;
        self.service.settled().await;
        let job = |number: usize| format!("/v1/jobs/{}", ids[number]);
        let report = |number: usize, mut report: Value| {
            let (id, token) = &held[number];
            report["lease_token"] = json!(token);
            Request::new("PATCH", &format!("/v1/jobs/{id}")).body(report.to_string())
        };
        let claim = |kind: &str| {
            let body = json!({ "worker_id": "w", "types": [kind], "max": 3 });
            Request::new("POST", "/v1/jobs/claim").body(body.to_string())
        };
        let line = r#"{"external_id":"1","type":"render","status":"queued","payload":1}"#;
        for _ in 0..2 {
            let made = json!({ "owner": "a", "scopes": ["read"] });
            let made = self.service.post("/v1/admin/keys", &made).expect(201).await;
            keys.push(format!("/v1/admin/keys/{}", made.at("/key_id").as_str().expect("an id")));
        }
        let mut requests = requests_to_types();
        requests.extend(requests_to_counts());
        requests.extend([
            (
                "create-job",
                Request::new("POST", "/v1/jobs").body(r#"{"type":"render","payload":{"frames":1}}"#),
            ),
            ("list-jobs", Request::new("GET", "/v1/jobs?limit=2")),
            (
                "list-jobs",
                Request::new("GET", "/v1/jobs?limit=2&offset=1&created_after=2026-01-01T00:00:01Z"),
            ),
            ("export-link", Request::new("GET", "/v1/jobs/export?type=render")),
            ("list-workers", Request::new("GET", "/v1/workers")),
            ("costs", Request::new("GET", "/v1/analytics/cost/by-team?start=2026-01-01")),
            ("get-job", Request::new("GET", &job(0))),
            (
                "batch-status",
                Request::new("POST", "/v1/jobs/batch-status")
                    .body(json!({ "job_ids": [ids[0]] }).to_string()),
            ),
            ("cancel-job", Request::new("POST", &format!("{}/cancel", job(1)))),
            ("delete-job", Request::new("DELETE", &job(2))),
            (
                "bulk-jobs",
                Request::new("POST", "/v1/jobs/bulk").body(r#"{"action":"cancel","filter":{"type":"none"}}"#),
            ),
            ("claim-jobs", claim("free")),
            ("claim-jobs", claim("limited")),
            ("update-job", report(0, json!({ "progress": { "current_task": "x", "overall_progress": 5 } }))),
            ("update-job", report(1, json!({ "status": "completed", "result": [1] }))),
            ("update-job", report(2, json!({ "status": "failed", "error": "x", "result": [1] }))),
            ("update-job", Request::new("PATCH", &job(0)).body(r#"{"priority":3,"metadata":{"x":1}}"#)),
            ("retry-job", Request::new("POST", &format!("/v1/jobs/{cancelled}/retry"))),
            ("ingest-jobs", Request::new("POST", "/v1/admin/ingest/jobs").body(line)),
            ("ingest-jobs", Request::new("GET", "/v1/admin/ingest")),
            ("record", Request::new("PUT", "/v1/records/source/1").body(r#"{"status":"ready"}"#)),
            ("record", Request::new("GET", "/v1/records/source/1")),
            ("record", Request::new("DELETE", "/v1/records/source/2")),
            ("get-record-count", Request::new("GET", "/v1/records/count?kind=source")),
            ("metrics", Request::new("GET", "/metrics")),
            ("usage", Request::new("GET", "/v1/usage")),
            ("recount", Request::new("POST", "/v1/admin/recount").body(r#"{"owner":"a"}"#)),
            (
                "keys",
                Request::new("POST", "/v1/admin/keys").body(r#"{"owner":"a","scopes":["read"],"name":"n"}"#),
            ),
            ("keys", Request::new("GET", "/v1/admin/keys?limit=1")),
            ("keys", Request::new("GET", "/v1/admin/keys?owner=a")),
            ("keys", Request::new("GET", &keys[0])),
            ("keys", Request::new("PATCH", &keys[0]).body(r#"{"scopes":["work"],"burst":7}"#)),
            ("keys", Request::new("DELETE", &keys[1])),
        ]);
        requests
    }

    /// No answer to a failure may contain any of these.
    #[track_caller]
    fn says_nothing_internal(&self, reply: &Reply) {
        let text = reply.text.to_lowercase();
        let endpoint = self.service.stack.dynamodb_endpoint();
        let tables = self.service.stack.environment("get-job").expect("the function").vars;
        let tables =
            tables.iter().filter(|(name, _)| name.ends_with("_TABLE")).map(|(_, table)| table.as_str());
        let words =
            [SECRET, endpoint, "http", "127.0.0.1", "exception", "dynamo", "table", "aws", "error:", "panic"];
        for word in tables.chain(words) {
            assert!(!text.contains(&word.to_lowercase()), "{word:?} in {}", reply.text);
        }
    }

    /// 503, with `Retry-After`, and nothing internal.
    #[track_caller]
    fn is_unavailable(&self, what: &str, reply: &Reply) {
        // A scrape shows it as a number.
        if what.starts_with("metrics") {
            assert_eq!(reply.status, 200, "{what}: {}", reply.text);
            assert!(reply.text.contains("\njobledger_dynamodb_up 0\n"), "{what}: {}", reply.text);
            return;
        }
        self.is_problem(what, reply, 503, "store_unavailable");
        let after = reply.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{what}: {:?}", reply.headers);
    }

    /// A problem with this status and code, and nothing internal.
    #[track_caller]
    fn is_problem(&self, what: &str, reply: &Reply, status: u16, code: &str) {
        assert_eq!((reply.status, reply.at("/code")), (status, &json!(code)), "{what}: {}", reply.text);
        assert_eq!(reply.at("/status"), &json!(status), "{what}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
        assert!(reply.header("x-request-id").is_some(), "{what}");
        self.says_nothing_internal(reply);
    }
}

impl ProxiedFunction {
    async fn call(&self, request: &Request) -> Reply {
        self.function.call(request).await
    }

    /// Calls once while DynamoDB works, so that the function caches the caller's key.
    async fn knows_the_key(self) -> Self {
        self.call(&Request::new("GET", "/v1/jobs/no-id")).await;
        self
    }
}

/// Functions that [`FaultFixture::requests`] does not call.
const OTHERS: [&str; 11] = [
    // Called by streams and schedules: `counting`, `broken_off`, `background`, `reaper`, `routes::recount`.
    "tally-jobs",
    "delete-job-data",
    "run-background-tasks",
    "reap-leases",
    "schedule-recount",
    // Called by an operator, without HTTP: `lost_answers_of_keys`.
    "create-admin-key",
    // Streams its answer: `routes::jobs::export::stream::broken`.
    "export-jobs",
    // Answers with the faults that it finds: `routes::health::detailed`.
    "detailed-health",
    // Asks another server: `routes::api::metrics`.
    "query-metrics",
    // Touch nothing.
    "health",
    "no-route",
];

#[tokio::test]
async fn every_function_is_tested_with_faults() {
    let fixture = FaultFixture::start().await;
    let requests = fixture.requests().await;
    let asked: BTreeSet<&str> = requests.iter().map(|(name, _)| *name).collect();
    let functions = fixture.service.stack.template().functions.iter().map(|function| function.name.as_str());
    let mut expected: BTreeSet<&str> = functions.collect();
    for other in OTHERS {
        assert!(expected.remove(other), "{other} is no function");
    }
    assert_eq!(asked, expected);
}

fn requests_to_counts() -> [(&'static str, Request); 4] {
    let get = |path: &str| Request::new("GET", path);
    [
        ("get-job-count", get("/v1/jobs/count?created_after=2026-01-01T00:00:01Z&priority=0")),
        ("get-job-count", get("/v1/jobs/count?by=state")),
        ("get-job-stats", get("/v1/jobs/stats?created_after=2026-01-01T00:00:01Z")),
        ("get-job-stats", get("/v1/jobs/failures?type=render")),
    ]
}

fn requests_to_types() -> Vec<(&'static str, Request)> {
    let settings = [
        Request::new("GET", "/v1/types/render"),
        Request::new("PUT", "/v1/types/render").body(r#"{"max_concurrency":3}"#),
        Request::new("PATCH", "/v1/types/render").body(r#"{"max_attempts":3}"#),
        Request::new("GET", "/v1/types?limit=2"),
        Request::new("POST", "/v1/types/other/pause"),
        Request::new("POST", "/v1/types/other/resume"),
    ];
    settings.map(|request| ("type-settings", request)).to_vec()
}
