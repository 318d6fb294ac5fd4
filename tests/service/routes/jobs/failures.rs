//! `GET /v1/jobs/failures`.

use jobledger::counts::MAX_FAILURE_GROUPS;
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::refuses;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

async fn failures(service: &Service, query: &str) -> Value {
    service.settled().await;
    service.get(&format!("/v1/jobs/failures?{query}")).expect(200).await.json
}

/// A job that failed at this minute of an hour.
fn failed(external_id: &str, kind: &str, minute: u32, error: &Value) -> Value {
    json!({
        "external_id": external_id, "type": kind, "status": "failed", "created_at": "2026-01-11T05:00:00Z",
        "started_at": "2026-01-11T05:00:00Z", "completed_at": format!("2026-01-11T05:{minute:02}:00Z"), "error": error,
    })
}

/// Type, code, pattern and count of each group.
fn groups(answer: &Value) -> Vec<(String, Value, Value, u64)> {
    let groups = answer["failures"].as_array().expect("a list").iter();
    let group = |group: &Value| {
        let count = group["count"].as_u64().expect("a count");
        (text(&group["type"]), group["error_code"].clone(), group["error_pattern"].clone(), count)
    };
    groups.map(group).collect()
}

fn by_code(kind: &str, code: &str, count: u64) -> (String, Value, Value, u64) {
    (kind.to_owned(), json!(code), Value::Null, count)
}

fn by_message(kind: &str, pattern: &str, count: u64) -> (String, Value, Value, u64) {
    (kind.to_owned(), Value::Null, json!(pattern), count)
}

#[tokio::test]
async fn failed_jobs_stand_in_groups_of_type_and_reason() {
    let service = Service::shared().await;
    let code = |message: &str| json!({ "code": "rate_limited", "message": message });
    let jobs = [
        failed("1", "scrape", 1, &json!("page 17 of 20 is missing")),
        failed("2", "scrape", 3, &json!("page 4 of 6 is missing\nat line 3")),
        failed("3", "scrape", 2, &json!("page 5 of 7 is missing")),
        failed("4", "scrape", 4, &code("slow down")),
        failed("5", "render", 5, &code("wait 10 s")),
        failed("6", "render", 6, &code("wait 20 s")),
        json!({ "external_id": "7", "type": "render", "status": "queued" }),
    ];
    assert_eq!(ingest(&service, &json!(jobs)).await, [7, 0, 0, 0]);
    let all = failures(&service, "").await;
    let expected = [
        by_message("scrape", "page <n> of <n> is missing", 3),
        by_code("render", "rate_limited", 2),
        by_code("scrape", "rate_limited", 1),
    ];
    assert_eq!(groups(&all), expected);
    let sums = ["groups", "left_out_count", "other_count", "total", "total_kind", "limit"];
    let sums = sums.map(|name| all[name].clone());
    assert_eq!(sums, [json!(3), json!(0), json!(0), json!(6), json!("exact"), json!(50)]);
    // The example is the one that failed last.
    let example = &all["failures"][0]["example"];
    assert_eq!(example["error_message"], "page 4 of 6 is missing\nat line 3");
    assert_eq!(example["failed_at"], "2026-01-11T05:03:00.000Z");
    let job = service.get(&format!("/v1/jobs/{}", text(&example["job_id"]))).expect(200).await;
    assert_eq!(job.at("/external_id"), "2");
    assert_eq!(all["failures"][0]["count_kind"], "exact");
    // Of some types only.
    let scrapes = failures(&service, "type=scrape,none").await;
    assert_eq!(
        (groups(&scrapes), &scrapes["total"]),
        (vec![expected[0].clone(), expected[2].clone()], &json!(4))
    );
    // The greatest only.
    let first = failures(&service, "limit=1").await;
    assert_eq!(groups(&first), expected[..1]);
    assert_eq!(
        (&first["groups"], &first["left_out_count"], &first["total"]),
        (&json!(3), &json!(3), &json!(6))
    );
}

#[tokio::test]
async fn a_job_that_is_retried_changed_or_deleted_leaves_its_group() {
    let service = Service::shared().await;
    let jobs = ["1", "2", "3"].map(|id| failed(id, "a", 1, &json!("out of luck")));
    assert_eq!(ingest(&service, &json!(jobs)).await, [3, 0, 0, 0]);
    let all = failures(&service, "").await;
    assert_eq!(groups(&all), [by_message("a", "out of luck", 3)]);
    let id = async |external_id: &str| {
        let list = service.get(&format!("/v1/jobs?external_id={external_id}")).expect(200).await;
        text(list.at("/jobs/0/job_id"))
    };
    service.call("POST", &format!("/v1/jobs/{}/retry", id("1").await)).expect(200).await;
    // An ingest tells of another error.
    assert_eq!(ingest(&service, &json!([failed("2", "a", 2, &json!("no luck at all"))])).await, [0, 1, 0, 0]);
    let moved = failures(&service, "").await;
    assert_eq!(groups(&moved), [by_message("a", "no luck at all", 1), by_message("a", "out of luck", 1)]);
    for external_id in ["2", "3"] {
        service.call("DELETE", &format!("/v1/jobs/{}", id(external_id).await)).expect(200).await;
    }
    let none = failures(&service, "").await;
    assert_eq!((groups(&none), &none["groups"], &none["total"]), (Vec::new(), &json!(0), &json!(0)));
}

#[tokio::test]
async fn failures_of_workers_and_of_lost_leases_have_groups() {
    let service = Service::shared().await;
    for number in 0..2 {
        create(&service, &json!({ "type": "a" })).await;
        let body = json!({ "worker_id": "w", "types": ["a"] });
        let claim = service.post("/v1/jobs/claim", &body).expect(200).await;
        let job = claim.at("/jobs/0");
        let report = json!({
            "lease_token": job["lease_token"], "status": "failed", "error": format!("exit code {number}"),
        });
        service.call("PATCH", &format!("/v1/jobs/{}", text(&job["job_id"]))).json(&report).expect(200).await;
    }
    assert_eq!(groups(&failures(&service, "").await), [by_message("a", "exit code <n>", 2)]);
}

#[tokio::test]
async fn groups_past_the_limit_are_counted_together() {
    let service = Service::start().await;
    let most = MAX_FAILURE_GROUPS;
    let error = |number: usize| json!({ "code": format!("e{number}"), "message": "x" });
    let jobs: Vec<_> =
        (0..most + 30).map(|number| failed(&number.to_string(), "a", 1, &error(number))).collect();
    assert_eq!(ingest(&service, &json!(jobs)).await[0], jobs.len() as u64);
    let all = failures(&service, "limit=500").await;
    let numbers = |answer: &Value| {
        ["groups", "other_count", "total"].map(|name| answer[name].as_u64().expect("a count"))
    };
    assert_eq!(numbers(&all), [500, 30, 530]);
    assert_eq!((groups(&all).len(), &all["failures"][0]["count_kind"]), (500, &json!("at_least")));
    // The jobs of the groups that have a place leave. Then a new group has one, and the old rest still has none.
    let with_place: Vec<String> = groups(&all).into_iter().map(|group| text(&group.1)).collect();
    let leave = jobs.iter().filter(|job| with_place.contains(&text(&job["error"]["code"])));
    let leave: Vec<Value> = leave
        .map(|job| {
            let id = &job["external_id"];
            json!({ "external_id": id, "type": "a", "status": "running", "started_at": "2026-01-11T06:00:00Z" })
        })
        .collect();
    assert_eq!(ingest(&service, &json!(leave)).await[1], 500);
    assert_eq!(numbers(&failures(&service, "").await), [0, 30, 30]);
    assert_eq!(ingest(&service, &json!([failed("new", "a", 1, &error(1_000))])).await[0], 1);
    assert_eq!(numbers(&failures(&service, "").await), [1, 30, 31]);
    // Those that have none leave, too.
    let rest = jobs.iter().filter(|job| !with_place.contains(&text(&job["error"]["code"])));
    for job in rest {
        let list =
            service.get(&format!("/v1/jobs?external_id={}", text(&job["external_id"]))).expect(200).await;
        service.call("DELETE", &format!("/v1/jobs/{}", text(list.at("/jobs/0/job_id")))).expect(200).await;
    }
    assert_eq!(numbers(&failures(&service, "").await), [1, 0, 1]);
}

#[tokio::test]
async fn another_owners_failures_are_not_shown() {
    let service = Service::start().await;
    assert_eq!(ingest(&service, &json!([failed("1", "a", 1, &json!("x"))])).await, [1, 0, 0, 0]);
    service.settled().await;
    add_key(&service, "reader", "nobody", &["read"], None).await;
    let call = |query: &str| {
        service.anonymous("GET", &format!("/v1/jobs/failures{query}")).header("x-api-key", "reader")
    };
    assert_eq!(call("").expect(200).await.at("/failures"), &json!([]));
    call("?owner=default").expect(403).await;
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    for (query, fields) in [
        ("limit=0", vec!["limit"]),
        ("limit=501&type=a+b", vec!["type", "limit"]),
        ("status=failed", vec!["status"]),
    ] {
        let reply = service.get(&format!("/v1/jobs/failures?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &fields);
    }
}
