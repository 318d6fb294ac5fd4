//! `GET /v1/analytics/cost/by-model` and `/by-team`.

use jobledger::counts::MAX_COST_ITEMS;
use jobledger::http::MAX_ANSWER_BYTES;
use jobledger_tests::at_once::each_of;
use jobledger_tests::dynamo::Dynamo;
use jobledger_tests::jobs::ingest;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

async fn costs(service: &Service, target: &str) -> Value {
    service.get(&format!("/v1/analytics/cost/{target}")).expect(200).await.json
}

/// A queued job of a day in January, with this cost and these labels.
fn job(number: usize, day: u32, cost: &str, labels: &Value) -> Value {
    let cost = if cost.is_empty() { Value::Null } else { json!(cost) };
    json!({
        "external_id": format!("n{number}"), "type": "a", "status": "queued", "labels": labels, "cost_usd": cost,
        "created_at": format!("2026-01-{day:02}T23:59:59.999Z"),
    })
}

/// The names, costs and jobs of an answer, in its order.
fn items(answer: &Value, by: &str) -> Vec<(Option<String>, String, u64)> {
    let items = answer["items"].as_array().expect("items");
    let name = |item: &Value| item.get(by).expect("the label").as_str().map(str::to_owned);
    items
        .iter()
        .map(|item| (name(item), text(&item["cost_usd"]), item["jobs"].as_u64().expect("jobs")))
        .collect()
}

fn some(name: &str, cost: &str, jobs: u64) -> (Option<String>, String, u64) {
    ((!name.is_empty()).then(|| name.to_owned()), cost.to_owned(), jobs)
}

#[tokio::test]
async fn the_highest_cost_is_listed_first() {
    let service = Service::shared().await;
    let jobs = json!([
        job(1, 1, "0.5", &json!({ "model": "m", "team": "red" })),
        job(2, 2, "0.5", &json!({ "model": "a#b", "team": "red" })),
        job(3, 3, "0.000001", &json!({ "model": "m" })),
        job(4, 3, "2", &json!({ "team": "blue" })),
        job(5, 4, "", &json!({ "model": "free" })),
        job(6, 4, "", &json!({})),
        job(7, 4, "0.5", &json!({ "model": "A" })),
    ]);
    assert_eq!(ingest(&service, &jobs).await, [7, 0, 0, 0]);
    service.settled().await;
    let reply = service.get("/v1/analytics/cost/by-model").expect(200).await;
    let expect = json!({
        "items": [
            { "model": null, "cost_usd": "2.000000", "jobs": 1 },
            { "model": "m", "cost_usd": "0.500001", "jobs": 2 },
            { "model": "A", "cost_usd": "0.500000", "jobs": 1 },
            { "model": "a#b", "cost_usd": "0.500000", "jobs": 1 },
            { "model": "free", "cost_usd": "0.000000", "jobs": 1 },
        ],
        "total_cost_usd": "3.500001",
        "date_range": { "from": null, "to": null },
    });
    assert_eq!(reply.json, expect);
    let team = costs(&service, "by-team").await;
    let expect = [some("blue", "2.000000", 1), some("red", "1.000000", 2), some("", "0.500001", 2)];
    assert_eq!((items(&team, "team"), &team["total_cost_usd"]), (expect.to_vec(), &json!("3.500001")));
    // Times are widened to whole days.
    let days = costs(&service, "by-team?start=2026-01-02T15:00:00Z&end=2026-01-03T00:00:00Z").await;
    assert_eq!(
        days["date_range"],
        json!({ "from": "2026-01-02T00:00:00.000Z", "to": "2026-01-03T23:59:59.999Z" })
    );
    let expect = [some("blue", "2.000000", 1), some("red", "0.500000", 1), some("", "0.000001", 1)];
    assert_eq!(items(&days, "team"), expect);
    for all in ["start=0001-01-01&end=9999-12-31", "start=1066-10-14", "start=1066-10-14&end=2999-12-31"] {
        let all = costs(&service, &format!("by-team?{all}")).await;
        assert_eq!((&all["items"], &all["total_cost_usd"]), (&team["items"], &team["total_cost_usd"]));
    }
    // An open end is null.
    let open = costs(&service, "by-model?end=2026-01-01T00:00:00Z").await;
    assert_eq!(open["date_range"], json!({ "from": null, "to": "2026-01-01T23:59:59.999Z" }));
    assert_eq!(items(&open, "model"), [some("m", "0.500000", 1)]);
}

#[tokio::test]
async fn costs_follow_changes_and_stay_when_jobs_are_deleted() {
    let service = Service::shared().await;
    let check = async |job: Value, expect: &[(Option<String>, String, u64)]| {
        ingest(&service, &json!([job])).await;
        service.settled().await;
        let answer = costs(&service, "by-model?start=2026-01-01&end=2026-01-01").await;
        assert_eq!(items(&answer, "model"), expect);
    };
    check(job(1, 1, "1", &json!({ "model": "m" })), &[some("m", "1.000000", 1)]).await;
    check(job(1, 1, "0.25", &json!({ "model": "m" })), &[some("m", "0.250000", 1)]).await;
    let both = [some("x", "3.000000", 1), some("m", "0.250000", 1)];
    check(job(2, 1, "3", &json!({ "model": "x" })), &both).await;
    // Another label: the old one has no cost left.
    check(job(1, 1, "0.25", &json!({ "model": "x" })), &[some("x", "3.250000", 2)]).await;
    let without = [some("x", "3.000000", 1), some("", "0.250000", 1)];
    check(job(1, 1, "0.25", &json!({})), &without).await;
    // A job without cost and label does not appear.
    check(job(1, 1, "", &json!({})), &[some("x", "3.000000", 1)]).await;
    check(job(1, 1, "0.25", &json!({})), &without).await;
    // Another type or status changes nothing; another day does.
    let mut other = job(1, 1, "0.25", &json!({}));
    other["type"] = json!("b");
    check(other, &without).await;
    check(job(1, 2, "0.25", &json!({})), &[some("x", "3.000000", 1)]).await;
    let answer = costs(&service, "by-model?start=2026-01-02").await;
    assert_eq!(items(&answer, "model"), [some("", "0.250000", 1)]);
    // The cost of a deleted job stays.
    for job in service.get("/v1/jobs").expect(200).await.at("/jobs").as_array().expect("jobs") {
        service.call("DELETE", &format!("/v1/jobs/{}", text(&job["job_id"]))).expect(200).await;
    }
    service.settled().await;
    let answer = costs(&service, "by-model").await;
    assert_eq!(items(&answer, "model"), [some("x", "3.000000", 1), some("", "0.250000", 1)]);
}

#[tokio::test]
async fn two_thousand_models_are_all_listed() {
    let service = Service::start().await;
    let model = |number: usize| format!("model-{number:04}");
    let jobs: Vec<Value> = (0..2_000)
        .map(|number| {
            let day = u32::try_from(1 + number % 28).expect("a day");
            job(number, day, &format!("0.{number:06}"), &json!({ "model": model(number), "team": "one" }))
        })
        .collect();
    assert_eq!(ingest(&service, &json!(jobs)).await, [2_000, 0, 0, 0]);
    service.settled().await;
    let expect = |first: usize, step: usize| -> Vec<_> {
        let mut all: Vec<_> = (first..2_000).step_by(step).collect();
        all.reverse();
        all.into_iter().map(|number| some(&model(number), &format!("0.{number:06}"), 1)).collect()
    };
    for dates in ["", "?start=2026-01-01&end=2026-01-31", "?start=2026-01-01&end=2026-01-28"] {
        assert_eq!(items(&costs(&service, &format!("by-model{dates}")).await, "model"), expect(0, 1));
    }
    let day = costs(&service, "by-model?start=2026-01-08&end=2026-01-08").await;
    assert_eq!(items(&day, "model"), expect(7, 28));
    let team = costs(&service, "by-team").await;
    assert_eq!(items(&team, "team"), [some("one", "1.999000", 2_000)]);
}

/// Writes sums like the counter's into the months of a year: this many a month, with names made from a number.
async fn put_sums(
    service: &Service,
    numbers: std::ops::Range<usize>,
    in_a_month: usize,
    name: fn(usize) -> String,
) {
    let tallies = service.stack.environment("costs").expect("the function").vars["TALLIES_TABLE"].clone();
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let all: Vec<usize> = numbers.collect();
    each_of(all.chunks(25), |numbers| {
        let puts = numbers.iter().map(|number| {
            let bucket = format!("model-month#2026-{:02}#{}", 1 + number / in_a_month, name(*number));
            let item = json!({
                "scope": { "S": "default" }, "bucket": { "S": bucket }, "jobs": { "N": "1" }, "cost": { "N": "5" },
            });
            json!({ "PutRequest": { "Item": item } })
        });
        let body = json!({ "RequestItems": { &tallies: puts.collect::<Vec<Value>>() } });
        let dynamo = &dynamo;
        async move {
            dynamo.call("BatchWriteItem", &body).await;
        }
    })
    .await;
}

/// An answer longer than Lambda allows: the problem names the limit and the remedy.
#[tokio::test]
async fn more_than_an_answer_holds_is_refused() {
    let service = Service::start().await;
    // A quotation mark takes four bytes of the answer.
    put_sums(&service, 0..3_000, 1_500, |number| format!("{number:05}{}", "\"".repeat(495))).await;
    let path = "/v1/analytics/cost/by-model?start=2026-01-01&end=2026-0";
    let reply = service.get(&format!("{path}2-28")).send().await;
    refuses(&reply, 422, "invalid_query", &["start"]);
    assert!(reply.text.contains(&MAX_ANSWER_BYTES.to_string()), "{}", reply.text);
    let one = service.get(&format!("{path}1-31")).expect(200).await;
    assert_eq!(one.at("/items").as_array().map(Vec::len), Some(1_500));
    assert_eq!(one.at("/total_cost_usd"), "0.007500");
}

#[tokio::test]
async fn more_sums_than_are_added_up_are_refused() {
    let service = Service::start().await;
    // The same ten thousand models in each month.
    put_sums(&service, 0..MAX_COST_ITEMS + 1, 10_000, |number| format!("model-{:04}", number % 10_000)).await;
    let path = "/v1/analytics/cost/by-model?start=2026-01-01&end=2026-1";
    let reply = service.get(&format!("{path}1-30")).send().await;
    refuses(&reply, 422, "invalid_query", &["start"]);
    assert!(reply.text.contains(&MAX_COST_ITEMS.to_string()), "{}", reply.text);
    let most = service.get(&format!("{path}0-31")).expect(200).await;
    assert_eq!(most.at("/items").as_array().map(Vec::len), Some(10_000));
    assert_eq!(most.at("/items/0"), &json!({ "model": "model-0000", "cost_usd": "0.000050", "jobs": 10 }));
    assert_eq!(most.at("/total_cost_usd"), "0.500000");
}

#[tokio::test]
async fn an_owner_without_costs_has_none() {
    let service = Service::start().await;
    ingest(&service, &json!([job(1, 1, "1", &json!({ "team": "a" }))])).await;
    service.settled().await;
    add_key(&service, "reader", "nobody", &["read"], None).await;
    let expect =
        json!({ "items": [], "total_cost_usd": "0.000000", "date_range": { "from": null, "to": null } });
    for by in ["by-model", "by-team"] {
        assert_eq!(costs(&service, &format!("{by}?owner=nobody")).await, expect);
        let path = format!("/v1/analytics/cost/{by}");
        let call =
            |query: &str| service.anonymous("GET", &format!("{path}{query}")).header("x-api-key", "reader");
        assert_eq!(call("").expect(200).await.json, expect);
        is_problem(&call("?owner=default").send().await, 403, "missing_scope");
    }
    is_problem(&service.get("/v1/analytics/cost/by-type").send().await, 404, "not_found");
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    for (query, fields) in [
        ("start=2026-01-02&end=2026-01-01", vec!["end"]),
        ("start=soon&end=2026-02-30", vec!["start", "end"]),
        ("from_date=2026-01-01&to_date=2026-01-02", vec!["from_date", "to_date"]),
        ("team=a&limit=5", vec!["team", "limit"]),
        ("start=2026-01-01&start=2026-01-01", vec!["start"]),
    ] {
        for by in ["by-model", "by-team"] {
            let reply = service.get(&format!("/v1/analytics/cost/{by}?{query}")).send().await;
            refuses(&reply, 422, "invalid_query", &fields);
        }
    }
}
