//! The embedded DynamoDB by itself, called as a library: without streams and without a network.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use dynoxide::{Database, DynoxideError};
use jobledger::domain::KeyHash;
use jobledger_local::template::{Index, Projection, Table, Template};
use jobledger_local::{LOCAL_KEY, LOCAL_OWNER, TEMPLATE};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The variables that name tables, and the tables' ids in the template.
const TABLES: [(&str, &str); 6] = [
    ("JOBS_TABLE", "JobsTable"),
    ("TALLIES_TABLE", "TalliesTable"),
    ("SETTINGS_TABLE", "SettingsTable"),
    ("TASKS_TABLE", "TasksTable"),
    ("RECORDS_TABLE", "RecordsTable"),
    ("USAGE_TABLE", "UsageTable"),
];

/// An engine in memory, with the template's tables.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    names: BTreeMap<String, String>,
}

/// The template's tables, read once.
fn tables() -> &'static [Table] {
    static TABLES: OnceLock<Vec<Table>> = OnceLock::new();
    TABLES.get_or_init(|| Template::parse(TEMPLATE, &BTreeMap::new(), "").expect("the template").tables)
}

impl Engine {
    /// A new engine, which contains only the key of the local stack.
    pub fn start() -> Self {
        let database = Database::memory().expect("an engine");
        let tables = tables();
        for table in tables {
            let creation = creation(table).to_string();
            database.create_table(serde_json::from_str(&creation).expect("a creation")).expect("a table");
        }
        let engine = Self { database, names: names() };
        let hash = KeyHash::of(LOCAL_KEY);
        let key = json!({
            "kind": { "S": "keys" }, "id": { "S": hash.key_id().as_str() }, "hash": { "S": hash.as_str() },
            "owner": { "S": LOCAL_OWNER }, "scopes": { "SS": ["admin"] },
        });
        engine.call("PutItem", &json!({ "TableName": engine.table("SETTINGS_TABLE"), "Item": key }));
        engine
    }

    /// An engine with the data of a local stack in this file.
    pub fn open(file: &Path) -> Self {
        let database = Database::new(&file.to_string_lossy()).expect("a database");
        Self { database, names: names() }
    }

    /// The variables that name the tables to functions.
    pub const fn names(&self) -> &BTreeMap<String, String> {
        &self.names
    }

    /// The table that this variable names.
    pub fn table(&self, variable: &str) -> &str {
        &self.names[variable]
    }

    /// Does a request; returns the status and the body of its answer.
    pub fn answer(&self, operation: &str, body: &str) -> (u16, String) {
        let database = &self.database;
        match operation {
            "GetItem" => answer(body, |request| database.get_item(request)),
            "BatchGetItem" => answer(body, |request| database.batch_get_item(request)),
            "Query" => answer(body, |request| database.query(request)),
            "PutItem" => answer(body, |request| database.put_item(request)),
            "UpdateItem" => answer(body, |request| database.update_item(request)),
            "DeleteItem" => answer(body, |request| database.delete_item(request)),
            "BatchWriteItem" => answer(body, |request| database.batch_write_item(request)),
            "TransactWriteItems" => answer(body, |request| database.transact_write_items(request)),
            other => panic!("nobody was expected to send {other}"),
        }
    }

    /// Does a request, which must succeed.
    pub fn call(&self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.answer(operation, &body.to_string());
        assert_eq!(status, 200, "{operation}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }
}

/// The names of the tables, by the variables that tell functions.
fn names() -> BTreeMap<String, String> {
    let name = |id: &str| {
        let found = tables().iter().find(|table| table.id == id);
        found.map(|table| table.name.clone()).expect("a table of the template")
    };
    TABLES.into_iter().map(|(variable, id)| (variable.to_owned(), name(id))).collect()
}

/// Parses a request, lets the engine do it, and returns the answer as text.
fn answer<Request: DeserializeOwned, Answer: Serialize>(
    body: &str,
    run: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
) -> (u16, String) {
    match run(serde_json::from_str(body).expect("a request of the SDK")) {
        Ok(answer) => (200, serde_json::to_string(&answer).expect("an answer")),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// The request that creates a table of the template.
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
