//! Stored data that cannot be read: the function returns 500, logs it, and shows the caller none of it.

use jobledger_tests::alone::Request;
use jobledger_tests::dynamo::{Item, text};
use jobledger_tests::keys::create_key;
use jobledger_tests::log::LogLines;
use serde_json::{Value, json};

use super::FaultFixture;

const SECRET_VALUE: &str = "stored-and-not-to-be-shown";

/// Creates a job, and corrupts its head.
async fn spoilt(fixture: &FaultFixture, attribute: &str, value: Value) -> String {
    let id = fixture.job(&json!({ "type": "render", "external_id": "e", "payload": { "frames": 3 } })).await;
    let mut heads = fixture.heads().await;
    let mut head = heads.remove(&id).expect("the head");
    head.insert(attribute.to_owned(), value);
    fixture.dynamo.put(&fixture.jobs, &head).await;
    id
}

#[tokio::test]
async fn a_corrupt_head_is_an_internal_error() {
    let spoilings = [
        ("labels", json!({ "S": SECRET_VALUE })),
        ("name", json!({ "N": "5" })),
        ("max_attempts", json!({ "S": SECRET_VALUE })),
        ("trace_id", json!({ "S": SECRET_VALUE })),
    ];
    for (attribute, value) in spoilings {
        let fixture = FaultFixture::start().await;
        let id = spoilt(&fixture, attribute, value).await;
        let line = r#"{"external_id":"e","type":"render","status":"queued"}"#;
        let claim = r#"{"worker_id":"w","types":["render"]}"#;
        let requests = [
            ("get-job", Request::new("GET", &format!("/v1/jobs/{id}"))),
            ("list-jobs", Request::new("GET", "/v1/jobs")),
            ("get-job-count", Request::new("GET", "/v1/jobs/count?priority=0")),
            (
                "batch-status",
                Request::new("POST", "/v1/jobs/batch-status").body(json!({ "job_ids": [id] }).to_string()),
            ),
            ("ingest-jobs", Request::new("POST", "/v1/admin/ingest/jobs").body(line)),
            ("create-job", Request::new("POST", "/v1/jobs").body(r#"{"type":"render","external_id":"e"}"#)),
            ("delete-job", Request::new("DELETE", &format!("/v1/jobs/{id}"))),
            ("update-job", Request::new("PATCH", &format!("/v1/jobs/{id}")).body(r#"{"name":"x"}"#)),
            ("update-job", Request::new("PATCH", &format!("/v1/jobs/{id}")).body(r#"{"status":"running"}"#)),
            ("retry-job", Request::new("POST", &format!("/v1/jobs/{id}/retry"))),
            ("claim-jobs", Request::new("POST", "/v1/jobs/claim").body(claim)),
            ("cancel-job", Request::new("POST", &format!("/v1/jobs/{id}/cancel"))),
        ];
        for (name, request) in requests {
            let reply = fixture.behind(name).await.call(&request).await;
            let what = format!("{name}, {attribute}");
            fixture.is_problem(&what, &reply, 500, "internal");
            assert!(!reply.text.contains(SECRET_VALUE) && !reply.text.contains(attribute), "{}", reply.text);
        }
    }
}

#[tokio::test]
async fn a_corrupt_part_is_an_internal_error() {
    let fixture = FaultFixture::start().await;
    let id = fixture.job(&json!({ "type": "render", "payload": { "frames": 3 } })).await;
    let items = fixture.dynamo.scan(&fixture.jobs).await;
    let part = items.iter().find(|item| text(item, "part").starts_with("input#")).expect("an input");
    for json in [json!({ "B": "e25vIGpzb24=" }), json!({ "S": SECRET_VALUE })] {
        let mut part: Item = part.clone();
        part.insert("json".to_owned(), json);
        fixture.dynamo.put(&fixture.jobs, &part).await;
        let reply =
            fixture.behind("get-job").await.call(&Request::new("GET", &format!("/v1/jobs/{id}"))).await;
        fixture.is_problem("get-job", &reply, 500, "internal");
        // Lists read no parts.
        fixture.service.get("/v1/jobs").expect(200).await;
        let edit = Request::new("PATCH", &format!("/v1/jobs/{id}")).body(r#"{"metadata":{"x":1}}"#);
        fixture.is_problem(
            "update-job",
            &fixture.behind("update-job").await.call(&edit).await,
            500,
            "internal",
        );
    }
    let claim = Request::new("POST", "/v1/jobs/claim").body(r#"{"worker_id":"w","types":["render"]}"#);
    fixture.is_problem("claim-jobs", &fixture.behind("claim-jobs").await.call(&claim).await, 500, "internal");
}

#[tokio::test]
async fn a_corrupt_type_is_an_internal_error() {
    let fixture = FaultFixture::start().await;
    fixture.job(&json!({ "type": "render", "max_attempts": 2 })).await;
    let (id, token) = fixture.held("render").await;
    let settings =
        fixture.service.stack.environment("get-job").expect("the function").vars["SETTINGS_TABLE"].clone();
    let spoilt = json!({
        "kind": { "S": "types" }, "id": { "S": "default#render" }, "mode": { "S": SECRET_VALUE },
        "backoff_seconds": { "N": "1" }, "updated_at": { "N": "1" },
    });
    fixture.dynamo.put(&settings, spoilt.as_object().expect("an item")).await;
    let before = fixture.heads().await;
    let report = |report: Value| Request::new("PATCH", &format!("/v1/jobs/{id}")).body(report.to_string());
    for (name, request) in [
        ("type-settings", Request::new("GET", "/v1/types/render")),
        ("type-settings", Request::new("PUT", "/v1/types/render").body("{}")),
        (
            "claim-jobs",
            Request::new("POST", "/v1/jobs/claim").body(r#"{"worker_id":"w","types":["render"]}"#),
        ),
        ("update-job", report(json!({ "lease_token": token, "status": "failed", "error": "x" }))),
        ("update-job", report(json!({ "lease_token": token, "progress": { "current_task": "x" } }))),
    ] {
        let reply = fixture.behind(name).await.call(&request).await;
        fixture.is_problem(name, &reply, 500, "internal");
        assert!(!reply.text.contains(SECRET_VALUE), "{}", reply.text);
    }
    assert_eq!(fixture.heads().await, before);
}

#[tokio::test]
async fn a_corrupt_checkpoint_makes_a_scrape_an_internal_error() {
    let fixture = FaultFixture::start().await;
    let tallies =
        fixture.service.stack.environment("metrics").expect("the function").vars["TALLIES_TABLE"].clone();
    let checkpoint =
        json!({ "scope": { "S": "*" }, "bucket": { "S": "checkpoint#s" }, "sequence": { "N": "5" } });
    fixture.dynamo.put(&tallies, checkpoint.as_object().expect("an item")).await;
    let reply = fixture.behind("metrics").await.call(&Request::new("GET", "/metrics")).await;
    fixture.is_problem("metrics", &reply, 500, "internal");
}

#[tokio::test]
async fn a_corrupt_key_is_an_internal_error() {
    let fixture = FaultFixture::start().await;
    let settings =
        fixture.service.stack.environment("get-job").expect("the function").vars["SETTINGS_TABLE"].clone();
    let mut keys = fixture.dynamo.scan(&settings).await;
    let mut key = keys.pop().expect("the local key");
    key.insert("owner".to_owned(), json!({ "S": format!("#{SECRET_VALUE}") }));
    fixture.dynamo.put(&settings, &key).await;
    let reply = fixture.behind("list-jobs").await.call(&Request::new("GET", "/v1/jobs")).await;
    fixture.is_problem("list-jobs", &reply, 500, "internal");
    assert!(!reply.text.contains(SECRET_VALUE), "{}", reply.text);
}

/// If a key cannot be read, the list still shows the others. The key can be revoked.
#[tokio::test]
async fn a_corrupt_key_hides_no_other_and_can_be_revoked() {
    let fixture = FaultFixture::start().await;
    let settings =
        fixture.service.stack.environment("get-job").expect("the function").vars["SETTINGS_TABLE"].clone();
    let spoilings = [
        ("owner", json!({ "S": format!("#{SECRET_VALUE}") })),
        ("owner", json!({ "N": "5" })),
        ("scopes", json!({ "S": SECRET_VALUE })),
        ("hash", json!({ "S": SECRET_VALUE })),
        ("hash", json!({ "S": "0".repeat(64) })),
        ("created_by", json!({ "S": SECRET_VALUE })),
        ("per_minute", json!({ "N": "0" })),
        ("ends_at", json!({ "S": SECRET_VALUE })),
    ];
    let body = json!({ "owner": "a", "scopes": ["read"] });
    for (attribute, value) in spoilings {
        let mut made = Vec::new();
        for _ in 0..3 {
            made.push(jobledger_tests::text(&create_key(&fixture.service, &body).await["key_id"]));
        }
        made.sort();
        let bad = made.remove(1);
        let is_key = |item: &Item| (text(item, "kind"), text(item, "id")) == ("keys", &*bad);
        let mut key = fixture.dynamo.scan(&settings).await.into_iter().find(is_key);
        let key = key.as_mut().expect("the key");
        key.insert(attribute.to_owned(), value);
        fixture.dynamo.put(&settings, key).await;

        let (log, _listening) = LogLines::listen(&fixture.service).await;
        for query in ["", "owner=a&", "limit=1&", "owner=a&limit=1&"] {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = fixture.service.get(&format!("/v1/admin/keys?{query}{cursor}")).expect(200).await;
                assert!(!page.text.contains(SECRET_VALUE), "{}", page.text);
                let keys = page.at("/keys").as_array().expect("keys").iter();
                found.extend(keys.map(|key| jobledger_tests::text(&key["key_id"])));
                let Some(next) = page.at("/next_cursor").as_str() else { break };
                cursor = format!("cursor={next}");
            }
            assert!(made.iter().all(|key_id| found.contains(key_id)), "{attribute}, {query}: {found:?}");
            assert!(!found.contains(&bad), "{attribute}");
        }
        assert!(log.lines().iter().any(|line| line["id"] == json!(bad)), "the log says which is missing");

        let path = format!("/v1/admin/keys/{bad}");
        let behind = fixture.behind("keys").await;
        fixture.is_problem(attribute, &behind.call(&Request::new("GET", &path)).await, 500, "internal");
        let change = Request::new("PATCH", &path).body(r#"{"name":"x"}"#);
        fixture.is_problem(attribute, &behind.call(&change).await, 500, "internal");
        let revoked = behind.call(&Request::new("DELETE", &path)).await;
        let revoked_at = revoked.at("/revoked_at").clone();
        let said = json!({ "key_id": bad, "revoked_at": revoked_at, "active": false });
        assert_eq!((revoked.status, &revoked.json), (200, &said), "{attribute}: {}", revoked.text);
        let audit = log.audit();
        assert_eq!(audit.len(), 1, "{audit:?}");
        assert_eq!((&audit[0]["audit"], &audit[0]["subject"]), (&json!("key.revoked"), &json!(bad)));
        let again = behind.call(&Request::new("DELETE", &path)).await;
        assert_eq!((again.status, again.at("/revoked_at")), (200, &revoked_at), "{}", again.text);
        assert_eq!(log.audit().len(), 1, "again, it is no deed");
    }
}
