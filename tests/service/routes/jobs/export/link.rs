//! `GET /v1/jobs/export`: the checks before anything is streamed, and the ticket in the answer.

use jobledger::domain::KeyHash;
use jobledger_local::LOCAL_KEY;
use jobledger_tests::dynamo::{Dynamo, text};
use jobledger_tests::exports::link_target;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Reply, Service};
use serde_json::json;

/// The answer to a caller with this key, without following the redirect.
async fn link(service: &Service, key: &str, query: &str) -> Reply {
    service.staying("GET", &format!("/v1/jobs/export?{query}")).header("x-api-key", key).send().await
}

#[tokio::test]
async fn the_link_has_a_ticket_that_cannot_be_guessed() {
    let service = Service::start().await;
    let (first, second) = (link(&service, LOCAL_KEY, "").await, link(&service, LOCAL_KEY, "").await);
    let prefix = "/lambda-url/export-jobs/v1/jobs/export?ticket=";
    let tickets = [&first, &second].map(|reply| {
        let place = link_target(&service, reply);
        place.strip_prefix(prefix).unwrap_or_else(|| panic!("{place}")).to_owned()
    });
    assert_ne!(tickets[0], tickets[1]);
    assert!(tickets[0].len() == 64 && tickets[0].bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert!(first.at("/expires_at").is_string());

    // The stored item can be found with the ticket, but it does not contain the ticket.
    let table =
        service.stack.environment("export-link").expect("the function").vars["SETTINGS_TABLE"].clone();
    let stored = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&table).await;
    let kept: Vec<_> = stored.iter().filter(|item| text(item, "kind") == "tickets").collect();
    assert_eq!(kept.len(), 2);
    for ticket in &tickets {
        assert!(kept.iter().any(|item| text(item, "id") == KeyHash::of(ticket).as_str()));
        assert!(!json!(stored).to_string().contains(ticket), "a ticket is stored");
    }
    assert!(kept.iter().all(|item| text(item, "owner") == "default" && item.contains_key("expires_at")));
}

#[tokio::test]
async fn the_whole_query_is_checked_before_a_ticket_is_given() {
    let service = Service::start().await;
    for (query, fields) in [
        ("format=xml", &["format"][..]),
        ("format=CSV", &["format"]),
        ("format=", &["format"]),
        ("format=csv&format=json", &["format"]),
        ("limit=1", &["limit"]),
        ("cursor=x&offset=1&skip=1&page=1&per_page=1", &["cursor", "offset", "page", "per_page", "skip"]),
        ("sort_by=created_at", &["sort_by"]),
        ("sort_order=up", &["sort_order"]),
        ("redirect=no", &["redirect"]),
        ("redirect=", &["redirect"]),
        ("redirect=false&redirect=false", &["redirect"]),
        ("redirect=maybe&format=xml", &["format", "redirect"]),
        ("ticket=x", &["ticket"]),
        ("type=a%20b&status=gone&from_date=soon", &["from_date", "status", "type"]),
        ("created_after=2026-01-02&created_before=2026-01-01", &["created_before"]),
        ("colour=red&format=pdf", &["colour", "format"]),
    ] {
        refuses(&link(&service, LOCAL_KEY, query).await, 422, "invalid_query", fields);
    }
    for query in ["", "format=csv", "format=json&sort_order=asc", "format=ndjson&type=a,b&status=failed"] {
        link_target(&service, &link(&service, LOCAL_KEY, query).await);
    }
}

#[tokio::test]
async fn the_address_comes_without_a_redirection_if_the_caller_asks() {
    let service = Service::start().await;
    service.post("/v1/jobs", &json!({ "type": "sesame" })).expect(201).await;
    // A client that follows redirections stays here.
    let reply = service.get("/v1/jobs/export?redirect=false&format=json&type=sesame").expect(200).await;
    let url = reply.at("/url").as_str().expect("an address").to_owned();
    assert_eq!(
        (reply.header("location"), reply.header("cache-control")),
        (Some(url.as_str()), Some("no-store"))
    );
    assert!(reply.at("/expires_at").is_string());
    let path = url.strip_prefix(&service.stack.url().expect("an address")).expect("it is here");
    let file = service.anonymous("GET", path).expect(200).await;
    assert_eq!(file.at("/0/type"), "sesame", "{}", file.text);
    // Without a wish, or with the usual one, it redirects as before, and the body tells the same address.
    for query in ["", "redirect=true"] {
        let reply = link(&service, LOCAL_KEY, query).await;
        assert_eq!((reply.status, reply.at("/url").as_str()), (307, reply.header("location")), "{query}");
    }
}

#[tokio::test]
async fn a_ticket_needs_a_key_that_may_read() {
    let service = Service::start().await;
    add_key(&service, "reads", "mine", &["read"], None).await;
    add_key(&service, "writes", "mine", &["write", "work"], None).await;
    link_target(&service, &link(&service, "reads", "").await);
    is_problem(&link(&service, "writes", "").await, 403, "missing_scope");
    is_problem(&link(&service, "reads", "owner=other").await, 403, "missing_scope");
    is_problem(&link(&service, "unknown", "").await, 401, "unauthenticated");
    is_problem(&service.staying("GET", "/v1/jobs/export").send().await, 401, "unauthenticated");
    // A ticket gives the file, and no other ticket.
    let place = link_target(&service, &link(&service, "reads", "").await);
    let ticket = place.split_once('?').expect("a ticket").1.to_owned();
    let reply = service.staying("GET", &format!("/v1/jobs/export?{ticket}")).send().await;
    is_problem(&reply, 401, "unauthenticated");
}
