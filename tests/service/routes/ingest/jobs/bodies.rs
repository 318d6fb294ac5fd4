//! The bodies that ingest accepts, and how many jobs they may have.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use jobledger_tests::jobs::{total, went_in};
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Reply, Service, text};
use serde_json::json;

use super::completed;

async fn send(service: &Service, body: impl Into<Vec<u8>>) -> Reply {
    service.call("POST", "/v1/admin/ingest/jobs").body(body).send().await
}

#[tokio::test]
async fn an_array_and_lines_are_the_same() {
    let service = Service::shared().await;
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
async fn a_broken_line_does_not_reject_the_others() {
    let service = Service::shared().await;
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
    // In an array the jobs are treated alike, if the whole array is JSON.
    let reply = send(&service, format!("[{one},null,{{\"type\":1}},{two}]")).await;
    assert_eq!((reply.status, went_in(&reply)), (200, [0, 0, 2, 2]), "{}", reply.text);
    service.settled().await;
    assert_eq!(total(&service, "").await, 3);
}

/// The default output of `jq`: ingest rejects every line, and the first error names the remedy.
#[tokio::test]
async fn a_job_over_several_lines_is_rejected_with_the_remedy() {
    let service = Service::shared().await;
    let pretty = serde_json::to_string_pretty(&completed("1")).expect("JSON");
    let reply = send(&service, pretty.clone()).await;
    assert_eq!(went_in(&reply), [0, 0, 0, pretty.lines().count() as u64], "{}", reply.text);
    let hints =
        |index: usize| text(reply.at(&format!("/rejected/{index}/errors/0/message"))).contains("jq -c");
    assert!(hints(0) && !hints(1), "{}", reply.text);
    // In an array, a job may have several lines.
    assert_eq!(went_in(&send(&service, format!("[\n{pretty}\n]")).await), [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_body_without_jobs_is_refused() {
    let service = Service::shared().await;
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
    // The most jobs of a call. All are rejected, so this is fast. Each has many errors, and the answer must have room.
    let line =
        format!("{{{}}}", ('a'..='z').map(|name| format!("\"{name}\":1")).collect::<Vec<_>>().join(","));
    let reply = send(&service, vec![line; 10_000].join("\n")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(went_in(&reply), [0, 0, 0, 10_000]);
    for line in reply.at("/rejected").as_array().expect("a list") {
        assert!(line["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{line}");
    }
}

/// Lines of this size together. If they are no text, more than one byte in five is a quotation mark.
fn lines(bytes: usize, is_text: bool) -> String {
    let payload = if is_text { json!("word ".repeat(20_000)) } else { json!(vec!["word"; 12_500]) };
    let mut body = String::new();
    for number in 0.. {
        let mut job = completed(&number.to_string());
        job["payload"] = payload.clone();
        let line = format!("{job}\n");
        if body.len() + line.len() > bytes {
            break;
        }
        body.push_str(&line);
    }
    let rest = " ".repeat(bytes - body.len());
    body + &rest
}

#[tokio::test]
async fn a_call_has_a_limit_of_bytes() {
    const MIB_5: usize = 5 * 1024 * 1024;
    let service = Service::start().await;
    // API Gateway passes text as JSON, and other types as base64. Of Lambda's 6 MB, base64 takes more.
    let no_text = [None, Some("application/x-ndjson"), Some("application/x-www-form-urlencoded")];
    let text_types = [Some("text/plain"), Some("application/json")];
    let cases = no_text
        .into_iter()
        .flat_map(|r#type| [(r#type, 4_700_000, false, None), (r#type, 4_750_000, false, Some("6 MB"))])
        .chain(text_types.into_iter().flat_map(|r#type| {
            [
                (r#type, 4_700_000, false, None),
                (r#type, MIB_5, false, Some("6 MB")),
                (r#type, MIB_5, true, None),
                (r#type, MIB_5 + 1, true, Some("5242880")),
                (r#type, 7_000_000, true, Some("6 MB")),
            ]
        }));
    for (r#type, bytes, is_text, refusal) in cases {
        let mut call = service.call("POST", "/v1/admin/ingest/jobs").body(lines(bytes, is_text));
        if let Some(r#type) = r#type {
            call = call.header("content-type", r#type);
        }
        let (reply, what) = (call.send().await, format!("{bytes} bytes as {type:?}"));
        let Some(detail) = refusal else {
            assert_eq!(reply.status, 200, "{what}: {}", reply.text);
            assert_eq!(went_in(&reply)[3], 0, "{what}");
            continue;
        };
        is_problem(&reply, 413, "too_large");
        assert!(text(reply.at("/detail")).contains(detail), "{what}: {}", reply.text);
    }
}

/// For a compressed body, the inflated size counts, whatever its content type.
#[tokio::test]
async fn a_compressed_call_may_use_the_whole_limit() {
    const MIB_5: usize = 5 * 1024 * 1024;
    let service = Service::start().await;
    let send = async |bytes: usize| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(lines(bytes, false).as_bytes()).expect("memory");
        let call = service.call("POST", "/v1/admin/ingest/jobs").header("content-encoding", "gzip");
        let call = call.header("content-type", "application/x-ndjson");
        call.body(packed.finish().expect("memory")).send().await
    };
    let reply = send(MIB_5 + 1).await;
    is_problem(&reply, 413, "too_large");
    assert!(text(reply.at("/detail")).contains("5242880"), "{}", reply.text);
    let reply = send(MIB_5).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(went_in(&reply)[1..], [0, 0, 0]);
}

#[tokio::test]
async fn the_query_takes_no_names() {
    let service = Service::shared().await;
    let path = "/v1/admin/ingest/jobs?format=ndjson&dry_run=1";
    let reply = service.post(path, &json!([completed("1")])).send().await;
    refuses(&reply, 422, "invalid_query", &["dry_run", "format"]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}
