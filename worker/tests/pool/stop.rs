//! Stops: the worker finishes or hands back its running jobs.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use jobledger_worker::{Task, TaskError};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::mock::{Mock, Run, eventually, within};

#[tokio::test]
async fn a_stop_waits_for_running_jobs() {
    let mock = Mock::start().await;
    mock.queue("a", 2);
    let go = Arc::new(Notify::new());
    let worker = {
        let go = go.clone();
        mock.worker().concurrency(2).handle("a", move |_| {
            let go = go.clone();
            async move {
                go.notified().await;
                Ok(())
            }
        })
    };
    let mut run = Run::start(&mock, worker);
    mock.until("both run", |seen| !seen.of("a-0").is_empty() && !seen.of("a-1").is_empty()).await;
    run.tell_to_stop();
    let before = mock.seen().of("a-0").len();
    mock.until("heartbeats still", |seen| seen.of("a-0").len() > before + 1).await;
    mock.queue("late", 1);
    go.notify_waiters();
    run.ended().await.unwrap();
    let seen = mock.seen();
    assert_eq!([seen.ends("a-0"), seen.ends("a-1")], [["completed"], ["completed"]]);
    assert_eq!(seen.claims.len(), 1, "no claim after the stop");
}

/// The last report of a job that runs when the worker stops, with no time to end.
async fn stopped_while<F, Fut>(handler: F) -> serde_json::Value
where
    F: Fn(Task) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<serde_json::Value, TaskError>> + Send + 'static,
{
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let mut run = Run::start(&mock, mock.worker().stop_timeout(Duration::ZERO).handle("a", handler));
    mock.until("it runs", |seen| !seen.of("a-0").is_empty()).await;
    run.tell_to_stop();
    run.ended().await.unwrap();
    let seen = mock.seen();
    assert_eq!(seen.ends("a-0").len(), 1);
    seen.of("a-0").last().unwrap().body.clone()
}

#[tokio::test]
async fn a_job_that_does_not_end_is_handed_back() {
    let (say, mut said) = mpsc::unbounded_channel();
    let end = stopped_while(move |task| {
        let say = say.clone();
        async move {
            task.cancelled().cancelled().await;
            say.send(())?;
            pending().await
        }
    })
    .await;
    within(said.recv()).await.expect("the handler was told");
    assert_eq!(end, json!({ "lease_token": "lease of a-0", "status": "queued" }));
}

#[tokio::test]
async fn a_job_that_ends_on_request_is_no_failure() {
    let end = stopped_while(|task| async move {
        task.cancelled().cancelled().await;
        Err(TaskError::new("cancelled"))
    })
    .await;
    assert_eq!(end["status"], "queued");
}

#[tokio::test]
async fn a_job_that_succeeds_at_the_last_moment_is_completed() {
    let end = stopped_while(|task| async move {
        task.cancelled().cancelled().await;
        Ok(json!("nearly"))
    })
    .await;
    assert_eq!((&end["status"], &end["result"]), (&json!("completed"), &json!("nearly")));
}

#[tokio::test]
async fn jobs_that_a_last_claim_returns_are_handed_back() {
    let mock = Mock::start().await;
    mock.hold_claims(true);
    let worker = mock.worker().concurrency(3).listen(([127, 0, 0, 1], 0)).handle("a", |_| async { Ok(()) });
    let worker = worker.build().unwrap();
    let address = worker.listen_addr().unwrap();
    let mut run = Run::of(&mock, worker);
    mock.until("a claim", |seen| seen.claims.len() == 1).await;
    mock.queue("a", 2);
    run.tell_to_stop();
    eventually(address, "/health", |_, body| body.contains("stopping")).await;
    mock.hold_claims(false);
    run.ended().await.unwrap();
    let seen = mock.seen();
    assert_eq!(seen.claims.len(), 1);
    assert_eq!([seen.ends("a-0"), seen.ends("a-1")], [["queued"], ["queued"]]);
}

#[tokio::test]
async fn dropping_a_run_drops_its_jobs() {
    struct Dropped(mpsc::UnboundedSender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _sent = self.0.send(());
        }
    }

    let mock = Mock::start().await;
    mock.queue("a", 1);
    let (say, mut said) = mpsc::unbounded_channel();
    let worker = mock.worker().handle("a", move |_| {
        let dropped = Dropped(say.clone());
        async move {
            let _dropped = dropped;
            pending::<()>().await;
            Ok(())
        }
    });
    let run = tokio::spawn(worker.build().unwrap().run_until(pending()));
    mock.until("it runs", |seen| !seen.of("a-0").is_empty()).await;
    run.abort();
    within(said.recv()).await.expect("the handler's future was dropped");
    assert!(mock.seen().ends("a-0").is_empty());
}
