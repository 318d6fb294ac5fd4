//! `PATCH /v1/jobs/{job_id}`.

mod edits;
mod ends;
mod heartbeats;
mod lost_leases;
mod outside;
mod refusals;
mod waiting;

use jobledger::domain::Timestamp;
use jobledger_tests::{Call, Reply, Service, text};
use serde_json::Value;

fn patch(service: &Service, id: &str, body: &Value) -> Call {
    service.call("PATCH", &format!("/v1/jobs/{id}")).json(body)
}

async fn whole(service: &Service, id: &str) -> Value {
    service.get(&format!("/v1/jobs/{id}")).expect(200).await.json
}

#[track_caller]
fn time(value: &Value) -> Timestamp {
    Timestamp::parse(&text(value)).expect("a time")
}

#[track_caller]
fn is_at(reply: &Reply, status: &str) {
    assert_eq!(reply.at("/status"), status, "{}", reply.text);
}
