//! `GET /v1/usage`: its content, its callers, and its days.

mod kept;

use std::collections::BTreeSet;

use jobledger::access::{AccessControl, Flush, StoredAccess, Used};
use jobledger::domain::{KeyHash, KeyId, Owner, Timestamp};
use jobledger::lambda::system_clock;
use jobledger::store::Ledger;
use jobledger_tests::dynamo::Dynamo;
use jobledger_tests::jobs::create;
use jobledger_tests::keys::id_and_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

/// Calls of one caller.
#[derive(Clone, Copy)]
struct Calls<'a> {
    owner: &'a str,
    key: &'a str,
    route: &'a str,
    status: u16,
    times: usize,
}

fn key_id(key: &str) -> KeyId {
    KeyHash::of(key).key_id()
}

/// Notes calls as if they had just been answered.
fn note(access: &StoredAccess, calls: Calls<'_>, now: Timestamp) {
    let (owner, key_id) = (Owner::try_from(calls.owner).expect("an owner"), key_id(calls.key));
    for _ in 0..calls.times {
        let (route, status) = (calls.route, calls.status);
        access.note(&Used { owner: &owner, key_id: &key_id, route, status, now });
    }
}

/// An access control that notes and stores calls, without a function.
async fn access(service: &Service) -> StoredAccess {
    let environment = service.stack.environment("usage").expect("the function");
    StoredAccess::new(&Ledger::open(&environment).await.expect("a ledger"))
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

async fn usage(service: &Service, key: &str, query: &str) -> Reply {
    service.anonymous("GET", &format!("/v1/usage{query}")).header("x-api-key", key).send().await
}

#[tokio::test]
async fn calls_are_reported_by_day_route_and_status() {
    let service = Service::start().await;
    let body = json!({
        "owner": "default", "scopes": ["read", "write"], "requests_per_minute": 600, "burst": 50,
        "storage_quota_bytes": 1_024_000,
    });
    let (id, key) = id_and_key(&service, &body).await;
    let call = |method: &str, path: &str| service.anonymous(method, path).header("x-api-key", &key);
    let job = call("POST", "/v1/jobs").json(&json!({ "type": "a" })).expect(201).await;
    let job = job.at("/job_id").as_str().expect("an id");
    for _ in 0..2 {
        call("GET", &format!("/v1/jobs/{job}")).expect(200).await;
    }
    call("GET", "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001").expect(404).await;
    call("POST", "/v1/jobs").body("{").expect(400).await;
    call("POST", "/v1/jobs/claim").json(&json!({})).expect(403).await;
    call("GET", "/v1/jobs/export").expect(200).await;
    call("GET", "/lambda-url/export-jobs/v1/jobs/export?format=csv").expect(200).await;
    // These calls belong to no key.
    service.anonymous("GET", "/v1/jobs").expect(401).await;
    service.anonymous("GET", "/v1/jobs").header("x-api-key", "unknown").expect(401).await;
    call("GET", "/health").expect(200).await;
    call("GET", "/nowhere").expect(404).await;
    service.stack.flush().await;
    service.settled().await;

    let today = system_clock().day();
    let reply = usage(&service, &key, "").await;
    let by_route = json!({
        "POST /v1/jobs": { "calls": 2, "by_status": { "201": 1, "400": 1 } },
        "GET /v1/jobs/{job_id}": { "calls": 3, "by_status": { "200": 2, "404": 1 } },
        "POST /v1/jobs/claim": { "calls": 1, "by_status": { "403": 1 } },
        // The link to a file; the file comes with a ticket, which stands for the key.
        "GET /v1/jobs/export": { "calls": 1, "by_status": { "307": 1 } },
        "export-jobs": { "calls": 2, "by_status": { "200": 2 } },
    });
    let by_status = json!({ "200": 4, "201": 1, "307": 1, "400": 1, "403": 1, "404": 1 });
    let (left, full) =
        (reply.at("/rate_limit/remaining").clone(), reply.at("/rate_limit/full_in_seconds").clone());
    assert!(left.as_u64().is_some_and(|left| (40..50).contains(&left)), "{left}");
    let from = Timestamp::parse(&format!("{today}T00:00:00Z")).expect("a day").plus_hours(-24 * 29).day();
    assert_eq!(
        reply.json,
        json!({
            "owner": "default", "key_id": id, "from_date": from, "to_date": today, "total_calls": 9,
            "days": [{ "date": today, "calls": 9, "by_status": by_status, "by_route": by_route }],
            "by_route": by_route, "by_status": by_status, "by_key": { &id: 9 },
            "rate_limit": {
                "requests_per_minute": 600, "burst": 50, "remaining": left, "full_in_seconds": full,
            },
            "storage": { "used_bytes": 1_024, "quota_bytes": 1_024_000, "percent": 0.1 },
        }),
        "{}",
        reply.text
    );
    // This call is counted, too.
    service.stack.flush().await;
    assert_eq!(usage(&service, &key, "").await.at("/by_route/GET ~1v1~1usage/calls"), 1);
}

#[tokio::test]
async fn a_refused_call_is_counted() {
    let service = Service::start().await;
    let body = json!({
        "owner": "default", "scopes": ["read"], "requests_per_minute": 1, "burst": 2, "storage_quota_bytes": 4_096,
    });
    let (id, key) = id_and_key(&service, &body).await;
    for status in [200, 200, 429, 429, 429] {
        service.anonymous("GET", "/v1/jobs").header("x-api-key", &key).expect(status).await;
    }
    service.stack.flush().await;
    let reply = service.get(&format!("/v1/usage?key_id={id}")).expect(200).await;
    assert_eq!(reply.at("/by_status"), &json!({ "200": 2, "429": 3 }));
    // The admin sees the rate of the named key, and not of its own.
    let left = reply.at("/rate_limit/full_in_seconds").as_u64();
    assert!(left.is_some_and(|seconds| (60..=120).contains(&seconds)), "{}", reply.text);
    let rate = json!({ "requests_per_minute": 1, "burst": 2, "remaining": 0, "full_in_seconds": left });
    assert_eq!(reply.at("/rate_limit"), &rate);
    assert_eq!(reply.at("/storage/quota_bytes"), &json!(4_096));
    let all = service.get("/v1/usage").expect(200).await;
    let limits = (all.at("/rate_limit"), all.at("/storage/quota_bytes"));
    assert_eq!(limits, (&Value::Null, &Value::Null), "the admin's key has no limit");
}

#[tokio::test]
async fn a_key_sees_itself_and_an_admin_all_keys_of_an_owner() {
    let service = Service::start().await;
    let (my_id, mine) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    let (_, write) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["write"] })).await;
    let access = access(&service).await;
    let now = system_clock();
    for (owner, key, times) in
        [("default", mine.as_str(), 2), ("default", "another", 3), ("stranger", "foreign", 5)]
    {
        note(&access, Calls { owner, key, route: "GET /v1/jobs", status: 200, times }, now);
    }
    access.flush(now, Flush::All).await;
    let [another, foreign] = ["another", "foreign"].map(|key| key_id(key).to_string());

    let sees = async |query: &str, calls: u64, keys: &[&str]| {
        let reply = service.get(&format!("/v1/usage?{query}")).expect(200).await;
        let by_key = reply.at("/by_key").as_object().expect("keys").keys();
        let seen: BTreeSet<&str> = by_key.map(String::as_str).collect();
        let total = reply.at("/total_calls").clone();
        assert_eq!((total, seen), (json!(calls), keys.iter().copied().collect()), "{query}");
    };
    sees("", 5, &[&my_id, &another]).await;
    sees(&format!("key_id={another}"), 3, &[&another]).await;
    sees(&format!("key_id={foreign}"), 0, &[]).await;
    sees("owner=stranger", 5, &[&foreign]).await;
    sees(&format!("owner=stranger&key_id={my_id}"), 0, &[]).await;
    sees("owner=nobody", 0, &[]).await;

    for query in [String::new(), format!("?key_id={my_id}"), "?owner=default".to_owned()] {
        let reply = usage(&service, &mine, &query).await;
        assert_eq!((reply.status, reply.at("/total_calls")), (200, &json!(2)), "{query}: {}", reply.text);
        assert_eq!(reply.at("/key_id"), &json!(my_id));
    }
    for query in [format!("?key_id={another}"), "?owner=stranger".to_owned()] {
        is_problem(&usage(&service, &mine, &query).await, 403, "missing_scope");
    }
    is_problem(&usage(&service, &write, "").await, 403, "missing_scope");
    is_problem(&service.anonymous("GET", "/v1/usage").send().await, 401, "unauthenticated");
}

#[tokio::test]
async fn days_are_whole_and_both_ends_belong_to_it() {
    let service = Service::start().await;
    let access = access(&service).await;
    let one = Calls { owner: "default", key: "k", route: "GET /v1/jobs", status: 200, times: 1 };
    let times = [
        "2026-01-10T23:59:59.999Z",
        "2026-01-11T00:00:00Z",
        "2026-01-11T23:59:59.999Z",
        "2026-01-12T00:00:00Z",
    ];
    for at in times {
        note(&access, one, time(at));
    }
    access.flush(time(times[3]), Flush::All).await;
    for (query, days) in [
        (
            "from_date=2026-01-10&to_date=2026-01-12",
            &[("2026-01-10", 1), ("2026-01-11", 2), ("2026-01-12", 1)][..],
        ),
        ("from_date=2026-01-11&to_date=2026-01-11", &[("2026-01-11", 2)]),
        ("from_date=2026-01-11T12:00:00Z&to_date=2026-01-11T13:00:00Z", &[("2026-01-11", 2)]),
        ("from_date=2026-01-11T23:30:00-01:00&to_date=2026-01-12", &[("2026-01-12", 1)]),
        ("to_date=2026-01-10", &[("2026-01-10", 1)]),
        ("to_date=2026-02-08", &[("2026-01-10", 1), ("2026-01-11", 2), ("2026-01-12", 1)]),
        ("to_date=2026-02-09", &[("2026-01-11", 2), ("2026-01-12", 1)]),
        ("from_date=2026-01-13&to_date=2026-01-14", &[]),
        (
            "from_date=2025-10-13&to_date=2026-01-20",
            &[("2026-01-10", 1), ("2026-01-11", 2), ("2026-01-12", 1)],
        ),
    ] {
        let reply = service.get(&format!("/v1/usage?{query}")).expect(200).await;
        let told = reply.at("/days").as_array().expect("days").iter();
        let told: Vec<_> = told
            .map(|day| (day["date"].as_str().unwrap_or(""), day["calls"].as_i64().unwrap_or(0)))
            .collect();
        assert_eq!(told, days, "{query}");
    }
    for (query, field) in [
        ("from_date=2025-10-12&to_date=2026-01-20", "to_date"),
        // Less than 100 times 24 hours, but on 101 days.
        ("from_date=2025-10-12T12:00:00Z&to_date=2026-01-20T11:00:00Z", "to_date"),
        ("from_date=2026-01-12&to_date=2026-01-11", "to_date"),
        ("from_date=9999-01-01", "to_date"),
        ("from_date=yesterday", "from_date"),
        ("to_date=2026-02-30", "to_date"),
        ("from_date=", "from_date"),
        ("from_date=2026-01-11&from_date=2026-01-11&to_date=2026-01-12", "from_date"),
        ("key_id=x", "key_id"),
        ("key_id=", "key_id"),
        ("days=3", "days"),
        ("limit=3", "limit"),
    ] {
        let reply = service.get(&format!("/v1/usage?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &[field]);
    }
}

#[tokio::test]
async fn the_report_shows_the_stored_bytes_and_the_quota() {
    let service = Service::start().await;
    create(&service, &json!({ "type": "a", "payload": { "text": "x".repeat(50) } })).await;
    service.settled().await;
    let reply = service.get("/v1/usage").expect(200).await;
    let used = 1_024 + json!({ "payload": { "text": "x".repeat(50) } }).to_string().len();
    assert_eq!(reply.at("/storage/used_bytes"), &json!(used));
    assert_eq!(reply.at("/storage/quota_bytes"), &Value::Null);
}

#[tokio::test]
async fn limits_are_those_of_the_key_that_is_reported() {
    let service = Service::start().await;
    let key = async |owner: &str, scopes: &[&str], quota: u64| {
        let body = json!({
            "owner": owner, "scopes": scopes, "requests_per_minute": quota, "burst": 7, "storage_quota_bytes": quota,
        });
        id_and_key(&service, &body).await
    };
    let (admin_id, admin) = key("ops", &["admin"], 60).await;
    let (acme_id, acme) = key("acme", &["read"], 1).await;
    usage(&service, &acme, "").await;
    let limits = async |query: &str| {
        let reply = usage(&service, &admin, query).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let at = |path: &str| reply.at(path).as_u64();
        let rate = reply.at("/rate_limit").is_object();
        let burst = at(if rate { "/rate_limit/burst" } else { "/total_calls" });
        (rate, burst.unwrap_or(0), at("/storage/quota_bytes"))
    };
    assert_eq!(limits("").await, (true, 7, Some(60)), "its own");
    assert_eq!(limits("?owner=acme").await, (false, 0, None), "of all keys of another owner there is none");
    assert_eq!(limits(&format!("?owner=acme&key_id={acme_id}")).await, (true, 7, Some(1)));
    assert_eq!(limits(&format!("?owner=acme&key_id={admin_id}")).await, (false, 0, None), "not acme's");
    assert_eq!(limits("?key_id=0123456789abcdef").await, (false, 0, None), "no key");
    let reply = usage(&service, &admin, &format!("?owner=acme&key_id={acme_id}")).await;
    assert_eq!(reply.at("/rate_limit/remaining"), &json!(6), "a look costs the key nothing");
    let reply = usage(&service, &acme, "").await;
    assert_eq!((reply.at("/rate_limit/remaining"), reply.at("/storage/quota_bytes")), (&json!(5), &json!(1)));
}

#[tokio::test]
async fn one_key_is_reported_beside_any_number_of_others() {
    let service = Service::start().await;
    let (my_id, mine) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    let now = system_clock();
    let access = access(&service).await;
    for days in 0..30 {
        let one = Calls { owner: "default", key: &mine, route: "GET /v1/jobs", status: 200, times: 1 };
        note(&access, one, now.plus_hours(-24 * days));
    }
    access.flush(now, Flush::All).await;
    // More than a report reads, of other keys.
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let table = service.stack.environment("usage").expect("the function").vars["USAGE_TABLE"].clone();
    for number in 0..100 {
        let item = json!({
            "owner": { "S": "default" }, "span": { "S": format!("day#{}#{number:016x}", now.day()) },
            "padding": { "S": "x".repeat(390_000) },
        });
        dynamo.put(&table, item.as_object().expect("an item")).await;
    }
    for reply in [
        usage(&service, &mine, "").await,
        service.get(&format!("/v1/usage?key_id={my_id}")).expect(200).await,
    ] {
        assert_eq!((reply.status, reply.at("/total_calls")), (200, &json!(30)), "{}", reply.text);
        let days = reply.at("/days").as_array().expect("days").iter().map(|day| day["date"].as_str());
        assert!(days.is_sorted() && reply.at("/to_date") == &json!(now.day()), "{}", reply.text);
    }
    let reply = service.get("/v1/usage").send().await;
    refuses(&reply, 422, "invalid_query", &["from_date"]);
    assert!(reply.text.contains("for one key_id"), "{}", reply.text);
    let before = now.plus_hours(-24).day();
    assert_eq!(service.get(&format!("/v1/usage?to_date={before}")).expect(200).await.at("/total_calls"), 29);
}
