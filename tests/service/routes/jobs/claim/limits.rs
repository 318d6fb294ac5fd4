//! `max_concurrency`: never exceeded, and every slot is freed.

use jobledger::Environment;
use jobledger::domain::{JobId, LeaseToken, Owner, Terms, TypeName, WorkerId, steps};
use jobledger::lambda::system_clock;
use jobledger::store::Written;
use jobledger::store::head_write::HeadUpdate;
use jobledger_tests::Service;
use jobledger_tests::alone::Request;
use jobledger_tests::claims::{
    ClaimedJob, claim, claim_jobs_a_minute_ahead, claim_of, create_and_claim, ids_of, set_type, slots,
};
use jobledger_tests::jobs::create;
use jobledger_tests::stored::{stored_items, tables};
use serde_json::{Value, json};

async fn limited(limit: u32) -> Service {
    let service = Service::start().await;
    set_type(&service, "a", &json!({ "max_concurrency": limit, "backoff_seconds": 0 })).await;
    service
}

async fn create_many(service: &Service, count: usize) {
    for _ in 0..count {
        create(service, &json!({ "type": "a", "max_attempts": 3 })).await;
    }
}

async fn complete(service: &Service, held: &ClaimedJob) {
    held.tell(service, &json!({ "status": "completed" })).await;
}

#[tokio::test]
async fn no_more_jobs_run_than_the_limit_allows() {
    let service = limited(3).await;
    create_many(&service, 10).await;
    let first = claim_of(&service, "a", 10).await;
    assert_eq!((first.len(), slots(&service, "a").await), (3, json!(3)));
    assert!(claim_of(&service, "a", 10).await.is_empty());
    complete(&service, &first[1]).await;
    assert_eq!(slots(&service, "a").await, 2);
    assert_eq!(claim_of(&service, "a", 10).await.len(), 1);
    // A type at its limit does not delay types without a limit.
    let other = create(&service, &json!({ "type": "b" })).await;
    let both = json!({ "worker_id": "w", "types": ["a", "b"], "max": 10 });
    assert_eq!(ids_of(&claim(&service, &both).await), [other]);
}

#[tokio::test]
async fn every_end_of_an_attempt_frees_its_slot() {
    let service = limited(1).await;
    let job = json!({ "type": "a", "max_attempts": 2 });
    let path = |held: &ClaimedJob| format!("/v1/jobs/{}", held.id);
    let report = |report: Value| {
        let (service, job) = (&service, &job);
        async move {
            let held = create_and_claim(service, job).await;
            assert_eq!(slots(service, "a").await, 1);
            held.tell(service, &report).await;
            assert_eq!(slots(service, "a").await, 0, "{report}");
            held
        }
    };
    for end in [
        json!({ "status": "completed" }),
        json!({ "status": "completed", "result": [1] }),
        json!({ "status": "completed", "priority": 3 }),
        json!({ "status": "failed", "error": "no", "retryable": false }),
        json!({ "status": "cancelled" }),
    ] {
        report(end).await;
    }
    // If attempts are left, the job can be claimed again.
    for step in [json!({ "status": "queued" }), json!({ "status": "failed", "error": "no" })] {
        let first = report(step).await;
        let again = claim_of(&service, "a", 1).await.remove(0);
        assert_eq!((first.id.as_str(), slots(&service, "a").await), (again.id.as_str(), json!(1)));
        complete(&service, &again).await;
        assert_eq!(slots(&service, "a").await, 0);
    }
    // A caller cancels or deletes the job.
    let cancelled = create_and_claim(&service, &job).await;
    service.call("POST", &format!("{}/cancel", path(&cancelled))).expect(200).await;
    assert_eq!(slots(&service, "a").await, 0);
    let deleted = create_and_claim(&service, &job).await;
    service.call("DELETE", &path(&deleted)).expect(200).await;
    assert_eq!(slots(&service, "a").await, 0);
    for action in ["cancel", "delete"] {
        let held = create_and_claim(&service, &job).await;
        let bulk = json!({ "action": action, "filter": { "type": "a", "status": "running" } });
        service.post("/v1/jobs/bulk", &bulk).expect(202).await;
        service.settled().await;
        assert_eq!(slots(&service, "a").await, 0, "{action}");
        assert_eq!(
            held.report(&service, &json!({})).send().await.status,
            if action == "delete" { 404 } else { 200 }
        );
    }
    // No slot was freed twice: a limit of one still holds.
    create_many(&service, 3).await;
    assert_eq!((claim_of(&service, "a", 10).await.len(), slots(&service, "a").await), (1, json!(1)));
}

#[tokio::test]
async fn reports_and_edits_keep_the_slot() {
    let service = limited(2).await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    for report in [
        json!({}),
        json!({ "progress": { "overall_progress": 5 } }),
        json!({ "status": "running" }),
        json!({ "phase": "uploading" }),
        json!({ "artifacts": [{ "name": "x" }] }),
        json!({ "priority": 7 }),
    ] {
        held.tell(&service, &report).await;
        assert_eq!(slots(&service, "a").await, 1, "{report}");
    }
    service.call("PATCH", &format!("/v1/jobs/{}", held.id)).json(&json!({ "name": "n" })).expect(200).await;
    held.report(&service, &json!({ "status": "failed" })).expect(400).await;
    assert_eq!(slots(&service, "a").await, 1);
    complete(&service, &held).await;
    // The same report again: the slot was freed once.
    complete(&service, &held).await;
    assert_eq!(slots(&service, "a").await, 0);
}

#[tokio::test]
async fn a_limit_can_change_while_jobs_run() {
    let service = limited(2).await;
    create_many(&service, 12).await;
    let mut running = claim_of(&service, "a", 10).await;
    assert_eq!(running.len(), 2);
    set_type(&service, "a", &json!({ "max_concurrency": 5 })).await;
    running.extend(claim_of(&service, "a", 10).await);
    assert_eq!((running.len(), slots(&service, "a").await), (5, json!(5)));
    // A lower limit stops no job, and no new one begins until enough have ended.
    set_type(&service, "a", &json!({ "max_concurrency": 2 })).await;
    for left in [4, 3, 2] {
        assert!(claim_of(&service, "a", 10).await.is_empty());
        complete(&service, &running.pop().expect("a job")).await;
        assert_eq!(slots(&service, "a").await, left);
    }
    assert!(claim_of(&service, "a", 10).await.is_empty());
    complete(&service, &running.pop().expect("a job")).await;
    running.extend(claim_of(&service, "a", 10).await);
    assert_eq!(running.len(), 2);
    // Without a limit, all waiting jobs may run. A job with a slot frees it at its end.
    set_type(&service, "a", &json!({})).await;
    running.extend(claim_of(&service, "a", 10).await);
    assert_eq!(running.len(), 8);
    assert!(claim_of(&service, "a", 10).await.is_empty(), "there are no more");
    for held in &running {
        complete(&service, held).await;
    }
    set_type(&service, "a", &json!({ "max_concurrency": 1 })).await;
    assert_eq!(slots(&service, "a").await, 0);
    create_many(&service, 2).await;
    assert_eq!(claim_of(&service, "a", 10).await.len(), 1);
}

/// Jobs run that nobody counted: the first claim counts them. For 30 seconds, claims that began before may take more; then
/// those are counted, too.
#[tokio::test]
async fn a_first_limit_counts_jobs_that_already_run() {
    let service = Service::start().await;
    create_many(&service, 9).await;
    let before = claim_of(&service, "a", 3).await;
    set_type(&service, "a", &json!({ "max_concurrency": 4 })).await;
    // One of them ends before anybody claims: it never had a slot.
    complete(&service, &before[0]).await;
    assert_eq!(slots(&service, "a").await, 0);
    // The type is not closed: the limit less the jobs that run is claimed at once.
    assert_eq!(claim_of(&service, "a", 10).await.len(), 2);
    assert_eq!(slots(&service, "a").await, 4);
    let has_slot = async |held: &ClaimedJob| {
        let items = stored_items(&service, &held.id).await;
        items.iter().any(|item| item.get("slot") == Some(&json!({ "BOOL": true })))
    };
    for held in &before[1..] {
        assert!(has_slot(held).await);
    }
    assert!(claim_of(&service, "a", 10).await.is_empty());
    for (held, left) in before[1..].iter().zip([3, 2]) {
        complete(&service, held).await;
        assert_eq!(slots(&service, "a").await, left);
    }
    assert_eq!(claim_of(&service, "a", 10).await.len(), 2);
    // A claim that began before the limit takes a job without a slot. A minute later, it has one.
    let late = claim_of_a_type_without_limit(&service, "a").await;
    assert!(!has_slot(&late).await);
    assert_eq!(slots(&service, "a").await, 4);
    let ahead = claim_jobs_a_minute_ahead(&service).await;
    let body = json!({ "worker_id": "w", "types": ["a"], "max": 10 }).to_string();
    let request = Request::new("POST", "/v1/jobs/claim").body(body);
    assert_eq!(ahead.call(&request).await.json, json!({ "jobs": [] }));
    assert_eq!((has_slot(&late).await, slots(&service, "a").await), (true, json!(5)));
}

/// A claim that does not know of the limit: it read the type before.
async fn claim_of_a_type_without_limit(service: &Service, kind: &str) -> ClaimedJob {
    let (store, config) = tables(service).await;
    let (owner, kind) =
        (Owner::try_from("default").expect("an owner"), TypeName::try_from(kind).expect("a type"));
    let page = service.get("/v1/jobs?status=queued&limit=1").expect(200).await;
    let id = JobId::try_from(page.at("/jobs/0/job_id").as_str().expect("an id")).expect("an id");
    let terms = Terms { holds_slot: false, attempt: 1, seconds: 600, deadline: None, kind };
    let token = LeaseToken::new(terms, Environment::fresh_secret_id());
    let worker = WorkerId::try_from("early").expect("a worker");
    let step = steps::claimed(&worker, &token, false, system_clock()).of(&owner);
    let update = HeadUpdate::of(id, &step).expect("an update").request(&config.tables);
    assert!(matches!(store.update(update).await.expect("an answer"), Written::Done(_)));
    ClaimedJob { id: id.to_string(), token: token.as_str().to_owned(), job: Value::Null }
}

#[tokio::test]
async fn running_jobs_over_a_new_limit_are_counted() {
    let service = Service::start().await;
    create_many(&service, 5).await;
    let before = claim_of(&service, "a", 3).await;
    set_type(&service, "a", &json!({ "max_concurrency": 1 })).await;
    let ahead = claim_jobs_a_minute_ahead(&service).await;
    let body = json!({ "worker_id": "w", "types": ["a"], "max": 10 }).to_string();
    let request = Request::new("POST", "/v1/jobs/claim").body(body);
    assert_eq!(ahead.call(&request).await.json, json!({ "jobs": [] }));
    assert_eq!(slots(&service, "a").await, 3);
    // A job of an outside engine has no slot: the engine only reports.
    let outside = create(&service, &json!({ "type": "a" })).await;
    let path = format!("/v1/jobs/{outside}");
    service.call("PATCH", &path).json(&json!({ "status": "running" })).expect(200).await;
    assert_eq!(slots(&service, "a").await, 3);
    for held in &before {
        complete(&service, held).await;
    }
    assert_eq!((slots(&service, "a").await, claim_of(&service, "a", 10).await.len()), (json!(0), 1));
}

/// If a type gets its first limit while it has no job, it opens at once.
#[tokio::test]
async fn a_limit_on_a_type_without_jobs_holds_at_once() {
    let service = Service::shared().await;
    create(&service, &json!({ "type": "b" })).await;
    set_type(&service, "a", &json!({ "max_concurrency": 1 })).await;
    let before = system_clock();
    create_many(&service, 2).await;
    assert_eq!(claim_of(&service, "a", 10).await.len(), 1);
    assert!(system_clock().since(before) < 30_000);
}
