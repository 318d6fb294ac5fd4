//! Access by key, on every route and every Function URL of the template.

mod foreign;
mod forms;
mod strangers;
mod tickets;

use jobledger::lambda::system_clock;
use jobledger_local::{LOCAL_KEY, TEMPLATE};
use jobledger_tests::keys::{add_key, id_and_key};
use jobledger_tests::problems::{is_problem, is_unauthenticated, refuses};
use jobledger_tests::{Call, Service};
use serde_json::json;

/// The path of Function URLs in the local stack.
const FUNCTION_URLS: &str = "/lambda-url/";

/// Routes that need no key: those that the contract names as open to all.
const OPEN: [&str; 4] = ["/health", "/health/detailed", "/metrics", "/lambda-url/metrics/"];

/// A route of the template, or a Function URL.
#[derive(Debug)]
struct Route {
    method: String,
    /// The path with the names of its values: `/v1/jobs/{job_id}`.
    target: String,
    /// The path with values that name nothing.
    path: String,
}

impl Route {
    /// The scopes of which the contract requires one.
    fn scopes(&self) -> &'static [&'static str] {
        match self.method.as_str() {
            _ if self.path.starts_with("/v1/admin/") => &["admin"],
            _ if self.path.starts_with("/api/metrics/") => &["admin"],
            "GET" => &["read"],
            "PATCH" if self.path.starts_with("/v1/jobs/") => &["write", "work"],
            _ if self.path == "/v1/jobs/batch-status" => &["read"],
            _ if self.path == "/v1/jobs/claim" => &["work"],
            _ => &["write"],
        }
    }

    /// The path with these values. In the other places it has values that name nothing.
    fn path_of(target: &str, values: &[(&str, &str)]) -> String {
        let parts = target.split('/').map(|part| {
            let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
                return part;
            };
            let known = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            known.unwrap_or(match name {
                "job_id" => "01981b5e-7c3a-7000-8000-000000000001",
                "key_id" => "0000000000000000",
                _ => "a",
            })
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn call(&self, service: &Service) -> Call {
        service.anonymous(&self.method, &self.path)
    }
}

/// Every way in that the template has, split into those that need a key and those that do not. `HEAD` is left out, because
/// its answers have no bodies, and so is the route for all the rest: `routes/no_route.rs` has both.
fn routes(service: &Service) -> (Vec<Route>, Vec<Route>) {
    let functions = &service.stack.template().functions;
    let targets = functions.iter().flat_map(|function| &function.routes);
    let targets = targets.filter_map(|route| route.target.clone()).filter(|target| target.method != "HEAD");
    let targets = targets.map(|target| {
        let path = Route::path_of(&target.path, &[]);
        Route { method: target.method, target: target.path, path }
    });
    let urls = functions.iter().filter(|function| function.url.is_some()).map(|function| {
        let path = format!("{FUNCTION_URLS}{}/", function.name);
        Route { method: "GET".to_owned(), target: path.clone(), path }
    });
    let (open, closed): (Vec<_>, Vec<_>) =
        targets.chain(urls).partition(|route| OPEN.contains(&route.path.as_str()));
    // The test must find as many as the template's text has.
    let said = |words: &str| TEMPLATE.lines().filter(|line| line.trim() == words).count();
    let heads = TEMPLATE.lines().filter(|line| line.contains("Method: HEAD,")).count();
    let all = said("Type: HttpApi") - heads - 1 + said("FunctionUrlConfig:");
    assert_eq!((open.len(), closed.len()), (OPEN.len(), all - OPEN.len()), "{open:?} {closed:?}");
    (open, closed)
}

#[tokio::test]
async fn every_route_but_the_open_ones_requires_a_key() {
    let service = Service::start().await;
    let (open, closed) = routes(&service);
    for route in &open {
        route.call(&service).expect(200).await;
        // The function does not even read a key.
        route.call(&service).header("authorization", "Basic eDp5").expect(200).await;
    }
    let long = "x".repeat(257);
    for route in &closed {
        is_unauthenticated(&route.call(&service).send().await);
        for (name, value) in [
            ("x-api-key", "unknown"),
            ("x-api-key", ""),
            ("x-api-key", "LOCAL-DEV-KEY"),
            ("x-api-key", long.as_str()),
            ("authorization", "Bearer unknown"),
            ("authorization", "Bearer"),
            ("authorization", "Bearer "),
            ("authorization", LOCAL_KEY),
            ("authorization", "Basic bG9jYWwtZGV2LWtleTo="),
            ("authorization", "Bearer: local-dev-key"),
            ("authorization", "Bearer local-dev-key extra"),
        ] {
            let reply = route.call(&service).header(name, value).send().await;
            is_unauthenticated(&reply);
            assert!(!reply.text.contains(LOCAL_KEY), "a key comes back: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn a_key_is_accepted_in_either_header() {
    let service = Service::start().await;
    let call = || service.anonymous("GET", "/v1/jobs");
    for value in ["Bearer local-dev-key", "bearer local-dev-key", "BEARER  local-dev-key"] {
        call().header("authorization", value).expect(200).await;
    }
    call().header("x-api-key", LOCAL_KEY).expect(200).await;
    call().header("x-api-key", LOCAL_KEY).header("authorization", "Bearer local-dev-key").expect(200).await;
    for (bearer, other) in [(LOCAL_KEY, "unknown"), ("unknown", LOCAL_KEY)] {
        let bearer = format!("Bearer {bearer}");
        is_unauthenticated(&call().header("authorization", &bearer).header("x-api-key", other).send().await);
    }
}

#[tokio::test]
async fn every_route_requires_its_scope() {
    let service = Service::start().await;
    let scopes = ["read", "write", "work", "admin"];
    for scope in scopes {
        add_key(&service, &format!("only-{scope}"), "default", &[scope], None).await;
    }
    for wanted in [&["admin"][..], &["read"], &["write"], &["work"], &["write", "work"]] {
        let others: Vec<_> =
            scopes.into_iter().filter(|other| !wanted.contains(other) && *other != "admin").collect();
        add_key(&service, &format!("without-{}", wanted.join("-")), "default", &others, None).await;
    }
    for route in routes(&service).1 {
        let wanted = route.scopes();
        let without = format!("without-{}", wanted.join("-"));
        let reply = route.call(&service).header("x-api-key", &without).send().await;
        is_problem(&reply, 403, "missing_scope");
        assert!(wanted.iter().all(|scope| reply.text.contains(scope)), "all are named: {}", reply.text);
        for scope in wanted.iter().chain(&["admin"]) {
            let reply = route.call(&service).header("x-api-key", &format!("only-{scope}")).send().await;
            assert!(![401, 403].contains(&reply.status), "{route:?} with {scope}: {}", reply.text);
        }
        // Without the scope, a caller learns nothing else, not even whether its request is valid.
        let path = format!("{}?colour=red", route.path);
        let call = service.anonymous(&route.method, &path).header("x-api-key", &without);
        is_problem(&call.body("{").send().await, 403, "missing_scope");
    }
}

#[tokio::test]
async fn an_expired_key_is_no_key() {
    let service = Service::start().await;
    let now = system_clock();
    add_key(&service, "past", "default", &["admin"], Some(now.plus_hours(-1))).await;
    add_key(&service, "future", "default", &["admin"], Some(now.plus_hours(1))).await;
    for route in routes(&service).1 {
        is_unauthenticated(&route.call(&service).header("x-api-key", "past").send().await);
    }
    service.anonymous("GET", "/v1/jobs").header("x-api-key", "future").expect(200).await;
}

#[tokio::test]
async fn a_revoked_key_is_no_key() {
    let service = Service::start().await;
    let body = json!({ "owner": "default", "scopes": ["read", "write", "work", "admin"] });
    let (key_id, key) = id_and_key(&service, &body).await;
    service.call("DELETE", &format!("/v1/admin/keys/{key_id}")).expect(200).await;
    for route in routes(&service).1 {
        is_unauthenticated(&route.call(&service).header("x-api-key", &key).send().await);
    }
}

#[tokio::test]
async fn only_an_admin_acts_for_another_owner() {
    let service = Service::start().await;
    add_key(&service, "all", "mine", &["read", "write", "work"], None).await;
    service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    service.post("/v1/jobs?owner=mine", &json!({ "type": "a" })).expect(201).await;
    let call = |path: &str| service.anonymous("GET", path).header("x-api-key", "all");
    is_problem(&call("/v1/jobs?owner=other").send().await, 403, "missing_scope");
    // A caller may name its own owner.
    let own = call("/v1/jobs?owner=mine").expect(200).await;
    assert_eq!((own.at("/total"), own.at("/jobs/0/owner")), (&json!(1), &json!("mine")));
    let reply = service.get("/v1/jobs?owner=other").expect(200).await;
    assert_eq!((reply.at("/total"), reply.at("/jobs/0/owner")), (&json!(1), &json!("other")));
    assert_eq!(service.get("/v1/jobs").expect(200).await.at("/total"), 0);
    for bad in ["", "*", "a%23b", "a%20b", "%C3%A4"] {
        let reply = service.get(&format!("/v1/jobs?owner={bad}")).send().await;
        refuses(&reply, 422, "invalid_query", &["owner"]);
    }
    let reply = service.get("/v1/jobs?owner=mine&owner=other").send().await;
    refuses(&reply, 422, "invalid_query", &["owner"]);
}

#[tokio::test]
async fn an_unknown_route_returns_404() {
    let service = Service::start().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/job"),
        ("GET", "/V1/jobs"),
        ("POST", "/v1/jobs/"),
        ("GET", "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001/x/y"),
        ("OPTIONS", "/v1/job"),
        ("GET", "/lambda-url/list-jobs/"),
        ("GET", "/lambda-url/"),
    ] {
        for call in [service.anonymous(method, path), service.call(method, path)] {
            let reply = call.send().await;
            is_problem(&reply, 404, "not_found");
        }
    }
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let service = Service::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for (call, status) in [
        (service.get("/v1/jobs"), 200),
        (service.get("/v1/jobs"), 200),
        (service.post("/v1/jobs", &json!({ "type": "a" })), 201),
        (service.post("/v1/jobs", &json!({})), 400),
        (service.anonymous("GET", "/v1/jobs"), 401),
        (service.get("/nowhere"), 404),
        (service.get("/v1/jobs?x=1"), 422),
        (service.anonymous("GET", "/metrics"), 200),
        (service.anonymous("GET", "/health"), 200),
    ] {
        let reply = call.expect(status).await;
        let id = reply.header("x-request-id").expect("an id").to_owned();
        assert!(!id.is_empty() && seen.insert(id), "{:?}", reply.headers);
    }
}
