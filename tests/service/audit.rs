//! The audit log: each change of a key and each bulk action, with its caller. It never contains a secret or a payload.

use std::collections::BTreeSet;

use jobledger::domain::KeyHash;
use jobledger_local::LOCAL_KEY;
use jobledger_tests::alone::Alone;
use jobledger_tests::claims::create_and_claim;
use jobledger_tests::jobs::{create, ingest_many};
use jobledger_tests::keys::{id_and_key, with_key};
use jobledger_tests::log::LogLines;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

/// Whether a line has these fields and no others. Its `detail` must equal this JSON.
#[track_caller]
fn is_line(line: &Value, fields: &Value, detail: &Value) {
    let mut line = line.clone();
    let said = line.as_object_mut().expect("fields").remove("detail").expect("a detail");
    assert_eq!(
        &serde_json::from_str::<Value>(said.as_str().expect("a text")).expect("JSON"),
        detail,
        "{line}"
    );
    let mut fields = fields.clone();
    fields["message"] = json!("audit");
    assert_eq!(line, fields);
}

fn local_id() -> String {
    KeyHash::of(LOCAL_KEY).key_id().to_string()
}

#[tokio::test]
async fn creating_changing_and_revoking_a_key_is_audited() {
    let service = Service::start().await;
    let (log, _listening) = LogLines::listen(&service).await;
    let made = service.post("/v1/admin/keys", &json!({ "owner": "acme", "scopes": ["write"], "name": "ci" }));
    let made = made.expect(201).await;
    let key_id = text(made.at("/key_id"));
    let path = format!("/v1/admin/keys/{key_id}");
    let changed = service.call("PATCH", &path).json(&json!({ "scopes": ["read"] })).expect(200).await;
    // Refused calls and reads are not audited.
    service.call("PATCH", &path).json(&json!({ "scopes": ["root"] })).expect(400).await;
    service.post("/v1/admin/keys", &json!({ "owner": "acme" })).expect(400).await;
    service.get("/v1/admin/keys").expect(200).await;
    service.get(&path).expect(200).await;
    let revoked = service.call("DELETE", &path).expect(200).await;
    service.call("DELETE", &path).expect(200).await;
    service.call("DELETE", "/v1/admin/keys/0000000000000000").expect(404).await;
    service.call("PATCH", &path).json(&json!({ "name": "x" })).expect(409).await;

    let audit = log.audit();
    assert_eq!(audit.len(), 3, "{audit:?}");
    for (line, action, reply) in [
        (&audit[0], "key.made", &made),
        (&audit[1], "key.changed", &changed),
        (&audit[2], "key.revoked", &revoked),
    ] {
        let fields = json!({
            "audit": action, "subject": key_id, "owner": "acme", "key_id": local_id(), "key_owner": "default",
            "request_id": reply.header("x-request-id"), "source_ip": "127.0.0.1",
        });
        let mut detail = reply.json.clone();
        detail.as_object_mut().expect("a key").remove("key");
        is_line(line, &fields, &detail);
    }
}

#[tokio::test]
async fn creating_the_first_key_is_audited() {
    let service = Service::start().await;
    let environment = service.stack.environment("create-admin-key").expect("the function");
    let function = Alone::start("create-admin-key", environment).await;
    let (log, _listening) = LogLines::listen(&service).await;
    let made = function.invoke(&json!({ "owner": "ops" })).await.expect("a key");
    function.invoke(&json!({ "owner": "" })).await.expect_err("no owner");
    let audit = log.audit();
    assert_eq!(audit.len(), 1, "{audit:?}");
    let fields = json!({ "audit": "key.made", "subject": made["key_id"], "owner": "ops", "request_id": "" });
    let shown = service.get(&format!("/v1/admin/keys/{}", text(&made["key_id"]))).expect(200).await;
    is_line(&audit[0], &fields, &shown.json);
    assert!(!log.all().contains(made["key"].as_str().expect("a key")));
}

#[tokio::test]
async fn bulk_actions_are_audited_with_their_numbers() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "ops", "scopes": ["admin"] })).await;
    ingest_many(&service, "acme", "a", 5, &["queued"]).await;
    service.settled().await;
    for action in ["cancel", "retry", "delete"] {
        let (log, _listening) = LogLines::listen(&service).await;
        let body = json!({ "action": action, "filter": { "type": "a", "created_after": "2020-01-01" } });
        let ask = || {
            let call = with_key(&service, &key, "POST", "/v1/jobs/bulk?owner=acme").json(&body);
            call.header("idempotency-key", action)
        };
        let asked = ask().expect(202).await;
        // The repeated call is audited again, because the first one may have ended before it wrote its line.
        let again = ask().expect(202).await;
        let filter = json!({ "action": "delete", "filter": {} });
        with_key(&service, &key, "POST", "/v1/jobs/bulk").json(&filter).expect(400).await;
        service.settled().await;
        let audit = log.audit();
        assert_eq!(audit.len(), 3, "{audit:?}");
        let mut fields = json!({
            "audit": format!("bulk.{action}"), "subject": asked.at("/job_id"), "owner": "acme", "key_id": key_id,
            "key_owner": "ops", "request_id": asked.header("x-request-id"), "source_ip": "127.0.0.1",
        });
        is_line(&audit[0], &fields, &body["filter"]);
        fields["request_id"] = json!(again.header("x-request-id"));
        is_line(&audit[1], &fields, &body["filter"]);
        let fields = fields.as_object_mut().expect("fields");
        fields.remove("request_id");
        fields.remove("key_owner");
        fields.remove("source_ip");
        fields["audit"] = json!("bulk.done");
        let numbers = json!({ "action": action, "matched": 5, "changed": 5, "skipped": 0, "failed": 0 });
        is_line(&audit[2], &json!(fields), &numbers);
    }
}

#[tokio::test]
async fn a_recount_that_repairs_is_audited() {
    let service = Service::start().await;
    let (log, _listening) = LogLines::listen(&service).await;
    let asked = service.post("/v1/admin/recount", &json!({ "repair": true, "settle_seconds": 0 }));
    let asked = asked.expect(202).await;
    service.settled().await;
    let audit = log.audit();
    let actions: Vec<_> = audit.iter().map(|line| text(&line["audit"])).collect();
    assert_eq!(actions, ["recount.repair", "recount.done"]);
    let fields = json!({
        "audit": "recount.repair", "subject": asked.at("/job_id"), "owner": "default", "key_id": local_id(),
        "key_owner": "default", "request_id": asked.header("x-request-id"), "source_ip": "127.0.0.1",
    });
    is_line(&audit[0], &fields, &json!({ "repair": true, "settle_seconds": 0 }));
    assert_eq!(audit[1]["subject"], audit[0]["subject"]);
}

#[tokio::test]
async fn every_request_is_logged_with_its_key_and_owner() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "acme", "scopes": ["read"] })).await;
    let (log, _listening) = LogLines::listen(&service).await;
    with_key(&service, &key, "GET", "/v1/jobs").expect(200).await;
    with_key(&service, &key, "GET", "/v1/jobs?limit=0").expect(422).await;
    with_key(&service, &key, "POST", "/v1/jobs").expect(403).await;
    with_key(&service, "unknown", "GET", "/v1/jobs").expect(401).await;
    service.get("/v1/jobs?owner=acme").expect(200).await;
    service.anonymous("GET", "/health").expect(200).await;
    let lines: Vec<Value> = log.lines().into_iter().filter(|line| line.get("function").is_some()).collect();
    let told: Vec<_> = lines.iter().map(|line| (&line["status"], &line["key_id"], &line["owner"])).collect();
    let (id, local, null) = (json!(key_id), json!(local_id()), Value::Null);
    let (acme, statuses) = (json!("acme"), [200, 422, 403, 401].map(|status| json!(status)));
    let expected = [
        (&statuses[0], &id, &acme),
        (&statuses[1], &id, &acme),
        (&statuses[2], &id, &acme),
        (&statuses[3], &null, &null),
        (&statuses[0], &local, &acme),
        (&statuses[0], &null, &null),
    ];
    assert_eq!(told, expected);
}

/// A word in all that a caller sends and receives. It must not be in the log.
const MARK: &str = "sesame";
/// The token that scrapers send.
const SCRAPE_TOKEN: &str = "scrape-0123456789";

#[tokio::test]
async fn no_line_holds_a_secret_or_a_payload() {
    let service = Service::with(&[("ScrapeToken", SCRAPE_TOKEN)]).await;
    let (log, _listening) = LogLines::listen(&service).await;
    let body = json!({ "owner": "acme", "scopes": ["admin"] });
    let (key_id, key) = id_and_key(&service, &body).await;
    let call = |method: &str, path: &str| with_key(&service, &key, method, path);
    let job =
        json!({ "type": "a", "payload": MARK, "metadata": { "m": MARK }, "name": MARK, "external_id": MARK });
    call("POST", "/v1/jobs").header("idempotency-key", "sesame-key").json(&job).expect(201).await;
    call("POST", "/v1/jobs")
        .json(&json!({ "type": "a", "payload": MARK, "prority": MARK }))
        .expect(400)
        .await;
    call("POST", "/v1/jobs").body(format!("{{{MARK}")).expect(400).await;
    let body =
        json!([{ "external_id": "1", "type": "a", "status": "failed", "error": MARK, "result": MARK }]);
    call("POST", "/v1/admin/ingest/jobs").json(&body).expect(200).await;
    call("GET", &format!("/v1/jobs?search={MARK}")).expect(200).await;
    call("GET", &format!("/v1/jobs?colour={MARK}")).expect(422).await;
    let held = create_and_claim(&service, &json!({ "type": "b", "payload": MARK })).await;
    held.tell(&service, &json!({ "status": "failed", "error": MARK, "retryable": false })).await;
    let id = create(&service, &json!({ "type": "c", "payload": MARK })).await;
    service
        .call("PATCH", &format!("/v1/jobs/{id}"))
        .json(&json!({ "metadata": { "m": MARK } }))
        .expect(200)
        .await;
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    let link = service.staying("GET", "/v1/jobs/export").header("x-api-key", &key).expect(307).await;
    let place = link.header("location").expect("a place");
    let ticket = place.split_once("ticket=").expect("a ticket").1.to_owned();
    let file = service.anonymous("GET", &format!("/lambda-url/export-jobs/v1/jobs/export?ticket={ticket}"));
    assert!(file.expect(200).await.text.contains(MARK));
    let bulk = json!({ "action": "delete", "filter": { "type": "a" } });
    call("POST", "/v1/jobs/bulk").json(&bulk).expect(202).await;
    service.settled().await;
    call("DELETE", &format!("/v1/admin/keys/{key_id}")).expect(200).await;
    let other = format!("{key}0");
    with_key(&service, &other, "GET", "/v1/jobs").expect(401).await;

    for token in [SCRAPE_TOKEN.to_owned(), format!("{SCRAPE_TOKEN}0")] {
        let call = service.anonymous("GET", "/metrics").header("authorization", &format!("Bearer {token}"));
        call.send().await;
    }

    let all = log.all();
    let (secret, hash) = (key.trim_start_matches("jobledger_"), KeyHash::of(&key));
    let local = KeyHash::of(LOCAL_KEY);
    let secrets =
        [secret, hash.as_str(), LOCAL_KEY, local.as_str(), &ticket, &held.token, MARK, SCRAPE_TOKEN];
    for line in all.lines() {
        for secret in secrets {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
    }
    let actions: BTreeSet<_> = log.audit().iter().map(|line| text(&line["audit"])).collect();
    assert_eq!(
        actions,
        BTreeSet::from(["bulk.delete", "bulk.done", "key.made", "key.revoked"].map(str::to_owned))
    );
}
