//! Pages: every way through a list returns every job once.

use jobledger_tests::Service;
use jobledger_tests::jobs::create;
use jobledger_tests::lists::{expected, ids, ingest_rows, next_link, rows, walk};
use serde_json::json;

/// Walks a list with every kind of parameter, in pages of several sizes.
async fn walk_all_ways(service: &Service) {
    let rows = rows(service);
    for (filter, order) in [("", "desc"), ("type=a&", "asc"), ("status=queued,failed&", "desc")] {
        let is_wanted = |row: &jobledger_tests::lists::Row| match filter {
            "type=a&" => row.kind == "a",
            "status=queued,failed&" => ["queued", "failed"].contains(&row.status),
            _ => true,
        };
        let expect = expected(&rows, order, is_wanted);
        let total = expect.len();
        let query = format!("{filter}sort_order={order}");
        for size in [7, 13, 50, 100] {
            // Along the links: with a cursor, with offsets (from the second page on), with page numbers.
            assert_eq!(
                walk(service, &format!("{query}&limit={size}"), total).await,
                expect,
                "{query} {size}"
            );
            assert_eq!(
                walk(service, &format!("{query}&per_page={size}"), total).await,
                expect,
                "{query} {size}"
            );
            // With parameters that the caller builds.
            let mut by_offset = Vec::new();
            let mut by_page = Vec::new();
            for number in 0..=total / size {
                let word = if number % 2 == 0 { "offset" } else { "skip" };
                let path = format!("/v1/jobs?{query}&limit={size}&{word}={}", number * size);
                let page = service.get(&path).expect(200).await;
                assert_eq!(page.at("/offset"), number * size);
                assert_eq!((page.at("/total"), page.at("/limit")), (&json!(total), &json!(size)));
                by_offset.extend(ids(&page));
                assert_eq!(page.at("/has_more"), by_offset.len() < total, "{path}");

                let path = format!("/v1/jobs?{query}&per_page={size}&page={}", number + 1);
                let page = service.get(&path).expect(200).await;
                assert_eq!((page.at("/page"), page.at("/per_page")), (&json!(number + 1), &json!(size)));
                assert_eq!(page.at("/total_pages"), total.div_ceil(size));
                assert_eq!(page.at("/offset"), number * size);
                by_page.extend(ids(&page));
                assert_eq!(page.at("/has_more"), by_page.len() < total, "{path}");
            }
            assert_eq!(by_offset, expect, "{query} {size}");
            assert_eq!(by_page, expect, "{query} {size}");
        }
    }
}

#[tokio::test]
async fn every_job_is_listed_once() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    walk_all_ways(&service).await;
}

#[tokio::test]
async fn every_job_is_listed_once_from_a_sharded_index() {
    let service = Service::with(&[("IndexShards", "4")]).await;
    ingest_rows(&service).await;
    walk_all_ways(&service).await;
}

#[tokio::test]
async fn any_offset_begins_at_its_job() {
    for shards in ["1", "4"] {
        let service = Service::with(&[("IndexShards", shards)]).await;
        ingest_rows(&service).await;
        let rows = rows(&service);
        for order in ["desc", "asc"] {
            let expect = expected(&rows, order, |row| row.kind != "a");
            for offset in 0..=expect.len() {
                let path = format!("/v1/jobs?type=b.c,d:e&sort_order={order}&limit=3&offset={offset}");
                let page = service.get(&path).expect(200).await;
                assert_eq!(
                    ids(&page),
                    expect[offset..].iter().take(3).cloned().collect::<Vec<_>>(),
                    "{path}"
                );
            }
            // Within a range whose bounds lie between full hours.
            let range = "created_after=2025-12-30T22:00:00.007Z&created_before=2026-01-01T05:00:00.001Z";
            let is_within = |row: &jobledger_tests::lists::Row| {
                let text = row.created_at.to_string();
                ("2025-12-30T22:00:00.007Z"..="2026-01-01T05:00:00.001Z").contains(&text.as_str())
            };
            let expect = expected(&rows, order, is_within);
            for offset in 0..=expect.len() {
                let path = format!("/v1/jobs?{range}&sort_order={order}&limit=2&offset={offset}");
                let page = service.get(&path).expect(200).await;
                assert_eq!(page.at("/total"), expect.len(), "{path}");
                assert_eq!(
                    ids(&page),
                    expect[offset..].iter().take(2).cloned().collect::<Vec<_>>(),
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn past_the_end_is_an_empty_page() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    for words in [
        "offset=130",
        "skip=131",
        "offset=1000000000000",
        "page=3",
        "page=14&per_page=10",
        "page=2000000000",
        "offset=26&type=a&status=queued",
        "offset=1&created_after=2100-01-01",
    ] {
        let page = service.get(&format!("/v1/jobs?{words}")).expect(200).await;
        assert_eq!(page.at("/jobs"), &json!([]), "{words}");
        assert_eq!((page.at("/has_more"), page.at("/next_cursor")), (&json!(false), &json!(null)), "{words}");
        assert_eq!(next_link(&page), None, "{words}");
        let total = if words.contains("type=a") {
            9
        } else if words.contains("2100") {
            0
        } else {
            130
        };
        assert_eq!(page.at("/total"), total, "{words}");
    }
}

#[tokio::test]
async fn a_page_has_a_size_by_default() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let page = service.get("/v1/jobs").expect(200).await;
    assert_eq!((page.at("/limit"), page.at("/offset"), ids(&page).len()), (&json!(50), &json!(0), 50));
    for name in ["/page", "/per_page", "/total_pages"] {
        assert_eq!(page.at(name), &json!(null), "{name}");
    }
    let page = service.get("/v1/jobs?page=1").expect(200).await;
    assert_eq!(
        (page.at("/per_page"), page.at("/total_pages"), ids(&page).len()),
        (&json!(100), &json!(2), 100)
    );
    let page = service.get("/v1/jobs?per_page=500").expect(200).await;
    assert_eq!((page.at("/page"), page.at("/total_pages"), ids(&page).len()), (&json!(1), &json!(1), 130));
}

#[tokio::test]
async fn an_empty_list_is_a_page_too() {
    let service = Service::shared().await;
    let page = service.get("/v1/jobs?per_page=10").expect(200).await;
    let expect = json!({
        "jobs": [], "total": 0, "total_kind": "exact", "limit": 10, "offset": 0, "has_more": false,
        "next_cursor": null, "page": 1, "per_page": 10, "total_pages": 0,
    });
    assert_eq!(page.json, expect);
    assert_eq!(next_link(&page), None);
}

#[tokio::test]
async fn jobs_that_come_meanwhile_move_no_other() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let expect = expected(&rows(&service), "desc", |_| true);
    let mut found = Vec::new();
    let mut next = Some("/v1/jobs?limit=20".to_owned());
    while let Some(path) = next {
        let page = service.get(&path).expect(200).await;
        found.extend(ids(&page));
        next = next_link(&page);
        create(&service, &json!({ "type": "a", "external_id": format!("late-{}", found.len()) })).await;
    }
    assert_eq!(found, expect);
}

/// The key belongs to another owner. Without the parameter, the link would show that owner's list.
#[tokio::test]
async fn links_keep_the_owner_parameter() {
    let service = Service::start().await;
    for number in 0..3 {
        let job = json!({ "type": "a", "external_id": number.to_string() });
        service.post("/v1/jobs?owner=other", &job).expect(201).await;
    }
    service.settled().await;
    for words in ["limit=1", "limit=1&skip=0", "per_page=1"] {
        let mut found = walk(&service, &format!("owner=other&{words}"), 3).await;
        found.sort();
        assert_eq!(found, ["0", "1", "2"], "{words}");
    }
}
