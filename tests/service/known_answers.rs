//! `ETag` and `If-None-Match`: an answer that the caller has is not sent again.

use jobledger_tests::jobs::create;
use jobledger_tests::keys::{id_and_key, with_key};
use jobledger_tests::{Service, text};
use serde_json::json;

#[tokio::test]
async fn an_answer_that_did_not_change_is_not_sent_again() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    service.settled().await;
    let job = format!("/v1/jobs/{id}");
    for path in [job.as_str(), "/v1/jobs", "/v1/jobs/count", "/v1/types/a"] {
        let first = service.get(path).expect(200).await;
        let tag = first.header("etag").expect("a tag").to_owned();
        assert_eq!(first.header("cache-control"), Some("private, no-cache"), "{path}");
        for known in
            [tag.clone(), tag.trim_start_matches("W/").to_owned(), format!("\"a\", {tag}"), "*".to_owned()]
        {
            let again = service.get(path).header("if-none-match", &known).expect(304).await;
            assert_eq!(
                (again.text.as_str(), again.header("etag")),
                ("", Some(tag.as_str())),
                "{path} {known}"
            );
            assert!(again.header("x-request-id").is_some());
        }
        let packed = service.get(path).header("accept-encoding", "gzip").header("if-none-match", &tag);
        packed.expect(304).await;
        service.call("HEAD", path).header("if-none-match", &tag).expect(304).await;
        let other = service.get(path).header("if-none-match", "\"a\"").expect(200).await;
        assert_eq!(other.text, first.text, "{path}");
    }
    let before = service.get(&job).expect(200).await;
    service.call("PATCH", &job).json(&json!({ "name": "b" })).expect(200).await;
    let tag = before.header("etag").expect("a tag");
    let after = service.get(&job).header("if-none-match", tag).expect(200).await;
    assert_eq!(after.at("/name"), "b");
    assert_ne!(after.header("etag"), Some(tag));
}

#[tokio::test]
async fn a_tag_opens_nothing() {
    let service = Service::start().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let path = format!("/v1/jobs/{id}");
    let (_, other) = id_and_key(&service, &json!({ "owner": "other", "scopes": ["read"] })).await;
    for known in ["*".to_owned(), text(&json!(service.get(&path).expect(200).await.header("etag")))] {
        service.anonymous("GET", &path).header("if-none-match", &known).expect(401).await;
        with_key(&service, &other, "GET", &path).header("if-none-match", &known).expect(404).await;
    }
}

#[tokio::test]
async fn only_what_may_be_kept_is_tagged() {
    let service = Service::shared().await;
    for (call, status) in [
        (service.post("/v1/jobs", &json!({ "type": "a" })), 201),
        (service.get("/v1/jobs?limit=0"), 422),
        (service.staying("GET", "/v1/jobs/export").header("x-api-key", &service.key), 307),
        (service.anonymous("GET", "/health"), 200),
        (service.anonymous("GET", "/metrics"), 200),
        (service.get("/lambda-url/export-jobs/v1/jobs/export"), 200),
    ] {
        let reply = call.header("if-none-match", "*").expect(status).await;
        assert_eq!(reply.header("etag"), None, "{}", reply.text);
    }
}
