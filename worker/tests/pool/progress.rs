//! Heartbeats and progress.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::mock::{Mock, Run, get};

#[tokio::test]
async fn heartbeats_renew_the_lease() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let go = Arc::new(Notify::new());
    let done = go.clone();
    let worker = mock.worker().handle("a", move |_| {
        let done = done.clone();
        async move {
            done.notified().await;
            Ok(())
        }
    });
    let run = Run::start(&mock, worker);
    mock.until("heartbeats", |seen| seen.of("a-0").len() >= 4).await;
    let first = mock.seen().of("a-0")[0].body.clone();
    assert_eq!(first, json!({ "lease_token": "lease of a-0", "lease_seconds": 10 }));
    go.notify_one();
    mock.until("the end", |seen| seen.ends("a-0") == ["completed"]).await;
    run.stop().await;
    assert_eq!(mock.seen().of("a-0").last().unwrap().status(), "completed", "nothing comes after the end");
}

#[tokio::test]
async fn progress_is_sent_in_few_reports_one_at_a_time_and_never_falls() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    mock.hold_reports(true);
    let (say, said) = mpsc::unbounded_channel::<(&'static str, u32)>();
    let said = Arc::new(tokio::sync::Mutex::new(said));
    let heard = Arc::new(Notify::new());
    let worker = {
        let heard = heard.clone();
        mock.worker().handle("a", move |task| {
            let (said, heard) = (said.clone(), heard.clone());
            async move {
                while let Some((stage, percent)) = said.lock().await.recv().await {
                    task.stage(stage, percent);
                    task.progress(percent);
                    heard.notify_one();
                }
                Ok(())
            }
        })
    };
    let run = Run::start(&mock, worker);
    say.send(("first", 1)).unwrap();
    mock.until("a report", |seen| !seen.of("a-0").is_empty()).await;
    heard.notified().await;
    // While that report is held, the handler reports progress a hundred more times, sometimes lower than before.
    for percent in (1..=50).flat_map(|n| [n, n / 2]) {
        say.send(("second", percent)).unwrap();
        heard.notified().await;
    }
    mock.hold_reports(false);
    let is_told = |body: &Value| body["progress"]["overall_progress"] == 50;
    mock.until("the last", |seen| seen.of("a-0").iter().any(|report| is_told(&report.body))).await;
    drop(say);
    mock.until("the end", |seen| seen.ends("a-0") == ["completed"]).await;
    run.stop().await;
    let seen = mock.seen();
    assert_eq!(seen.most_at_once, 1, "one report at a time");
    let told: Vec<_> = seen
        .of("a-0")
        .iter()
        .filter_map(|report| report.body["progress"]["overall_progress"].as_u64())
        .collect();
    assert!(told.len() <= 3, "a hundred steps are not a hundred reports: {told:?}");
    assert!(told.is_sorted(), "{told:?}");
    let last = seen.of("a-0").into_iter().find(|report| is_told(&report.body)).unwrap();
    let expected = json!({ "current_task": "second", "current_task_progress": 50, "overall_progress": 50 });
    assert_eq!(last.body["progress"], expected);
}

#[tokio::test]
async fn progress_of_a_failed_report_is_sent_again() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let mut failures = 3;
    mock.script(move |report| {
        let fails = report.status().is_empty() && failures > 0;
        failures -= i32::from(fails);
        fails.then_some((500, None, json!({})))
    });
    let worker = mock.worker().handle("a", |task| async move {
        task.progress(12.345);
        task.cancelled().cancelled().await;
        Ok(())
    });
    let run = Run::start(&mock, worker.stop_timeout(Duration::ZERO));
    mock.until("four times", |seen| {
        seen.of("a-0").iter().filter(|report| !report.body["progress"].is_null()).count() == 4
    })
    .await;
    run.stop().await;
    let seen = mock.seen();
    let told: Vec<_> = seen
        .of("a-0")
        .iter()
        .map(|report| report.body["progress"]["overall_progress"].clone())
        .take(4)
        .collect();
    assert!(told.iter().all(|told| *told == 12.35 || *told == 12.34), "{told:?}");
}

#[tokio::test]
async fn progress_that_is_refused_does_not_cost_the_lease() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    mock.script(|report| {
        (!report.body["progress"].is_null()).then_some((400, None, json!({ "code": "invalid" })))
    });
    let go = Arc::new(Notify::new());
    let worker = {
        let go = go.clone();
        mock.worker().handle("a", move |task| {
            let go = go.clone();
            async move {
                task.progress(5);
                go.notified().await;
                Ok(())
            }
        })
    };
    let run = Run::start(&mock, worker);
    mock.until("a heartbeat without it", |seen| {
        seen.of("a-0").iter().any(|report| report.body["progress"].is_null())
    })
    .await;
    go.notify_one();
    mock.until("the end", |seen| seen.ends("a-0") == ["completed"]).await;
    run.stop().await;
}

#[tokio::test]
async fn progress_does_not_wait_for_the_next_heartbeat() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let go = Arc::new(Notify::new());
    let worker = {
        let go = go.clone();
        mock.worker().lease_seconds(900).heartbeat_every(Duration::from_secs(400)).handle("a", move |task| {
            let go = go.clone();
            async move {
                task.progress(10);
                go.notified().await;
                task.progress(20);
                go.notified().await;
                Ok(())
            }
        })
    };
    let run = Run::start(&mock, worker);
    for told in [10, 20] {
        mock.until("it is told", |seen| {
            seen.of("a-0").last().is_some_and(|report| report.body["progress"]["overall_progress"] == told)
        })
        .await;
        go.notify_one();
    }
    mock.until("the end", |seen| seen.ends("a-0") == ["completed"]).await;
    run.stop().await;
    assert_eq!(mock.seen().of("a-0").len(), 3);
}

#[tokio::test]
async fn progress_is_not_sent_too_often() {
    let mock = Mock::start().await;
    mock.queue("a", 1);
    let go = Arc::new(Notify::new());
    let worker = {
        let go = go.clone();
        let worker = mock.worker().lease_seconds(900).heartbeat_every(Duration::from_secs(400));
        worker.progress_interval(Duration::from_hours(1)).listen(([127, 0, 0, 1], 0)).handle(
            "a",
            move |task| {
                let go = go.clone();
                async move {
                    for percent in [10, 20, 30] {
                        task.progress(percent);
                        go.notified().await;
                    }
                    Ok(())
                }
            },
        )
    };
    let worker = worker.build().unwrap();
    let address = worker.listen_addr().unwrap();
    let run = Run::of(&mock, worker);
    mock.until("the first", |seen| !seen.of("a-0").is_empty()).await;
    for _ in 0..3 {
        // Enough calls to the worker for a report to arrive, if it sent one.
        for _ in 0..20 {
            assert_eq!(get(address, "/health").await.0, 200);
        }
        go.notify_one();
    }
    mock.until("the end", |seen| seen.ends("a-0") == ["completed"]).await;
    run.stop().await;
    assert_eq!(mock.seen().of("a-0").len(), 2, "one report of progress, and the end");
}
