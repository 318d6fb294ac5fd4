//! Cursors: valid for the list that returned them, and for no other.

use jobledger_tests::keys::add_key;
use jobledger_tests::lists::{ids, ingest_rows};
use jobledger_tests::problems::refuses;
use jobledger_tests::{Service, text};
use serde_json::json;

/// Encodes base64url without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..=chunk.len() {
            let six = bits >> (18 - 6 * index) & 63;
            text.push(char::from(ALPHABET[usize::try_from(six).expect("six bits")]));
        }
    }
    text
}

async fn cursor(service: &Service, query: &str) -> String {
    text(service.get(&format!("/v1/jobs?limit=5&{query}")).expect(200).await.at("/next_cursor"))
}

#[tokio::test]
async fn a_cursor_continues_with_pages_of_any_size() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let all = ids(&service.get("/v1/jobs?per_page=500").expect(200).await);
    let cursor = cursor(&service, "").await;
    for limit in [1, 10, 100] {
        let page = service.get(&format!("/v1/jobs?limit={limit}&cursor={cursor}")).expect(200).await;
        assert_eq!(ids(&page), all[5..5 + limit]);
        assert_eq!(page.at("/offset"), &json!(null));
    }
    let page = service.get(&format!("/v1/jobs?cursor={cursor}")).expect(200).await;
    assert_eq!(ids(&page), all[5..55]);
    // Pages by offset and by number return cursors, too.
    let page = service.get("/v1/jobs?limit=5&offset=20").expect(200).await;
    let page =
        service.get(&format!("/v1/jobs?limit=5&cursor={}", text(page.at("/next_cursor")))).expect(200).await;
    assert_eq!(ids(&page), all[25..30]);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let service = Service::start().await;
    ingest_rows(&service).await;
    add_key(&service, "others", "other", &["read"], None).await;
    let lists = [
        "sort_order=desc",
        "sort_order=asc",
        "type=a",
        "type=b.c",
        "type=a,b.c",
        "status=queued",
        "status=failed",
        "status=queued,failed",
        "type=a&status=queued",
        "created_after=2025-12-31",
        "created_before=2025-12-31",
        "created_after=2025-12-31&created_before=2025-12-31",
    ];
    for from in lists {
        let cursor = cursor(&service, from).await;
        for to in lists {
            let path = format!("/v1/jobs?{to}&cursor={cursor}");
            if from == to {
                service.get(&path).expect(200).await;
            } else {
                refuses(&service.get(&path).send().await, 422, "invalid_query", &["cursor"]);
            }
        }
        let path = format!("/v1/jobs?{from}&cursor={cursor}");
        refuses(&service.get(&format!("{path}&owner=other")).send().await, 422, "invalid_query", &["cursor"]);
        let reply = service.anonymous("GET", &path).header("x-api-key", "others").send().await;
        refuses(&reply, 422, "invalid_query", &["cursor"]);
    }
}

#[tokio::test]
async fn equal_filters_in_another_spelling_are_the_same_list() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    for (from, to) in [
        ("type=a,b.c", "type=b.c,a,a"),
        ("status=queued", "status=pending"),
        ("", "sort_order=desc&sort_by=created_at"),
        ("created_after=2025-12-30", "from_date=2025-12-30T00:00:00Z"),
    ] {
        let cursor = cursor(&service, from).await;
        service.get(&format!("/v1/jobs?{to}&cursor={cursor}")).expect(200).await;
    }
}

#[tokio::test]
async fn an_invalid_cursor_is_refused() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let good = cursor(&service, "").await;
    // The test's own encoding is right: a cursor that it decodes and encodes again is the same.
    let next = service.get(&format!("/v1/jobs?limit=5&cursor={good}")).expect(200).await;
    assert_eq!(ids(&next).len(), 5);
    let forged = |key: &str, version: u8| {
        base64(json!({ "v": version, "q": "AAAAAAAAAAAA", "k": key }).to_string().as_bytes())
    };
    let long = "A".repeat(10_000);
    for bad in [
        "",
        "1",
        "null",
        "%00",
        "%C3%A4",
        "==",
        &good[1..],
        &good[..good.len() - 1],
        &format!("{good}A"),
        &format!("{good}%3D"),
        &good.to_uppercase(),
        &long,
        &base64(b"{}"),
        &base64(b"[]"),
        &base64(b"\xff\xfe"),
        &forged("", 1),
        &forged("2026-01-01T00:00:00.000Z#01981b5e-7c3a-7000-8000-000000000001", 1),
        &forged("2026-01-01T00:00:00.000Z#01981b5e-7c3a-7000-8000-000000000001", 2),
    ] {
        let reply = service.get(&format!("/v1/jobs?cursor={bad}")).send().await;
        refuses(&reply, 422, "invalid_query", &["cursor"]);
    }
}
