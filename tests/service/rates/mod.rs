//! Rates of keys in many execution environments. Each is a ledger of its own; all share one engine.

mod answers;
mod clocks;
mod simulated;
mod waits;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use jobledger::Environment;
use jobledger::access::{AccessControl, RateLimitStatus, StoredAccess};
use jobledger::domain::{AccessKey, KeyHash, Owner, RateLimit, Scope, Timestamp};
use jobledger::store::Ledger;
use jobledger_tests::clock;
use jobledger_tests::engine::Engine;
use jobledger_tests::faults::Fault;
use jobledger_tests::stream::Dice;

/// The beginning of all these tests, in milliseconds since 1970.
const BEGIN_MS: i64 = 1_767_225_600_000;

/// The store of the rates: an engine, and transports to it whose requests are slow or fail.
#[derive(Clone)]
struct SimulatedStore {
    engine: Engine,
    conditions: Arc<Mutex<Conditions>>,
    requests: Arc<AtomicU64>,
}

/// The conditions between the environments and the store.
struct Conditions {
    dice: Dice,
    /// Longest time of each direction, in milliseconds.
    most_ms: u64,
    /// One request in this many fails; 0: none.
    wrong_one_in: u64,
}

/// The fate of a request, besides its delay.
enum Outcome {
    Good,
    Lost,
    AnswerLost,
    Throttled,
}

impl SimulatedStore {
    fn start(seed: u64) -> Self {
        let conditions = Conditions { dice: Dice::new(seed), most_ms: 0, wrong_one_in: 0 };
        Self {
            engine: Engine::start(),
            conditions: Arc::new(Mutex::new(conditions)),
            requests: Arc::default(),
        }
    }

    fn conditions(&self, most_ms: u64, wrong_one_in: u64) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        (conditions.most_ms, conditions.wrong_one_in) = (most_ms, wrong_one_in);
    }

    /// How many requests were sent since the last call of this method.
    fn take_requests(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// A new execution environment.
    async fn environment(&self) -> StoredAccess {
        let mut vars = self.engine.names().clone();
        vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://store".to_owned());
        let transport = Some(SharedHttpClient::new(self.clone()));
        let environment = Environment { transport, ..Environment::new(vars) };
        StoredAccess::new(&Ledger::open(&environment).await.expect("a ledger"))
    }

    fn way(&self) -> (u64, u64, Outcome) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let Conditions { dice, most_ms, wrong_one_in } = &mut *conditions;
        let (there_ms, back_ms) = (dice.roll(*most_ms + 1), dice.roll(*most_ms + 1));
        let way = match *wrong_one_in {
            0 => Outcome::Good,
            one_in => match dice.roll(3 * one_in) {
                0 => Outcome::Lost,
                1 => Outcome::AnswerLost,
                2 => Outcome::Throttled,
                _ => Outcome::Good,
            },
        };
        (there_ms, back_ms, way)
    }
}

impl fmt::Debug for SimulatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedStore").finish_non_exhaustive()
    }
}

impl HttpClient for SimulatedStore {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SimulatedStore {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.split('.').nth(1).unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        self.requests.fetch_add(1, Ordering::Relaxed);
        let store = self.clone();
        HttpConnectorFuture::new(async move {
            let (there_ms, back_ms, way) = store.way();
            clock::pass(there_ms).await;
            let closed = || ConnectorError::io("the connection was closed".into());
            let (status, body) = match way {
                Outcome::Lost => return Err(closed()),
                Outcome::Throttled => match Fault::throttled() {
                    Fault::Answered(status, body) => (status, body.to_string()),
                    other => panic!("{other:?} is no answer"),
                },
                Outcome::Good | Outcome::AnswerLost => store.engine.answer(&operation, &body),
            };
            clock::pass(back_ms).await;
            if matches!(way, Outcome::AnswerLost) {
                return Err(closed());
            }
            Ok(HttpResponse::new(StatusCode::try_from(status).expect("a status"), body.into()))
        })
    }
}

/// A key with this rate and this burst.
fn key(per_minute: u32, burst: u32) -> AccessKey {
    AccessKey {
        key_id: KeyHash::of("a key").key_id(),
        owner: Owner::try_from("somebody").expect("an owner"),
        scopes: BTreeSet::from([Scope::Read]),
        expires_at: None,
        rate_limit: Some(RateLimit::new(per_minute, Some(burst)).expect("an rate_limit")),
        storage_quota_bytes: None,
        max_types: None,
    }
}

/// This many milliseconds after the beginning.
const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + millis)
}

/// Makes a call this many milliseconds after the beginning.
async fn spend(environment: &StoredAccess, key: &AccessKey, millis: i64) -> RateLimitStatus {
    let limit_status = environment.spend(key, at(millis)).await.expect("the store answers");
    limit_status.expect("the key has a limit")
}

/// Makes calls until one is refused; returns how many passed.
async fn spend_all(environment: &StoredAccess, key: &AccessKey, millis: i64) -> u32 {
    let mut passed = 0;
    while spend(environment, key, millis).await.retry_after_seconds.is_none() {
        passed += 1;
    }
    passed
}

/// The greatest excess of calls in any span, in parts of 60,000: calls beyond the burst and the rate's share of the
/// span. `times` are in milliseconds, sorted.
fn excess(per_minute: u32, burst: u32, times: &[i64]) -> i64 {
    let (per_minute, burst) = (i64::from(per_minute), i64::from(burst));
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for (number, time) in (0..).zip(times) {
        // The calls before this one, less the rate's share until then. If it grows too much, a span had too many.
        let level = 60_000 * number - per_minute * (time - BEGIN_MS);
        least = least.min(level);
        most = most.max(level - least + 60_000 - 60_000 * burst);
    }
    most.max(0)
}

#[test]
fn the_check_finds_a_span_with_too_many_calls() {
    let second = |seconds: i64| BEGIN_MS + 1_000 * seconds;
    assert_eq!(excess(60, 2, &[second(0), second(0), second(1), second(2)]), 0);
    assert_eq!(excess(60, 2, &[second(0), second(0), second(0)]), 60_000);
    assert_eq!(excess(60, 2, &[second(0), second(5), second(5), second(5) + 500]), 30_000);
    assert_eq!(excess(60, 2, &[]), 0);
}
