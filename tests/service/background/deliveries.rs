//! Deliveries that repeat, overlap, or have little time; and jobs that changed before their part was done.

use std::sync::atomic::{AtomicI64, Ordering};

use jobledger::domain::{JobId, Owner, Timestamp};
use jobledger::lambda::system_clock;
use jobledger::store::Ledger;
use jobledger_local::{Options, TEMPLATE};
use jobledger_tests::Service;
use jobledger_tests::background::{BackgroundFixture, deliver, event, later};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::jobs::{create, ingest_many};
use serde_json::{Value, json};

/// More jobs than two parts have.
const MANY: usize = 250;

#[tokio::test]
async fn a_repeated_event_changes_nothing() {
    let fixture = BackgroundFixture::start().await;
    let id = fixture.begin_with("cancel", "a", 5, &["queued"]).await;
    let runner = fixture.runner().await;
    deliver(&runner, &id).await;
    fixture.is_done(&id, "cancel", 5).await;
    let before = fixture.job(&id).await;
    deliver(&runner, &id).await;
    deliver(&fixture.later_runner().await, &id).await;
    assert_eq!(fixture.job(&id).await, before);
    // An event of an unknown task does nothing. An event that cannot be read is an error, so that it is noticed.
    deliver(&runner, "01981b5e-7c3a-7000-8000-000000000001").await;
    assert!(runner.invoke(&event("no id")).await.is_err());
    assert!(runner.invoke(&json!({})).await.is_err());
}

#[tokio::test]
async fn two_deliveries_at_once_run_the_task_once() {
    let fixture = BackgroundFixture::start().await;
    let id = fixture.begin_with("cancel", "a", MANY, &["queued", "running"]).await;
    let (one, other) = (fixture.runner().await, fixture.runner().await);
    tokio::join!(deliver(&one, &id), deliver(&other, &id));
    fixture.is_done(&id, "cancel", MANY).await;
    fixture.service.settled().await;
    assert_eq!(fixture.total("type=a&status=cancelled").await, MANY as u64);
    let samples = jobledger_tests::metrics::Samples::scrape(&fixture.service).await;
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"cancelled\"}", &MANY.to_string());
}

/// Each of two invocations believes that the other one is dead.
#[tokio::test]
async fn a_task_taken_over_from_a_running_invocation_is_done_once() {
    let fixture = BackgroundFixture::start().await;
    for (action, statuses) in [("cancel", ["queued", "running"]), ("delete", ["queued", "failed"])] {
        let id = fixture.begin_with(action, action, MANY, &statuses).await;
        let (one, other) = (fixture.runner().await, fixture.later_runner().await);
        tokio::join!(deliver(&one, &id), deliver(&other, &id));
        fixture.is_done(&id, action, MANY).await;
    }
}

#[tokio::test]
async fn a_task_longer_than_an_invocation_asks_for_the_next_one() {
    let fixture = BackgroundFixture::start().await;
    ingest_many(&fixture.service, "default", "a", MANY, &["failed", "cancelled"]).await;
    fixture.service.settled().await;
    let id = fixture.begin("retry", "a").await;
    let runner = fixture.hasty_runner().await;
    let mut invocations = 0;
    while let Some(task) = fixture.task(&id).await {
        assert_eq!(task["waits"], json!({ "BOOL": true }), "the stream's filter lets it through");
        assert!(!task.contains_key("claim"));
        assert_eq!(fixture.job(&id).await["status"], "running");
        deliver(&runner, &id).await;
        invocations += 1;
        if invocations == 3 {
            let progress = &fixture.job(&id).await["progress"];
            assert_eq!(progress["current_task"], "retried 100 of 250");
            assert_eq!(progress["overall_progress"], 40);
        }
        assert!(invocations <= 4, "each invocation gets on by one part");
    }
    assert_eq!(invocations, 4, "one to look, and three parts");
    fixture.is_done(&id, "retry", MANY).await;
    fixture.service.settled().await;
    assert_eq!(fixture.total("type=a&status=queued").await, MANY as u64);
}

/// The same in a whole stack, where the stream starts the invocations.
#[tokio::test]
async fn the_stream_starts_the_next_invocation() {
    let timeout = "Timeout: 900";
    assert!(TEMPLATE.contains(timeout));
    // So short that no invocation has time for a second part.
    let template = TEMPLATE.replace(timeout, "Timeout: 60");
    let service = Service::with_options(Options { template, ..Service::options() }).await;
    ingest_many(&service, "default", "a", MANY, &["queued"]).await;
    let body = json!({ "action": "cancel", "filter": { "type": "a" } });
    let reply = service.post("/v1/jobs/bulk", &body).expect(202).await;
    service.settled().await;
    let path = format!("/v1/jobs/{}", reply.at("/job_id").as_str().expect("an id"));
    let job = service.get(&path).expect(200).await;
    assert_eq!(
        (job.at("/status"), job.at("/result/changed")),
        (&json!("completed"), &json!(MANY)),
        "{}",
        job.text
    );
}

#[tokio::test]
async fn a_cancelled_bulk_job_stops_before_its_next_part() {
    let fixture = BackgroundFixture::start().await;
    for (how, kind) in [("POST", "a"), ("DELETE", "b")] {
        let id = fixture.begin_with("cancel", kind, MANY, &["queued"]).await;
        let runner = fixture.hasty_runner().await;
        deliver(&runner, &id).await;
        deliver(&runner, &id).await;
        let path = if how == "POST" { format!("/v1/jobs/{id}/cancel") } else { format!("/v1/jobs/{id}") };
        fixture.service.call(how, &path).expect(200).await;
        deliver(&runner, &id).await;
        assert_eq!(fixture.task(&id).await, None);
        fixture.service.settled().await;
        assert_eq!(fixture.total(&format!("type={kind}&status=cancelled")).await, 100);
        assert_eq!(fixture.total(&format!("type={kind}&status=queued")).await, 150);
    }
    assert_eq!(fixture.total("type=bulk&status=cancelled").await, 1);
    assert_eq!(fixture.total("type=bulk").await, 1);
}

#[tokio::test]
async fn newer_jobs_and_jobs_that_changed_status_are_left_alone() {
    let fixture = BackgroundFixture::start().await;
    let id = fixture.begin_with("cancel", "a", 5, &["queued"]).await;
    let later = create(&fixture.service, &json!({ "type": "a" })).await;
    let runner = fixture.hasty_runner().await;
    deliver(&runner, &id).await;
    // The task has found these jobs, but not changed them. Meanwhile a caller cancels one and deletes another.
    let list = fixture.service.get("/v1/jobs?type=a&sort_order=asc").expect(200).await;
    let path =
        |number: usize| format!("/v1/jobs/{}", list.at(&format!("/jobs/{number}/job_id")).as_str().unwrap());
    fixture.service.call("POST", &format!("{}/cancel", path(0))).expect(200).await;
    fixture.service.call("DELETE", &path(1)).expect(200).await;
    deliver(&runner, &id).await;
    let numbers = json!({ "action": "cancel", "matched": 5, "changed": 3, "skipped": 2, "failed": 0 });
    assert_eq!(fixture.job(&id).await["result"], numbers);
    assert_eq!(fixture.job(&later).await["status"], "queued");
}

/// A bulk task changes each job once, even if a caller changes the job back before the task is repeated.
#[tokio::test]
async fn a_job_that_was_changed_back_stays_so_when_the_part_is_done_again() {
    let fixture = BackgroundFixture::start().await;
    for (action, statuses, back, word) in
        [("retry", ["failed"], "cancel", "cancelled"), ("cancel", ["queued"], "retry", "queued")]
    {
        let id = fixture.begin_with(action, action, 3, &statuses).await;
        let proxy = Proxy::start(fixture.endpoint()).await;
        let runner = fixture.function("run-background-tasks", proxy.url(), system_clock).await;
        let mut changed = 0;
        proxy.plan(move |seen| {
            let is_task = seen.body["Key"]["task_id"].is_object();
            changed += usize::from(seen.operation == "UpdateItem" && !is_task);
            // The task changes all three jobs. Then its next request, the end of the part, is held.
            if changed >= 4 && !seen.body.to_string().contains("#changed_by") {
                Fault::Held
            } else {
                Fault::None
            }
        });
        let event = event(&id);
        tokio::select! {
            answer = runner.invoke(&event) => panic!("no request was held: {answer:?}"),
            () = proxy.held(1) => {}
        }
        let list = fixture.service.get(&format!("/v1/jobs?type={action}")).expect(200).await;
        let job = list.at("/jobs/1/job_id").as_str().expect("an id").to_owned();
        change_back(&fixture, &job, back).await;
        deliver(&fixture.later_runner().await, &id).await;
        fixture.is_done(&id, action, 3).await;
        assert_eq!(fixture.job(&job).await["status"], word, "{action}");
    }
}

/// Another caller cancels or retries a job.
async fn change_back(fixture: &BackgroundFixture, id: &str, how: &str) {
    if how == "cancel" {
        fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        return;
    }
    let environment = fixture.service.stack.environment("retry-job").expect("the function");
    let ledger = Ledger::open(&environment).await.expect("a ledger");
    let id = JobId::try_from(id).expect("an id");
    let owner = Owner::try_from("default").expect("an owner");
    ledger
        .jobs()
        .retry(&owner, id, uuid::Uuid::from_u128(7), system_clock())
        .await
        .expect("it is queued again");
}

/// A clock that the test moves on: by minutes after each call.
fn minutes() -> Timestamp {
    system_clock().plus_millis(MINUTES.load(Ordering::Relaxed) * 60_000)
}

static MINUTES: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_task_without_progress_fails_after_ten_attempts() {
    let fixture = BackgroundFixture::start().await;
    let id = fixture.begin_with("cancel", "a", 5, &["queued"]).await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let runner = fixture.function("run-background-tasks", proxy.url(), minutes).await;
    proxy.plan(|seen| if seen.operation == "Query" { Fault::refused() } else { Fault::None });
    for tried in 1..=10 {
        let answer: Result<Value, String> = runner.invoke(&event(&id)).await;
        assert!(answer.is_err(), "Lambda is to call again");
        assert_eq!(fixture.task(&id).await.expect("the task")["tries"]["N"], tried.to_string());
        assert_eq!(fixture.job(&id).await["status"], "running");
        MINUTES.fetch_add(2, Ordering::Relaxed);
    }
    deliver(&runner, &id).await;
    let job = fixture.job(&id).await;
    assert_eq!(job["status"], "failed");
    assert!(job["error"]["message"].as_str().is_some_and(|message| message.contains("10 times")), "{job}");
    assert!(job["expires_at"].is_string());
    assert!(fixture.tasks().await.is_empty());
    // When the store works again, a caller can begin the action again.
    let id = fixture.begin("cancel", "a").await;
    proxy.heal();
    deliver(&runner, &id).await;
    fixture.is_done(&id, "cancel", 5).await;
}

#[tokio::test]
async fn progress_resets_the_attempts_of_a_task() {
    let fixture = BackgroundFixture::start().await;
    ingest_many(&fixture.service, "default", "a", 5, &["queued"]).await;
    let id = fixture.begin("cancel", "a").await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let runner = fixture.function("run-background-tasks", proxy.url(), later).await;
    proxy.plan(|seen| if seen.operation == "Query" { Fault::refused() } else { Fault::None });
    assert!(runner.invoke(&event(&id)).await.is_err());
    assert_eq!(fixture.task(&id).await.expect("the task")["tries"]["N"], "1");
    // The claim of the task is valid for a minute. By a clock an hour later it is over.
    proxy.heal();
    let later = fixture.function("run-background-tasks", fixture.endpoint(), || later().plus_hours(1)).await;
    deliver(&later, &id).await;
    fixture.is_done(&id, "cancel", 5).await;
}
