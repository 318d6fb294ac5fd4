//! DynamoDB's own JSON over HTTP: tests read and change items with it, without the service and its meter.

use serde_json::{Map, Value, json};

/// An item in DynamoDB's JSON: `{"name": {"S": "value"}}`.
pub type Item = Map<String, Value>;

/// The signature that an engine requires that does not check signatures.
const UNSIGNED: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
                        SignedHeaders=host, Signature=0";

/// A DynamoDB.
#[derive(Clone, Debug)]
pub struct Dynamo {
    endpoint: String,
    http: reqwest::Client,
}

impl Dynamo {
    /// The DynamoDB at this address.
    pub fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), http: reqwest::Client::new() }
    }

    /// Sends one request, such as `PutItem`, which must succeed.
    pub async fn call(&self, operation: &str, body: &Value) -> Value {
        let request = self
            .http
            .post(&self.endpoint)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", UNSIGNED)
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string());
        let response = request.send().await.expect("an answer");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{operation}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// All items of a table.
    pub async fn scan(&self, table: &str) -> Vec<Item> {
        self.pages("Scan", json!({ "TableName": table, "ConsistentRead": true })).await
    }

    /// All items of a table with this text as the partition key.
    pub async fn partition(&self, table: &str, key: &str, value: &str) -> Vec<Item> {
        let query = json!({
            "TableName": table, "ConsistentRead": true,
            "KeyConditionExpression": "#key = :value",
            "ExpressionAttributeNames": { "#key": key },
            "ExpressionAttributeValues": { ":value": { "S": value } },
        });
        self.pages("Query", query).await
    }

    async fn pages(&self, operation: &str, mut body: Value) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            let mut page = self.call(operation, &body).await;
            items.extend(items_of(&mut page));
            match page["LastEvaluatedKey"].take() {
                Value::Null => return items,
                from => body["ExclusiveStartKey"] = from,
            }
        }
    }

    /// Writes an item unchanged.
    pub async fn put(&self, table: &str, item: &Item) {
        self.call("PutItem", &json!({ "TableName": table, "Item": item })).await;
    }
}

/// The items of an answer.
pub fn items_of(answer: &mut Value) -> Vec<Item> {
    match answer["Items"].take() {
        Value::Array(items) => items.into_iter().map(item_of).collect(),
        _ => Vec::new(),
    }
}

fn item_of(value: Value) -> Item {
    match value {
        Value::Object(item) => item,
        other => panic!("{other} is no item"),
    }
}

/// A text attribute.
pub fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value["S"].as_str()).unwrap_or_default()
}
