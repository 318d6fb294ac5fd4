//! The store of a run: a real engine behind a transport that delays, reorders and loses requests.
//!
//! If a caller gives up, its request still arrives. The dice choose which of the requests on their way arrives next, so
//! any request may come between two requests of a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use jobledger::domain::Timestamp;
use jobledger_tests::engine::Engine;
use jobledger_tests::faults::Fault;
use jobledger_tests::stream::Dice;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::clock;
use crate::observer::Observer;

/// How long a request that waits for a reader pauses between two looks, in milliseconds.
const LURK_MS: u64 = 5;
/// Most looks.
const LURKS: usize = 400;

/// The conditions between the functions and the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions {
    /// Longest usual time of each direction, in milliseconds.
    pub(crate) usual_ms: u64,
    /// One request in this many takes longer; 0: none.
    pub(crate) late_one_in: u64,
    /// Longest time of such a request, in milliseconds.
    pub(crate) late_ms: u64,
    /// One request in this many fails; 0: none.
    pub(crate) wrong_one_in: u64,
    /// Greatest age of an answer of an index, in milliseconds.
    pub(crate) lag_ms: u64,
}

impl Conditions {
    /// No request fails, and each takes no time.
    pub(crate) const NORMAL: Self =
        Self { usual_ms: 0, late_one_in: 0, late_ms: 0, wrong_one_in: 0, lag_ms: 0 };
}

/// The fate of a request.
struct Outcome {
    there_ms: u64,
    back_ms: u64,
    trouble: Option<Trouble>,
    is_read_late: bool,
    /// Whether the request waits until another caller reads the head that it writes.
    waits_for_reader: bool,
}

/// A failure of a request.
enum Trouble {
    /// The store refuses the request with this answer.
    Refused(Fault),
    /// The store does the request, and returns this failure.
    Denied(Fault),
    /// The request gets lost, and the connection closes.
    Lost,
    /// The store does the request, and the connection closes.
    AnswerLost,
}

struct State {
    dice: Dice,
    conditions: Conditions,
    /// Until then, the store does nothing.
    is_out_until: Timestamp,
    /// How often callers read each head.
    reads: HashMap<String, usize>,
    /// The last answers of indexes, by their request.
    shown: HashMap<String, (Timestamp, String)>,
    observer: Observer,
}

/// The store of a run.
#[derive(Clone)]
pub(crate) struct Store {
    engine: Engine,
    state: Arc<Mutex<State>>,
}

impl Store {
    /// An empty store.
    pub(crate) fn start(dice: Dice) -> Self {
        let engine = Engine::start();
        let state = State {
            dice,
            conditions: Conditions::NORMAL,
            is_out_until: Timestamp::MIN,
            reads: HashMap::new(),
            shown: HashMap::new(),
            observer: Observer::new(engine.clone()),
        };
        Self { engine, state: Arc::new(Mutex::new(state)) }
    }

    /// The engine itself.
    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// This function's transport to the store.
    pub(crate) fn way_of(&self, function: &'static str) -> SharedHttpClient {
        SharedHttpClient::new(Transport { store: self.clone(), function })
    }

    /// From now on, these conditions hold.
    pub(crate) fn conditions(&self, conditions: Conditions) {
        let mut state = self.lock();
        state.conditions = conditions;
        state.is_out_until = Timestamp::MIN;
    }

    /// Asks the observer, which sees all writes.
    pub(crate) fn watched<T>(&self, ask: impl FnOnce(&mut Observer) -> T) -> T {
        ask(&mut self.lock().observer)
    }

    /// Waits until another caller reads a head that this request writes, but not long.
    async fn lurk(&self, body: &str) {
        let ids = heads_of(body);
        let reads = || ids.iter().map(|id| self.lock().reads.get(id).copied().unwrap_or(0)).sum::<usize>();
        let before = reads();
        for _ in 0..LURKS {
            if ids.is_empty() || reads() != before {
                return;
            }
            clock::pass(LURK_MS).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn way(&mut self, operation: &str) -> Outcome {
        let Self { dice, conditions, .. } = self;
        let Conditions { usual_ms, late_one_in, late_ms, wrong_one_in, lag_ms } = *conditions;
        let mut time = || {
            let is_late = late_one_in > 0 && dice.is_one_in(late_one_in);
            dice.roll(1 + if is_late { late_ms } else { usual_ms })
        };
        let (there_ms, back_ms) = (time(), time());
        let is_wrong = wrong_one_in > 0 && dice.is_one_in(wrong_one_in);
        let trouble = is_wrong.then(|| trouble(operation, dice));
        let is_read_late = lag_ms > 0 && dice.is_one_in(3);
        if wrong_one_in > 0 && dice.is_one_in(300) {
            self.is_out_until = clock::now().plus_millis(dice.millis(8_000));
        }
        let waits_for_reader = usual_ms > 0 && is_write(operation) && self.dice.is_one_in(8);
        Outcome { there_ms, back_ms, trouble, is_read_late, waits_for_reader }
    }

    /// A recent answer of an index, if there is one.
    fn old_answer(&self, asked: &str, now: Timestamp) -> Option<String> {
        let (at, answer) = self.shown.get(asked)?;
        (now.since(*at) <= self.conditions.lag_ms).then(|| answer.clone())
    }
}

fn is_write(operation: &str) -> bool {
    ["TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"].contains(&operation)
}

fn trouble(operation: &str, dice: &mut Dice) -> Trouble {
    let is_transaction = operation == "TransactWriteItems";
    match dice.roll(9) {
        0 | 1 if is_transaction => Trouble::Refused(Fault::cancelled()),
        0 | 1 if is_write(operation) => Trouble::Refused(Fault::conflict()),
        2 => Trouble::Refused(Fault::throttled()),
        3 => Trouble::Denied(Fault::broken()),
        // The SDK does not retry this answer: the call ends here.
        4 => Trouble::Denied(Fault::refused()),
        5 => Trouble::Refused(Fault::refused()),
        6 => Trouble::Lost,
        7 => Trouble::AnswerLost,
        _ => Trouble::Refused(Fault::broken()),
    }
}

/// The transport from one function to the store.
#[derive(Clone)]
struct Transport {
    store: Store,
    function: &'static str,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("function", &self.function).finish_non_exhaustive()
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.split('.').nth(1).unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let way = self.store.lock().way(&operation);
        let (answers, answered) = oneshot::channel();
        let transport = self.clone();
        tokio::spawn(async move {
            clock::pass(way.there_ms).await;
            if way.waits_for_reader {
                transport.store.lurk(&body).await;
            }
            let answer = transport.arrive(&operation, &body, &way);
            clock::pass(way.back_ms).await;
            // The caller may have given up.
            drop(answers.send(answer));
        });
        HttpConnectorFuture::new(async move {
            let (status, body) = answered
                .await
                .ok()
                .flatten()
                .ok_or_else(|| ConnectorError::io("the connection was closed".into()))?;
            let status = StatusCode::try_from(status).expect("a status");
            Ok(HttpResponse::new(status, body.into()))
        })
    }
}

impl Transport {
    /// Delivers a request; returns its answer, or `None` if the connection closes.
    fn arrive(&self, operation: &str, body: &str, way: &Outcome) -> Option<(u16, String)> {
        let mut state = self.store.lock();
        let answer = |fault: &Fault| match fault {
            Fault::Answered(status, body) => Some((*status, body.to_string())),
            other => panic!("{other:?} is no answer"),
        };
        if clock::now() < state.is_out_until {
            return answer(&Fault::broken());
        }
        match &way.trouble {
            None => Some(self.done(&mut state, operation, body, way.is_read_late)),
            Some(Trouble::Refused(fault)) => answer(fault),
            Some(Trouble::Lost) => None,
            Some(Trouble::Denied(fault)) => {
                self.done(&mut state, operation, body, false);
                answer(fault)
            }
            Some(Trouble::AnswerLost) => {
                self.done(&mut state, operation, body, false);
                None
            }
        }
    }

    fn done(&self, state: &mut State, operation: &str, body: &str, is_read_late: bool) -> (u16, String) {
        let engine = &self.store.engine;
        if operation == "Query" {
            return query(engine, state, body, is_read_late);
        }
        if operation.contains("Get") {
            for id in heads_of(body) {
                *state.reads.entry(id).or_default() += 1;
            }
        }
        let (status, answer) = engine.answer(operation, body);
        if status == 200 && !operation.contains("Get") {
            state.observer.wrote(self.function, operation, body);
        }
        (status, answer)
    }
}

/// Answers a query. If the query reads an index, the answer may be a recent one instead.
fn query(engine: &Engine, state: &mut State, body: &str, is_late: bool) -> (u16, String) {
    let now = clock::now();
    let mut asked: Value = serde_json::from_str(body).expect("JSON");
    if asked["IndexName"].is_null() {
        return engine.answer("Query", body);
    }
    // A query for due jobs names the present time. Without it, the query equals an earlier one.
    asked["ExpressionAttributeValues"][":upper"].take();
    let asked = asked.to_string();
    if is_late && let Some(answer) = state.old_answer(&asked, now) {
        return (200, answer);
    }
    let (status, answer) = engine.answer("Query", body);
    if status == 200 {
        state.shown.insert(asked, (now, answer.clone()));
    }
    (status, answer)
}

/// The jobs whose heads a request names.
fn heads_of(body: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![serde_json::from_str(body).unwrap_or(Value::Null)];
    while let Some(value) = open.pop() {
        if value["part"]["S"] == "head" {
            found.extend(value["job_id"]["S"].as_str().map(str::to_owned));
        }
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(fields) => open.extend(fields.into_iter().map(|(_, value)| value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}
