//! The same for the work queue. If an answer is lost, the claim, report or edit is done once, and no part is orphaned.

use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use jobledger_tests::at_once::each_of;
use jobledger_tests::dynamo::{Item, text};
use jobledger_tests::faults::Fault;
use serde_json::{Value, json};

use super::FaultFixture;

/// More requests than any one call sends.
const MAX_REQUESTS: usize = 16;

/// Calls several times, each on its own jobs, and loses another answer each time.
async fn each_lost<W: Future<Output = (Request, String)>>(
    fixture: &FaultFixture,
    name: &str,
    make: impl Fn() -> W,
    look: impl AsyncFn(&Reply, &str, &str),
) {
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let behind = fixture.behind(name).await.knows_the_key().await;
        for number in 0..MAX_REQUESTS {
            let (request, id) = make().await;
            behind.proxy.spoil(number, fault.clone());
            let reply = behind.call(&request).await;
            let sent = behind.proxy.operations();
            let what = format!("{name}, {fault:?} at {number} of {sent:?}: {}", reply.text);
            assert_eq!(reply.status, 200, "{what}");
            look(&reply, &id, &what).await;
            has_no_orphans(fixture, &id, &what).await;
            if sent.len() <= number {
                break;
            }
            assert!(number + 1 < MAX_REQUESTS, "more requests than are tried");
        }
    }
}

async fn parts_of(fixture: &FaultFixture, id: &str) -> Vec<Item> {
    fixture.dynamo.partition(&fixture.jobs, "job_id", id).await
}

/// The stored parts of a job are those that its head names.
async fn has_no_orphans(fixture: &FaultFixture, id: &str, what: &str) {
    let parts = parts_of(fixture, id).await;
    let head = parts.iter().find(|item| text(item, "part") == "head").expect("a head");
    for part in &parts {
        let Some((kind, name)) = text(part, "part").split_once('#') else { continue };
        assert_eq!(text(head, kind), name, "{what}");
    }
    for kind in ["input", "output"].into_iter().filter(|kind| head.contains_key(*kind)) {
        let name = format!("{kind}#{}", text(head, kind));
        assert!(parts.iter().any(|part| text(part, "part") == name), "{name} is gone: {what}");
    }
}

async fn slots(fixture: &FaultFixture, kind: &str) -> Value {
    fixture.service.get(&format!("/v1/types/{kind}")).expect(200).await.at("/running").clone()
}

/// A type without a limit, and one with a limit. Each case has its own types, so that no case claims a job of another.
async fn kinds(fixture: &FaultFixture, case: usize) -> [String; 2] {
    let [free, limited] = ["free", "limited"].map(|kind| format!("{kind}-{case}"));
    let settings = json!({ "max_concurrency": 100, "backoff_seconds": 0 });
    fixture.service.call("PUT", &format!("/v1/types/{limited}")).json(&settings).expect(200).await;
    [free, limited]
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_gives_the_worker_its_job() {
    let fixture = FaultFixture::start().await;
    for kind in &kinds(&fixture, 0).await {
        let taken = std::sync::atomic::AtomicUsize::new(0);
        let claim = || async {
            let id = fixture.job(&json!({ "type": kind, "payload": { "x": 1 } })).await;
            let body = json!({ "worker_id": "w", "types": [kind] });
            (Request::new("POST", "/v1/jobs/claim").body(body.to_string()), id)
        };
        each_lost(&fixture, "claim-jobs", claim, async |reply, id, what| {
            assert_eq!(reply.at("/jobs/0/job_id"), &json!(id), "{what}");
            assert_eq!(
                (reply.at("/jobs/0/payload"), reply.at("/jobs/0/attempt")),
                (&json!({ "x": 1 }), &json!(1))
            );
            let report = json!({ "lease_token": reply.at("/jobs/0/lease_token") });
            fixture.service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
            taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        })
        .await;
        if kind.starts_with("limited") {
            assert_eq!(slots(&fixture, kind).await, json!(taken.into_inner()), "one slot each");
        }
    }
}

async fn report_of(fixture: &FaultFixture, kind: &str, mut report: Value) -> (Request, String) {
    let (id, token) = fixture.held(kind).await;
    report["lease_token"] = json!(token);
    (Request::new("PATCH", &format!("/v1/jobs/{id}")).body(report.to_string()), id)
}

#[tokio::test]
async fn a_report_applies_once() {
    let fixture = &FaultFixture::start().await;
    let progress = json!({ "current_task": "x", "current_task_progress": 1, "overall_progress": 5 });
    let reports = [
        (json!({ "progress": progress }), "running"),
        (json!({ "phase": "x", "artifacts": [{ "name": "a" }] }), "running"),
        (json!({ "status": "completed" }), "completed"),
        (json!({ "status": "completed", "result": [1], "cost_usd": 1 }), "completed"),
        (json!({ "status": "completed", "result": [1], "name": "x", "metadata": { "x": 1 } }), "completed"),
        (json!({ "status": "failed", "error": "x", "retryable": false, "result": [1] }), "failed"),
        (json!({ "status": "cancelled", "metadata": { "x": 1 } }), "cancelled"),
    ];
    each_of(reports.into_iter().enumerate(), |(case, (report, status))| async move {
        for kind in &kinds(fixture, case).await {
            let make = || report_of(fixture, kind, report.clone());
            each_lost(fixture, "update-job", make, async |reply, id, what| {
                assert_eq!(reply.at("/status"), status, "{what}");
                let job = fixture.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
                assert_eq!((job.at("/status"), job.at("/attempt")), (&json!(status), &json!(1)), "{what}");
                assert_eq!(job.at("/result"), report.get("result").unwrap_or(&Value::Null), "{what}");
                if status == "running" {
                    fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
                }
            })
            .await;
            if kind.starts_with("limited") {
                assert_eq!(slots(fixture, kind).await, 0, "{report}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_or_returned_attempt_is_queued_once() {
    let fixture = &FaultFixture::start().await;
    let reports =
        [(json!({ "status": "failed", "error": "x", "result": [1] }), 2), (json!({ "status": "queued" }), 3)];
    each_of(reports.into_iter().enumerate(), |(case, (report, most))| async move {
        for kind in &kinds(fixture, case).await {
            let make = || report_of(fixture, kind, report.clone());
            each_lost(fixture, "update-job", make, async |reply, id, what| {
                assert_eq!(
                    (reply.at("/status"), reply.at("/max_attempts")),
                    (&json!("queued"), &json!(most)),
                    "{what}"
                );
                let job = fixture.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
                assert_eq!(
                    (job.at("/attempt"), job.at("/max_attempts")),
                    (&json!(1), &json!(most)),
                    "{what}"
                );
                fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
            })
            .await;
            if kind.starts_with("limited") {
                assert_eq!(slots(fixture, kind).await, 0, "{report}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_edit_and_a_retry_succeed_for_their_caller() {
    let fixture = FaultFixture::start().await;
    let edit = || async {
        let id = fixture.job(&json!({ "type": "x", "payload": 1, "metadata": { "x": 0 } })).await;
        let body = json!({ "priority": 7, "metadata": { "x": 1 }, "labels": { "team": "t" } });
        (Request::new("PATCH", &format!("/v1/jobs/{id}")).body(body.to_string()), id)
    };
    each_lost(&fixture, "update-job", edit, async |_, id, what| {
        let job = fixture.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!((job.at("/payload"), job.at("/metadata")), (&json!(1), &json!({ "x": 1 })), "{what}");
        assert_eq!(job.at("/priority"), 7, "{what}");
    })
    .await;
    let retry = || async {
        let id = fixture.job(&json!({ "type": "x", "payload": 1 })).await;
        fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        (Request::new("POST", &format!("/v1/jobs/{id}/retry")), id)
    };
    each_lost(&fixture, "retry-job", retry, async |reply, _, what| {
        assert_eq!((reply.at("/status"), reply.at("/max_attempts")), (&json!("queued"), &json!(1)), "{what}");
    })
    .await;
}

/// From some request on, requests or answers get lost, so the worker gets 503. It repeats its report.
#[tokio::test]
async fn a_final_report_that_failed_is_accepted_when_repeated() {
    let fixture = &FaultFixture::start().await;
    let reports =
        [json!({ "status": "completed", "result": [1] }), json!({ "status": "failed", "error": "x" })];
    let faults = [Fault::AnswerLost, Fault::Lost];
    let cases = reports.iter().flat_map(|report| {
        faults.iter().flat_map(move |fault| (0..6).map(move |from| (report, fault, from)))
    });
    each_of(cases.enumerate(), |(case, (report, fault, from))| async move {
        for kind in &kinds(fixture, case).await {
            let (request, id) = report_of(fixture, kind, report.clone()).await;
            let behind = fixture.behind("update-job").await.knows_the_key().await;
            let lost = fault.clone();
            behind.proxy.plan(move |seen| if seen.number < from { Fault::None } else { lost.clone() });
            let reply = behind.call(&request).await;
            let what = format!("{kind} {report} {fault:?} from {from}: {}", reply.text);
            assert!([200, 503].contains(&reply.status), "{what}");
            behind.proxy.heal();
            let again = behind.call(&request).await;
            assert_eq!(again.status, 200, "{what}, then {}", again.text);
            let expect = if report["status"] == "failed" { "queued" } else { "completed" };
            assert_eq!(again.at("/status"), expect, "{what}");
            has_no_orphans(fixture, &id, &what).await;
            fixture.service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
            if kind.starts_with("limited") {
                assert_eq!(slots(fixture, kind).await, 0, "{what}");
            }
        }
    })
    .await;
}
