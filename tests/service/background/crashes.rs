//! The process ends between any two requests, before or after DynamoDB did the last one. Then the event is repeated.

use jobledger_tests::at_once::each_of;
use jobledger_tests::background::{BackgroundFixture, deliver, event};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::metrics::Samples;
use jobledger_tests::stored::stored_parts;

use jobledger::lambda::system_clock;

/// Jobs of each case.
const JOBS: usize = 4;
/// More requests than any case sends.
const MAX_REQUESTS: usize = 40;

/// Holds the k-th request of a task, for every k, and then repeats the event. Each task must still be done once.
async fn crash_everywhere(
    action: &'static str,
    statuses: &'static [&'static str],
) -> (BackgroundFixture, Vec<String>) {
    let fixture = BackgroundFixture::start().await;
    let cases =
        (0..MAX_REQUESTS).flat_map(|number| [Fault::Held, Fault::AnswerHeld].map(|fault| (number, fault)));
    let crashed = std::sync::Mutex::new(Vec::new());
    let (shared, seen) = (&fixture, &crashed);
    each_of(cases, |(number, fault)| async move {
        let kind = format!("{action}-{number}-{}", if fault == Fault::Held { "before" } else { "after" });
        let proxy = Proxy::start(shared.endpoint()).await;
        let runner = shared.function("run-background-tasks", proxy.url(), system_clock).await;
        let id = shared.begin_with(action, &kind, JOBS, statuses).await;
        proxy.spoil(number, fault);
        let event = event(&id);
        let is_crashed = tokio::select! {
            answer = runner.invoke(&event) => {
                assert!(answer.is_ok(), "{kind}: {answer:?}");
                false
            }
            () = proxy.held(1) => true,
        };
        assert_eq!(is_crashed, number < proxy.seen().len(), "{kind}");
        drop(runner);
        let later = shared.later_runner().await;
        deliver(&later, &id).await;
        shared.is_done(&id, action, JOBS).await;
        // Head, input and output: no part is stored twice.
        assert_eq!(stored_parts(&shared.service, &id).await.len(), 3, "{kind}");
        if is_crashed {
            seen.lock().expect("the list").push(kind);
        }
    })
    .await;
    let kinds = crashed.into_inner().expect("the list");
    assert!(kinds.len() >= 24 && kinds.len() < 2 * MAX_REQUESTS, "{} crashes", kinds.len());
    fixture.service.settled().await;
    (fixture, kinds)
}

#[tokio::test]
async fn a_crash_at_any_request_cancels_every_job_once() {
    let (fixture, kinds) = crash_everywhere("cancel", &["queued", "running"]).await;
    let samples = Samples::scrape(&fixture.service).await;
    for kind in kinds {
        assert_eq!(fixture.total(&format!("type={kind}&status=cancelled")).await, JOBS as u64, "{kind}");
        let series = format!("jobledger_jobs_ended_total{{type=\"{kind}\",status=\"cancelled\"}}");
        samples.check(&series, &JOBS.to_string());
    }
}

#[tokio::test]
async fn a_crash_at_any_request_retries_every_job_once() {
    let (fixture, kinds) = crash_everywhere("retry", &["failed", "cancelled"]).await;
    for kind in kinds {
        assert_eq!(fixture.total(&format!("type={kind}&status=queued")).await, JOBS as u64, "{kind}");
        assert_eq!(fixture.total(&format!("type={kind}")).await, JOBS as u64, "{kind}");
    }
}

#[tokio::test]
async fn a_crash_at_any_request_deletes_every_job() {
    let (fixture, kinds) = crash_everywhere("delete", &["queued", "completed"]).await;
    for kind in kinds {
        assert_eq!(fixture.total(&format!("type={kind}")).await, 0, "{kind}");
    }
}
