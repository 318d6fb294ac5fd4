//! The engine of many runs: the real one, reached over an endpoint that has bad days when a run says so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use dynoxide::Database;
use jobledger::Environment;
use jobledger::domain::{JobId, KeyHash};
use jobledger::dynamo::{Ledger, head_row};
use jobledger_local::template::{Index, Projection, Table, Template};
use jobledger_local::{LOCAL_KEY, LOCAL_OWNER, TEMPLATE};
use jobledger_tests::alone::Alone;
use jobledger_tests::dynamo::{Item, items_of};
use jobledger_tests::faults::Fault;
use jobledger_tests::stream::json_item;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::history::Heads;

/// Into how many parts the indexes of a run may be split.
pub(crate) const INDEX_SHARDS: [u16; 4] = [1, 2, 3, 8];
/// The functions that write jobs.
const WRITERS: [&str; 4] = ["create-job", "ingest-jobs", "cancel-job", "delete-job"];
/// Most items of one batch.
const MAX_BATCH: usize = 25;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Whether it is done all the same.
    pub(crate) is_done: bool,
    /// What is answered.
    pub(crate) fault: Fault,
}

/// What goes wrong with the next requests of a shard's counter, one after the other; `None`: nothing.
pub(crate) type Troubles = VecDeque<Option<Trouble>>;

#[derive(Clone)]
struct Endpoint {
    database: Database,
    troubles: Arc<Mutex<HashMap<String, Troubles>>>,
}

/// An engine, and the functions on it.
pub(crate) struct World {
    endpoint: Endpoint,
    server: AbortHandle,
    tables: BTreeMap<String, String>,
    /// The function that counts.
    pub(crate) counter: Alone,
    readers: BTreeMap<u16, (Alone, Ledger)>,
    writers: BTreeMap<&'static str, Alone>,
}

impl World {
    /// A new engine with the template's tables, but without their streams: runs make the stream by themselves.
    pub(crate) async fn start() -> Self {
        let database = Database::memory().expect("an engine");
        let template = Template::parse(TEMPLATE, &BTreeMap::new(), "").expect("the template");
        for table in &template.tables {
            database.create_table(typed(creation(table))).expect("a table");
        }
        let endpoint = Endpoint { database, troubles: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/", post(answer)).with_state(endpoint.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the endpoint serves");
        });
        let name = |id: &str| {
            let found = template.tables.iter().find(|table| table.id == id);
            found.map(|table| table.name.clone()).expect("a table of the template")
        };
        let named = [
            ("JOBS_TABLE", "JobsTable"),
            ("TALLIES_TABLE", "TalliesTable"),
            ("SETTINGS_TABLE", "SettingsTable"),
        ];
        let tables: BTreeMap<String, String> =
            named.into_iter().map(|(variable, id)| (variable.to_owned(), name(id))).collect();
        let mut vars = tables.clone();
        vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url);
        let key = json!({
            "kind": { "S": "keys" }, "id": { "S": KeyHash::of(LOCAL_KEY).as_str() }, "owner": { "S": LOCAL_OWNER },
            "scopes": { "SS": ["admin"] }, "key_id": { "S": LOCAL_KEY },
        });
        let put = json!({ "TableName": tables["SETTINGS_TABLE"], "Item": key });
        endpoint.database.put_item(typed(put)).expect("the key is written");
        let counter = Alone::start("count-jobs", Environment::new(vars.clone())).await;
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
        Self { endpoint, server: server.abort_handle(), tables, counter, readers, writers }
    }

    /// A function that writes jobs.
    pub(crate) fn writer(&self, name: &str) -> &Alone {
        &self.writers[name]
    }

    /// The function that lists, where indexes have so many parts.
    pub(crate) fn lister(&self, shards: u16) -> &Alone {
        &self.readers[&shards].0
    }

    /// What reads lists, where indexes have so many parts.
    pub(crate) fn ledger(&self, shards: u16) -> &Ledger {
        &self.readers[&shards].1
    }

    /// From now on, this goes wrong with the requests of a shard's counter.
    pub(crate) fn trouble(&self, shard: &str, troubles: Troubles) {
        self.endpoint.troubles().insert(shard.to_owned(), troubles);
    }

    /// From now on, all is well with a shard's counter. Says what has not gone wrong yet.
    pub(crate) fn heal(&self, shard: &str) -> Troubles {
        self.endpoint.troubles().remove(shard).unwrap_or_default()
    }

    /// Makes the table hold these heads, and no others of these ids.
    pub(crate) fn write(&self, ids: &[JobId], heads: &Heads) {
        let table = &self.tables["JOBS_TABLE"];
        for chunk in ids.chunks(MAX_BATCH) {
            let writes = chunk.iter().map(|id| match heads.get(id) {
                Some(head) => json!({ "PutRequest": { "Item": json_item(head_row(head).expect("a row")) } }),
                None => json!({ "DeleteRequest": { "Key": key(*id) } }),
            });
            let batch = json!({ "RequestItems": { table.as_str(): writes.collect::<Vec<_>>() } });
            self.endpoint.database.batch_write_item(typed(batch)).expect("a batch");
        }
    }

    /// The head of a job, as it is stored.
    pub(crate) fn head(&self, id: JobId) -> Option<Item> {
        let get = json!({ "TableName": self.tables["JOBS_TABLE"], "Key": key(id), "ConsistentRead": true });
        let answer = self.endpoint.database.get_item(typed(get)).expect("an answer");
        match json!(answer)["Item"].take() {
            Value::Object(item) => Some(item),
            _ => None,
        }
    }

    /// The items of `tallies` in a scope whose names begin so.
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
                "TableName": self.tables["TALLIES_TABLE"], "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names, "ExpressionAttributeValues": values,
            });
            if !from.is_null() {
                query["ExclusiveStartKey"] = from;
            }
            let mut page = json!(self.endpoint.database.query(typed(query)).expect("an answer"));
            items.extend(items_of(&mut page));
            from = page["LastEvaluatedKey"].take();
            if from.is_null() {
                return items;
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn key(id: JobId) -> Value {
    json!({ "job_id": { "S": id.to_string() }, "part": { "S": "head" } })
}

/// A request of the engine.
macro_rules! typed_fn {
    ($($kind:path),*) => { $(impl Typed for $kind {
        fn typed(request: Value) -> Self {
            // By way of text, as the engine reads requests.
            serde_json::from_str(&request.to_string()).expect("a request of the engine")
        }
    })* };
}

/// What a request is written down as.
trait Typed {
    fn typed(request: Value) -> Self;
}

typed_fn!(
    dynoxide::actions::create_table::CreateTableRequest,
    dynoxide::actions::put_item::PutItemRequest,
    dynoxide::actions::get_item::GetItemRequest,
    dynoxide::actions::batch_write_item::BatchWriteItemRequest,
    dynoxide::actions::query::QueryRequest
);

fn typed<T: Typed>(request: Value) -> T {
    T::typed(request)
}

/// What makes a table as the template has it.
fn creation(table: &Table) -> Value {
    let schema = |key: &[(String, aws_sdk_dynamodb::types::KeyType)]| -> Vec<Value> {
        key.iter().map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind.as_str() })).collect()
    };
    let projection = |index: &Index| match &index.projection {
        Projection::All => json!({ "ProjectionType": "ALL" }),
        Projection::KeysOnly => json!({ "ProjectionType": "KEYS_ONLY" }),
        Projection::Include(names) => json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": names }),
    };
    let attributes = table.attributes.iter();
    let attributes: Vec<Value> = attributes
        .map(|(name, kind)| json!({ "AttributeName": name, "AttributeType": kind.as_str() }))
        .collect();
    let indexes: Vec<Value> = table
        .indexes
        .iter()
        .map(|index| {
            json!({
                "IndexName": index.name, "KeySchema": schema(&index.key), "Projection": projection(index),
            })
        })
        .collect();
    let mut creation = json!({
        "TableName": table.name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes, "KeySchema": schema(&table.key),
    });
    if !indexes.is_empty() {
        creation["GlobalSecondaryIndexes"] = json!(indexes);
    }
    creation
}

impl Endpoint {
    fn troubles(&self) -> MutexGuard<'_, HashMap<String, Troubles>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with a request: only counters name a checkpoint, by its shard.
    fn trouble_of(&self, body: &str) -> Option<Trouble> {
        let (_, rest) = body.split_once("\"checkpoint#")?;
        let (shard, _) = rest.split_once('"')?;
        self.troubles().get_mut(shard)?.pop_front()?
    }

    fn run(&self, operation: &str, body: &str) -> (u16, String) {
        macro_rules! run {
            ($method:ident) => {
                match self.database.$method(serde_json::from_str(body).expect("a request of the SDK")) {
                    Ok(answer) => (200, serde_json::to_string(&answer).expect("an answer")),
                    Err(error) => (error.status_code(), error.to_json()),
                }
            };
        }
        match operation {
            "GetItem" => run!(get_item),
            "BatchGetItem" => run!(batch_get_item),
            "Query" => run!(query),
            "PutItem" => run!(put_item),
            "UpdateItem" => run!(update_item),
            "DeleteItem" => run!(delete_item),
            "BatchWriteItem" => run!(batch_write_item),
            "TransactWriteItems" => run!(transact_write_items),
            other => panic!("nobody was expected to send {other}"),
        }
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
        Some(_) | None => Some(endpoint.run(operation, &body)),
    };
    let (status, body) = match (trouble.map(|trouble| trouble.fault), answered) {
        (Some(Fault::Answered(status, body)), _) => (status, body.to_string()),
        (_, Some(answered)) => answered,
        (fault, None) => panic!("{fault:?} is no answer"),
    };
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/x-amz-json-1.0")], body)
}
