//! The same for those who work: a claim, a report or an edit whose answer is lost is done once, and leaves nothing behind.

use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use jobledger_tests::dynamo::{Item, text};
use jobledger_tests::faults::Fault;
use serde_json::{Value, json};

use super::House;

/// More requests than any one call sends.
const MAX_REQUESTS: usize = 16;

/// Calls with each of its requests lost in turn, each time on jobs of their own.
async fn each_lost<W: Future<Output = (Request, String)>>(
    house: &House,
    name: &str,
    make: impl Fn() -> W,
    look: impl AsyncFn(&Reply, &str, &str),
) {
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let behind = house.behind(name).await.knows_the_key().await;
        for number in 0..MAX_REQUESTS {
            let (request, id) = make().await;
            behind.proxy.spoil(number, fault.clone());
            let reply = behind.call(&request).await;
            let sent = behind.proxy.operations();
            let what = format!("{name}, {fault:?} at {number} of {sent:?}: {}", reply.text);
            assert_eq!(reply.status, 200, "{what}");
            look(&reply, &id, &what).await;
            has_no_orphans(house, &id, &what).await;
            if sent.len() <= number {
                break;
            }
            assert!(number + 1 < MAX_REQUESTS, "more requests than are tried");
        }
    }
}

async fn parts_of(house: &House, id: &str) -> Vec<Item> {
    let items = house.dynamo.scan(&house.jobs).await.into_iter();
    items.filter(|item| text(item, "job_id") == id).collect()
}

/// All that is stored of a job is what its head names.
async fn has_no_orphans(house: &House, id: &str, what: &str) {
    let parts = parts_of(house, id).await;
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

async fn slots(house: &House) -> Value {
    house.service.get("/v1/types/limited").expect(200).await.at("/running").clone()
}

async fn limit(house: &House) {
    let settings = json!({ "max_concurrency": 100, "backoff_seconds": 0 });
    house.service.call("PUT", "/v1/types/limited").json(&settings).expect(200).await;
}

#[tokio::test]
async fn a_job_is_claimed_for_its_worker() {
    let house = House::start().await;
    limit(&house).await;
    for kind in ["free", "limited"] {
        let taken = std::sync::atomic::AtomicUsize::new(0);
        let claim = || async {
            let id = house.job(&json!({ "type": kind, "payload": { "x": 1 } })).await;
            let body = json!({ "worker_id": "w", "types": [kind] });
            (Request::new("POST", "/v1/jobs/claim").body(body.to_string()), id)
        };
        each_lost(&house, "claim-jobs", claim, async |reply, id, what| {
            assert_eq!(reply.at("/jobs/0/job_id"), &json!(id), "{what}");
            assert_eq!(
                (reply.at("/jobs/0/payload"), reply.at("/jobs/0/attempt")),
                (&json!({ "x": 1 }), &json!(1))
            );
            let report = json!({ "lease_token": reply.at("/jobs/0/lease_token") });
            house.service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
            taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        })
        .await;
        if kind == "limited" {
            assert_eq!(slots(&house).await, json!(taken.into_inner()), "one slot each");
        }
    }
}

async fn report_of(house: &House, kind: &str, mut report: Value) -> (Request, String) {
    let (id, token) = house.held(kind).await;
    report["lease_token"] = json!(token);
    (Request::new("PATCH", &format!("/v1/jobs/{id}")).body(report.to_string()), id)
}

#[tokio::test]
async fn a_report_is_taken_once() {
    let house = House::start().await;
    limit(&house).await;
    let progress = json!({ "current_task": "x", "current_task_progress": 1, "overall_progress": 5 });
    for kind in ["free", "limited"] {
        for (report, status) in [
            (json!({ "progress": progress }), "running"),
            (json!({ "phase": "x", "artifacts": [{ "name": "a" }] }), "running"),
            (json!({ "status": "completed" }), "completed"),
            (json!({ "status": "completed", "result": [1], "cost_usd": 1 }), "completed"),
            (
                json!({ "status": "completed", "result": [1], "name": "x", "metadata": { "x": 1 } }),
                "completed",
            ),
            (json!({ "status": "failed", "error": "x", "retryable": false, "result": [1] }), "failed"),
            (json!({ "status": "cancelled", "metadata": { "x": 1 } }), "cancelled"),
        ] {
            let make = || report_of(&house, kind, report.clone());
            each_lost(&house, "update-job", make, async |reply, id, what| {
                assert_eq!(reply.at("/status"), status, "{what}");
                let job = house.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
                assert_eq!((job.at("/status"), job.at("/attempt")), (&json!(status), &json!(1)), "{what}");
                assert_eq!(job.at("/result"), report.get("result").unwrap_or(&Value::Null), "{what}");
                if status == "running" {
                    house.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
                }
            })
            .await;
            if kind == "limited" {
                assert_eq!(slots(&house).await, 0, "{report}");
            }
        }
    }
}

#[tokio::test]
async fn a_try_that_failed_or_is_handed_back_is_queued_once() {
    let house = House::start().await;
    limit(&house).await;
    for kind in ["free", "limited"] {
        for (report, most) in [
            (json!({ "status": "failed", "error": "x", "result": [1] }), 2),
            (json!({ "status": "queued" }), 3),
        ] {
            let make = || report_of(&house, kind, report.clone());
            each_lost(&house, "update-job", make, async |reply, id, what| {
                assert_eq!(
                    (reply.at("/status"), reply.at("/max_attempts")),
                    (&json!("queued"), &json!(most)),
                    "{what}"
                );
                let job = house.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
                assert_eq!(
                    (job.at("/attempt"), job.at("/max_attempts")),
                    (&json!(1), &json!(most)),
                    "{what}"
                );
                house.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
            })
            .await;
            if kind == "limited" {
                assert_eq!(slots(&house).await, 0, "{report}");
            }
        }
    }
}

#[tokio::test]
async fn a_job_is_changed_and_retried_for_its_caller() {
    let house = House::start().await;
    let edit = || async {
        let id = house.job(&json!({ "type": "x", "payload": 1, "metadata": { "x": 0 } })).await;
        let body = json!({ "priority": 7, "metadata": { "x": 1 }, "labels": { "team": "t" } });
        (Request::new("PATCH", &format!("/v1/jobs/{id}")).body(body.to_string()), id)
    };
    each_lost(&house, "update-job", edit, async |_, id, what| {
        let job = house.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!((job.at("/payload"), job.at("/metadata")), (&json!(1), &json!({ "x": 1 })), "{what}");
        assert_eq!(job.at("/priority"), 7, "{what}");
    })
    .await;
    let retry = || async {
        let id = house.job(&json!({ "type": "x", "payload": 1 })).await;
        house.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        (Request::new("POST", &format!("/v1/jobs/{id}/retry")), id)
    };
    each_lost(&house, "retry-job", retry, async |reply, _, what| {
        assert_eq!((reply.at("/status"), reply.at("/max_attempts")), (&json!("queued"), &json!(1)), "{what}");
    })
    .await;
}

/// From some request on nothing is done, or nothing is answered, so that the worker hears 503. It sends its report again.
#[tokio::test]
async fn an_end_that_was_given_up_is_taken_when_it_comes_again() {
    let house = House::start().await;
    limit(&house).await;
    for kind in ["free", "limited"] {
        for report in
            [json!({ "status": "completed", "result": [1] }), json!({ "status": "failed", "error": "x" })]
        {
            for fault in [Fault::AnswerLost, Fault::Lost] {
                for from in 0..6 {
                    let (request, id) = report_of(&house, kind, report.clone()).await;
                    let behind = house.behind("update-job").await.knows_the_key().await;
                    let lost = fault.clone();
                    behind
                        .proxy
                        .plan(move |seen| if seen.number < from { Fault::None } else { lost.clone() });
                    let reply = behind.call(&request).await;
                    let what = format!("{report} {fault:?} from {from}: {}", reply.text);
                    assert!([200, 503].contains(&reply.status), "{what}");
                    behind.proxy.heal();
                    let again = behind.call(&request).await;
                    assert_eq!(again.status, 200, "{what}, then {}", again.text);
                    let expect = if report["status"] == "failed" { "queued" } else { "completed" };
                    assert_eq!(again.at("/status"), expect, "{what}");
                    has_no_orphans(&house, &id, &what).await;
                    house.service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
                }
            }
        }
        if kind == "limited" {
            assert_eq!(slots(&house).await, 0);
        }
    }
}
