//! What calls that wait take off their key's rate: they keep a function busy, and pay for it.

use std::pin::pin;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::Proxy;
use jobledger_tests::jobs::create;
use jobledger_tests::keys::id_and_key;
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Reply, Service, clock};
use serde_json::{Value, json};

/// A function on a clock that goes on as it looks: so many milliseconds with each request to the store.
struct WaitFixture {
    service: Service,
    name: &'static str,
    /// When each call comes: buckets that were left long ago would go.
    began: Timestamp,
    function: Alone,
    proxy: Proxy,
}

const STEP_MS: i64 = 1_250;

impl WaitFixture {
    async fn start(name: &'static str) -> Self {
        let began = system_clock();
        clock::set(began);
        let service = Service::start().await;
        let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
        let environment = Environment { clock: clock::now, ..service.environment_at(name, proxy.url()) };
        let function = Alone::start(name, environment).await;
        Self { service, name, began, function, proxy }
    }

    /// A key that may make so many calls; the next comes in a minute.
    async fn key(&self, burst: u32) -> String {
        let body = json!({
            "owner": "default", "scopes": ["read", "write", "work"], "requests_per_minute": 1, "burst": burst,
        });
        id_and_key(&self.service, &body).await.1
    }

    /// Makes a call; answers how long it waited, in milliseconds.
    async fn call(&self, key: &str, request: Request) -> (Reply, i64) {
        clock::set(self.began);
        self.proxy.heal();
        let request = request.header("authorization", &format!("Bearer {key}"));
        let mut call = pin!(self.function.call(&request));
        let mut looks = 0;
        let reply = loop {
            let next = async || (self.looks() > looks).then_some(());
            tokio::select! {
                reply = &mut call => break reply,
                () = self.service.eventually("a look", next) => {
                    looks = self.looks();
                    // Before it waits, no time passes.
                    if looks > self.before() {
                        clock::set(clock::now().plus_millis(STEP_MS));
                    }
                }
            }
        };
        (reply, clock::now().millis() - self.began.millis())
    }

    fn looks(&self) -> usize {
        self.proxy.operations().iter().filter(|operation| *operation != "UpdateItem").count()
    }

    /// Requests of a call that need not wait, at most.
    fn before(&self) -> usize {
        match self.name {
            "get-job" => 4,
            "create-job" => 12,
            _ => 8,
        }
    }
}

fn get(id: &str) -> Request {
    Request::new("GET", &format!("/v1/jobs/{id}?wait=25"))
}

fn body(request: Request, body: &Value) -> Request {
    request.body(body.to_string())
}

#[tokio::test]
async fn a_get_waits_only_as_long_as_the_rate_of_its_key_allows() {
    let fixture = WaitFixture::start("get-job").await;
    let id = create(&fixture.service, &json!({ "type": "render" })).await;
    // One for the call, and one for each five seconds.
    for (burst, least_ms, most_ms) in [(1, 0, 0), (2, 5_000, 8_000), (4, 15_000, 18_000), (9, 25_000, 28_000)]
    {
        let key = fixture.key(burst).await;
        let (reply, waited_ms) = fixture.call(&key, get(&id)).await;
        assert_eq!((reply.status, reply.at("/status")), (200, &json!("queued")), "{}", reply.text);
        assert!((least_ms..=most_ms).contains(&waited_ms), "{burst} calls: {waited_ms} ms");
        // What a wait of 25 seconds leaves: 9 - 6.
        let left = burst.saturating_sub(6);
        for status in (0..left).map(|_| 200).chain([429]) {
            let plain = Request::new("GET", &format!("/v1/jobs/{id}"));
            let reply = fixture.call(&key, plain).await.0;
            assert_eq!(reply.status, status, "{burst} calls: {:?}", reply.header("ratelimit"));
        }
    }
    // One that has ended is answered at once, and costs one call.
    fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let key = fixture.key(2).await;
    for _ in 0..2 {
        let (reply, waited_ms) = fixture.call(&key, get(&id)).await;
        assert_eq!((reply.status, waited_ms), (200, 0));
    }
    is_problem(&fixture.call(&key, get(&id)).await.0, 429, "rate_limited");
    // Nobody else pays for it.
    let other = fixture.key(1).await;
    assert_eq!(fixture.call(&other, get(&id)).await.0.status, 200);
}

#[tokio::test]
async fn a_claim_waits_only_as_long_as_the_rate_of_its_key_allows() {
    let fixture = WaitFixture::start("claim-jobs").await;
    let claim = || {
        let claim = json!({ "worker_id": "w", "types": ["render"], "wait_seconds": 20 });
        body(Request::new("POST", "/v1/jobs/claim"), &claim)
    };
    for (burst, least_ms, most_ms) in [(1, 0, 0), (2, 5_000, 8_000), (3, 10_000, 13_000)] {
        let key = fixture.key(burst).await;
        let (reply, waited_ms) = fixture.call(&key, claim()).await;
        assert_eq!((reply.status, reply.at("/jobs")), (200, &json!([])), "{}", reply.text);
        assert!((least_ms..=most_ms).contains(&waited_ms), "{burst} calls: {waited_ms} ms");
        is_problem(&fixture.call(&key, claim()).await.0, 429, "rate_limited");
    }
    // Where there is something, nobody waits.
    let key = fixture.key(2).await;
    for _ in 0..2 {
        create(&fixture.service, &json!({ "type": "render" })).await;
        let (reply, waited_ms) = fixture.call(&key, claim()).await;
        assert_eq!((reply.at("/jobs/0/type"), waited_ms), (&json!("render"), 0), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_job_is_created_even_if_the_rate_allows_no_wait() {
    let fixture = WaitFixture::start("create-job").await;
    for (burst, least_ms, most_ms) in [(1, 0, 0), (2, 5_000, 8_000)] {
        let key = fixture.key(burst).await;
        let request = body(Request::new("POST", "/v1/jobs"), &json!({ "type": "render" }));
        let (reply, waited_ms) = fixture.call(&key, request.header("prefer", "wait=25")).await;
        assert_eq!((reply.status, reply.at("/status")), (201, &json!("queued")), "{}", reply.text);
        assert!((least_ms..=most_ms).contains(&waited_ms), "{burst} calls: {waited_ms} ms");
    }
}
