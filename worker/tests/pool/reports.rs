//! Last reports: the worker sends the same bytes until they are accepted, or until no retry can succeed.

use std::time::Duration;

use jobledger_worker::{Artifact, Outcome, Task, Worker};
use serde_json::{Value, json};

use crate::mock::{Mock, Reply, Run};

/// Refuses last reports with these answers, one after the other, and then accepts them.
fn refuse_ends(mock: &Mock, replies: impl IntoIterator<Item = Reply> + Send + 'static) {
    let mut replies: Vec<Reply> = replies.into_iter().collect();
    replies.reverse();
    mock.script(move |report| if report.status().is_empty() { None } else { replies.pop() });
}

#[tokio::test]
async fn an_outcome_arrives_as_it_was_given() {
    let mock = Mock::start().await;
    mock.give(json!({
        "job_id": "a-0", "type": "a", "payload": { "n": 2 }, "attempt": 2, "max_attempts": 5, "name": "two",
        "external_id": "x-2", "labels": { "team": "blue" }, "metadata": { "k": [1] }, "created_at": "not read",
    }));
    let run = Run::start(
        &mock,
        mock.worker().handle("a", |task: Task| async move {
            let told = json!([
                task.id(),
                task.kind(),
                task.attempt(),
                task.max_attempts(),
                task.name(),
                task.external_id(),
                task.labels(),
                task.metadata(),
                task.payload::<Value>()?,
            ]);
            let outcome = Outcome::new(told).artifact(Artifact::new("two.txt", 2));
            Ok(outcome.timing("all", Duration::from_millis(1_250)).cost_micro_usd(7))
        }),
    );
    mock.until("the end", |seen| !seen.ends("a-0").is_empty()).await;
    run.stop().await;
    let expected = json!({
        "lease_token": "lease of a-0",
        "status": "completed",
        "result": ["a-0", "a", 2, 5, "two", "x-2", { "team": "blue" }, { "k": [1] }, { "n": 2 }],
        "artifacts": [{ "name": "two.txt", "size_bytes": 2 }],
        "timings": { "all": 1.25 },
        "cost_usd": "0.000007",
    });
    let seen = mock.seen();
    let last = seen.of("a-0").last().copied().cloned().unwrap();
    assert_eq!(last.body, expected);
    assert!(!last.is_gzip, "small bodies are not worth it");
}

#[tokio::test]
async fn a_report_that_failed_is_sent_again_unchanged() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let nothing = Value::Null;
    let replies = [(503, Some(0)), (500, None), (429, Some(0)), (502, None), (503, Some(1))];
    refuse_ends(&mock, replies.map(|(status, after)| (status, after, nothing.clone())));
    let result = json!({ "text": "the same ".repeat(1_000) });
    let run = Run::start(
        &mock,
        mock.worker().handle("a", move |_| {
            let result = result.clone();
            async move { Ok(result) }
        }),
    );
    mock.until("six ends", |seen| seen.ends("a-0").len() == 6).await;
    run.stop().await;
    let seen = mock.seen();
    let ends: Vec<_> = seen.of("a-0").into_iter().filter(|report| !report.status().is_empty()).collect();
    assert!(ends.iter().all(|end| end.raw == ends[0].raw && end.status() == "completed"));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    refuse_ends(&mock, [(503, Some(1), Value::Null)]);
    let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(()) }));
    mock.until("the first", |seen| seen.ends("a-0").len() == 1).await;
    let first = tokio::time::Instant::now();
    mock.until("the second", |seen| seen.ends("a-0").len() == 2).await;
    assert!(first.elapsed() > Duration::from_millis(900), "{:?}", first.elapsed());
    run.stop().await;
}

#[tokio::test]
async fn no_retry_waits_beyond_the_lease() {
    let mock = Mock::start().await;
    mock.queue("a", 2);
    refuse_ends(&mock, [(503, Some(60), Value::Null)]);
    let worker = mock.worker().listen(([127, 0, 0, 1], 0)).handle("a", |_| async { Ok(()) }).build().unwrap();
    let address = worker.listen_addr().unwrap();
    let run = Run::of(&mock, worker);
    mock.until("the next job", |seen| seen.ends("a-1") == ["completed"]).await;
    let (_, text) = crate::mock::get(address, "/metrics").await;
    run.stop().await;
    assert_eq!(mock.seen().ends("a-0").len(), 1);
    assert!(text.contains("jobledger_worker_reports_dropped_total 1"), "{text}");
    assert!(text.contains(r#"{type="a",outcome="lost"} 1"#), "{text}");
}

#[tokio::test]
async fn a_large_result_goes_compressed() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let run =
        Run::start(&mock, mock.worker().handle("a", |_| async { Ok(json!("0123456789".repeat(20_000))) }));
    mock.until("the end", |seen| !seen.ends("a-0").is_empty()).await;
    run.stop().await;
    let seen = mock.seen();
    let last = seen.of("a-0").last().copied().cloned().unwrap();
    assert!(last.is_gzip && last.raw.len() < 5_000, "{} bytes", last.raw.len());
    assert_eq!(last.body["result"].as_str().unwrap().len(), 200_000);
}

#[tokio::test]
async fn where_compressed_requests_do_not_arrive_they_go_as_they_are() {
    for status in [400, 415] {
        let mock = Mock::start().await;
        mock.queue("a", 2);
        refuse_ends(&mock, [(status, None, json!({ "code": "invalid_json" }))]);
        let worker = mock.worker().concurrency(1);
        let run = Run::start(&mock, worker.handle("a", |_| async { Ok(json!("0123456789".repeat(500))) }));
        mock.until("both ends", |seen| seen.ends("a-1") == ["completed"]).await;
        run.stop().await;
        let seen = mock.seen();
        let sent = |job: &str| {
            let ends = seen.of(job).into_iter().filter(|report| report.body["status"] == "completed");
            ends.map(|report| report.is_gzip).collect::<Vec<_>>()
        };
        assert_eq!((sent("a-0"), sent("a-1")), (vec![true, false], vec![false]), "{status}");
    }
}

/// Runs one job whose result gets this answer; returns its last report.
async fn after_refusal(reply: Reply) -> Value {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    refuse_ends(&mock, [reply]);
    let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(json!("x".repeat(300))) }));
    mock.until("two ends", |seen| seen.ends("a-0") == ["completed", "failed"]).await;
    run.stop().await;
    let seen = mock.seen();
    seen.of("a-0").last().unwrap().body.clone()
}

#[tokio::test]
async fn a_result_over_the_limit_fails_the_job_once_and_says_why() {
    let last = after_refusal((413, None, json!({ "code": "too_large" }))).await;
    assert_eq!((&last["error"]["code"], &last["retryable"]), (&json!("result_too_large"), &json!(false)));
    let message = last["error"]["message"].as_str().unwrap();
    assert!(message.contains("bytes of JSON") && message.contains("return where it is"), "{message}");
}

#[tokio::test]
async fn a_result_that_is_refused_fails_the_job_and_says_why() {
    let last = after_refusal((400, None, json!({ "code": "invalid_body", "detail": "wrong timings" }))).await;
    assert_eq!((&last["error"]["code"], &last["retryable"]), (&json!("result_refused"), &json!(false)));
    assert_eq!(last["error"]["message"], "the service refused the result: 400 invalid_body wrong timings");
}

#[tokio::test]
async fn an_end_that_came_too_late_is_not_sent_again() {
    for (status, job_status, outcome) in
        [(409, "cancelled", "cancelled"), (409, "queued", "lost"), (404, "", "lost")]
    {
        let mock = Mock::start().await;
        mock.queue("a", 2);
        refuse_ends(&mock, [(status, None, json!({ "code": "no", "job_status": job_status }))]);
        let worker =
            mock.worker().listen(([127, 0, 0, 1], 0)).handle("a", |_| async { Ok(()) }).build().unwrap();
        let address = worker.listen_addr().unwrap();
        let run = Run::of(&mock, worker);
        mock.until("the next job", |seen| seen.ends("a-1") == ["completed"]).await;
        let (_, text) = crate::mock::get(address, "/metrics").await;
        run.stop().await;
        assert_eq!(mock.seen().ends("a-0").len(), 1);
        assert!(text.contains(&format!(r#"{{type="a",outcome="{outcome}"}} 1"#)), "{outcome}: {text}");
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_sent_at_all_fails_the_job() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let run = Run::start(&mock, mock.worker().handle("a", |_| async { Ok(json!("x".repeat(11 << 20))) }));
    mock.until("the end", |seen| seen.ends("a-0") == ["failed"]).await;
    run.stop().await;
    assert_eq!(mock.seen().of("a-0").last().unwrap().body["error"]["code"], "result_too_large");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_waited_for() {
    let worker = Worker::builder("http://127.0.0.1:1", "k").handle("a", |_| async { Ok(()) });
    let worker = worker.listen(([127, 0, 0, 1], 0)).breaker(1, Duration::from_mins(1)).build().unwrap();
    let address = worker.listen_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(worker.run_until(async {
        let _told = stopped.await;
    }));
    crate::mock::eventually(address, "/health", |_, body| body.contains("service_away")).await;
    stop.send(()).unwrap();
    crate::mock::within(run).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_trace_of_a_job_reaches_its_handler_and_its_reports() {
    let mock = Mock::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    mock.give(json!({ "job_id": "a-0", "type": "a", "trace_id": trace }));
    mock.give(json!({ "job_id": "a-1", "type": "a" }));
    let run = Run::start(
        &mock,
        mock.worker()
            .handle("a", |task: Task| async move { Ok(json!([task.trace_id(), task.traceparent()])) }),
    );
    mock.until("the ends", |seen| !seen.ends("a-0").is_empty() && !seen.ends("a-1").is_empty()).await;
    run.stop().await;
    let seen = mock.seen();
    let told = |job: &str| seen.of(job).last().map(|report| report.body["result"].clone()).unwrap();
    let traceparent = told("a-0")[1].as_str().unwrap().to_owned();
    assert_eq!(told("a-0")[0], trace);
    assert!(traceparent.starts_with(&format!("00-{trace}-")) && traceparent.len() == 55, "{traceparent}");
    assert_eq!(told("a-1"), json!([null, null]));
    // The promise and the end of the first job carry it, and nothing else does.
    let sent = seen.headers.iter().filter_map(|headers| headers.get("traceparent"));
    assert_eq!(sent.collect::<Vec<_>>(), [&*traceparent; 2]);
}
