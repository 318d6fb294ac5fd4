//! Jobs that are due later, and claims that wait.

use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::at_once::each_of;
use jobledger_tests::claims::{ClaimedJob, claim, claim_jobs_a_minute_ahead, claim_of, ids_of};
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::stored::stored_items;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

fn waiting(seconds: u32) -> Value {
    json!({ "worker_id": "w", "types": ["a"], "max": 10, "wait_seconds": seconds })
}

fn is_due(held: &ClaimedJob, due: Timestamp) -> bool {
    Timestamp::parse(&text(&held.job["started_at"])).expect("a time") >= due
}

/// Times until jobs are due, in milliseconds. The test tries a longer one if the machine is too slow for a shorter one.
const AHEAD_MS: [i64; 4] = [700, 3_000, 12_000, 48_000];

#[tokio::test]
async fn a_job_can_be_claimed_once_it_is_due() {
    for ahead in AHEAD_MS {
        if comes_up(ahead).await {
            return;
        }
    }
    panic!("no machine is as slow as that");
}

/// False: the job was due before the test claimed.
async fn comes_up(ahead: i64) -> bool {
    let service = Service::start().await;
    let due = system_clock().plus_millis(ahead);
    let later = create(&service, &json!({ "type": "a", "available_at": due, "priority": 10 })).await;
    let tomorrow = system_clock().plus_hours(24);
    create(&service, &json!({ "type": "a", "available_at": tomorrow, "priority": 10 })).await;
    let now = create(&service, &json!({ "type": "a" })).await;
    let claimed = claim_of(&service, "a", 10).await;
    if system_clock() >= due {
        return false;
    }
    // A claim takes no job before it is due, however high its priority.
    assert_eq!(ids_of(&claimed), [now]);
    let claimed = service.eventually("the job", || async {
        let claimed = claim(&service, &waiting(20)).await;
        (!claimed.is_empty()).then_some(claimed)
    });
    let claimed = claimed.await;
    assert_eq!(ids_of(&claimed), [later]);
    assert!(is_due(&claimed[0], due));
    assert!(claim_of(&service, "a", 10).await.is_empty());
    true
}

#[tokio::test]
async fn a_job_due_before_it_was_created_is_claimed_at_once() {
    let service = Service::shared().await;
    let past = create(&service, &json!({ "type": "a", "available_at": "2026-01-01T00:00:00Z" })).await;
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), [past]);
}

/// Jobs that became due are claimed by their priority, then by their due time.
#[tokio::test]
async fn jobs_that_became_due_are_claimed_by_priority() {
    for ahead in AHEAD_MS {
        if goes_in_its_turn(ahead).await {
            return;
        }
    }
    panic!("no machine is as slow as that");
}

/// False: some were due before all were created, so their order differs.
async fn goes_in_its_turn(ahead: i64) -> bool {
    let service = Service::start().await;
    let due = system_clock().plus_millis(ahead);
    let at = async |priority: u8, due: Timestamp| {
        create(&service, &json!({ "type": "a", "priority": priority, "available_at": due })).await
    };
    let (low, high) = (at(1, due).await, at(9, due).await);
    let (middle, second) = (at(5, due.plus_millis(-1)).await, at(5, due).await);
    let ready = create(&service, &json!({ "type": "a", "priority": 5 })).await;
    let top = create(&service, &json!({ "type": "a", "priority": 10 })).await;
    if system_clock() >= due.plus_millis(-1) {
        return false;
    }
    service.eventually("the time", || async { (system_clock() > due).then_some(()) }).await;
    let expect = [top, high, ready, middle, second, low];
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), expect);
    true
}

#[tokio::test]
async fn a_waiting_claim_returns_a_job_created_meanwhile() {
    let service = Service::shared().await;
    let body = waiting(20);
    let (waits, job) = (service.post("/v1/jobs/claim", &body).send(), json!({ "type": "a" }));
    let (reply, id) = tokio::join!(waits, create(&service, &job));
    assert_eq!((reply.status, reply.at("/jobs/0/job_id")), (200, &json!(id)));
    // Of several claims that wait, each gets another job.
    let waits = (0..4).map(|_| tokio::spawn(service.post("/v1/jobs/claim", &waiting(20)).send()));
    let waits: Vec<_> = waits.collect();
    let mut made = Vec::new();
    let mut given = Vec::new();
    for wait in waits {
        // The next job is created only after a claim took the one before.
        made.push(create(&service, &json!({ "type": "a" })).await);
        let last = made.last().expect("a job").clone();
        service
            .eventually("the claim", || async {
                let job = service.get(&format!("/v1/jobs/{last}")).expect(200).await;
                (job.at("/status") == "running").then_some(())
            })
            .await;
        given.push(wait);
    }
    let mut ids = Vec::new();
    for wait in given {
        let reply = wait.await.expect("an answer");
        assert_eq!((reply.status, reply.at("/jobs/1")), (200, &Value::Null), "{}", reply.text);
        ids.push(text(reply.at("/jobs/0/job_id")));
    }
    ids.sort();
    made.sort();
    assert_eq!(ids, made);
}

#[tokio::test]
async fn a_claim_waits_no_longer_than_asked() {
    let service = Service::shared().await;
    let before = system_clock();
    assert!(claim(&service, &waiting(1)).await.is_empty());
    assert!(system_clock().since(before) >= 1_000);
}

/// More jobs became due, and more are ready, than a claim reads. The highest priority must still go first. The claim
/// moves jobs that became due to their places in the queue.
#[tokio::test]
async fn many_jobs_that_become_due_do_not_delay_a_claim() {
    let service = Service::start().await;
    let due = system_clock().plus_millis(20_000);
    let lines = |name: &str, count: usize, priority: u8, due: Option<Timestamp>| -> Vec<Value> {
        let line = |number: usize| {
            json!({
                "external_id": format!("{name}{number}"), "type": "a", "status": "queued", "priority": priority,
                "available_at": due, "created_at": "2026-01-01T00:00:00Z",
            })
        };
        (0..count).map(line).collect()
    };
    let all: Vec<Value> = [
        lines("late", 130, 1, Some(due)),
        lines("ready", 60, 2, None),
        lines("top", 3, 9, None),
        lines("high", 1, 10, Some(due.plus_millis(-1))),
    ]
    .concat();
    assert_eq!(ingest(&service, &json!(all)).await, [194, 0, 0, 0]);
    assert!(system_clock() < due, "they were written while they were not due");
    // The clock of this function is a minute ahead.
    let ahead = claim_jobs_a_minute_ahead(&service).await;
    let mut given = Vec::new();
    while given.len() < 194 {
        let request = jobledger_tests::alone::Request::new("POST", "/v1/jobs/claim");
        let body = json!({ "worker_id": "w", "types": ["a"], "max": 10, "lease_seconds": 900 });
        let reply = ahead.call(&request.body(body.to_string())).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let jobs = reply.at("/jobs").as_array().expect("jobs");
        assert!(!jobs.is_empty(), "{} were given", given.len());
        given.extend(jobs.iter().map(|job| job["priority"].as_u64().expect("a priority")));
    }
    let mut expect = vec![10, 9, 9, 9];
    expect.extend([2; 60]);
    expect.extend([1; 130]);
    assert_eq!(given, expect);
}

#[tokio::test]
async fn each_claim_moves_some_of_many_due_jobs_into_the_queue() {
    let service = Service::start().await;
    let due = system_clock().plus_millis(20_000);
    let line = |number: usize, due: Option<Timestamp>| {
        json!({
            "external_id": format!("{number}"), "type": "a", "status": "queued", "available_at": due,
            "created_at": "2026-01-01T00:00:00Z",
        })
    };
    let all: Vec<Value> = (0..180).map(|number| line(number, (number < 120).then_some(due))).collect();
    assert_eq!(ingest(&service, &json!(all)).await, [180, 0, 0, 0]);
    let list = service.get("/v1/jobs?external_id=3").expect(200).await;
    assert!(
        stored_items(&service, &text(list.at("/jobs/0/job_id")))
            .await
            .iter()
            .any(|item| { jobledger_tests::dynamo::text(item, "queue").starts_with("later#") })
    );
    let ahead = claim_jobs_a_minute_ahead(&service).await;
    let body = json!({ "worker_id": "w", "types": ["a"] });
    let request = jobledger_tests::alone::Request::new("POST", "/v1/jobs/claim").body(body.to_string());
    assert_eq!(ahead.call(&request).await.at("/jobs/1"), &Value::Null);
    let config = jobledger_tests::stored::tables(&service).await.1;
    let items = jobledger_tests::dynamo::Dynamo::at(service.stack.dynamodb_endpoint())
        .scan(&config.tables.jobs)
        .await;
    let later =
        items.iter().filter(|item| jobledger_tests::dynamo::text(item, "queue").starts_with("later#"));
    assert_eq!(later.count(), 120 - 25);
}

/// Jobs that are due at the same moment, and many claims that wait for them. Each job must go to one worker.
#[tokio::test]
async fn many_claims_that_wait_for_one_moment_get_each_job_once() {
    let service = Service::shared().await;
    let due = system_clock().plus_millis(1_000);
    for _ in 0..12 {
        create(&service, &json!({ "type": "a", "available_at": due })).await;
    }
    let given = std::sync::Mutex::new(Vec::new());
    let (service, given_to) = (&service, &given);
    each_of(0..6, |number| async move {
        let body = json!({ "worker_id": format!("w{number}"), "types": ["a"], "max": 2, "wait_seconds": 5 });
        let count = || given_to.lock().expect("no panic").len();
        while count() < 12 {
            let mut body = body.clone();
            // The last claims find no job, and need not wait for one.
            body["wait_seconds"] = json!(if count() == 0 { 5 } else { 0 });
            let claimed = claim(service, &body).await;
            assert!(claimed.iter().all(|held| is_due(held, due)));
            given_to.lock().expect("no panic").extend(claimed.into_iter().map(|held| held.id));
        }
    })
    .await;
    let mut given = given.into_inner().expect("no panic");
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 12);
}
