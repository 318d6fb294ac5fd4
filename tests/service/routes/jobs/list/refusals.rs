//! Queries that lists refuse.

use jobledger_tests::Service;
use jobledger_tests::lists::refuses_query;

#[tokio::test]
async fn every_wrong_value_is_in_one_answer() {
    let service = Service::shared().await;
    let query = "type=a%20b&status=gone&created_after=soon&created_before=2026-02-30&sort_by=size&sort_order=up\
                 &limit=0&colour=red&sort=x";
    let fields = [
        "type",
        "status",
        "created_after",
        "created_before",
        "sort_by",
        "sort_order",
        "limit",
        "colour",
        "sort",
    ];
    refuses_query(&service, query, &fields).await;
}

#[tokio::test]
async fn dates_have_their_forms() {
    let service = Service::shared().await;
    for name in ["created_after", "created_before", "from_date", "to_date"] {
        for bad in [
            "",
            "now",
            "2026",
            "2026-01",
            "2026-1-1",
            "2026-02-30",
            "2026-13-01",
            "2025-02-29",
            "0000-01-01",
            "10000-01-01",
            "2026/01/01",
            "01-01-2026",
            "20260101",
            "1768107600",
            "1768107600000",
            "2026-01-01T",
            "2026-01-01T05",
            "2026-01-01T05:00",
            "2026-01-01T05:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T05:60:00Z",
            "2026-01-01T05:00:61Z",
            "2026-01-01T05:00:00%2B25:00",
            "2026-01-01T05:00:00Europe/Berlin",
            "2026-01-01T05:00:00Z,2026-01-02",
            "-2026-01-01T05:00:00Z",
            "%2B12026-01-01T05:00:00Z",
            "2026-01-01%00",
            "Fri,%2001%20Jan%202026%2000:00:00%20GMT",
            "%C3%A4",
            "2026-01-0%C3%A4",
            // A plus that is not encoded means a blank, as in every query.
            "2026-01-01T05:00:00+02:00",
        ] {
            refuses_query(&service, &format!("{name}={bad}"), &[name]).await;
        }
    }
}

#[tokio::test]
async fn a_range_does_not_run_backwards() {
    let service = Service::shared().await;
    refuses_query(&service, "created_after=2026-01-02&created_before=2026-01-01", &["created_before"]).await;
    let query = "created_after=2026-01-01T00:00:00.001Z&created_before=2026-01-01T00:00:00Z";
    refuses_query(&service, query, &["created_before"]).await;
    service.get("/v1/jobs?created_after=2026-01-01&created_before=2026-01-01T00:00:00Z").expect(200).await;
    // The error has the name that the caller used.
    refuses_query(&service, "from_date=2026-01-02&to_date=2026-01-01", &["to_date"]).await;
}

#[tokio::test]
async fn two_names_for_one_thing_exclude_each_other() {
    let service = Service::shared().await;
    refuses_query(&service, "created_after=2026-01-01&from_date=2026-01-01", &["from_date"]).await;
    refuses_query(&service, "created_before=2026-01-01&to_date=2026-01-01", &["to_date"]).await;
    refuses_query(&service, "offset=1&skip=1", &["skip"]).await;
}

#[tokio::test]
async fn pages_are_of_one_family() {
    let service = Service::shared().await;
    for query in [
        "page=1&limit=10",
        "page=1&offset=0",
        "page=1&skip=0",
        "page=1&cursor=x",
        "per_page=10&limit=10",
        "per_page=10&cursor=x",
        "page=1&per_page=10&limit=10&offset=0",
    ] {
        refuses_query(&service, query, &["page"]).await;
    }
    refuses_query(&service, "cursor=x&offset=0", &["cursor"]).await;
    refuses_query(&service, "limit=10&cursor=x&skip=1", &["cursor"]).await;
}

#[tokio::test]
async fn sizes_have_bounds() {
    let service = Service::shared().await;
    for (name, bad) in [
        ("limit", ["0", "101", "-1", "1.5", "ten", ""].as_slice()),
        ("offset", &["-1", "1.5", "x", "", "1000000000001", "18446744073709551616"]),
        ("skip", &["-1", "x", "1000000000001"]),
        ("page", &["0", "-1", "1.5", "x", "", "99999999999999999999"]),
        ("per_page", &["0", "501", "-1", "x", ""]),
    ] {
        for value in bad {
            refuses_query(&service, &format!("{name}={value}"), &[name]).await;
        }
    }
    for good in ["limit=1", "limit=100", "per_page=1", "per_page=500", "offset=0"] {
        service.get(&format!("/v1/jobs?{good}")).expect(200).await;
    }
}

#[tokio::test]
async fn types_and_statuses_are_words() {
    let service = Service::shared().await;
    for bad in ["", "a,", ",a", "a,,b", "a%20", "a%2Fb", "*", "%C3%A4", "a%23b"] {
        refuses_query(&service, &format!("type={bad}"), &["type"]).await;
    }
    for bad in ["", "queued,", "Queue d", "gone", "queued%20", "queued;failed", "all"] {
        refuses_query(&service, &format!("status={bad}"), &["status"]).await;
    }
    let many = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",");
    service.get(&format!("/v1/jobs?type={}", many(100))).expect(200).await;
    refuses_query(&service, &format!("type={}", many(101)), &["type"]).await;
}

#[tokio::test]
async fn a_name_is_given_once() {
    let service = Service::shared().await;
    for (query, name) in [
        ("type=a&type=b", "type"),
        ("status=queued&status=queued", "status"),
        ("limit=1&limit=2", "limit"),
        ("cursor=a&cursor=b", "cursor"),
        ("created_after=2026-01-01&created_after=2026-01-02", "created_after"),
        ("sort_order=asc&sort_order=desc", "sort_order"),
        ("page=1&page=2", "page"),
    ] {
        let reply = service.get(&format!("/v1/jobs?{query}")).send().await;
        jobledger_tests::problems::is_problem(&reply, 422, "invalid_query");
        assert!(reply.wrong_fields().contains(&name.to_owned()), "{query}: {}", reply.text);
    }
}

#[tokio::test]
async fn unknown_names_are_named() {
    let service = Service::shared().await;
    refuses_query(&service, "Type=a&tYpe=b&jobs=1&%20=2&a%5B%5D=3", &["Type", "tYpe", "jobs", " ", "a[]"])
        .await;
    refuses_query(&service, "wait=1", &["wait"]).await;
}

#[tokio::test]
async fn a_place_that_is_too_deep_for_a_filter_is_refused_by_the_name_that_the_caller_sent() {
    let service = Service::shared().await;
    for (query, name) in
        [("offset=10001", "offset"), ("skip=10001", "offset"), ("page=102&per_page=100", "page")]
    {
        refuses_query(&service, &format!("label.env=prod&{query}"), &[name]).await;
    }
    // The last place that is not too deep.
    service.get("/v1/jobs?label.env=prod&page=101&per_page=100").expect(200).await;
}
