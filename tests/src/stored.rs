//! Stored items, which tests read and change without the service.

use jobledger::store::{AttributeMap, Config, Store, plans};
use serde_json::Value;

use crate::Service;
use crate::dynamo::{self, Dynamo, Item};

/// A connection to the tables of a stack, and the tables' names.
pub async fn tables(service: &Service) -> (Store, Config) {
    let environment = service.stack.environment("get-job").expect("the template has get-job");
    let config = Config::from_vars(&environment.vars).expect("its settings");
    (Store::connect(config.endpoint.as_ref(), None, None).await, config)
}

/// The names of a job's stored parts.
pub async fn stored_parts(service: &Service, id: &str) -> Vec<String> {
    let (store, config) = tables(service).await;
    let id = jobledger::domain::JobId::try_from(id).expect("an id");
    let page = store.query(plans::get_job(&config.tables, id)).await.expect("an answer");
    let part = |item: &AttributeMap| item["part"].as_s().expect("a part's name").clone();
    page.items.unwrap_or_default().iter().map(part).collect()
}

/// All stored items of a job.
pub async fn stored_items(service: &Service, id: &str) -> Vec<Item> {
    let environment = service.stack.environment("get-job").expect("the function");
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    dynamo.partition(&environment.vars["JOBS_TABLE"], "job_id", id).await
}

/// Writes attributes of a job's head directly.
pub async fn spoil_head(service: &Service, id: &str, attributes: &Value) {
    let config = tables(service).await.1;
    let mut head =
        stored_items(service, id).await.into_iter().find(|item| dynamo::text(item, "part") == "head");
    let head = head.as_mut().expect("a head");
    for (name, value) in attributes.as_object().expect("attributes") {
        head.insert(name.clone(), value.clone());
    }
    Dynamo::at(service.stack.dynamodb_endpoint()).put(&config.tables.jobs, head).await;
}
