//! Attempts that do not end by themselves, or do not succeed.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use jobledger_worker::{RunError, Task, TaskError};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::mock::{Mock, Reply, Run, eventually, within};

fn problem(status: u16, code: &str) -> Reply {
    (status, None, json!({ "status": status, "code": code, "detail": "so it is" }))
}

/// Sends a word when it is dropped.
struct Dropped(mpsc::UnboundedSender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _sent = self.0.send("dropped");
    }
}

/// A worker whose handler says when it is cancelled, and then ends; or never ends, if it is stubborn. The handler also
/// says when it is dropped. The answer `reply` to the job's heartbeats ends the job.
async fn ended_by(reply: Reply, is_stubborn: bool) -> (Vec<&'static str>, Arc<Mock>, String) {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    mock.script(move |report| report.status().is_empty().then(|| reply.clone()));
    let (say, mut said) = mpsc::unbounded_channel();
    let worker = mock.worker().listen(([127, 0, 0, 1], 0)).handle("a", move |task| {
        let say = say.clone();
        async move {
            let dropped = Dropped(say.clone());
            task.cancelled().cancelled().await;
            say.send("cancelled")?;
            if is_stubborn {
                pending::<()>().await;
            }
            drop(dropped);
            Ok(())
        }
    });
    let worker = worker.build().unwrap();
    let address = worker.listen_addr().unwrap();
    let run = Run::of(&mock, worker);
    let mut heard = Vec::new();
    within(said.recv_many(&mut heard, 1)).await;
    within(said.recv_many(&mut heard, 1)).await;
    let idle = |_: u16, text: &str| text.contains(r#"jobledger_worker_active_tasks{type="a"} 0"#);
    let text = eventually(address, "/metrics", idle).await;
    run.stop().await;
    (heard, mock, text)
}

#[track_caller]
fn counted(text: &str, outcome: &str) {
    let series = format!(r#"jobledger_worker_events_processed_total{{type="a",outcome="{outcome}"}} 1"#);
    assert!(text.contains(&series), "{series}\n{text}");
}

#[tokio::test]
async fn a_cancel_reaches_the_handler() {
    let (heard, mock, text) = ended_by((200, None, json!({ "cancel": true })), false).await;
    assert_eq!(heard, ["cancelled", "dropped"]);
    assert!(mock.seen().ends("a-0").is_empty(), "a cancelled job needs no end");
    counted(&text, "cancelled");
}

#[tokio::test]
async fn a_handler_that_ignores_the_cancel_is_dropped() {
    let (heard, mock, text) = ended_by((200, None, json!({ "cancel": true })), true).await;
    assert_eq!(heard, ["cancelled", "dropped"]);
    assert!(mock.seen().ends("a-0").is_empty());
    counted(&text, "cancelled");
}

#[tokio::test]
async fn a_lost_lease_stops_the_handler_and_nothing_is_reported() {
    let (heard, mock, text) = ended_by(problem(409, "lease_lost"), false).await;
    assert_eq!(heard, ["cancelled", "dropped"]);
    let seen = mock.seen();
    assert!(seen.ends("a-0").is_empty(), "what it has done is somebody else's by now");
    assert_eq!(seen.of("a-0").len(), 1);
    counted(&text, "lost");
}

#[tokio::test]
async fn a_job_that_is_gone_stops_the_handler() {
    let (_, mock, text) = ended_by(problem(404, "not_found"), true).await;
    assert!(mock.seen().ends("a-0").is_empty());
    counted(&text, "lost");
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_the_run_and_all_that_runs() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    mock.script(|_| Some(problem(401, "unauthorized")));
    let worker = mock.worker().concurrency(1).handle("a", |task| async move {
        task.cancelled().cancelled().await;
        Ok(())
    });
    let run = Run::start(&mock, worker);
    assert!(matches!(run.ended().await, Err(RunError::UnknownKey(_))));
    assert!(mock.seen().ends("a-0").is_empty());
}

/// Runs one job of a worker; returns its last report.
async fn last_report(mock: &Arc<Mock>, worker: jobledger_worker::WorkerBuilder) -> Value {
    let run = Run::start(mock, worker);
    mock.until("the end", |seen| !seen.ends("a-0").is_empty()).await;
    run.stop().await;
    let seen = mock.seen();
    assert_eq!(seen.ends("a-0").len(), 1);
    let last = seen.of("a-0").last().unwrap().body.clone();
    assert_eq!(last["lease_token"], "lease of a-0");
    last
}

#[tokio::test]
async fn a_panic_is_a_failed_try() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let worker = mock.worker().handle("a", |task: Task| async move {
        assert!(task.attempt() > 1, "not at the first try");
        Ok(())
    });
    let last = last_report(&mock, worker).await;
    let error = json!({ "message": "the handler panicked: not at the first try", "code": "panic" });
    assert_eq!(
        (&last["status"], &last["error"], &last["retryable"]),
        (&json!("failed"), &error, &json!(true))
    );
}

#[tokio::test]
async fn an_error_names_its_cause_and_whether_it_is_retryable() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let worker = mock.worker().handle("a", |_| async {
        Err::<(), _>(TaskError::permanent("no such file").failed_task("download").code("missing"))
    });
    let last = last_report(&mock, worker).await;
    let error = json!({ "message": "no such file", "failed_task": "download", "code": "missing" });
    assert_eq!(
        (&last["status"], &last["error"], &last["retryable"]),
        (&json!("failed"), &error, &json!(false))
    );
}

#[tokio::test]
async fn a_payload_that_does_not_fit_fails_the_job() {
    let mock = Mock::start().await;
    mock.give(json!({ "job_id": "a-0", "type": "a", "payload": { "width": "wide" } }));
    let worker = mock.worker().handle("a", |task: Task| async move {
        let widths: std::collections::BTreeMap<String, u32> = task.payload()?;
        Ok(json!(widths))
    });
    let last = last_report(&mock, worker).await;
    assert_eq!((&last["error"]["code"], &last["retryable"]), (&json!("bad_payload"), &json!(false)));
}

#[tokio::test]
async fn a_try_that_takes_too_long_has_failed() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let cancelled = Arc::new(Notify::new());
    let heard = cancelled.clone();
    let worker = mock.worker().timeout("a", Duration::from_millis(50)).handle("a", move |task| {
        let heard = heard.clone();
        async move {
            task.cancelled().cancelled().await;
            heard.notify_one();
            pending::<()>().await;
            Ok(())
        }
    });
    let last = last_report(&mock, worker).await;
    within(cancelled.notified()).await;
    let error = json!({ "message": "the try took longer than 50ms", "code": "timeout" });
    assert_eq!(
        (&last["status"], &last["error"], &last["retryable"]),
        (&json!("failed"), &error, &json!(true))
    );
}

#[tokio::test]
async fn the_shorter_timeout_counts() {
    let mock = Mock::start().await;
    mock.give(json!({ "job_id": "a-0", "type": "a", "timeout_seconds": 1 }));
    let worker = mock.worker().timeout("a", Duration::from_hours(1)).handle("a", |_| async {
        pending::<()>().await;
        Ok(())
    });
    assert_eq!(last_report(&mock, worker).await["error"]["message"], "the try took longer than 1s");
}
