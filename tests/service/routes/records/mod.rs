//! `PUT`, `GET` and `DELETE /v1/records/{kind}/{id}`.

mod count;

use std::sync::atomic::{AtomicUsize, Ordering};

use jobledger::domain::Timestamp;
use jobledger::http::path;
use jobledger::lambda::system_clock;
use jobledger_tests::at_once::each_of;
use jobledger_tests::dynamo::{Dynamo, Item, text};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::tables;
use jobledger_tests::{Call, Reply, Service};
use serde_json::{Value, json};

/// A job's id. The function does not check whether the job exists.
const JOB: &str = "01981b5e-7c3a-7000-8000-000000000001";

fn call(service: &Service, method: &str, id: &str) -> Call {
    service.call(method, &format!("/v1/records/source/{id}"))
}

#[track_caller]
fn put(service: &Service, id: &str, body: &Value, status: u16) -> impl Future<Output = Reply> {
    call(service, "PUT", id).json(body).expect(status)
}

#[track_caller]
fn get(service: &Service, id: &str) -> impl Future<Output = Value> {
    let call = call(service, "GET", id).expect(200);
    async move { call.await.json }
}

/// All stored records.
async fn stored(service: &Service) -> Vec<Item> {
    let config = tables(service).await.1;
    Dynamo::at(service.stack.dynamodb_endpoint()).scan(&config.tables.records).await
}

#[tokio::test]
async fn a_record_is_returned_as_it_was_put() {
    let service = Service::shared().await;
    let reply = put(&service, "1", &json!({ "status": "ready", "job_id": JOB }), 201).await;
    let at = reply.at("/created_at").as_str().expect("a time").to_owned();
    assert!(system_clock().since(Timestamp::parse(&at).expect("a time")) < 60_000);
    let expect = json!({
        "kind": "source", "id": "1", "status": "ready", "job_id": JOB, "created_at": at, "updated_at": at,
    });
    assert_eq!(reply.json, expect);
    assert_eq!(reply.header("location"), Some("/v1/records/source/1"));
    assert_eq!(get(&service, "1").await, expect);
    // The same id in another kind, or a kind in another case, is another record.
    for path in ["/v1/records/Source/1", "/v1/records/entity/1"] {
        is_problem(&service.get(path).send().await, 404, "record_not_found");
        service.call("PUT", path).expect(201).await;
    }
    assert_eq!(get(&service, "1").await, expect);
}

#[tokio::test]
async fn a_record_is_replaced_as_a_whole() {
    let service = Service::start().await;
    let first = put(&service, "1", &json!({ "status": "ready", "job_id": JOB }), 201).await;
    let created_at = first.at("/created_at").clone();
    for (body, status, job_id) in [
        (json!({ "status": "stale", "job_id": JOB }), json!("stale"), json!(JOB)),
        (json!({ "status": "stale" }), json!("stale"), Value::Null),
        (json!({ "job_id": JOB, "status": null }), Value::Null, json!(JOB)),
        (json!({}), Value::Null, Value::Null),
        (json!({ "status": "ready" }), json!("ready"), Value::Null),
    ] {
        let before = system_clock();
        let reply = put(&service, "1", &body, 200).await;
        assert_eq!((reply.at("/status"), reply.at("/job_id")), (&status, &job_id), "{body}");
        assert_eq!(reply.at("/created_at"), &created_at);
        assert_eq!(reply.header("location"), None);
        let updated_at = Timestamp::parse(reply.at("/updated_at").as_str().expect("a time")).expect("a time");
        assert!(updated_at >= before);
        assert_eq!(get(&service, "1").await, reply.json);
    }
    // A missing body equals an empty one.
    let reply = call(&service, "PUT", "1").expect(200).await;
    assert_eq!(reply.at("/status"), &Value::Null);
    assert_eq!(stored(&service).await.len(), 1);
}

#[tokio::test]
async fn a_record_that_was_deleted_is_gone_and_may_come_again() {
    let service = Service::shared().await;
    is_problem(&call(&service, "GET", "1").send().await, 404, "record_not_found");
    is_problem(&call(&service, "DELETE", "1").send().await, 404, "record_not_found");
    put(&service, "1", &json!({ "status": "ready" }), 201).await;
    put(&service, "2", &json!({}), 201).await;
    let reply = call(&service, "DELETE", "1").expect(200).await;
    assert_eq!(reply.json, json!({ "kind": "source", "id": "1", "deleted": true }));
    is_problem(&call(&service, "DELETE", "1").send().await, 404, "record_not_found");
    is_problem(&call(&service, "GET", "1").send().await, 404, "record_not_found");
    get(&service, "2").await;
    let again = put(&service, "1", &json!({}), 201).await;
    assert_eq!((again.at("/status"), again.at("/created_at")), (&Value::Null, again.at("/updated_at")));
}

/// Ids, each with the forms that it may have in a path.
const IDS: [(&str, &[&str]); 14] = [
    ("a b", &["a%20b", "a%2520b"]),
    ("a/b", &["a/b", "a%2Fb", "a%2fb", "a%252Fb"]),
    (
        "s3://bucket/key?version=1#x&y",
        &["s3:%2F%2Fbucket%2Fkey%3Fversion=1%23x&y", "s3:%252F%252Fbucket/key%253Fversion=1%2523x&y"],
    ),
    ("a#b#c", &["a%23b%23c"]),
    ("#", &["%23"]),
    ("/", &["%2F", "/"]),
    ("//", &["%2F%2F", "//"]),
    ("100%", &["100%25", "100%2525"]),
    ("\u{1f600}\u{1f469}\u{200d}\u{1f4bb}", &["%F0%9F%98%80%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB"]),
    ("ä", &["%C3%A4", "ä"]),
    ("a\u{308}", &["a%CC%88"]),
    ("...", &["..."]),
    ("{id+}", &["%7Bid+%7D"]),
    ("\"\\<>^`|'", &["%22%5C%3C%3E%5E%60%7C'"]),
];

#[tokio::test]
async fn an_id_is_any_text_however_it_is_encoded() {
    let service = Service::start().await;
    for (id, paths) in IDS {
        for (place, path) in paths.iter().enumerate() {
            let reply = put(&service, path, &json!({}), if place == 0 { 201 } else { 200 }).await;
            assert_eq!(reply.at("/id"), id, "{path}");
            assert_eq!(get(&service, path).await["id"], id, "{path}");
        }
        // The path in the answer leads to the record.
        let path = path::encoded(id);
        assert_eq!(call(&service, "DELETE", &path).expect(200).await.at("/id"), id);
        let reply = put(&service, &path, &json!({}), 201).await;
        let location = reply.header("location").expect("a location").to_owned();
        assert_eq!(service.get(&location).expect(200).await.at("/id"), id);
    }
    assert_eq!(stored(&service).await.len(), IDS.len(), "each is one, and no two are the same");
    let longest = "\u{1f600}".repeat(475);
    let reply = put(&service, &path::encoded(&longest), &json!({ "status": "x".repeat(64) }), 201).await;
    assert_eq!(reply.at("/id"), &json!(longest));
    assert_eq!(get(&service, &path::encoded(&longest)).await["id"], json!(longest));
}

/// An id that looks encoded is ambiguous in a path. If the body has the id, too, the function compares them.
#[tokio::test]
async fn an_id_of_the_body_is_held_against_the_path() {
    let service = Service::start().await;
    for (id, paths) in IDS {
        for (place, path) in paths.iter().enumerate() {
            put(&service, path, &json!({ "id": id }), if place == 0 { 201 } else { 200 }).await;
        }
    }
    let before = stored(&service).await.len();
    for (path, id) in
        [("%41", "%41"), ("%2541", "%41"), ("a%2525zz%41", "a%25zz%41"), ("1", "2"), ("1", "1 ")]
    {
        let reply = call(&service, "PUT", path).json(&json!({ "id": id, "status": "ready" })).send().await;
        refuses(&reply, 400, "invalid_body", &["id"]);
    }
    let reply = call(&service, "PUT", "%2541").json(&json!({ "id": "%41" })).send().await;
    assert!(reply.text.contains("reads \\\"A\\\""), "{}", reply.text);
    assert!(reply.text.contains("replace the %"), "{}", reply.text);
    for bad in [json!(1), json!(""), json!(["1"]), json!("x".repeat(513))] {
        let reply = call(&service, "PUT", "1").json(&json!({ "id": bad })).send().await;
        refuses(&reply, 400, "invalid_body", &["id"]);
    }
    assert_eq!(stored(&service).await.len(), before);
    put(&service, "1", &json!({ "id": null }), 201).await;
    let longest = "\u{1f600}".repeat(475);
    put(&service, &path::encoded(&longest), &json!({ "id": longest }), 201).await;
}

#[tokio::test]
async fn an_invalid_kind_or_id_is_refused() {
    let service = Service::start().await;
    let (long, wide) = ("x".repeat(513), "%F0%9F%98%80".repeat(476));
    let longer = "x".repeat(10_000);
    for bad in
        ["%20", "%20a", "a%20", "a%0Ab", "a%00", "%ff", "a%C3", "%25ff", "%EF%BF%BD", &long, &wide, &longer]
    {
        for method in ["PUT", "GET", "DELETE"] {
            let call = service.call(method, &format!("/v1/records/source/{bad}?colour=red"));
            refuses(&call.send().await, 422, "invalid_query", &["id", "colour"]);
        }
    }
    let long = "x".repeat(65);
    for bad in ["a%20b", "a%23b", "-a", "%C3%A4", "*", "a%2Fb", &long] {
        for method in ["PUT", "GET", "DELETE"] {
            let call = service.call(method, &format!("/v1/records/{bad}/%20"));
            refuses(&call.send().await, 422, "invalid_query", &["kind", "id"]);
        }
    }
    // A path without an id names no record, and there is no list of records.
    for path in ["/v1/records", "/v1/records/source", "/v1/records/source/"] {
        is_problem(&service.call("PUT", path).send().await, 404, "not_found");
    }
    assert!(stored(&service).await.is_empty());
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::start().await;
    let long = "x".repeat(65);
    for (body, fields) in [
        (json!({ "status": "none" }), vec!["status"]),
        (json!({ "status": "" }), vec!["status"]),
        (json!({ "status": "a b", "job_id": "x" }), vec!["status", "job_id"]),
        (json!({ "status": long, "colour": "red" }), vec!["status", "colour"]),
        (json!({ "status": 1, "job_id": 1 }), vec!["status", "job_id"]),
        (
            json!({ "kind": "a", "id": "b", "created_at": "2026-01-01T00:00:00Z" }),
            vec!["kind", "id", "created_at"],
        ),
    ] {
        let reply = call(&service, "PUT", "1").json(&body).send().await;
        refuses(&reply, 400, "invalid_body", &fields);
    }
    for body in ["[]", "{", "null", " ", "\u{feff}[]"] {
        is_problem(&call(&service, "PUT", "1").body(body).send().await, 400, "invalid_json");
    }
    let twice = call(&service, "PUT", "1").body(r#"{"status":"a","status":"b"}"#).send().await;
    refuses(&twice, 400, "invalid_body", &["status"]);
    is_problem(&call(&service, "PUT", "1").body(" ".repeat(16 * 1_024 + 1)).send().await, 413, "too_large");
    assert!(stored(&service).await.is_empty());
}

#[tokio::test]
async fn another_owners_records_are_not_there() {
    let service = Service::start().await;
    add_key(&service, "mine", "mine", &["read", "write"], None).await;
    let with_key = |method: &str, path: &str| service.anonymous(method, path).header("x-api-key", "mine");
    put(&service, "1", &json!({ "status": "ready" }), 201).await;
    // Ids that would form another owner's key, if names could contain the separator.
    for id in ["1", "%23source%231", "default%23source%231"] {
        for method in ["GET", "DELETE"] {
            let reply = with_key(method, &format!("/v1/records/source/{id}")).send().await;
            is_problem(&reply, 404, "record_not_found");
        }
    }
    // Each owner may use the same id.
    with_key("PUT", "/v1/records/source/1").json(&json!({ "status": "mine" })).expect(201).await;
    assert_eq!(get(&service, "1").await["status"], "ready");
    for method in ["PUT", "GET", "DELETE"] {
        let reply = with_key(method, "/v1/records/source/1?owner=default").send().await;
        is_problem(&reply, 403, "missing_scope");
    }
    with_key("DELETE", "/v1/records/source/1").expect(200).await;
    assert_eq!(get(&service, "1").await["status"], "ready");
    // An admin may act for another owner.
    service.call("PUT", "/v1/records/source/1?owner=mine").expect(201).await;
    with_key("GET", "/v1/records/source/1").expect(200).await;
}

#[tokio::test]
async fn reading_and_writing_require_two_scopes() {
    let service = Service::start().await;
    for scope in ["read", "write", "work"] {
        add_key(&service, scope, "default", &[scope], None).await;
    }
    for (method, key, status) in [
        ("PUT", "read", 403),
        ("PUT", "work", 403),
        ("PUT", "write", 201),
        ("GET", "write", 403),
        ("GET", "work", 403),
        ("GET", "read", 200),
        ("DELETE", "read", 403),
        ("DELETE", "write", 200),
    ] {
        let reply = service.anonymous(method, "/v1/records/source/1").header("x-api-key", key).send().await;
        assert_eq!(reply.status, status, "{method} {key}: {}", reply.text);
    }
}

#[tokio::test]
async fn of_many_calls_at_once_one_creates_and_one_deletes_the_record() {
    let service = Service::start().await;
    let (first, service) = (AtomicUsize::new(0), &service);
    let first = &first;
    each_of(0..20_u32, async |number| {
        let reply = call(service, "PUT", "1").json(&json!({ "status": format!("s{number}") })).send().await;
        assert!([200, 201].contains(&reply.status), "{}", reply.text);
        first.fetch_add(usize::from(reply.status == 201), Ordering::Relaxed);
    })
    .await;
    assert_eq!(first.swap(0, Ordering::Relaxed), 1);
    each_of(0..20_u32, async |_| {
        let reply = call(service, "DELETE", "1").send().await;
        assert!([200, 404].contains(&reply.status), "{}", reply.text);
        first.fetch_add(usize::from(reply.status == 200), Ordering::Relaxed);
    })
    .await;
    assert_eq!(first.load(Ordering::Relaxed), 1);
    assert!(stored(service).await.is_empty());
}

#[tokio::test]
async fn a_corrupt_record_is_an_internal_error() {
    let service = Service::start().await;
    put(&service, "1", &json!({ "status": "ready" }), 201).await;
    let config = tables(&service).await.1;
    let mut item = stored(&service).await.swap_remove(0);
    assert_eq!(text(&item, "record"), "default#source#1");
    item.insert("status".to_owned(), json!({ "S": "not a word" }));
    Dynamo::at(service.stack.dynamodb_endpoint()).put(&config.tables.records, &item).await;
    let reply = call(&service, "GET", "1").send().await;
    is_problem(&reply, 500, "internal");
    assert!(!reply.text.contains("word"), "{}", reply.text);
    // A new put repairs the record; so does a delete.
    put(&service, "1", &json!({ "status": "ready" }), 200).await;
    get(&service, "1").await;
}
