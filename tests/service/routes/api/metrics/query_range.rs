//! `GET /api/metrics/query_range`.

use jobledger_tests::keys::add_key;
use jobledger_tests::metrics_store::{FakeStore, is_signed};
use jobledger_tests::problems::refuses;
use serde_json::json;

use super::{SERIES, alone, ask, asking, get, matrix};

#[tokio::test]
async fn a_range_is_asked_for_and_answered_as_prometheus_does() {
    let store = FakeStore::start(matrix(SERIES)).await;
    let service = asking(&store).await;
    let rest =
        "query_range?query=sum%28jobledger_jobs%29&start=2026-01-11T05:00:07Z&end=1768111259.5&step=1m";
    let reply = ask(&service, rest).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let series: serde_json::Value = serde_json::from_str(SERIES).expect("JSON");
    assert_eq!(
        reply.json,
        json!({ "status": "success", "data": { "resultType": "matrix", "result": series } })
    );
    let asked = store.asked();
    assert_eq!(asked.path, "/workspaces/ws-1/api/v1/query_range");
    assert_eq!(
        asked.body,
        "query=sum%28jobledger_jobs%29&start=1768107600.000&end=1768111200.000&step=60.000"
    );
    assert_eq!(asked.headers.get("authorization"), None);
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
    // Without times, the last hour.
    assert_eq!(ask(&service, "query_range?query=up").await.status, 200);
    let body = store.asked().body;
    let millis = |name: &str| -> u64 {
        let value = body.split('&').find_map(|field| field.strip_prefix(name)).expect("the field");
        value.replace('.', "").parse().expect("a number")
    };
    assert_eq!((millis("end=") - millis("start="), millis("step=")), (3_600_000, 15_000), "{body}");
}

#[tokio::test]
async fn wrong_values_are_named_and_the_store_is_not_asked() {
    let store = FakeStore::start(matrix("[]")).await;
    let service = asking(&store).await;
    for (rest, field) in [
        ("", "query"),
        ("query=%20", "query"),
        ("query=up&start=now", "start"),
        ("query=up&end=x", "end"),
        ("query=up&step=0", "step"),
        ("query=up&step=1y", "step"),
        ("query=up&start=2026-01-02&end=2026-01-01", "end"),
        ("query=up&start=2024-01-01&end=2026-01-01", "start"),
        ("query=up&start=0001-01-01&end=9999-12-31", "start"),
        ("query=up&start=2026-01-01&end=2026-01-02T00:00:00Z&step=1s", "step"),
        ("query=up&timeout=1s", "timeout"),
        ("query=up&owner=other", "owner"),
    ] {
        let reply = ask(&service, &format!("query_range?{rest}")).await;
        refuses(&reply, 422, "invalid_query", &[field]);
    }
    add_key(&service, "reader", "default", &["read", "write", "work"], None).await;
    let call = service.anonymous("GET", "/api/metrics/query_range?query=up").header("x-api-key", "reader");
    call.expect(403).await;
}

#[tokio::test]
async fn requests_are_signed_for_aws_or_carry_a_token() {
    let store = FakeStore::start(matrix("[]")).await;
    let service = asking(&store).await;
    let (url, secret) = (store.url(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let signed = [
        ("METRICS_QUERY_URL", url.as_str()),
        ("METRICS_QUERY_AUTH", "sigv4"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_SESSION_TOKEN", "session"),
    ];
    let query = get("query_range?query=up%7Ba%3D%22b%20c%22%7D");
    assert_eq!(alone(&service, &signed).await.call(&query).await.status, 200);
    let asked = store.asked();
    assert!(is_signed(&asked, secret), "{asked:?}");
    assert!(!is_signed(&asked, "another secret"));
    assert!(asked.headers["authorization"].contains("/eu-central-1/aps/aws4_request"), "{asked:?}");
    assert_eq!(asked.headers["x-amz-security-token"], "session");
    let other = [&signed[..], &[("METRICS_QUERY_SERVICE", "monitoring")]].concat();
    assert_eq!(alone(&service, &other).await.call(&query).await.status, 200);
    assert!(is_signed(&store.asked(), secret));
    assert!(store.asked().headers["authorization"].contains("/monitoring/aws4_request"));

    let token = [("METRICS_QUERY_URL", url.as_str()), ("METRICS_QUERY_TOKEN", "abc")];
    assert_eq!(alone(&service, &token).await.call(&query).await.status, 200);
    assert_eq!(store.asked().headers["authorization"], "Bearer abc");
}
