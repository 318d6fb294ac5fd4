//! The methods of every path: `HEAD` beside each `GET`, `OPTIONS`, and 405 for all others.

use std::collections::{BTreeMap, BTreeSet};

use jobledger_local::LOCAL_KEY;
use jobledger_tests::keys::{add_key, id_and_key};
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Reply, Service};
use serde_json::json;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"];

/// The methods of each path of the template, with values in it that name nothing.
fn paths(service: &Service) -> BTreeMap<String, BTreeSet<String>> {
    let mut paths: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for function in &service.stack.template().functions {
        for target in function.routes.iter().filter_map(|route| route.target.clone()) {
            let id = "01981b5e-7c3a-7000-8000-000000000001";
            let path = target.path.replace("{job_id}", id).replace("{key_id}", "0000000000000000");
            let path = path.replace("{type}", "a").replace("{kind}", "a").replace("{id+}", "a/b");
            assert!(!path.contains('{'), "{path}");
            paths.entry(path).or_default().insert(target.method);
        }
        if function.url.is_some() {
            let own = ["GET", "HEAD"].map(str::to_owned).into();
            paths.insert(format!("/lambda-url/{}/", function.name), own);
        }
    }
    for methods in paths.values_mut() {
        methods.insert("OPTIONS".to_owned());
    }
    paths
}

fn list(methods: &BTreeSet<String>) -> String {
    methods.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_path_refuses_the_methods_that_it_does_not_have() {
    let service = Service::start().await;
    let paths = paths(&service);
    assert!(paths.len() > 20, "{paths:?}");
    for (path, methods) in &paths {
        let allow = list(methods);
        for method in METHODS {
            let reply = service.anonymous(method, path).send().await;
            if methods.contains(method) {
                assert_ne!(reply.status, 405, "{method} {path}");
                continue;
            }
            assert_eq!((reply.status, reply.header("allow")), (405, Some(allow.as_str())), "{method} {path}");
            if method != "HEAD" {
                is_problem(&reply, 405, "method_not_allowed");
                assert!(reply.text.contains(&allow), "{}", reply.text);
            }
        }
        let options = service.anonymous("OPTIONS", path).expect(204).await;
        assert_eq!((options.header("allow"), options.text.as_str()), (Some(allow.as_str()), ""), "{path}");
    }
    // None of them is a job.
    for word in ["claim", "bulk", "batch-status"] {
        for call in
            [service.get(&format!("/v1/jobs/{word}")), service.call("DELETE", &format!("/v1/jobs/{word}"))]
        {
            let reply = call.send().await;
            is_problem(&reply, 405, "method_not_allowed");
            assert_eq!(reply.header("allow"), Some("OPTIONS, POST"), "{word}");
        }
    }
}

#[tokio::test]
async fn a_path_of_no_route_is_unknown_by_every_method() {
    let service = Service::shared().await;
    for method in METHODS {
        for path in ["/", "/v2/jobs", "/v1/jobs/", "/v1/jobs/a/b/c", "/v1/records/a"] {
            let reply = service.anonymous(method, path).send().await;
            if method == "HEAD" {
                assert_eq!((reply.status, reply.text.as_str()), (404, ""), "{path}");
            } else {
                is_problem(&reply, 404, "not_found");
            }
        }
    }
}

/// The headers that `GET` and `HEAD` must have alike.
fn headers(reply: &Reply) -> Vec<(String, String)> {
    let of_a_request = [
        "content-disposition",
        "content-length",
        "date",
        "etag",
        "location",
        "transfer-encoding",
        "x-request-id",
    ];
    let headers = reply.headers.iter().filter(|(name, _)| !of_a_request.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    headers
}

#[tokio::test]
async fn head_answers_as_get_does_but_without_a_body() {
    let service = Service::start().await;
    let id = service.post("/v1/jobs", &json!({ "type": "a" })).expect(201).await;
    let id = id.at("/job_id").as_str().expect("an id").to_owned();
    service.settled().await;
    for (path, methods) in paths(&service) {
        assert_eq!(methods.contains("GET"), methods.contains("HEAD"), "{path}");
        if !methods.contains("GET") {
            continue;
        }
        for path in
            [path.clone(), path.replace("01981b5e-7c3a-7000-8000-000000000001", &id), format!("{path}?x=1")]
        {
            let call = |method: &str| service.staying(method, &path).header("x-api-key", LOCAL_KEY);
            let (get, head) = (call("GET").send().await, call("HEAD").send().await);
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!((headers(&head), head.text.as_str()), (headers(&get), ""), "{path}");
            assert!(head.header("x-request-id").is_some());
        }
        if !["/health", "/health/detailed", "/metrics", "/lambda-url/metrics/"].contains(&path.as_str()) {
            assert_eq!(service.anonymous("HEAD", &path).send().await.status, 401, "{path}");
        }
    }
    add_key(&service, "writes", "mine", &["write"], None).await;
    let call = service.anonymous("HEAD", "/v1/jobs").header("x-api-key", "writes");
    assert_eq!(call.send().await.status, 403);
}

#[tokio::test]
async fn usage_counts_head_under_get() {
    let service = Service::start().await;
    let body = json!({ "owner": "a", "scopes": ["read"] });
    let (key_id, key) = id_and_key(&service, &body).await;
    for method in ["GET", "HEAD", "HEAD"] {
        service.anonymous(method, "/v1/jobs").header("x-api-key", &key).expect(200).await;
    }
    service.stack.flush().await;
    let usage = service.get(&format!("/v1/usage?owner=a&key_id={key_id}")).expect(200).await;
    assert_eq!(usage.at("/by_route"), &json!({ "GET /v1/jobs": { "calls": 3, "by_status": { "200": 3 } } }));
}
