//! Filters besides type, status and dates; and orders besides that of creation.

use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::lists::refuses_query;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

/// Twelve jobs, a minute apart; each tells its number by its external id.
fn shop() -> Vec<Value> {
    (0..12)
        .map(|number| {
            let mut job = json!({
                "external_id": format!("n{number}"),
                "type": (["scrape", "render"][number % 2]),
                "status": (["queued", "running", "completed"][number % 3]),
                "created_at": format!("2026-03-01T10:{number:02}:00Z"),
                "priority": number % 4,
                "labels": { "team": (["red", "blue"][number / 6]), "model": format!("m-{}", number % 5) },
            });
            if number % 3 > 0 {
                job["started_at"] = json!("2026-03-01T11:00:00Z");
            }
            if number % 3 == 2 {
                job["completed_at"] = json!(format!("2026-03-01T12:{:02}:00Z", (number * 7) % 60));
            }
            if number < 9 {
                job["name"] = json!(["Report-MÄRZ.pdf", "report-may.PDF", "clip.mp4"][number % 3]);
            }
            job
        })
        .collect()
}

async fn filled() -> Service {
    let service = Service::start().await;
    assert_eq!(ingest(&service, &json!(shop())).await, [12, 0, 0, 0]);
    service.settled().await;
    service
}

fn numbers(reply: &Reply) -> Vec<u64> {
    let number = |job: &Value| text(&job["external_id"])[1..].parse().expect("a number");
    reply.at("/jobs").as_array().expect("jobs").iter().map(number).collect()
}

/// The list has exactly these jobs, whole and page by page with each kind of parameter, and their exact total.
async fn check(service: &Service, query: &str, expect: &[u64]) {
    let whole = service.get(&format!("/v1/jobs?{query}")).expect(200).await;
    assert_eq!(numbers(&whole), expect, "{query}");
    assert_eq!(
        (whole.at("/total"), whole.at("/total_kind")),
        (&json!(expect.len()), &json!("exact")),
        "{query}"
    );
    let mut walked = Vec::new();
    let mut path = format!("/v1/jobs?{query}&limit=2");
    loop {
        let page = service.get(&path).expect(200).await;
        assert_eq!(page.at("/total"), expect.len(), "{path}");
        walked.extend(numbers(&page));
        let Some(next) = page.at("/next_cursor").as_str() else { break };
        path = format!("/v1/jobs?{query}&limit=2&cursor={next}");
    }
    assert_eq!(walked, expect, "{query} by cursor");
    for page in 1..=expect.len().div_ceil(5) {
        let reply = service.get(&format!("/v1/jobs?{query}&page={page}&per_page=5")).expect(200).await;
        let rest = expect.iter().skip((page - 1) * 5).take(5).copied().collect::<Vec<_>>();
        assert_eq!(numbers(&reply), rest, "{query} page {page}");
    }
    let past = service.get(&format!("/v1/jobs?{query}&offset=100")).expect(200).await;
    assert_eq!((numbers(&past), past.at("/total")), (Vec::new(), &json!(expect.len())), "{query}");
}

#[tokio::test]
async fn a_list_filters_by_priority_team_model_and_external_id() {
    let service = filled().await;
    check(&service, "priority=3", &[11, 7, 3]).await;
    check(&service, "team=red&sort_order=asc", &[0, 1, 2, 3, 4, 5]).await;
    check(&service, "team=blue&model=m-1", &[11, 6]).await;
    check(&service, "model=m-2&status=completed,queued", &[12 - 10]).await;
    check(&service, "team=blue&type=scrape&status=queued,running", &[10, 6]).await;
    check(&service, "external_id=n7", &[7]).await;
    check(&service, "external_id=n7&type=scrape", &[]).await;
    check(&service, "external_id=n7&created_before=2026-03-01T10:06:59Z", &[]).await;
    check(&service, "provider=nobody", &[]).await;
    check(
        &service,
        "team=red&created_after=2026-03-01T10:02:00Z&created_before=2026-03-01T10:03:30Z",
        &[3, 2],
    )
    .await;
}

#[tokio::test]
async fn a_search_finds_parts_of_names_in_any_case_and_whole_ids() {
    let service = filled().await;
    check(&service, "search=REPORT", &[7, 6, 4, 3, 1, 0]).await;
    check(&service, "search=m%C3%A4rz", &[6, 3, 0]).await;
    check(&service, "search=.pdf&status=running", &[7, 4, 1]).await;
    check(&service, "search=n11", &[11]).await;
    check(&service, "search=n1", &[1]).await;
    check(&service, "search=nothing", &[]).await;
    let found = service.get("/v1/jobs?external_id=n5").expect(200).await;
    let id = text(found.at("/jobs/0/job_id"));
    check(&service, &format!("search={id}"), &[5]).await;
    check(&service, &format!("search={}", id.to_uppercase()), &[5]).await;
    check(&service, &format!("search={id}&type=scrape"), &[]).await;
    // A job without an external id is found by its job id.
    let plain = create(&service, &json!({ "type": "x", "name": "Zebra" })).await;
    for search in [plain.as_str(), "zebra"] {
        let reply = service.get(&format!("/v1/jobs?search={search}")).expect(200).await;
        assert_eq!(reply.at("/jobs/0/job_id"), plain.as_str());
    }
    let foreign = service.get(&format!("/v1/jobs?owner=other&search={plain}")).expect(200).await;
    assert_eq!(foreign.at("/total"), 0);
}

#[tokio::test]
async fn a_list_sorts_by_other_fields_than_creation() {
    let service = filled().await;
    for (order, is_right) in [("asc", str::le as fn(&str, &str) -> bool), ("desc", str::ge)] {
        let reply = service.get(&format!("/v1/jobs?sort_by=updated_at&sort_order={order}")).expect(200).await;
        let times: Vec<String> =
            reply.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["updated_at"])).collect();
        assert_eq!(times.len(), 12);
        assert!(times.windows(2).all(|pair| is_right(&pair[0], &pair[1])), "{times:?}");
    }
    // By priority, and within a priority by creation, in the same direction.
    check(&service, "sort_by=priority", &[11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0]).await;
    check(&service, "sort_by=priority&sort_order=asc&type=scrape", &[0, 4, 8, 2, 6, 10]).await;
    // Jobs that have not ended come last in both directions.
    check(&service, "sort_by=completed_at", &[8, 5, 11, 2, 10, 9, 7, 6, 4, 3, 1, 0]).await;
    check(&service, "sort_by=completed_at&sort_order=asc", &[2, 11, 5, 8, 0, 1, 3, 4, 6, 7, 9, 10]).await;
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filters_and_its_order() {
    let service = filled().await;
    let page = service.get("/v1/jobs?team=red&limit=2").expect(200).await;
    let cursor = text(page.at("/next_cursor"));
    for other in ["", "team=blue", "team=red&priority=1", "team=red&search=x", "team=red&sort_by=priority"] {
        refuses_query(&service, format!("{other}&cursor={cursor}").trim_start_matches('&'), &["cursor"])
            .await;
    }
    let page = service.get("/v1/jobs?sort_by=priority&limit=2").expect(200).await;
    let cursor = text(page.at("/next_cursor"));
    refuses_query(&service, &format!("cursor={cursor}"), &["cursor"]).await;
}

#[tokio::test]
async fn values_that_no_job_can_have_are_refused() {
    let service = Service::shared().await;
    let long = "x".repeat(201);
    for (query, name) in [
        ("priority=11".to_owned(), "priority"),
        ("priority=-1".to_owned(), "priority"),
        ("priority=1.5".to_owned(), "priority"),
        ("priority=".to_owned(), "priority"),
        ("team=".to_owned(), "team"),
        ("model=%20".to_owned(), "model"),
        ("provider=a%00b".to_owned(), "provider"),
        ("external_id=".to_owned(), "external_id"),
        ("search=".to_owned(), "search"),
        ("search=%20".to_owned(), "search"),
        (format!("search={long}"), "search"),
        ("sort_by=".to_owned(), "sort_by"),
    ] {
        refuses_query(&service, &query, &[name]).await;
    }
}

#[tokio::test]
async fn running_jobs_show_their_progress() {
    let service = Service::shared().await;
    let job = |number: usize, status: &str| {
        json!({
            "external_id": format!("n{number}"), "type": "x", "status": status,
            "created_at": "2026-03-01T10:00:00Z", "started_at": "2026-03-01T11:00:00Z",
            "progress": { "current_task": "upload", "overall_progress": 42.5 },
        })
    };
    ingest(&service, &json!([job(0, "running"), job(1, "running")])).await;
    let reply = service.get("/v1/jobs?status=running").expect(200).await;
    for place in 0..2 {
        assert_eq!(reply.at(&format!("/jobs/{place}/progress/overall_progress")), 42.5);
        assert_eq!(reply.at(&format!("/jobs/{place}/progress/current_task")), "upload");
    }
}
