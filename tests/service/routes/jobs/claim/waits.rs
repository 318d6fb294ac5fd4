//! How often a claim that waits looks: on the paused clock of the runtime, so that no time is measured.

use std::sync::Arc;

use jobledger::Environment;
use jobledger::bell::Bell;
use jobledger::meter::Meter;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::clock;
use jobledger_tests::direct::paused_environment;
use jobledger_tests::engine::Engine;
use serde_json::{Value, json};

/// Functions of one process over one engine.
struct Fixture {
    engine: Engine,
    bell: Bell,
    meter: Arc<Meter>,
    claimer: Alone,
}

impl Fixture {
    async fn start() -> Self {
        clock::begin_paused();
        let (engine, bell, meter) = (Engine::start(), Bell::default(), Arc::new(Meter::default()));
        let environment = Environment {
            bell: bell.clone(),
            meter: Some(Arc::clone(&meter)),
            ..paused_environment(&engine)
        };
        let claimer = Alone::start("claim-jobs", environment).await;
        let fixture = Self { engine, bell, meter, claimer };
        // The first claim also reads the key and the shards of the indexes.
        fixture.claim(0).await;
        fixture
    }

    /// A function that rings this bell.
    async fn function(&self, name: &str, bell: &Bell) -> Alone {
        let environment = Environment { bell: bell.clone(), ..paused_environment(&self.engine) };
        Alone::start(name, environment).await
    }

    /// Claims, and says which jobs came, after how many milliseconds, and by how many requests to the store.
    async fn claim(&self, wait_seconds: u32) -> (Vec<Value>, u64, u32) {
        self.meter.take();
        let began = clock::paused_now();
        let body = json!({ "worker_id": "w", "types": ["a"], "wait_seconds": wait_seconds }).to_string();
        let reply = self.claimer.call(&Request::new("POST", "/v1/jobs/claim").body(body)).await;
        let jobs = reply.at("/jobs").as_array().cloned().expect("jobs");
        (jobs, clock::paused_now().since(began), self.meter.take().requests)
    }
}

fn create() -> Request {
    Request::new("POST", "/v1/jobs").body(json!({ "type": "a" }).to_string())
}

#[tokio::test(start_paused = true)]
async fn a_claim_for_which_nothing_comes_looks_24_times() {
    let fixture = Fixture::start().await;
    for _ in 0..3 {
        let (jobs, waited_ms, requests) = fixture.claim(20).await;
        assert_eq!((jobs.len(), waited_ms), (0, 20_000));
        // A look is one request: half a read unit. Once a minute, the key and the shards are read again.
        assert!((24..=26).contains(&requests), "{requests} requests");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_same_process_queues_is_claimed_at_once() {
    let fixture = Fixture::start().await;
    let creator = fixture.function("create-job", &fixture.bell).await;
    let created = async {
        clock::pass(10_000).await;
        assert_eq!(creator.call(&create()).await.status, 201);
    };
    let ((jobs, waited_ms, requests), ()) = tokio::join!(fixture.claim(20), created);
    assert_eq!((jobs.len(), waited_ms), (1, 10_000));
    // 12 looks, and the look that finds the job: the queue, the type, the job and its input.
    assert!((13..=18).contains(&requests), "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_another_process_queues_is_claimed_soon_after_others_came() {
    let fixture = Fixture::start().await;
    let creator = fixture.function("create-job", &Bell::default()).await;
    let claimed_after = async |pause_ms: u64| {
        let created = async {
            clock::pass(pause_ms).await;
            assert_eq!(creator.call(&create()).await.status, 201);
        };
        let ((jobs, waited_ms, _), ()) = tokio::join!(fixture.claim(20), created);
        assert_eq!(jobs.len(), 1);
        waited_ms - pause_ms
    };
    assert!(claimed_after(10_050).await <= 900, "nothing came before");
    for pause_ms in [10, 250, 730] {
        assert!(claimed_after(pause_ms).await <= 100, "{pause_ms}");
    }
    assert!(claimed_after(3_990).await <= 500);
}

#[tokio::test(start_paused = true)]
async fn one_job_wakes_one_of_many_claims() {
    let fixture = Fixture::start().await;
    let creator = fixture.function("create-job", &fixture.bell).await;
    let created = async {
        // Between two looks.
        clock::pass(10_000).await;
        creator.call(&create()).await;
        creator.call(&create()).await;
    };
    let claims = futures_util::future::join_all((0..10).map(|_| fixture.claim(11)));
    let (claims, ()) = tokio::join!(claims, created);
    let mut waits: Vec<_> = claims.iter().map(|(jobs, waited_ms, _)| (*waited_ms, jobs.len())).collect();
    waits.sort_unstable();
    assert_eq!(waits[..2], [(10_000, 1), (10_000, 1)]);
    assert!(waits[2..].iter().all(|wait| *wait == (11_000, 0)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_and_a_slot_that_is_free_wake_a_claim() {
    let fixture = Fixture::start().await;
    let bell = &fixture.bell;
    let types = fixture.function("type-settings", bell).await;
    let (creator, changer) =
        (fixture.function("create-job", bell).await, fixture.function("update-job", bell).await);
    let retry = fixture.function("retry-job", bell).await;
    let put = Request::new("PUT", "/v1/types/a").body(json!({ "max_concurrency": 1 }).to_string());
    assert_eq!(types.call(&put).await.status, 200);
    creator.call(&create()).await;
    let (held, ..) = fixture.claim(0).await;
    creator.call(&create()).await;
    let job = |held: &Value| format!("/v1/jobs/{}", held["job_id"].as_str().expect("an id"));
    let report = |held: &Value, mut body: Value| {
        body["lease_token"] = held["lease_token"].clone();
        Request::new("PATCH", &job(held)).body(body.to_string())
    };
    let completed = async {
        clock::pass(10_000).await;
        let reply = changer.call(&report(&held[0], json!({ "status": "completed" }))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    };
    let ((next, waited_ms, _), ()) = tokio::join!(fixture.claim(20), completed);
    assert_eq!((next.len(), waited_ms), (1, 10_000));
    let failed = report(&next[0], json!({ "status": "failed", "error": "no" }));
    assert_eq!(changer.call(&failed).await.status, 200);
    let retried = async {
        clock::pass(15_000).await;
        let reply = retry.call(&Request::new("POST", &format!("{}/retry", job(&next[0])))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    };
    let ((again, waited_ms, _), ()) = tokio::join!(fixture.claim(20), retried);
    assert_eq!((again.len(), waited_ms), (1, 15_000));
}
