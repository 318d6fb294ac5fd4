//! Claims: how many, how often, and their retries when the service is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jobledger_worker::{BuildError, ClientError, RunError, TaskError, Worker};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::mock::{Mock, Run, eventually};

const AWAY: (u16, Option<u64>, serde_json::Value) = (503, None, serde_json::Value::Null);

#[test]
fn errors_of_a_claim_can_be_told_apart() {
    let refused = |url, key| Worker::builder(url, key).handle("a", |_| async { Ok(()) }).build().err();
    assert!(matches!(refused("h", "k"), Some(BuildError::Client(ClientError::Url(_)))));
    assert!(matches!(refused("http://h", "a b"), Some(BuildError::Client(ClientError::Key))));
}

#[tokio::test]
async fn a_claim_names_the_worker_and_its_types() {
    let mock = Mock::start().await;
    let worker = mock.worker().handle("b", |_| async { Ok(()) }).handle("a", |_| async { Ok(()) });
    let run = Run::start(&mock, worker.lease_seconds(60).concurrency(3));
    mock.until("a claim", |seen| !seen.claims.is_empty()).await;
    {
        let seen = mock.seen();
        let expected = json!({
            "worker_id": "w-1", "types": ["a", "b"], "max": 3, "lease_seconds": 60, "wait_seconds": 20,
            "acknowledge": true,
        });
        assert_eq!(seen.claims[0], expected);
        assert_eq!(seen.headers[0]["authorization"], "Bearer secret");
        assert_eq!(seen.headers[0]["content-type"], "application/json");
    }
    run.stop().await;
}

#[tokio::test]
async fn no_batch_exceeds_the_free_slots() {
    let mock = Mock::start().await;
    let ids = mock.queue("a", 60);
    let at_once = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(Semaphore::new(0));
    let worker = {
        let (at_once, go) = (at_once.clone(), go.clone());
        mock.worker().concurrency(14).handle("a", move |_| {
            let (at_once, go) = (at_once.clone(), go.clone());
            async move {
                assert!(at_once.fetch_add(1, Ordering::SeqCst) < 14, "more than there are slots");
                go.acquire().await.unwrap().forget();
                at_once.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let run = Run::start(&mock, worker);
    mock.until("two batches", |seen| seen.claims.len() == 2).await;
    let asked: Vec<_> = mock.seen().claims.iter().map(|claim| claim["max"].as_u64().unwrap()).collect();
    assert_eq!(asked, [10, 4], "a batch is at most ten, and no more than there are slots");
    // All slots are in use: there is no third claim before one is free.
    go.add_permits(1);
    mock.until("a third claim", |seen| seen.claims.len() == 3).await;
    assert_eq!(mock.seen().claims[2]["max"], 1);
    go.add_permits(ids.len());
    mock.until("all done", |seen| ids.iter().all(|id| seen.ends(id) == ["completed"])).await;
    run.stop().await;
}

#[tokio::test]
async fn jobs_beyond_the_requested_number_are_handed_back() {
    let mock = Mock::start().await;
    let job = |id: &str, kind: &str| json!({ "job_id": id, "type": kind, "lease_token": "t" });
    let jobs =
        [job("one", "a"), job("two", "a"), job("other", "z"), json!({ "job_id": "../x", "type": "a" })];
    mock.reply_to_claim((200, None, json!({ "jobs": jobs })));
    let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(()) }));
    mock.until("three ends", |seen| ["one", "two", "other"].iter().all(|id| seen.ends(id).len() == 1)).await;
    run.stop().await;
    let seen = mock.seen();
    assert_eq!(
        [seen.ends("one"), seen.ends("two"), seen.ends("other")],
        [["completed"], ["queued"], ["queued"]]
    );
    assert_eq!(seen.reports.len(), 3, "a job that cannot be read is left to its lease");
}

#[tokio::test]
async fn the_breaker_opens_when_the_service_is_away_and_closes_when_it_is_back() {
    let mock = Mock::start().await;
    // Three failures open the breaker, and the first probe opens it again.
    (0..4).for_each(|_| mock.reply_to_claim(AWAY));
    let worker = mock
        .worker()
        .breaker(3, Duration::from_millis(300))
        .listen(([127, 0, 0, 1], 0))
        .handle("a", |_| async { Ok(()) })
        .build()
        .unwrap();
    let address = worker.listen_addr().unwrap();
    let run = Run::of(&mock, worker);
    let open = r#"jobledger_worker_circuit_breaker_state{state="open"} 1"#;
    eventually(address, "/metrics", |_, text| text.contains(open)).await;
    let body = eventually(address, "/health", |status, _| status == 503).await;
    assert_eq!(body, r#"{"status":"service_away"}"#);
    mock.queue("a", 1);
    mock.until("the job", |seen| seen.ends("a-0") == ["completed"]).await;
    let closed = r#"jobledger_worker_circuit_breaker_state{state="closed"} 1"#;
    let text = eventually(address, "/metrics", |_, text| text.contains(closed)).await;
    assert!(text.contains(r#"jobledger_worker_claims_total{outcome="away"} 4"#), "{text}");
    assert_eq!(eventually(address, "/health", |status, _| status == 200).await, r#"{"status":"healthy"}"#);
    {
        let seen = mock.seen();
        let waits: Vec<_> =
            seen.claims.iter().take(5).map(|claim| claim["wait_seconds"].as_u64().unwrap()).collect();
        assert_eq!(waits, [3, 3, 3, 0, 0], "a probe does not wait for work");
    }
    run.stop().await;
}

#[tokio::test]
async fn over_the_limit_is_no_failure_of_the_service() {
    let mock = Mock::start().await;
    (0..8).for_each(|_| mock.reply_to_claim((429, Some(0), json!({ "code": "rate_limited" }))));
    mock.queue("a", 1);
    let hour = Duration::from_hours(1);
    let run = Run::start(&mock, mock.worker().breaker(2, hour).handle("a", |_| async { Ok(()) }));
    mock.until("the job", |seen| seen.ends("a-0") == ["completed"]).await;
    run.stop().await;
}

#[tokio::test]
async fn a_key_that_may_not_work_ends_the_run() {
    for status in [401, 403] {
        let mock = Mock::start().await;
        mock.reply_to_claim((status, None, json!({ "code": "no", "detail": "this key does not work" })));
        let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(()) }));
        let error = run.ended().await.unwrap_err();
        let ((RunError::UnknownKey(detail), 401) | (RunError::Denied(detail), 403)) = (&error, status) else {
            panic!("{status}: {error}")
        };
        assert!(detail.contains("this key does not work"), "{error}");
        assert_eq!(mock.seen().claims.len(), 1);
    }
}

#[tokio::test]
async fn an_address_that_is_no_jobledger_ends_the_run() {
    let mock = Mock::start().await;
    mock.reply_to_claim((404, None, json!("nothing here")));
    let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(()) }));
    assert!(matches!(run.ended().await, Err(RunError::Refused(_))));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_a_failure_and_passes() {
    let mock = Mock::start().await;
    mock.reply_to_claim((200, None, json!("<html>")));
    let large = "x".repeat(9 << 20);
    mock.reply_to_claim((200, None, json!({ "jobs": [{ "payload": large }] })));
    mock.queue("a", 1);
    let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(()) }));
    mock.until("the job", |seen| seen.ends("a-0") == ["completed"]).await;
    assert_eq!(mock.seen().claims.len().min(3), 3);
    run.stop().await;
}

#[tokio::test]
async fn a_handler_starts_once_its_first_report_is_accepted() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let replies = [AWAY, (429, Some(0), json!({ "code": "rate_limited" })), AWAY];
    for reply in replies {
        mock.reply_to_acknowledgement(reply);
    }
    let worker = {
        let mock = Arc::clone(&mock);
        mock.clone().worker().handle("a", move |task| {
            let is_acknowledged = mock.seen().acknowledged.contains(&task.id().to_owned());
            async move { if is_acknowledged { Ok(()) } else { Err(TaskError::new("too early")) } }
        })
    };
    let run = Run::start(&mock, worker);
    mock.until("the end", |seen| !seen.ends("a-0").is_empty()).await;
    run.stop().await;
    let seen = mock.seen();
    assert_eq!(seen.ends("a-0"), ["completed"]);
    assert_eq!(seen.acknowledgements.len(), 4);
    let expected = json!({ "lease_token": "lease of a-0", "lease_seconds": 10 });
    assert!(seen.acknowledgements.iter().all(|report| report.body == expected));
}

/// The answer of the claim came late: the job is somebody else's by now, or was cancelled.
#[tokio::test]
async fn no_handler_starts_on_a_job_that_is_lost() {
    let lost = (409, None, json!({ "code": "lease_lost", "job_status": "queued" }));
    for reply in
        [lost, (200, None, json!({ "cancel": true })), (404, None, json!({ "code": "job_not_found" }))]
    {
        let mock = Mock::start().await;
        mock.reply_to_acknowledgement(reply);
        mock.queue("a", 2);
        let worker = mock.worker().concurrency(1).handle("a", |task| async move {
            assert_ne!(task.id(), "a-0", "it started");
            Ok(())
        });
        let run = Run::start(&mock, worker);
        mock.until("the next job", |seen| seen.ends("a-1") == ["completed"]).await;
        run.stop().await;
        let seen = mock.seen();
        assert!(seen.of("a-0").is_empty() && seen.acknowledged == ["a-1"], "{:?}", seen.reports);
    }
}
