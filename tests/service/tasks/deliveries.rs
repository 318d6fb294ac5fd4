//! Deliveries that come again, come together, or have little time; and jobs that do not want it done any more.

use std::sync::atomic::{AtomicI64, Ordering};

use jobledger::domain::{JobId, Owner, Timestamp};
use jobledger::lambda::system_clock;
use jobledger::store::Ledger;
use jobledger_local::{Options, TEMPLATE};
use jobledger_tests::Service;
use jobledger_tests::faults::{Fault, Proxy};
use serde_json::{Value, json};

use super::{House, deliver, event};
use crate::routes::bulk_jobs::ingest_many;
use crate::routes::create;

/// More jobs than two parts take.
const MANY: usize = 250;

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing_more() {
    let house = House::start().await;
    let id = house.begin_with("cancel", "a", 5, &["queued"]).await;
    let runner = house.runner().await;
    deliver(&runner, &id).await;
    house.is_done(&id, "cancel", 5).await;
    let before = house.job(&id).await;
    deliver(&runner, &id).await;
    deliver(&house.later_runner().await, &id).await;
    assert_eq!(house.job(&id).await, before);
    // An event of a task that never was is nothing, and one that cannot be read is an error: it must not go by unseen.
    deliver(&runner, "01981b5e-7c3a-7000-8000-000000000001").await;
    assert!(runner.invoke(&event("no id")).await.is_err());
    assert!(runner.invoke(&json!({})).await.is_err());
}

#[tokio::test]
async fn two_deliveries_at_once_do_it_once() {
    let house = House::start().await;
    let id = house.begin_with("cancel", "a", MANY, &["queued", "running"]).await;
    let (one, other) = (house.runner().await, house.runner().await);
    tokio::join!(deliver(&one, &id), deliver(&other, &id));
    house.is_done(&id, "cancel", MANY).await;
    house.service.settled().await;
    assert_eq!(house.total("type=a&status=cancelled").await, MANY as u64);
    let samples = crate::routes::metrics::Samples::scrape(&house.service).await;
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"cancelled\"}", &MANY.to_string());
}

/// Both believe that the other is dead.
#[tokio::test]
async fn a_task_that_is_taken_over_from_a_living_one_is_done_once() {
    let house = House::start().await;
    for (action, statuses) in [("cancel", ["queued", "running"]), ("delete", ["queued", "failed"])] {
        let id = house.begin_with(action, action, MANY, &statuses).await;
        let (one, other) = (house.runner().await, house.later_runner().await);
        tokio::join!(deliver(&one, &id), deliver(&other, &id));
        house.is_done(&id, action, MANY).await;
    }
}

#[tokio::test]
async fn work_that_takes_longer_than_an_invocation_calls_for_the_next() {
    let house = House::start().await;
    ingest_many(&house.service, "default", "a", MANY, &["failed", "cancelled"]).await;
    house.service.settled().await;
    let id = house.begin("retry", "a").await;
    let runner = house.hasty_runner().await;
    let mut invocations = 0;
    while let Some(task) = house.task(&id).await {
        assert_eq!(task["waits"], json!({ "BOOL": true }), "the stream's filter lets it through");
        assert!(!task.contains_key("claim"));
        assert_eq!(house.job(&id).await["status"], "running");
        deliver(&runner, &id).await;
        invocations += 1;
        if invocations == 3 {
            let progress = &house.job(&id).await["progress"];
            assert_eq!(progress["current_task"], "retried 100 of 250");
            assert_eq!(progress["overall_progress"], 40);
        }
        assert!(invocations <= 4, "each invocation gets on by one part");
    }
    assert_eq!(invocations, 4, "one to look, and three parts");
    house.is_done(&id, "retry", MANY).await;
    house.service.settled().await;
    assert_eq!(house.total("type=a&status=queued").await, MANY as u64);
}

/// The same in a whole stack, where the stream has to do the calling.
#[tokio::test]
async fn the_stream_calls_for_the_next_invocation() {
    let timeout = "Timeout: 900";
    assert!(TEMPLATE.contains(timeout));
    // So short that no invocation ever has time for a second part.
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
async fn a_bulk_job_that_is_called_off_stops_at_its_next_part() {
    let house = House::start().await;
    for (how, kind) in [("POST", "a"), ("DELETE", "b")] {
        let id = house.begin_with("cancel", kind, MANY, &["queued"]).await;
        let runner = house.hasty_runner().await;
        deliver(&runner, &id).await;
        deliver(&runner, &id).await;
        let path = if how == "POST" { format!("/v1/jobs/{id}/cancel") } else { format!("/v1/jobs/{id}") };
        house.service.call(how, &path).expect(200).await;
        deliver(&runner, &id).await;
        assert_eq!(house.task(&id).await, None);
        house.service.settled().await;
        assert_eq!(house.total(&format!("type={kind}&status=cancelled")).await, 100);
        assert_eq!(house.total(&format!("type={kind}&status=queued")).await, 150);
    }
    assert_eq!(house.total("type=bulk&status=cancelled").await, 1);
    assert_eq!(house.total("type=bulk").await, 1);
}

#[tokio::test]
async fn jobs_that_came_later_or_moved_on_are_left_alone() {
    let house = House::start().await;
    let id = house.begin_with("cancel", "a", 5, &["queued"]).await;
    let later = create(&house.service, &json!({ "type": "a" })).await;
    let runner = house.hasty_runner().await;
    deliver(&runner, &id).await;
    // Read, but not yet cancelled: one is cancelled by somebody else meanwhile, and one is gone.
    let list = house.service.get("/v1/jobs?type=a&sort_order=asc").expect(200).await;
    let path =
        |number: usize| format!("/v1/jobs/{}", list.at(&format!("/jobs/{number}/job_id")).as_str().unwrap());
    house.service.call("POST", &format!("{}/cancel", path(0))).expect(200).await;
    house.service.call("DELETE", &path(1)).expect(200).await;
    deliver(&runner, &id).await;
    let numbers = json!({ "action": "cancel", "matched": 5, "changed": 3, "skipped": 2, "failed": 0 });
    assert_eq!(house.job(&id).await["result"], numbers);
    assert_eq!(house.job(&later).await["status"], "queued");
}

/// What a bulk job has done to a job, it does not do again, whatever became of the job since.
#[tokio::test]
async fn a_job_that_was_changed_back_stays_so_when_the_part_is_done_again() {
    let house = House::start().await;
    for (action, statuses, back, word) in
        [("retry", ["failed"], "cancel", "cancelled"), ("cancel", ["queued"], "retry", "queued")]
    {
        let id = house.begin_with(action, action, 3, &statuses).await;
        let proxy = Proxy::start(house.endpoint()).await;
        let runner = house.function("run-background-tasks", proxy.url(), system_clock).await;
        let mut changed = 0;
        proxy.plan(move |seen| {
            let is_task = seen.body["Key"]["task_id"].is_object();
            changed += usize::from(seen.operation == "UpdateItem" && !is_task);
            // All three are changed, and then nothing more is heard: only a part's end comes after them.
            if changed >= 4 && !seen.body.to_string().contains(":changed_by") {
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
        let list = house.service.get(&format!("/v1/jobs?type={action}")).expect(200).await;
        let job = list.at("/jobs/1/job_id").as_str().expect("an id").to_owned();
        change_back(&house, &job, back).await;
        deliver(&house.later_runner().await, &id).await;
        house.is_done(&id, action, 3).await;
        assert_eq!(house.job(&job).await["status"], word, "{action}");
    }
}

/// Has somebody else cancel or retry a job.
async fn change_back(house: &House, id: &str, how: &str) {
    if how == "cancel" {
        house.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        return;
    }
    let environment = house.service.stack.environment("retry-job").expect("the function");
    let ledger = Ledger::open(&environment).await.expect("a ledger");
    let id = JobId::try_from(id).expect("an id");
    let owner = Owner::try_from("default").expect("an owner");
    ledger.jobs().retry(&owner, id, system_clock()).await.expect("it is queued again");
}

/// Moved on by the tests' own clock: a minute more at each call.
fn minutes() -> Timestamp {
    system_clock().plus_millis(MINUTES.load(Ordering::Relaxed) * 60_000)
}

static MINUTES: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn work_that_does_not_get_on_is_given_up_and_says_so() {
    let house = House::start().await;
    let id = house.begin_with("cancel", "a", 5, &["queued"]).await;
    let proxy = Proxy::start(house.endpoint()).await;
    let runner = house.function("run-background-tasks", proxy.url(), minutes).await;
    proxy.plan(|seen| if seen.operation == "Query" { Fault::refused() } else { Fault::None });
    for tried in 1..=10 {
        let answer: Result<Value, String> = runner.invoke(&event(&id)).await;
        assert!(answer.is_err(), "Lambda is to call again");
        assert_eq!(house.task(&id).await.expect("the task")["tries"]["N"], tried.to_string());
        assert_eq!(house.job(&id).await["status"], "running");
        MINUTES.fetch_add(2, Ordering::Relaxed);
    }
    deliver(&runner, &id).await;
    let job = house.job(&id).await;
    assert_eq!(job["status"], "failed");
    assert!(job["error"]["message"].as_str().is_some_and(|message| message.contains("10 times")), "{job}");
    assert!(job["expires_at"].is_string());
    assert!(house.tasks().await.is_empty());
    // Once the store is well again, it can be asked for again.
    let id = house.begin("cancel", "a").await;
    proxy.heal();
    deliver(&runner, &id).await;
    house.is_done(&id, "cancel", 5).await;
}

#[tokio::test]
async fn a_try_that_gets_on_begins_to_count_anew() {
    let house = House::start().await;
    ingest_many(&house.service, "default", "a", 5, &["queued"]).await;
    let id = house.begin("cancel", "a").await;
    let proxy = Proxy::start(house.endpoint()).await;
    let runner = house.function("run-background-tasks", proxy.url(), super::later).await;
    proxy.plan(|seen| if seen.operation == "Query" { Fault::refused() } else { Fault::None });
    assert!(runner.invoke(&event(&id)).await.is_err());
    assert_eq!(house.task(&id).await.expect("the task")["tries"]["N"], "1");
    // Its claim holds for a minute by its own clock, so another one waits; by a later clock it is over.
    proxy.heal();
    let later =
        house.function("run-background-tasks", house.endpoint(), || super::later().plus_hours(1)).await;
    deliver(&later, &id).await;
    house.is_done(&id, "cancel", 5).await;
}
