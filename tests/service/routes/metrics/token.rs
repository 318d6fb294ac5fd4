//! The scrape token: if a deployment has one, every scrape requires it.

use jobledger_tests::problems::is_problem;
use jobledger_tests::{Reply, Service};

const TOKEN: &str = "scrape-0123456789";

/// The route, and the function's own URL.
const PATHS: [&str; 3] = ["/metrics", "/lambda-url/metrics", "/lambda-url/metrics/metrics"];

fn refused(reply: &Reply, what: &str) {
    is_problem(reply, 401, "unauthenticated");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"jobledger\""), "{what}");
    assert!(!reply.text.contains("jobledger_jobs"), "{what}: {}", reply.text);
    assert!(!reply.text.contains(TOKEN), "{what}: {}", reply.text);
}

#[tokio::test]
async fn a_scrape_requires_the_token() {
    let service = Service::with(&[("ScrapeToken", TOKEN)]).await;
    for path in PATHS {
        let with = |value: &str| service.anonymous("GET", path).header("authorization", value);
        assert!(with(&format!("Bearer {TOKEN}")).expect(200).await.text.contains("jobledger_build_info"));
        refused(&service.anonymous("GET", path).send().await, path);
        for wrong in [
            format!("Bearer {TOKEN}0"),
            format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
            "Bearer scrape-9876543210".to_owned(),
            format!("Basic {TOKEN}"),
            TOKEN.to_owned(),
            format!("Bearer {}", "x".repeat(4_000)),
        ] {
            refused(&with(&wrong).send().await, &wrong);
        }
        // An access key does not replace the token, not even an admin's. Nor is the token valid in the header for keys.
        refused(&service.call("GET", path).send().await, "an admin key");
        refused(&service.anonymous("GET", path).header("x-api-key", TOKEN).send().await, "x-api-key");
        let query = format!("{path}?token={TOKEN}");
        refused(&service.anonymous("GET", &query).send().await, "in the query");
    }
    // The token is valid for no other route.
    let other = service.anonymous("GET", "/v1/jobs").header("authorization", &format!("Bearer {TOKEN}"));
    is_problem(&other.send().await, 401, "unauthenticated");
    service.anonymous("GET", "/health").expect(200).await;
}

#[tokio::test]
async fn without_a_configured_token_a_scrape_needs_none() {
    let service = Service::start().await;
    for path in PATHS {
        service.anonymous("GET", path).expect(200).await;
        service.anonymous("GET", path).header("authorization", "Bearer what-was-once").expect(200).await;
    }
}
