//! Claims that promise a first report: an attempt that nobody ever reported on costs nothing, a few times.

use jobledger_local::LOCAL_OWNER;
use jobledger_tests::Service;
use jobledger_tests::alone::Alone;
use jobledger_tests::alone::Request;
use jobledger_tests::claims::ClaimedJob;
use jobledger_tests::clock;
use jobledger_tests::direct::paused_environment;
use jobledger_tests::engine::Engine;
use jobledger_tests::problems::refuses;
use serde_json::{Value, json};

/// How long a lease lasts, and more, in milliseconds.
const LEASE_MS: u64 = 10_001;

/// Functions over one engine, on the paused clock of the runtime.
struct Fixture {
    engine: Engine,
    claimer: Alone,
    changer: Alone,
    reaper: Alone,
}

impl Fixture {
    async fn start() -> Self {
        clock::begin_paused();
        let engine = Engine::start();
        // The counter would have written this: the reaper looks at owners with running jobs.
        let table = engine.table("TALLIES_TABLE");
        for (scope, bucket) in [("*owners", LOCAL_OWNER), ("*", "total@a"), (LOCAL_OWNER, "total")] {
            let item =
                json!({ "scope": { "S": scope }, "bucket": { "S": bucket }, "alive:running": { "N": "1" } });
            engine.call("PutItem", &json!({ "TableName": table, "Item": item }));
        }
        let environment = paused_environment(&engine);
        let claimer = Alone::start("claim-jobs", environment.clone()).await;
        let changer = Alone::start("update-job", environment.clone()).await;
        let reaper = Alone::start("reap-leases", environment).await;
        Self { engine, claimer, changer, reaper }
    }

    async fn create(&self, body: &Value) -> String {
        let creator = Alone::start("create-job", paused_environment(&self.engine)).await;
        let reply = creator.call(&Request::new("POST", "/v1/jobs").body(body.to_string())).await;
        reply.at("/job_id").as_str().expect("an id").to_owned()
    }

    async fn claim(&self, acknowledge: bool) -> Option<ClaimedJob> {
        let body =
            json!({ "worker_id": "w", "types": ["a"], "lease_seconds": 10, "acknowledge": acknowledge });
        let reply = self.claimer.call(&Request::new("POST", "/v1/jobs/claim").body(body.to_string())).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.at("/jobs").as_array().expect("jobs").first().map(ClaimedJob::of)
    }

    async fn report(&self, held: &ClaimedJob, mut body: Value) -> u16 {
        body["lease_token"] = json!(held.token);
        let request = Request::new("PATCH", &format!("/v1/jobs/{}", held.id)).body(body.to_string());
        self.changer.call(&request).await.status
    }

    /// Lets the lease run out, and the reaper come by.
    async fn expire(&self) {
        clock::pass(LEASE_MS).await;
        let seen = self.reaper.invoke(&json!({})).await.expect("an answer");
        assert_eq!((&seen["errors"], &seen["whole"]), (&json!(0), &json!(true)), "{seen}");
    }

    async fn job(&self, id: &str) -> Value {
        let getter = Alone::start("get-job", paused_environment(&self.engine)).await;
        getter.call(&Request::new("GET", &format!("/v1/jobs/{id}"))).await.json
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_nobody_acknowledged_costs_nothing() {
    let fixture = Fixture::start().await;
    let id = fixture.create(&json!({ "type": "a" })).await;
    let lost = fixture.claim(true).await.expect("the job");
    fixture.expire().await;
    let job = fixture.job(&id).await;
    assert_eq!(
        (&job["status"], &job["attempt"], &job["max_attempts"]),
        (&json!("queued"), &json!(1), &json!(2))
    );
    assert_eq!(job["attempts"][0]["outcome"], "lease_expired");
    assert!(
        job["attempts"][0]["error"]["message"].as_str().is_some_and(|text| text.contains("acknowledged")),
        "{job}"
    );
    // It is due at once, and the old lease is lost.
    let held = fixture.claim(true).await.expect("the job");
    assert_eq!(held.job["attempt"], 2);
    assert_eq!(fixture.report(&lost, json!({})).await, 409);
    assert_eq!(fixture.report(&held, json!({})).await, 200);
    assert_eq!(fixture.report(&held, json!({ "status": "completed" })).await, 200);
}

#[tokio::test(start_paused = true)]
async fn the_first_report_makes_the_attempt_count() {
    for report in [json!({}), json!({ "progress": { "overall_progress": 1 } }), json!({ "phase": "p" })] {
        let fixture = Fixture::start().await;
        let id = fixture.create(&json!({ "type": "a" })).await;
        let held = fixture.claim(true).await.expect("the job");
        assert_eq!(fixture.report(&held, report.clone()).await, 200);
        fixture.expire().await;
        let job = fixture.job(&id).await;
        assert_eq!((&job["status"], &job["max_attempts"]), (&json!("failed"), &json!(1)), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_acknowledges_nothing() {
    let fixture = Fixture::start().await;
    let id = fixture.create(&json!({ "type": "a" })).await;
    fixture.claim(true).await.expect("the job");
    let edit = Request::new("PATCH", &format!("/v1/jobs/{id}")).body(r#"{"name":"n","priority":3}"#);
    assert_eq!(fixture.changer.call(&edit).await.status, 200);
    fixture.expire().await;
    assert_eq!(fixture.job(&id).await["status"], "queued");
}

#[tokio::test(start_paused = true)]
async fn without_a_promise_every_attempt_counts() {
    let fixture = Fixture::start().await;
    let id = fixture.create(&json!({ "type": "a" })).await;
    fixture.claim(false).await.expect("the job");
    fixture.expire().await;
    assert_eq!(fixture.job(&id).await["status"], "failed");
}

/// A job that stops every worker before its first report ends all the same.
#[tokio::test(start_paused = true)]
async fn five_attempts_in_a_row_cost_nothing_and_the_next_counts() {
    let fixture = Fixture::start().await;
    let id = fixture.create(&json!({ "type": "a" })).await;
    for attempt in 1..=5 {
        assert_eq!(fixture.claim(true).await.expect("the job").job["attempt"], attempt);
        fixture.expire().await;
        assert_eq!(fixture.job(&id).await["status"], "queued", "{attempt}");
    }
    fixture.claim(true).await.expect("the job");
    fixture.expire().await;
    let job = fixture.job(&id).await;
    assert_eq!(
        (&job["status"], &job["attempt"], &job["max_attempts"]),
        (&json!("failed"), &json!(6), &json!(6))
    );
    assert_eq!(job["error"]["code"], "lease_expired");
}

#[tokio::test(start_paused = true)]
async fn a_report_begins_the_row_anew() {
    let fixture = Fixture::start().await;
    let id = fixture.create(&json!({ "type": "a" })).await;
    for _ in 0..3 {
        for _ in 0..5 {
            fixture.claim(true).await.expect("the job");
            fixture.expire().await;
        }
        let held = fixture.claim(true).await.expect("the job");
        assert_eq!(fixture.report(&held, json!({ "status": "queued" })).await, 200);
    }
    assert_eq!(fixture.job(&id).await["status"], "queued");
}

#[tokio::test]
async fn a_promise_is_true_or_false() {
    let service = Service::shared().await;
    let claim = json!({ "worker_id": "w", "types": ["a"], "acknowledge": "yes" });
    refuses(&service.post("/v1/jobs/claim", &claim).send().await, 400, "invalid_body", &["acknowledge"]);
}
