//! Single jobs: create, get, cancel, delete.

use jobledger_tests::alone::Request;
use jobledger_tests::capacity::item_bytes;
use jobledger_tests::dynamo::text;
use serde_json::{Value, json};

use super::{Bill, CostFixture, Metered, halves, written};

fn new_job() -> Value {
    json!({
        "type": "render",
        "priority": 5,
        "name": "scene-000001.blend",
        "labels": { "team": "pictures", "model": "cycles" },
    })
}

fn create(body: &Value) -> Request {
    Request::new("POST", "/v1/jobs").body(body.to_string())
}

/// Creates a job, and compares its cost with the items that it wrote.
async fn created(fixture: &CostFixture, creator: &Metered, request: &Request) -> (String, Bill) {
    let before = fixture.jobs().await;
    let (reply, bill) = creator.call(fixture, request).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(bill.write, written(&fixture.jobs, &before, &fixture.jobs().await));
    (reply.at("/job_id").as_str().expect("an id").to_owned(), bill)
}

/// Calls, and compares the cost with the changed items. Each item must be written once.
async fn changed(fixture: &CostFixture, function: &Metered, request: &Request) -> Bill {
    let before = fixture.jobs().await;
    let (reply, bill) = function.call(fixture, request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(bill.write, written(&fixture.jobs, &before, &fixture.jobs().await));
    bill
}

/// A function that has the caller's key in its cache, as in all calls of a minute but the first.
async fn warm(fixture: &CostFixture, name: &str, request: &Request) -> Metered {
    let function = fixture.metered(name).await;
    let (_, bill) = function.call(fixture, request).await;
    bill.show(&format!("{name}: the first call, which reads the key"));
    function
}

#[tokio::test]
async fn creating_a_job_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let creator = warm(&fixture, "create-job", &create(&new_job())).await;
    let (_, bill) = created(&fixture, &creator, &create(&new_job())).await;
    bill.show("create");
    // The function reads ready jobs and due jobs of the queue, because either may go first; and the type's mean.
    bill.within(2, 2, 6);

    let mut with_payload = new_job();
    with_payload["payload"] =
        json!({ "frames": (0..900).map(|frame| frame * 7919 % 100_000).collect::<Vec<_>>() });
    let (id, bill) = created(&fixture, &creator, &create(&with_payload)).await;
    let items = fixture.jobs().await;
    let part =
        items.iter().find(|item| text(item, "job_id") == id && text(item, "part").starts_with("input#"));
    let weight = item_bytes(part.expect("an input")).div_ceil(1_024);
    bill.show(&format!("create with a payload that weighs {weight} KB packed"));
    bill.within(2, 2, 6 + weight);

    let request = create(&new_job()).header("idempotency-key", "alone");
    let (_, bill) = created(&fixture, &creator, &request).await;
    bill.show("create with an idempotency key");
    // The key is kept in an item of its own, beside the other requests.
    bill.within(2, 2, 7);

    let mut with_ids = new_job();
    with_ids["external_id"] = json!("scene-1");
    let request = create(&with_ids).header("idempotency-key", "once");
    let (_, bill) = created(&fixture, &creator, &request).await;
    bill.show("create with an external_id and an idempotency key");
    // The function first reads whether the key belongs to another job. Then it stores the key as its own item.
    bill.within(3, 3, 7);
    let (reply, bill) = creator.call(&fixture, &request).await;
    assert_eq!(reply.status, 200);
    bill.show("the same again");
}

#[tokio::test]
async fn reading_a_job_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let creator = fixture.metered("create-job").await;
    let mut body = new_job();
    let (plain, _) = created_id(&fixture, &creator, &body).await;
    body["payload"] =
        json!({ "noise": (0..3_000_u64).map(|n| n * n % 7_919 * n % 99_991).collect::<Vec<_>>() });
    let (heavy, weight) = created_id(&fixture, &creator, &body).await;
    let get = |id: &str| Request::new("GET", &format!("/v1/jobs/{id}"));
    let reader = warm(&fixture, "get-job", &get(&plain)).await;
    let (reply, bill) = reader.call(&fixture, &get(&plain)).await;
    assert_eq!(reply.status, 200);
    bill.show("get");
    bill.within(1, 1, 0);
    let (reply, bill) = reader.call(&fixture, &get(&heavy)).await;
    assert_eq!(reply.status, 200);
    bill.show(&format!("get with a payload, {weight} bytes in all"));
    bill.within(1, weight.div_ceil(4_096), 0);
}

async fn created_id(fixture: &CostFixture, creator: &Metered, body: &Value) -> (String, usize) {
    let (reply, _) = creator.call(fixture, &create(body)).await;
    let id = reply.at("/job_id").as_str().expect("an id").to_owned();
    let items = fixture.jobs().await;
    let bytes = items.iter().filter(|item| text(item, "job_id") == id).map(item_bytes).sum();
    (id, bytes)
}

#[tokio::test]
async fn cancelling_and_deleting_a_job_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let creator = fixture.metered("create-job").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(created_id(&fixture, &creator, &new_job()).await.0);
    }
    let running = json!({
        "external_id": "r", "type": "render", "status": "running", "created_at": "2026-03-01T00:00:00Z",
        "started_at": "2026-03-01T00:01:00Z", "name": "scene-000001.blend",
    });
    fixture.ingest(&[running]).await;
    let items = fixture.jobs().await;
    let running = items.iter().find(|item| text(item, "status") == "running").expect("the running job");
    let running = text(running, "job_id").to_owned();

    let cancel = |id: &str| Request::new("POST", &format!("/v1/jobs/{id}/cancel"));
    let canceller = warm(&fixture, "cancel-job", &cancel(&ids[0])).await;
    let queued_bill = changed(&fixture, &canceller, &cancel(&ids[1])).await;
    queued_bill.show("cancel, queued");
    queued_bill.within(1, 0, 8);
    let bill = changed(&fixture, &canceller, &cancel(&running)).await;
    bill.show("cancel, running");
    bill.within(1, 0, 8);
    // The request's condition fails: the engine reports no units with an error. AWS charges one for the attempt.
    let (reply, bill) = canceller.call(&fixture, &cancel(&running)).await;
    assert_eq!(reply.status, 200);
    bill.show("cancel, cancelled before");
    bill.within(1, 0, 0);

    let delete = |id: &str| Request::new("DELETE", &format!("/v1/jobs/{id}"));
    let deleter = warm(&fixture, "delete-job", &delete(&ids[0])).await;
    let ended_bill = changed(&fixture, &deleter, &delete(&ids[1])).await;
    ended_bill.show("delete, ended");
    ended_bill.within(1, 0, 5);
    // The function deletes a queued job in two steps: it cancels the job, and then removes it.
    let (reply, bill) = deleter.call(&fixture, &delete(&ids[2])).await;
    assert_eq!(reply.status, 200);
    bill.show("delete, queued");
    assert_eq!(bill.write, queued_bill.write + ended_bill.write);
    assert_eq!((bill.round_trips, bill.read), (3, 0));
}

#[tokio::test]
async fn batch_status_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let jobs: Vec<Value> = (0..100).map(|number| super::completed(number, number)).collect();
    fixture.ingest(&jobs).await;
    let items = fixture.jobs().await;
    let ids: Vec<&str> =
        items.iter().filter(|item| text(item, "part") == "head").map(|item| text(item, "job_id")).collect();
    let ask = |ids: &[&str]| {
        Request::new("POST", "/v1/jobs/batch-status").body(json!({ "job_ids": ids }).to_string())
    };
    let asker = warm(&fixture, "batch-status", &ask(&ids[..1])).await;
    // A strong read costs a unit for each job, found or not. An id that is repeated costs nothing.
    for (what, asked, read) in [
        ("batch-status of a job", vec![ids[0]], 1),
        ("batch-status of the same job three times", vec![ids[0]; 3], 1),
        ("batch-status of an id that no job has", vec!["01981b5e-7c3a-7000-8000-000000000001"], 1),
        ("batch-status of 100 jobs", ids.clone(), 100),
    ] {
        let (reply, bill) = asker.call(&fixture, &ask(&asked)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        bill.show(what);
        bill.within(1, read, 0);
        assert_eq!((bill.requests, bill.read), (1, 2 * read));
    }
    // An invalid id costs nothing.
    let (reply, bill) = asker.call(&fixture, &ask(&["x"])).await;
    assert_eq!((reply.status, bill.requests), (400, 0));
}

#[tokio::test]
async fn ingesting_jobs_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let lines = |from: usize, count: usize, cost: &str| {
        let line = |number: usize| {
            let mut job = super::completed(number, number % 60);
            job["cost_usd"] = json!(cost);
            job.to_string()
        };
        (from..from + count).map(line).collect::<Vec<_>>().join("\n")
    };
    let ingest = |body: String| Request::new("POST", "/v1/admin/ingest/jobs").body(body);
    let ingester = warm(&fixture, "ingest-jobs", &ingest(lines(0, 1, "1"))).await;
    for (what, request) in [
        ("ingest of 100 new jobs", ingest(lines(100, 100, "1"))),
        ("the same again: nothing is written", ingest(lines(100, 100, "1"))),
        ("with another cost: 100 updates", ingest(lines(100, 100, "2"))),
    ] {
        let bill = changed(&fixture, &ingester, &request).await;
        bill.show(what);
        // A strong read of each head, the write of a head and its four index entries, and no more. The network decides
        // how many requests run at once, and so how many round trips there are.
        bill.within(bill.requests, 100, 500);
        assert!(bill.requests <= 101, "{bill:?}");
    }
}

#[tokio::test]
async fn type_settings_are_within_their_cost() {
    let fixture = CostFixture::start().await;
    let get = Request::new("GET", "/v1/types/render");
    let put = |body: &str| Request::new("PUT", "/v1/types/render").body(body);
    let patch = |body: &str| Request::new("PATCH", "/v1/types/render").body(body);
    let function = warm(&fixture, "type-settings", &get).await;
    for (what, request, round_trips, read, write) in [
        ("type, of which nothing is stored", &get, 1, 1, 0),
        ("type, put", &put(r#"{"max_attempts":2}"#), 2, 1, 1),
        ("type, got", &get, 1, 1, 0),
        // The function reads how many parts the indexes have. It looks at each three times, and opens the type.
        ("type, a first limit", &put(r#"{"max_concurrency":2}"#), 7, 4, 2),
        ("type, another limit", &put(r#"{"max_concurrency":3}"#), 2, 1, 1),
        ("type, some settings", &patch(r#"{"max_attempts":3}"#), 2, 1, 1),
        ("type, paused", &Request::new("POST", "/v1/types/render/pause"), 1, 0, 1),
        ("type, resumed", &Request::new("POST", "/v1/types/render/resume"), 1, 0, 1),
        // Settings and counts side by side; then the queue of the one type.
        ("types, one of which nothing waits", &Request::new("GET", "/v1/types"), 2, 2, 0),
    ] {
        let (reply, bill) = function.call(&fixture, request).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        bill.show(what);
        bill.within(round_trips, read, write);
    }
}

#[test]
fn units_are_counted_in_halves() {
    assert_eq!((halves(0.0), halves(0.5), halves(6.0)), (0, 1, 12));
}
