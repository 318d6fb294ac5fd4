//! The cost of calls that wait: they keep a function busy, so they take more calls from their key's rate.

use futures_util::future::join_all;
use jobledger::domain::Timestamp;
use jobledger_local::LOCAL_KEY;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::direct::paused_environment;
use jobledger_tests::engine::Engine;
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Reply, clock, text};
use serde_json::{Value, json};

/// Functions over one engine, on the paused clock of the runtime: a wait takes no real time, and its length is exact.
struct WaitFixture {
    engine: Engine,
    /// The function whose calls wait.
    function: Alone,
}

impl WaitFixture {
    async fn start(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same, with these variables.
    async fn with(name: &str, vars: &[(&str, &str)]) -> Self {
        clock::begin_paused();
        let engine = Engine::start();
        let mut environment = paused_environment(&engine);
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        environment.vars.extend(vars);
        let function = Alone::start(name, environment).await;
        Self { engine, function }
    }

    /// Calls another function by the admin key, which no rate limits.
    async fn other(&self, name: &str, request: Request) -> Reply {
        Alone::start(name, paused_environment(&self.engine)).await.call(&request).await
    }

    /// Creates a job of the type `render`, and returns its id.
    async fn job(&self) -> String {
        let request = body(Request::new("POST", "/v1/jobs"), &json!({ "type": "render" }));
        text(self.other("create-job", request).await.at("/job_id"))
    }

    /// Creates a key that allows `burst` calls at once, and then one a minute.
    async fn key(&self, burst: u32) -> String {
        let wanted = json!({
            "owner": "default", "scopes": ["read", "write", "work"], "requests_per_minute": 1, "burst": burst,
        });
        text(self.other("keys", body(Request::new("POST", "/v1/admin/keys"), &wanted)).await.at("/key"))
    }

    /// Makes a call, and returns its answer and how many milliseconds it waited.
    async fn call(&self, key: &str, request: Request) -> (Reply, u64) {
        let began = clock::paused_now();
        let request = request.header("authorization", &format!("Bearer {key}"));
        let reply = self.function.call(&request).await;
        (reply, clock::paused_now().since(began))
    }
}

fn get(id: &str) -> Request {
    Request::new("GET", &format!("/v1/jobs/{id}?wait=25"))
}

fn body(request: Request, body: &Value) -> Request {
    request.body(body.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_get_waits_only_as_long_as_the_rate_of_its_key_allows() {
    let fixture = WaitFixture::start("get-job").await;
    let id = fixture.job().await;
    // One call for itself, and one for every five seconds.
    for (burst, wait_ms) in [(1, 0), (2, 5_000), (4, 15_000), (9, 25_000)] {
        let key = fixture.key(burst).await;
        let (reply, waited_ms) = fixture.call(&key, get(&id)).await;
        assert_eq!((reply.status, reply.at("/status")), (200, &json!("queued")), "{}", reply.text);
        assert_eq!(waited_ms, wait_ms, "{burst} calls");
        // The calls that a wait of 25 seconds leaves: 9 - 6.
        let left = burst.saturating_sub(6);
        for status in (0..left).map(|_| 200).chain([429]) {
            let plain = Request::new("GET", &format!("/v1/jobs/{id}"));
            let reply = fixture.call(&key, plain).await.0;
            assert_eq!(reply.status, status, "{burst} calls: {:?}", reply.header("ratelimit"));
        }
    }
    // For an ended job, the function answers immediately, for one call.
    let cancelled = fixture.other("cancel-job", Request::new("POST", &format!("/v1/jobs/{id}/cancel"))).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let key = fixture.key(2).await;
    for _ in 0..2 {
        let (reply, waited_ms) = fixture.call(&key, get(&id)).await;
        assert_eq!((reply.status, waited_ms), (200, 0));
    }
    is_problem(&fixture.call(&key, get(&id)).await.0, 429, "rate_limited");
    // Another key does not pay for it.
    let other = fixture.key(1).await;
    assert_eq!(fixture.call(&other, get(&id)).await.0.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_claim_waits_only_as_long_as_the_rate_of_its_key_allows() {
    let fixture = WaitFixture::start("claim-jobs").await;
    let claim = || {
        let claim = json!({ "worker_id": "w", "types": ["render"], "wait_seconds": 20 });
        body(Request::new("POST", "/v1/jobs/claim"), &claim)
    };
    for (burst, wait_ms) in [(1, 0), (2, 5_000), (3, 10_000)] {
        let key = fixture.key(burst).await;
        let (reply, waited_ms) = fixture.call(&key, claim()).await;
        assert_eq!((reply.status, reply.at("/jobs")), (200, &json!([])), "{}", reply.text);
        assert_eq!(waited_ms, wait_ms, "{burst} calls");
        is_problem(&fixture.call(&key, claim()).await.0, 429, "rate_limited");
    }
    // If a job is ready, the claim does not wait.
    let key = fixture.key(2).await;
    for _ in 0..2 {
        fixture.job().await;
        let (reply, waited_ms) = fixture.call(&key, claim()).await;
        assert_eq!((reply.at("/jobs/0/type"), waited_ms), (&json!("render"), 0), "{}", reply.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_is_created_even_if_the_rate_allows_no_wait() {
    let fixture = WaitFixture::start("create-job").await;
    for (burst, wait_ms) in [(1, 0), (2, 5_000)] {
        let key = fixture.key(burst).await;
        let request = body(Request::new("POST", "/v1/jobs"), &json!({ "type": "render" }));
        let (reply, waited_ms) = fixture.call(&key, request.header("prefer", "wait=25")).await;
        assert_eq!((reply.status, reply.at("/status")), (201, &json!("queued")), "{}", reply.text);
        assert_eq!(waited_ms, wait_ms, "{burst} calls");
    }
}

/// With any rate of a key, also without a limit, a bounded number of its calls waits at once.
#[tokio::test(start_paused = true)]
async fn so_many_calls_of_one_key_wait_at_once() {
    const MOST: usize = 8;
    let fixture = WaitFixture::with("get-job", &[("WAITS_PER_KEY", &MOST.to_string())]).await;
    let id = fixture.job().await;
    let key = fixture.key(1_000).await;
    for key in [LOCAL_KEY, &key] {
        let mut spans = Vec::new();
        for _ in 0..6 {
            let began = clock::paused_now();
            let calls = join_all((0..2 * MOST).map(|_| fixture.call(key, get(&id)))).await;
            for (reply, waited_ms) in calls {
                assert_eq!((reply.status, reply.at("/status")), (200, &json!("queued")), "{}", reply.text);
                spans.push((began, waited_ms));
            }
            // The next ones come while some of these may still wait: not all waits are of one length.
            clock::pass(5_000).await;
        }
        let waiting = spans.iter().filter(|(_, waited_ms)| *waited_ms > 0).count();
        assert!(waiting >= MOST, "some wait: {spans:?}");
        // Half of them at first, each for the longest time.
        let first: Vec<_> = spans.iter().take(2 * MOST).map(|(_, waited_ms)| *waited_ms).collect();
        assert_eq!(first.iter().filter(|waited_ms| **waited_ms == 25_000).count(), MOST / 2, "{first:?}");
        for (at, _) in &spans {
            let under_way = |(began, waited_ms): &&(Timestamp, u64)| {
                *waited_ms > 0 && began <= at && at.since(*began) < *waited_ms
            };
            let count = spans.iter().filter(under_way).count();
            assert!(count <= MOST, "{count} at {at}");
        }
    }
}
