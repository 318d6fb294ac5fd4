//! One file or directory a function, named like it.

mod batch_status;
pub(crate) mod bulk_jobs;
mod cancel_job;
pub(crate) mod claim_jobs;
mod costs;
mod create_job;
mod delete_job;
mod export_jobs;
mod export_link;
mod get_job;
mod get_job_count;
mod get_job_stats;
mod get_record_count;
mod health;
mod ingest_jobs;
pub(crate) mod keys;
mod list_jobs;
pub(crate) mod metrics;
mod record;
mod recount;
mod retry_job;
mod type_settings;
mod update_job;
mod usage;

use jobledger::store::{AttributeMap, Config, Store, plans};
use jobledger_tests::dynamo::{self, Dynamo, Item};
use jobledger_tests::{Reply, Service};
use serde_json::Value;

/// Creates a job, and tells its id.
#[track_caller]
pub(crate) fn create(service: &Service, body: &Value) -> impl Future<Output = String> {
    let call = service.post("/v1/jobs", body).expect(201);
    async move { text(call.await.at("/job_id")) }
}

/// Ingests jobs, and answers with how many were created, updated, unchanged and rejected.
#[track_caller]
pub(crate) fn ingest(service: &Service, jobs: &Value) -> impl Future<Output = [u64; 4]> {
    let call = service.post("/v1/admin/ingest/jobs", jobs).expect(200);
    async move { went_in(&call.await) }
}

/// How many jobs were created, updated, unchanged and rejected.
pub(crate) fn went_in(reply: &Reply) -> [u64; 4] {
    let count = |name: &str| reply.at(name).as_u64().expect("a count");
    let rejected = reply.at("/rejected").as_array().expect("a list").len();
    [count("/created"), count("/updated"), count("/unchanged"), rejected.try_into().expect("a count")]
}

/// How many jobs a list has, by its own word.
pub(crate) async fn total(service: &Service, query: &str) -> u64 {
    let reply = service.get(&format!("/v1/jobs?limit=1&{query}")).expect(200).await;
    assert_eq!(reply.at("/total_kind"), "exact");
    reply.at("/total").as_u64().expect("a total")
}

/// A JSON string as text.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

/// Whether an answer is this problem, whole and in its form (RFC 9457).
#[track_caller]
pub(crate) fn is_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.at("/code").as_str()), (status, Some(code)), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.at("/status"), status);
    for name in ["/type", "/title", "/detail"] {
        assert!(reply.at(name).as_str().is_some_and(|text| !text.is_empty()), "{name}: {}", reply.text);
    }
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()));
}

/// Whether an answer is this problem, and names exactly these fields, each with its reason.
#[track_caller]
pub(crate) fn refuses(reply: &Reply, status: u16, code: &str, fields: &[&str]) {
    is_problem(reply, status, code);
    let mut named = reply.wrong_fields();
    named.sort();
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    assert_eq!(named, expected, "{}", reply.text);
    for error in reply.at("/errors").as_array().expect("errors") {
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
}

/// A connection to the tables of a stack, and what they are called.
pub(crate) async fn tables(service: &Service) -> (Store, Config) {
    let environment = service.stack.environment("get-job").expect("the template has get-job");
    let config = Config::from_vars(&environment.vars).expect("its settings");
    (Store::connect(config.endpoint.as_ref(), None, None).await, config)
}

/// Every item that is stored of a job, by the names of their parts.
pub(crate) async fn stored_parts(service: &Service, id: &str) -> Vec<String> {
    let (store, config) = tables(service).await;
    let id = jobledger::domain::JobId::try_from(id).expect("an id");
    let page = store.query(plans::get_job(&config.tables, id)).await.expect("an answer");
    let part = |item: &AttributeMap| item["part"].as_s().expect("a part's name").clone();
    page.items.unwrap_or_default().iter().map(part).collect()
}

/// Every item that is stored of a job.
pub(crate) async fn stored_items(service: &Service, id: &str) -> Vec<Item> {
    let config = tables(service).await.1;
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&config.tables.jobs).await;
    items.into_iter().filter(|item| dynamo::text(item, "job_id") == id).collect()
}

/// Writes attributes of a job's head past the service.
pub(crate) async fn spoil_head(service: &Service, id: &str, attributes: &Value) {
    let config = tables(service).await.1;
    let mut head =
        stored_items(service, id).await.into_iter().find(|item| dynamo::text(item, "part") == "head");
    let head = head.as_mut().expect("a head");
    for (name, value) in attributes.as_object().expect("attributes") {
        head.insert(name.clone(), value.clone());
    }
    Dynamo::at(service.stack.dynamodb_endpoint()).put(&config.tables.jobs, head).await;
}
