//! Calls that get no file: by key, by ticket, by query. The function checks all of them before the first byte.

use jobledger::lambda::system_clock;
use jobledger_local::LOCAL_KEY;
use jobledger_tests::dynamo::Dynamo;
use jobledger_tests::exports::link_target;
use jobledger_tests::jobs::create;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Call, Reply, Service};
use serde_json::json;

use super::{file, table};

/// A direct call of the Function URL.
fn direct(service: &Service, query: &str) -> Call {
    service.anonymous("GET", &format!("/lambda-url/export-jobs/v1/jobs/export?{query}"))
}

/// A ticket of a key, as a query.
async fn ticket(service: &Service, key: &str, query: &str) -> String {
    let call = service.staying("GET", &format!("/v1/jobs/export?{query}")).header("x-api-key", key);
    let place = link_target(service, &call.send().await);
    place.split_once('?').expect("a ticket").1.to_owned()
}

fn types(reply: &Reply) -> Vec<String> {
    table(&reply.text).into_iter().map(|row| row["type"].clone()).collect()
}

#[tokio::test]
async fn a_key_needs_no_ticket() {
    let service = Service::start().await;
    add_key(&service, "reads", "mine", &["read"], None).await;
    add_key(&service, "writes", "mine", &["write"], None).await;
    service.post("/v1/jobs?owner=mine", &json!({ "type": "a" })).expect(201).await;
    create(&service, &json!({ "type": "b" })).await;
    let reply = direct(&service, "").header("x-api-key", "reads").expect(200).await;
    assert_eq!(types(&reply), ["a"]);
    let reply = direct(&service, "owner=mine").header("x-api-key", LOCAL_KEY).expect(200).await;
    assert_eq!(types(&reply), ["a"]);

    is_problem(&direct(&service, "").send().await, 401, "unauthenticated");
    is_problem(&direct(&service, "").header("x-api-key", "unknown").send().await, 401, "unauthenticated");
    is_problem(&direct(&service, "").header("x-api-key", "writes").send().await, 403, "missing_scope");
    let other = direct(&service, "owner=default").header("x-api-key", "reads").send().await;
    is_problem(&other, 403, "missing_scope");
    let wrong = direct(&service, "limit=1&format=xml&sort_by=created_at").header("x-api-key", "reads");
    refuses(&wrong.send().await, 422, "invalid_query", &["format", "limit", "sort_by"]);
}

#[tokio::test]
async fn a_ticket_is_good_for_its_owner_and_query_and_can_be_used_again() {
    let service = Service::start().await;
    add_key(&service, "reads", "mine", &["read"], None).await;
    for (owner, kind) in [("mine", "a"), ("mine", "b"), ("default", "a")] {
        service.post(&format!("/v1/jobs?owner={owner}"), &json!({ "type": kind })).expect(201).await;
    }
    let a = ticket(&service, "reads", "type=a").await;
    for _ in 0..2 {
        assert_eq!(types(&direct(&service, &a).expect(200).await), ["a"]);
    }
    // Clients may send a key besides, even an unknown one.
    assert_eq!(types(&direct(&service, &a).header("x-api-key", "old").expect(200).await), ["a"]);
    let admins = ticket(&service, LOCAL_KEY, "owner=mine&sort_order=asc").await;
    assert_eq!(types(&direct(&service, &admins).expect(200).await), ["a", "b"]);
    // The ticket keeps every character of a query.
    create(&service, &json!({ "type": "a", "name": "x", "labels": { "team": "r&d = 50% + ü" } })).await;
    file(&service, "team=r%26d%20%3D%2050%25%20%2B%20%C3%BC").await;

    for beside in ["type=b", "owner=default", "format=json"] {
        let name = beside.split('=').next().expect("a name");
        let reply = direct(&service, &format!("{a}&{beside}")).send().await;
        refuses(&reply, 422, "invalid_query", &[name]);
    }
}

#[tokio::test]
async fn an_unknown_ticket_is_refused() {
    let (service, other) = (Service::start().await, Service::start().await);
    let foreign = ticket(&other, LOCAL_KEY, "").await;
    let long = format!("ticket={}", "x".repeat(300));
    for query in [foreign.as_str(), "ticket=", "ticket=unknown", &long, "ticket=unknown&limit=1"] {
        for call in [direct(&service, query), direct(&service, query).header("x-api-key", LOCAL_KEY)] {
            is_problem(&call.send().await, 401, "unauthenticated");
        }
    }
    let own = ticket(&service, LOCAL_KEY, "").await;
    is_problem(&direct(&service, &format!("{own}0")).send().await, 401, "unauthenticated");
    is_problem(
        &direct(&service, &own.to_uppercase().replace("TICKET", "ticket")).send().await,
        401,
        "unauthenticated",
    );
    // A ticket that is given twice is refused.
    assert_ne!(direct(&service, &format!("{own}&{own}")).send().await.status, 200);
}

#[tokio::test]
async fn a_ticket_expires() {
    let service = Service::start().await;
    let own = ticket(&service, LOCAL_KEY, "").await;
    direct(&service, &own).expect(200).await;
    let vars = service.stack.environment("export-link").expect("the function").vars;
    let (dynamo, table) = (Dynamo::at(service.stack.dynamodb_endpoint()), &vars["SETTINGS_TABLE"]);
    let now = system_clock().seconds_ceil();
    for mut item in dynamo.scan(table).await {
        if item["kind"]["S"] == "tickets" {
            let end: i64 = item["expires_at"]["N"].as_str().expect("a number").parse().expect("seconds");
            assert!((240..=301).contains(&(end - now)), "{}", end - now);
            item["expires_at"] = json!({ "N": (now - 1).to_string() });
            dynamo.put(table, &item).await;
        }
    }
    is_problem(&direct(&service, &own).send().await, 401, "unauthenticated");
}
