//! Which bodies hold jobs, and how many of them.

use jobledger_tests::{Reply, Service};
use serde_json::json;

use super::super::{is_problem, refuses, text, total, went_in};
use super::completed;

async fn send(service: &Service, body: impl Into<Vec<u8>>) -> Reply {
    service.call("POST", "/v1/admin/ingest/jobs").body(body).send().await
}

#[tokio::test]
async fn an_array_and_lines_are_the_same() {
    let service = Service::start().await;
    let [one, two] = ["1", "2"].map(|id| completed(id).to_string());
    for (body, expect) in [
        (format!("[{one},{two}]"), [2, 0, 0, 0]),
        (format!("{one}\n{two}"), [0, 0, 2, 0]),
        (format!("{one}\r\n\r\n  {two}  \r\n"), [0, 0, 2, 0]),
        (format!("\n\n{one}\n\n"), [0, 0, 1, 0]),
        (format!(" [\n {one} ,\n {two}\n ]\n"), [0, 0, 2, 0]),
        (one.clone(), [0, 0, 1, 0]),
        (format!("\u{feff}{one}\n{two}\n"), [0, 0, 2, 0]),
        (format!("\u{feff}[{two}]"), [0, 0, 1, 0]),
    ] {
        let reply = send(&service, body.clone()).await;
        assert_eq!((reply.status, went_in(&reply)), (200, expect), "{body}");
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 2);
}

#[tokio::test]
async fn a_broken_line_keeps_no_other_out() {
    let service = Service::start().await;
    let [one, two, three] = ["1", "2", "3"].map(|id| completed(id).to_string());
    let body = [
        one.as_bytes(),
        b"{\"external_id\":\"x\",",
        two.as_bytes(),
        b"[]",
        b"null",
        b"{\"external_id\":\"\xff\"}",
        three.as_bytes(),
        b"\"text\"",
        &one.as_bytes()[..20],
    ];
    let reply = send(&service, body.join(b"\n".as_slice())).await;
    assert_eq!((reply.status, went_in(&reply)), (200, [3, 0, 0, 6]), "{}", reply.text);
    let rejected = reply.at("/rejected").as_array().expect("a list");
    let lines: Vec<_> = rejected.iter().map(|line| line["line"].as_u64().expect("a number")).collect();
    assert_eq!(lines, [2, 4, 5, 6, 8, 9]);
    for line in rejected {
        assert_eq!(line["external_id"], json!(null));
        assert!(!text(&line["errors"][0]["message"]).is_empty() && line["errors"][0]["field"].is_string());
    }
    // In an array it is the same, as long as the whole is JSON.
    let reply = send(&service, format!("[{one},null,{{\"type\":1}},{two}]")).await;
    assert_eq!((reply.status, went_in(&reply)), (200, [0, 0, 2, 2]), "{}", reply.text);
    service.settled().await;
    assert_eq!(total(&service, "").await, 3);
}

#[tokio::test]
async fn a_body_without_jobs_is_refused() {
    let service = Service::start().await;
    let one = completed("1").to_string();
    let bodies = [
        String::new(),
        " \n\r\n".into(),
        "[]".into(),
        "\u{feff}".into(),
        "[".into(),
        format!("[{one}"),
        format!("[{one},]"),
        format!("[{one}]{one}"),
        format!("[{one}][{one}]"),
        format!("[{one} {one}]"),
    ];
    for body in bodies {
        let reply = send(&service, body).await;
        is_problem(&reply, 400, "invalid_json");
    }
    is_problem(&send(&service, [b"[\"\xff\",", one.as_bytes(), b"]"].concat()).await, 400, "invalid_json");
    service.settled().await;
    assert_eq!(total(&service, "").await, 0, "nothing was written");
}

#[tokio::test]
async fn a_call_has_a_limit_of_jobs() {
    let service = Service::start().await;
    let line =
        |number: usize| format!("{{\"external_id\":\"{number}\",\"type\":\"a\",\"status\":\"queued\"}}");
    let lines: Vec<String> = (0..10_001).map(line).collect();
    for body in [lines.join("\n"), format!("[{}]", lines.join(","))] {
        let reply = send(&service, body).await;
        is_problem(&reply, 413, "too_large");
        let detail = text(reply.at("/detail"));
        assert!(detail.contains("10001") && detail.contains("10000"), "{detail}");
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 0, "nothing was written");
    // As many as may be; none of them goes in, so this is quick. Much is wrong with each: the answer has to fit too.
    let line =
        format!("{{{}}}", ('a'..='z').map(|name| format!("\"{name}\":1")).collect::<Vec<_>>().join(","));
    let reply = send(&service, vec![line; 10_000].join("\n")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(went_in(&reply), [0, 0, 0, 10_000]);
    for line in reply.at("/rejected").as_array().expect("a list") {
        assert!(line["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{line}");
    }
}

#[tokio::test]
async fn a_call_has_a_limit_of_bytes() {
    let service = Service::start().await;
    let limit = 5 * 1024 * 1024;
    let body = |bytes: usize| {
        let job = completed("1").to_string();
        format!("{job}\n{}", " ".repeat(bytes - job.len() - 1))
    };
    for bytes in [limit + 1, 7_000_000] {
        let reply = send(&service, body(bytes)).await;
        is_problem(&reply, 413, "too_large");
        assert!(text(reply.at("/detail")).contains(if bytes == 7_000_000 { "6 MB" } else { "5242880" }));
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 0, "nothing was written");
    assert_eq!(went_in(&send(&service, body(limit)).await), [1, 0, 0, 0]);
}

#[tokio::test]
async fn the_query_takes_no_names() {
    let service = Service::start().await;
    let path = "/v1/admin/ingest/jobs?format=ndjson&dry_run=1";
    let reply = service.post(path, &json!([completed("1")])).send().await;
    refuses(&reply, 422, "invalid_query", &["dry_run", "format"]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}
