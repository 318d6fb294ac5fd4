//! One trace through all: the call that creates a job, its claim, the worker's report, and the log.

use jobledger_tests::Service;
use jobledger_tests::log::LogLines;
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_trace_is_followed_from_the_creation_to_the_failure() {
    let service = Service::start().await;
    let (log, _guard) = LogLines::listen(&service).await;
    let create = service.post("/v1/jobs", &json!({ "type": "a", "max_attempts": 1 }));
    let job = create.header("traceparent", TRACEPARENT).expect(201).await;
    let id = job.at("/job_id").as_str().expect("an id").to_owned();
    let claim = json!({ "worker_id": "w", "types": ["a"] });
    let claimed = service.post("/v1/jobs/claim", &claim).expect(200).await;
    assert_eq!(claimed.at("/jobs/0/trace_id"), TRACE);
    let error = json!({ "message": "no", "code": "out_of_memory" });
    let report =
        json!({ "lease_token": claimed.at("/jobs/0/lease_token"), "status": "failed", "error": error });
    let call = service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report);
    call.header("traceparent", TRACEPARENT).expect(200).await;
    service.settled().await;
    let lines = log.lines();
    let of_trace: Vec<&Value> = lines.iter().filter(|line| line["trace_id"] == TRACE).collect();
    let told: Vec<(&Value, &Value)> =
        of_trace.iter().map(|line| (&line["message"], &line["route"])).collect();
    assert_eq!(
        told,
        [
            (&json!("answered"), &json!("POST /v1/jobs")),
            (&json!("answered"), &json!("PATCH /v1/jobs/{job_id}")),
            (&json!("a job failed"), &Value::Null),
        ]
    );
    let failed = of_trace.last().expect("the last line");
    for (field, value) in [
        ("job_id", json!(id)),
        ("owner", json!("default")),
        ("type", json!("a")),
        ("worker", json!("w")),
        ("attempt", json!(1)),
        ("code", json!("out_of_memory")),
    ] {
        assert_eq!(failed[field], value, "{failed}");
    }
}

#[tokio::test]
async fn without_a_traceparent_the_trace_of_aws_is_taken() {
    let service = Service::shared().await;
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    for (traceparent, expect) in [
        (None, json!("5759e988bd862e3fe1be46a994272793")),
        (Some(TRACEPARENT), json!(TRACE)),
        // The caller's own header counts, also if it is malformed.
        (Some("garbage"), Value::Null),
    ] {
        let mut call = service.post("/v1/jobs", &json!({ "type": "a" })).header("x-amzn-trace-id", xray);
        if let Some(traceparent) = traceparent {
            call = call.header("traceparent", traceparent);
        }
        let id = call.expect(201).await.at("/job_id").clone();
        let path = format!("/v1/jobs/{}", id.as_str().expect("an id"));
        let job = service.get(&path).expect(200).await;
        assert_eq!(job.json.get("trace_id").unwrap_or(&Value::Null), &expect, "{traceparent:?}");
    }
}
