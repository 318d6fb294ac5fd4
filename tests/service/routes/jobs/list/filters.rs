//! Every filter, alone and with the others.

use jobledger::domain::Timestamp;
use jobledger_tests::Service;
use jobledger_tests::lists::{Row, STATUSES, expected, ingest_rows, rows, walk};

/// Parameters that filter a list, and the jobs that match.
struct Filter {
    words: &'static str,
    keeps: fn(&Row) -> bool,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

const ANY: Filter = Filter { words: "", keeps: |_| true };

const BY_TYPE: [Filter; 6] = [
    ANY,
    Filter { words: "type=a", keeps: |row| row.kind == "a" },
    Filter { words: "type=d:e", keeps: |row| row.kind == "d:e" },
    Filter { words: "type=a,b.c", keeps: |row| row.kind != "d:e" },
    Filter { words: "type=b.c%2Cnone,b.c", keeps: |row| row.kind == "b.c" },
    Filter { words: "type=none", keeps: |_| false },
];

const BY_STATUS: [Filter; 9] = [
    ANY,
    Filter { words: "status=queued", keeps: |row| row.status == "queued" },
    Filter { words: "status=running", keeps: |row| row.status == "running" },
    Filter { words: "status=completed", keeps: |row| row.status == "completed" },
    Filter { words: "status=failed", keeps: |row| row.status == "failed" },
    Filter { words: "status=canceled", keeps: |row| row.status == "cancelled" },
    Filter { words: "status=pending,processing", keeps: |row| ["queued", "running"].contains(&row.status) },
    Filter { words: "status=failed,completed,cancelled", keeps: |row| STATUSES[2..].contains(&row.status) },
    Filter { words: "status=queued,running,completed,failed,cancelled", keeps: |_| true },
];

const BY_DATE: [Filter; 12] = [
    ANY,
    // Bare dates mean whole days, the last one too.
    Filter { words: "created_after=2026-01-01", keeps: |row| row.created_at >= at("2026-01-01T00:00:00Z") },
    Filter { words: "created_before=2025-12-31", keeps: |row| row.created_at < at("2026-01-01T00:00:00Z") },
    Filter {
        words: "from_date=2025-12-31&to_date=2025-12-31",
        keeps: |row| (at("2025-12-31T00:00:00Z")..at("2026-01-01T00:00:00Z")).contains(&row.created_at),
    },
    // Both ends are included, to the millisecond.
    Filter {
        words: "created_after=2025-12-30T23:59:59.999Z&created_before=2026-01-01T05:00:00.001Z",
        keeps: |row| {
            (at("2025-12-30T23:59:59.999Z")..=at("2026-01-01T05:00:00.001Z")).contains(&row.created_at)
        },
    },
    Filter {
        words: "created_after=2026-01-01T05:00:00Z&created_before=2026-01-01T05:00:00.000Z",
        keeps: |row| row.created_at == at("2026-01-01T05:00:00Z"),
    },
    Filter {
        words: "created_after=2026-01-01T05:00:00.001Z&created_before=2026-01-01T06:59:59.999Z",
        keeps: |row| (at("2026-01-01T05:00:00.001Z")..at("2026-01-01T07:00:00Z")).contains(&row.created_at),
    },
    // Any offset.
    Filter {
        words: "from_date=2026-01-01T02:30:00%2B02:30&created_before=2025-12-31T23:59:59.999-05:00",
        keeps: |row| (at("2026-01-01T00:00:00Z")..at("2026-01-01T05:00:00Z")).contains(&row.created_at),
    },
    Filter {
        words: "created_after=2025-12-30T22:00:00.007Z&to_date=2025-12-30T22:00:00.007Z",
        keeps: |row| row.created_at == at("2025-12-30T22:00:00.007Z"),
    },
    // Far beyond all jobs, and the calendar's ends.
    Filter { words: "created_after=9999-12-31", keeps: |_| false },
    Filter { words: "created_before=0001-01-01", keeps: |_| false },
    Filter { words: "created_after=0001-01-01&created_before=9999-12-31", keeps: |_| true },
];

async fn check(service: &Service, rows: &[Row], filters: &[&Filter], order: &str) {
    let words: Vec<&str> =
        filters.iter().map(|filter| filter.words).filter(|words| !words.is_empty()).collect();
    let query = words.into_iter().chain([order, "limit=100"].into_iter().filter(|word| !word.is_empty()));
    let query = query.collect::<Vec<_>>().join("&");
    let direction = if order == "sort_order=asc" { "asc" } else { "desc" };
    let expect = expected(rows, direction, |row| filters.iter().all(|filter| (filter.keeps)(row)));
    assert_eq!(walk(service, &query, expect.len()).await, expect, "{query}");
}

#[tokio::test]
async fn each_filter_alone() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let rows = rows(&service);
    for filter in BY_TYPE.iter().chain(&BY_STATUS).chain(&BY_DATE) {
        for order in ["", "sort_order=desc", "sort_order=asc", "sort_by=created_at"] {
            check(&service, &rows, &[filter], order).await;
        }
    }
}

#[tokio::test]
async fn type_and_status_together() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let rows = rows(&service);
    for kind in &BY_TYPE {
        for status in &BY_STATUS {
            check(&service, &rows, &[kind, status], "").await;
        }
    }
}

#[tokio::test]
async fn all_filters_together() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let rows = rows(&service);
    for kind in &BY_TYPE[1..4] {
        for status in &BY_STATUS[4..8] {
            for date in &BY_DATE[1..9] {
                check(&service, &rows, &[kind, status, date], "sort_order=asc").await;
            }
        }
    }
}

#[tokio::test]
async fn an_index_in_parts_gives_the_same_lists() {
    let service = Service::with(&[("IndexShards", "4")]).await;
    ingest_rows(&service).await;
    let rows = rows(&service);
    for filter in BY_TYPE.iter().chain(&BY_STATUS) {
        check(&service, &rows, &[filter], "").await;
    }
    for date in &BY_DATE {
        check(&service, &rows, &[date], "").await;
        check(&service, &rows, &[&BY_TYPE[3], &BY_STATUS[6], date], "sort_order=asc").await;
    }
}
