//! The engine of many runs: the real one, over an endpoint that fails if a run wants it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jobledger::Environment;
use jobledger::domain::JobId;
use jobledger::store::{Ledger, head_row};
use jobledger_tests::alone::Alone;
use jobledger_tests::dynamo::{Item, items_of};
use jobledger_tests::engine::Engine;
use jobledger_tests::faults::Fault;
use jobledger_tests::stream::json_item;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::history::Heads;

/// Numbers of parts that a run's indexes may have.
pub(crate) const INDEX_SHARDS: [u16; 4] = [1, 2, 3, 8];
/// The functions that write jobs.
const WRITERS: [&str; 4] = ["create-job", "ingest-jobs", "cancel-job", "delete-job"];
/// Most items of one batch.
const MAX_BATCH: usize = 25;

/// A failure of one request.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Whether the store does the request.
    pub(crate) is_done: bool,
    /// The answer.
    pub(crate) fault: Fault,
}

/// The failures of a shard's next requests, in order; `None`: no failure.
pub(crate) type Troubles = VecDeque<Option<Trouble>>;

#[derive(Clone)]
struct Endpoint {
    engine: Engine,
    troubles: Arc<Mutex<HashMap<String, Troubles>>>,
}

/// An engine, and the functions on it.
pub(crate) struct FunctionSet {
    endpoint: Endpoint,
    server: AbortHandle,
    /// The counter.
    pub(crate) counter: Alone,
    readers: BTreeMap<u16, (Alone, Ledger)>,
    writers: BTreeMap<&'static str, Alone>,
}

impl FunctionSet {
    /// A new engine with the template's tables, without their streams: each run makes its stream itself.
    pub(crate) async fn start() -> Self {
        let engine = Engine::start();
        let endpoint = Endpoint { engine, troubles: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/", post(answer)).with_state(endpoint.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the endpoint serves");
        });
        let mut vars = endpoint.engine.names().clone();
        vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url);
        let counter = Alone::start("tally-jobs", Environment::new(vars.clone())).await;
        let mut readers = BTreeMap::new();
        for shards in INDEX_SHARDS {
            let mut vars = vars.clone();
            vars.insert("INDEX_SHARDS".to_owned(), shards.to_string());
            let environment = Environment::new(vars);
            let ledger = Ledger::open(&environment).await.expect("a ledger");
            readers.insert(shards, (Alone::start("list-jobs", environment).await, ledger));
        }
        let mut writers = BTreeMap::new();
        for name in WRITERS {
            writers.insert(name, Alone::start(name, Environment::new(vars.clone())).await);
        }
        Self { endpoint, server: server.abort_handle(), counter, readers, writers }
    }

    /// A function that writes jobs.
    pub(crate) fn writer(&self, name: &str) -> &Alone {
        &self.writers[name]
    }

    /// The function for lists, with this many index parts.
    pub(crate) fn lister(&self, shards: u16) -> &Alone {
        &self.readers[&shards].0
    }

    /// The ledger that reads lists, with this many index parts.
    pub(crate) fn ledger(&self, shards: u16) -> &Ledger {
        &self.readers[&shards].1
    }

    /// From now on, these failures hit the requests of a shard's counter.
    pub(crate) fn trouble(&self, shard: &str, troubles: Troubles) {
        self.endpoint.troubles().insert(shard.to_owned(), troubles);
    }

    /// From now on, no failure hits a shard's counter. Returns the failures that are left.
    pub(crate) fn heal(&self, shard: &str) -> Troubles {
        self.endpoint.troubles().remove(shard).unwrap_or_default()
    }

    /// Makes the table hold these heads, and no others with these ids.
    pub(crate) fn write(&self, ids: &[JobId], heads: &Heads) {
        let table = self.endpoint.engine.table("JOBS_TABLE");
        for chunk in ids.chunks(MAX_BATCH) {
            let writes = chunk.iter().map(|id| match heads.get(id) {
                Some(head) => json!({ "PutRequest": { "Item": json_item(head_row(head).expect("a row")) } }),
                None => json!({ "DeleteRequest": { "Key": key(*id) } }),
            });
            let batch = json!({ "RequestItems": { table: writes.collect::<Vec<_>>() } });
            self.endpoint.engine.call("BatchWriteItem", &batch);
        }
    }

    /// The stored head of a job.
    pub(crate) fn head(&self, id: JobId) -> Option<Item> {
        let get = json!({ "TableName": self.endpoint.engine.table("JOBS_TABLE"), "Key": key(id), "ConsistentRead": true });
        match self.endpoint.engine.call("GetItem", &get)["Item"].take() {
            Value::Object(item) => Some(item),
            _ => None,
        }
    }

    /// The items of `tallies` in a scope whose names have this prefix.
    pub(crate) fn tallies(&self, scope: &str, begin: &str) -> Vec<Item> {
        let mut values = json!({ ":scope": { "S": scope } });
        let mut condition = "#scope = :scope".to_owned();
        let mut names = json!({ "#scope": "scope" });
        if !begin.is_empty() {
            condition.push_str(" AND begins_with(#bucket, :begin)");
            values[":begin"] = json!({ "S": begin });
            names["#bucket"] = json!("bucket");
        }
        let mut items = Vec::new();
        let mut from = Value::Null;
        loop {
            let mut query = json!({
                "TableName": self.endpoint.engine.table("TALLIES_TABLE"), "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names, "ExpressionAttributeValues": values,
            });
            if !from.is_null() {
                query["ExclusiveStartKey"] = from;
            }
            let mut page = self.endpoint.engine.call("Query", &query);
            items.extend(items_of(&mut page));
            from = page["LastEvaluatedKey"].take();
            if from.is_null() {
                return items;
            }
        }
    }
}

impl Drop for FunctionSet {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn key(id: JobId) -> Value {
    json!({ "job_id": { "S": id.to_string() }, "part": { "S": "head" } })
}

impl Endpoint {
    fn troubles(&self) -> MutexGuard<'_, HashMap<String, Troubles>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The failure of a request. Only a counter's requests name a checkpoint, with its shard.
    fn trouble_of(&self, body: &str) -> Option<Trouble> {
        let (_, rest) = body.split_once("\"checkpoint#")?;
        let (shard, _) = rest.split_once('"')?;
        self.troubles().get_mut(shard)?.pop_front()?
    }
}

async fn answer(
    State(endpoint): State<Endpoint>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.split('.').nth(1).unwrap_or_default();
    let trouble = endpoint.trouble_of(&body);
    let answered = match &trouble {
        Some(trouble) if !trouble.is_done => None,
        Some(_) | None => Some(endpoint.engine.answer(operation, &body)),
    };
    let (status, body) = match (trouble.map(|trouble| trouble.fault), answered) {
        (Some(Fault::Answered(status, body)), _) => (status, body.to_string()),
        (_, Some(answered)) => answered,
        (fault, None) => panic!("{fault:?} is no answer"),
    };
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/x-amz-json-1.0")], body)
}
