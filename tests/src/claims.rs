//! Jobs that a worker holds.

use jobledger::Environment;
use jobledger::lambda::system_clock;
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::jobs::create;
use crate::{Call, Reply, Service, text};

/// A job that a worker holds.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    /// Its id.
    pub id: String,
    /// Its lease token, for reports.
    pub token: String,
    /// The whole job from the claim's answer.
    pub job: Value,
}

impl ClaimedJob {
    /// A job from the answer of a claim.
    pub fn of(job: &Value) -> Self {
        Self { id: text(&job["job_id"]), token: text(&job["lease_token"]), job: job.clone() }
    }

    /// A report with the job's token.
    pub fn report(&self, service: &Service, report: &Value) -> Call {
        let mut report = report.clone();
        report["lease_token"] = json!(self.token);
        service.call("PATCH", &format!("/v1/jobs/{}", self.id)).json(&report)
    }

    /// A report that must be accepted.
    pub async fn tell(&self, service: &Service, report: &Value) -> Reply {
        self.report(service, report).expect(200).await
    }
}

/// Claims jobs, which must succeed; returns them.
pub async fn claim(service: &Service, body: &Value) -> Vec<ClaimedJob> {
    let reply = service.post("/v1/jobs/claim", body).expect(200).await;
    reply.at("/jobs").as_array().expect("jobs").iter().map(ClaimedJob::of).collect()
}

/// Claims the waiting jobs of a type, up to `max`.
pub async fn claim_of(service: &Service, kind: &str, max: usize) -> Vec<ClaimedJob> {
    claim(service, &json!({ "worker_id": "w", "types": [kind], "max": max })).await
}

/// Creates a job and claims it. No other job of its type may wait.
pub async fn create_and_claim(service: &Service, body: &Value) -> ClaimedJob {
    let id = create(service, body).await;
    let mut claimed = claim_of(service, body["type"].as_str().expect("a type"), 1).await;
    let held = claimed.pop().expect("the job");
    assert_eq!(held.id, id);
    held
}

/// Sets a type's settings.
pub async fn set_type(service: &Service, kind: &str, settings: &Value) {
    service.call("PUT", &format!("/v1/types/{kind}")).json(settings).expect(200).await;
}

/// The used slots of a type.
pub async fn slots(service: &Service, kind: &str) -> Value {
    service.get(&format!("/v1/types/{kind}")).expect(200).await.at("/running").clone()
}

/// The ids of claimed jobs, in order.
pub fn ids_of(claimed: &[ClaimedJob]) -> Vec<&str> {
    claimed.iter().map(|held| held.id.as_str()).collect()
}

/// `claim-jobs` with a clock that is a minute ahead.
pub async fn claim_jobs_a_minute_ahead(service: &Service) -> Alone {
    let environment = service.stack.environment("claim-jobs").expect("the function");
    let environment = Environment { clock: || system_clock().plus_millis(60_000), ..environment };
    Alone::start("claim-jobs", environment).await
}
