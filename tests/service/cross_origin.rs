//! Pages of other origins: the parameter `AllowedOrigins`.

use jobledger_tests::problems::is_problem;
use jobledger_tests::{Call, Reply, Service};
use serde_json::json;

const PAGE: &str = "https://app.example";
const OTHER: &str = "https://evil.example";
/// One path of each way in: a function, the function for the rest, and both Function URLs.
const PATHS: [&str; 4] =
    ["/v1/jobs", "/health", "/lambda-url/metrics/metrics", "/lambda-url/export-jobs/v1/jobs/export"];

fn preflight(service: &Service, path: &str, origin: &str) -> Call {
    let call = service.anonymous("OPTIONS", path).header("origin", origin);
    let call = call.header("access-control-request-method", "GET");
    call.header("access-control-request-headers", "authorization,content-type")
}

fn allowed(reply: &Reply) -> Option<&str> {
    reply.header("access-control-allow-origin")
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_see() {
    let service = Service::with(&[("AllowedOrigins", "https://app.example,http://localhost:3000")]).await;
    for origin in [PAGE, "http://localhost:3000"] {
        for path in PATHS {
            let reply = preflight(&service, path, origin).expect(204).await;
            assert_eq!(allowed(&reply), Some(origin), "{path}");
            let methods = reply.header("access-control-allow-methods").expect("methods");
            assert_eq!(methods, reply.header("allow").expect("methods"));
            assert!(methods.contains("GET"), "{path}: {methods}");
            let headers = reply.header("access-control-allow-headers").expect("headers").to_lowercase();
            for name in [
                "authorization",
                "x-api-key",
                "content-type",
                "content-encoding",
                "idempotency-key",
                "prefer",
                "if-none-match",
                "traceparent",
            ] {
                assert!(headers.split(", ").any(|allowed| allowed == name), "{name}: {headers}");
            }
            assert_eq!(reply.header("access-control-max-age"), Some("7200"));

            let reply = service.get(path).header("origin", origin).expect(200).await;
            assert_eq!(allowed(&reply), Some(origin), "{path}");
            assert!(
                reply.header("vary").is_some_and(|names| names.contains("origin")),
                "{:?}",
                reply.headers
            );
            let exposed = reply.header("access-control-expose-headers").expect("headers").to_lowercase();
            for name in ["retry-after", "ratelimit", "location", "link", "x-request-id", "etag"] {
                assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}: {exposed}");
            }
            assert_eq!(reply.header("access-control-allow-credentials"), None);
        }
    }
    // A page sees why it is refused, too.
    for (call, status, code) in [
        (service.anonymous("GET", "/v1/jobs"), 401, "unauthenticated"),
        (service.anonymous("PUT", "/v1/jobs"), 405, "method_not_allowed"),
        (service.anonymous("GET", "/nowhere"), 404, "not_found"),
        (service.post("/v1/jobs", &json!({})), 400, "invalid_body"),
        (service.anonymous("GET", "/lambda-url/export-jobs/"), 401, "unauthenticated"),
    ] {
        let reply = call.header("origin", PAGE).send().await;
        is_problem(&reply, status, code);
        assert_eq!(allowed(&reply), Some(PAGE), "{code}");
    }
    for path in PATHS {
        for reply in [
            preflight(&service, path, OTHER).expect(204).await,
            service.get(path).header("origin", OTHER).expect(200).await,
            service.get(path).header("origin", "null").expect(200).await,
        ] {
            assert_eq!(allowed(&reply), None, "{path}");
            assert!(
                reply.header("vary").is_some_and(|names| names.contains("origin")),
                "{:?}",
                reply.headers
            );
        }
    }
}

#[tokio::test]
async fn by_default_no_page_of_another_origin_sees_anything() {
    let service = Service::shared().await;
    for path in PATHS {
        for reply in [
            preflight(&service, path, PAGE).expect(204).await,
            service.get(path).header("origin", PAGE).expect(200).await,
        ] {
            assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{path}");
        }
    }
}

#[tokio::test]
async fn all_origins_may_be_allowed() {
    let service = Service::with(&[("AllowedOrigins", "*")]).await;
    for path in PATHS {
        assert_eq!(allowed(&preflight(&service, path, OTHER).expect(204).await), Some("*"), "{path}");
        let reply = service.get(path).header("origin", OTHER).expect(200).await;
        assert_eq!(allowed(&reply), Some("*"), "{path}");
        assert_eq!(allowed(&service.get(path).expect(200).await), None, "no page, no header: {path}");
    }
}
