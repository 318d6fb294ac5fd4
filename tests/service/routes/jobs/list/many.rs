//! Lists that are too long for filters without counts, and an hour with many jobs.

use jobledger::lists::MAX_MATCHES;
use jobledger_tests::jobs::ingest;
use jobledger_tests::lists::refuses_query;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

/// One more than a list sorts, or counts by a filter.
const MANY: usize = 10_001;

/// All within one hour, five in each millisecond, a third of them with the team `red`.
fn crowd() -> Vec<Value> {
    (0..MANY)
        .map(|number| {
            let millis = number / 5;
            json!({
                "external_id": format!("n{number}"), "type": "x", "status": "queued", "priority": number % 2,
                "created_at": format!("2026-03-01T10:{:02}:{:02}.{:03}Z", millis / 60 % 60, millis % 60, millis % 997),
                "labels": { "team": if number % 3 == 0 { "red" } else { "blue" } },
            })
        })
        .collect()
}

#[tokio::test]
async fn ten_thousand_and_one_jobs_of_an_hour() {
    let service = Service::start().await;
    let jobs = crowd();
    // Few jobs in each call, so that slow machines answer in time.
    for part in jobs.chunks(250) {
        ingest(&service, &json!(part)).await;
    }
    service.settled().await;
    let count = async |query: &str| {
        let reply = service.get(&format!("/v1/jobs?limit=1&{query}")).expect(200).await;
        (reply.at("/total").as_u64().expect("a total"), text(reply.at("/total_kind")))
    };
    // Totals from buckets are exact at any size; others up to a limit.
    assert_eq!(count("").await, (10_001, "exact".to_owned()));
    assert_eq!(count("team=red").await, (3_334, "exact".to_owned()));
    assert_eq!(count("priority=1").await, (5_000, "exact".to_owned()));
    assert_eq!(count("search=n").await, (0, "exact".to_owned()));
    service.call("DELETE", "/v1/jobs/00000000-0000-0000-0000-000000000000").expect(404).await;
    ingest(
        &service,
        &json!([{
            "external_id": "early", "type": "x", "status": "queued", "created_at": "2026-03-01T09:00:00Z",
            "labels": { "provider": "p" },
        }]),
    )
    .await;
    // The list finds the last row of all, after it has read all others.
    let rare = service.get("/v1/jobs?provider=p").expect(200).await;
    assert_eq!((rare.at("/jobs/0/external_id"), rare.at("/total")), (&json!("early"), &json!(1)));
    let all = "created_after=2026-03-01T10:00:00Z&created_before=2026-03-01T10:59:59Z";
    assert_eq!(count(all).await, (10_001, "exact".to_owned()));

    refuses_query(&service, "sort_by=priority", &["sort_by"]).await;
    refuses_query(&service, "team=red&offset=10001", &["offset"]).await;
    let sorted = service.get("/v1/jobs?team=red&sort_by=priority&limit=1").expect(200).await;
    assert_eq!((sorted.at("/total"), sorted.at("/jobs/0/priority")), (&json!(3_334), &json!(1)));

    // Each offset in the crowded hour agrees with a walk over all pages.
    service.settled().await;
    let mut walked: Vec<String> = Vec::new();
    let mut path = "/v1/jobs?page=1&per_page=500".to_owned();
    loop {
        let page = service.get(&path).expect(200).await;
        walked.extend(page.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])));
        let number = walked.len() / 500;
        if page.at("/has_more") == false {
            break;
        }
        path = format!("/v1/jobs?page={}&per_page=500", number + 1);
    }
    assert_eq!(walked.len(), MANY + 1);
    for offset in [1, 299, 300, 4_444, 5_000, 9_990, 10_001, 10_002] {
        let page = service.get(&format!("/v1/jobs?offset={offset}&limit=20")).expect(200).await;
        let ids: Vec<String> =
            page.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])).collect();
        let end = (offset + 20).min(walked.len());
        assert_eq!(ids, walked[offset.min(end)..end], "offset {offset}");
        assert_eq!(page.at("/total"), MANY + 1);
    }

    // Up to the limit, a list and a count by a filter without a bucket are exact. Past it, the total is a lower bound.
    let more: Vec<Value> = (0..=MAX_MATCHES - 3_334)
        .map(|number| {
            json!({
                "external_id": format!("m{number}"), "type": "y", "status": "queued",
                "created_at": "2026-03-01T12:00:00Z", "labels": { "team": "red" },
            })
        })
        .collect();
    let (up_to_the_limit, one_more) = more.split_at(MAX_MATCHES - 3_334);
    for (part, kind) in [(up_to_the_limit, "exact"), (one_more, "at_least")] {
        for call in part.chunks(5_000) {
            ingest(&service, &json!(call)).await;
        }
        service.settled().await;
        assert_eq!(count("team=red").await, (10_000, kind.to_owned()));
        let counted = service.get("/v1/jobs/count?team=red").expect(200).await;
        assert_eq!(
            [counted.at("/total"), counted.at("/total_kind"), counted.at("/by_status/queued")],
            [&json!(MAX_MATCHES), &json!(kind), &json!(MAX_MATCHES)]
        );
    }
    let all = service.get("/v1/jobs/count").expect(200).await;
    assert_eq!((all.at("/total"), all.at("/total_kind")), (&json!(MANY + 1 + more.len()), &json!("exact")));
}
