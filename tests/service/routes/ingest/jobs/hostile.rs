//! Bodies from hostile or broken sources.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use jobledger_tests::jobs::{total, went_in};
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

use super::{completed, only_job};

const PATH: &str = "/v1/admin/ingest/jobs";
const MIB: usize = 1024 * 1024;

async fn send(service: &Service, body: impl Into<Vec<u8>>) -> Reply {
    service.call("POST", PATH).body(body).send().await
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

async fn packed(service: &Service, body: impl Into<Vec<u8>>) -> Reply {
    service.call("POST", PATH).header("content-encoding", "gzip").body(body).send().await
}

/// A valid line with one more field, inserted as text.
fn with(external_id: &str, more: &str) -> String {
    completed(external_id).to_string().replacen('{', &format!("{{{more},"), 1)
}

#[track_caller]
fn fields(reply: &Reply, index: usize) -> Vec<String> {
    let errors = reply.at(&format!("/rejected/{index}/errors")).as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| text(&error["field"])).collect()
}

#[tokio::test]
async fn a_body_is_inflated_only_up_to_the_limit() {
    let service = Service::shared().await;
    let line = format!("{}\n", completed("1"));
    let bomb = gzip(&vec![b'\n'; 200 * MIB]);
    assert!(bomb.len() < MIB, "{}", bomb.len());
    is_problem(&packed(&service, bomb.clone()).await, 413, "too_large");
    // Several members, each of them small.
    let member = gzip(&vec![b' '; MIB]);
    is_problem(&packed(&service, member.repeat(6)).await, 413, "too_large");
    assert_eq!(
        went_in(&packed(&service, [gzip(line.as_bytes()), member.repeat(4)].concat()).await),
        [1, 0, 0, 0]
    );
    // A bomb within a bomb is inflated once. The error says that the result is still compressed.
    let twice = packed(&service, gzip(&bomb)).await;
    is_problem(&twice, 400, "invalid_json");
    assert!(text(twice.at("/detail")).contains("pack it once"), "{}", twice.text);
    // A body that is cut off is refused whole, with the lines that arrived.
    let lines = gzip(format!("{line}{}\n", completed("2")).as_bytes());
    for end in [0, 1, 9, 10, lines.len() / 2, lines.len() - 1] {
        is_problem(&packed(&service, &lines[..end]).await, 400, "invalid_json");
    }
    // The header must match the body, in both directions.
    is_problem(&packed(&service, line.clone()).await, 400, "invalid_json");
    let unsaid = send(&service, lines.clone()).await;
    is_problem(&unsaid, 400, "invalid_json");
    assert!(text(unsaid.at("/detail")).contains("Content-Encoding: gzip"), "{}", unsaid.text);
    let other = service.call("POST", PATH).header("content-encoding", "br").body(lines).send().await;
    is_problem(&other, 415, "unsupported_encoding");
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);
}

#[tokio::test]
async fn encodings_other_than_utf_8_are_refused() {
    let service = Service::shared().await;
    let line = completed("1").to_string();
    let wide = |bytes: fn(u16) -> [u8; 2], mark: &[u8]| -> Vec<u8> {
        mark.iter().copied().chain(line.encode_utf16().flat_map(bytes)).collect()
    };
    for body in [
        wide(u16::to_le_bytes, b"\xff\xfe"),
        wide(u16::to_be_bytes, b"\xfe\xff"),
        wide(u16::to_le_bytes, b""),
        wide(u16::to_be_bytes, b""),
        line.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect(),
    ] {
        let reply = send(&service, body).await;
        is_problem(&reply, 400, "invalid_json");
        assert!(text(reply.at("/detail")).contains("UTF-8"), "{}", reply.text);
    }
    // Latin-1 does not spoil the whole body: only the lines with such letters are not UTF-8.
    let mut latin = with("2", "\"name\":\"caf?\"").into_bytes();
    let place = latin.iter().position(|byte| *byte == b'?').expect("it is there");
    latin[place] = 0xe9;
    let reply = send(&service, [line.as_bytes(), &latin].join(&b"\n"[..])).await;
    assert_eq!(went_in(&reply), [1, 0, 0, 1], "{}", reply.text);
}

#[tokio::test]
async fn byte_order_marks_are_passed_over_where_lines_begin() {
    let service = Service::shared().await;
    let [one, two, three] = ["1", "2", "3"].map(|id| completed(id).to_string());
    let body = format!("\u{feff}{one}\r\n\u{feff}{two}\n\u{feff}\n{three}");
    assert_eq!(went_in(&send(&service, body).await), [3, 0, 0, 0]);
    assert_eq!(went_in(&send(&service, format!("\u{feff}\n [{one},{two}]")).await), [0, 0, 2, 0]);
    // In other places it is not white space in JSON.
    let reply = send(&service, format!("{one}\u{feff}\n{}", with("4", "\u{feff}\"priority\":1"))).await;
    assert_eq!(went_in(&reply), [0, 0, 0, 2], "{}", reply.text);
    is_problem(&send(&service, format!("[{one},\u{feff}{two}]")).await, 400, "invalid_json");
}

#[tokio::test]
async fn lone_surrogates_are_refused_in_text_and_kept_in_payloads() {
    let service = Service::shared().await;
    let half = r#""\ud83d""#;
    for (field, value) in [
        ("name", half.to_owned()),
        ("labels", format!("{{\"team\":{half}}}")),
        ("error", half.to_owned()),
        ("timings", format!("{{{half}:1}}")),
        ("artifacts", format!("[{{\"name\":{half}}}]")),
        ("available_at", half.to_owned()),
    ] {
        let reply = send(&service, with("1", &format!("\"{field}\":{value}"))).await;
        assert_eq!(went_in(&reply), [0, 0, 0, 1], "{field}: {}", reply.text);
        assert!(fields(&reply, 0).contains(&field.to_owned()), "{}", reply.text);
    }
    let line = completed("x").to_string();
    let reply = send(&service, line.replace("\"x\"", half)).await;
    assert_eq!(
        (fields(&reply, 0), reply.at("/rejected/0/external_id")),
        (vec!["external_id".to_owned()], &Value::Null)
    );
    assert_eq!(
        went_in(&send(&service, with("1", &format!("{half}:1"))).await),
        [0, 0, 0, 1],
        "nor in a field's name"
    );
    // A whole pair is a character, in either spelling.
    assert_eq!(went_in(&send(&service, with("1", r#""name":"\ud83e\udd80""#)).await), [1, 0, 0, 0]);
    assert_eq!(only_job(&service, "search=%F0%9F%A6%80").await["name"], "🦀");
    // A payload keeps all that JSON allows, to the letter.
    let odd = format!("{{\"a\":{half},\"a\":1e400,\"b\":-0.0,\"c\":12345678901234567890.10}}");
    assert_eq!(went_in(&send(&service, with("2", &format!("\"payload\":{odd}"))).await), [1, 0, 0, 0]);
    let page = service.get("/v1/jobs?external_id=2").expect(200).await;
    let job = service.get(&format!("/v1/jobs/{}", text(page.at("/jobs/0/job_id")))).expect(200).await;
    assert!(job.text.contains(&odd), "{}", job.text);
}

#[tokio::test]
async fn numbers_out_of_all_bounds_are_refused_where_they_count() {
    let service = Service::shared().await;
    for number in ["1e400", "-1e400", "1e-400", "99999999999999999999", "0.5", "-1", "1e1"] {
        for field in ["priority", "max_attempts", "timeout_seconds", "ttl_hours"] {
            let reply = send(&service, with("1", &format!("\"{field}\":{number}"))).await;
            assert_eq!(
                (went_in(&reply), fields(&reply, 0)),
                ([0, 0, 0, 1], vec![field.to_owned()]),
                "{number}"
            );
        }
    }
    for (field, value) in [
        ("cost_usd", "1e400"),
        ("timings", "{\"a\":1e400}"),
        ("timings", "{\"a\":-0.1}"),
        ("labels", "{\"team\":\"a\",\"team\":\"b\"}"),
        ("timings", "{\"a\":1,\"a\":2}"),
        ("artifacts", "[{\"name\":\"a\",\"size_bytes\":1e400}]"),
        ("artifacts", "[{\"name\":\"a\",\"size_bytes\":-1}]"),
        ("progress.overall_progress", "1e400"),
    ] {
        let value = match field.split_once('.') {
            Some((outer, inner)) => format!("\"{outer}\":{{\"{inner}\":{value}}}"),
            None => format!("\"{field}\":{value}"),
        };
        let reply = send(&service, with("1", &value)).await;
        assert_eq!((went_in(&reply), fields(&reply, 0)), ([0, 0, 0, 1], vec![field.to_owned()]), "{value}");
    }
}

#[tokio::test]
async fn deep_nesting_breaks_nothing() {
    let service = Service::shared().await;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    is_problem(&send(&service, "[".repeat(100_000)).await, 400, "invalid_json");
    is_problem(&send(&service, "{\"a\":".repeat(100_000).replacen('{', "[{", 1)).await, 400, "invalid_json");
    // A complete one is an array with one entry that is not a job.
    assert_eq!(went_in(&send(&service, deep(100_000)).await), [0, 0, 0, 1]);
    assert_eq!(went_in(&send(&service, "{\"a\":".repeat(100_000)).await), [0, 0, 0, 1]);
    for field in [
        "payload",
        "result",
        "metadata",
        "labels",
        "timings",
        "artifacts",
        "progress",
        "error",
        "name",
        "colour",
    ] {
        let reply = send(&service, with("1", &format!("\"{field}\":{}", deep(100_000)))).await;
        assert_eq!(went_in(&reply), [0, 0, 0, 1], "{field}: {}", reply.text);
        assert!(fields(&reply, 0).contains(&field.to_owned()), "{field}: {}", reply.text);
    }
    assert_eq!(
        went_in(&send(&service, with("1", &format!("\"payload\":{}", deep(120)))).await),
        [1, 0, 0, 0]
    );
}

#[tokio::test]
async fn a_long_line_is_one_line() {
    let service = Service::shared().await;
    let fill = 5 * MIB - 1_000;
    let [before, after] = ["1", "3"].map(|id| completed(id).to_string());
    for (line, field) in [
        (with("2", &format!("\"payload\":\"{}\"", "x".repeat(fill))), "payload"),
        (with("2", &format!("\"phase\":\"{}\"", "x".repeat(fill))), "phase"),
        (with("2", &format!("\"{}\":1", "x".repeat(fill))), &"x".repeat(64)),
        // The message repeats each of these as two bytes, and JSON doubles both.
        (format!("\"{}\"", "\\\\".repeat(fill / 5)), "line"),
        (format!("[\"{}\"]", "\\\"".repeat(fill / 5)), "line"),
    ] {
        // As text, because base64 would make it longer than a call allows.
        let call = service.call("POST", PATH).header("content-type", "text/plain");
        let reply = call.body(format!("{before}\n{line}\n{after}")).send().await;
        assert_eq!(reply.status, 200, "{field}");
        assert_eq!(reply.at("/rejected").as_array().map(Vec::len), Some(1), "{field}");
        assert_eq!((reply.at("/rejected/0/line"), fields(&reply, 0)), (&json!(2), vec![field.to_owned()]));
        assert!(reply.text.len() < 5_000, "{} bytes", reply.text.len());
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 2);
}

#[tokio::test]
async fn every_rejected_line_of_a_full_call_is_listed() {
    let service = Service::start().await;
    // The answer repeats each id. With all errors it would be too long.
    let line = |number: usize| {
        let id = format!("{}{number:05}", "\\\"".repeat(100));
        format!(
            "{{\"external_id\":\"{id}\",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1}}"
        )
    };
    let body: Vec<String> = (1..=10_000).map(line).collect();
    let reply = send(&service, body.join("\n")).await;
    assert_eq!(went_in(&reply), [0, 0, 0, 10_000], "{}", &reply.text[..reply.text.len().min(500)]);
    let escaped = reply.text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    assert!(reply.text.len() + escaped <= 5_500_000, "{}", reply.text.len() + escaped);
    let told = |line: &Value| line["errors"].as_array().map_or(0, Vec::len);
    for (number, line) in (1..).zip(reply.at("/rejected").as_array().expect("lines")) {
        assert_eq!(line["line"], number);
        let left_out = line.get("errors_left_out").map_or(0, |count| count.as_u64().expect("a count"));
        assert_eq!(told(line) + usize::try_from(left_out).expect("few"), 10, "{line}");
    }
    assert_eq!((told(reply.at("/rejected/0")), told(reply.at("/rejected/9999"))), (10, 0));
    // The answer has at most a hundred errors of one line.
    let names: Vec<String> = (0..1_000).map(|number| format!("\"n{number:04}\":1")).collect();
    let reply = send(&service, with("1", &names.join(","))).await;
    assert_eq!((fields(&reply, 0).len(), reply.at("/rejected/0/errors_left_out")), (100, &json!(900)));
}

#[tokio::test]
async fn a_full_call_is_ingested_plain_and_compressed() {
    let service = Service::start().await;
    // Ingest accepts one line in ten, so that slow machines answer in time.
    let line = |number: usize| {
        let status = if number.is_multiple_of(10) { "queued" } else { "completed" };
        format!("{{\"external_id\":\"{number}\",\"type\":\"a\",\"status\":\"{status}\"}}")
    };
    let body = (0..10_000).map(line).collect::<Vec<_>>().join("\n");
    assert_eq!(went_in(&packed(&service, gzip(body.as_bytes())).await), [1_000, 0, 0, 9_000]);
    assert_eq!(went_in(&send(&service, body.clone()).await), [0, 0, 1_000, 9_000]);
    is_problem(&packed(&service, gzip(format!("{body}\n{{}}").as_bytes())).await, 413, "too_large");
}

#[tokio::test]
async fn an_owner_exists_once_it_is_named() {
    let service = Service::start().await;
    let path = format!("{PATH}?owner=nobody-yet");
    assert_eq!(went_in(&service.post(&path, &json!([completed("1")])).expect(200).await), [1, 0, 0, 0]);
    service.settled().await;
    assert_eq!((total(&service, "owner=nobody-yet").await, total(&service, "").await), (1, 0));
    for bad in ["", "*", "a%2Fb", "%F0%9F%A6%80"] {
        let reply = service.post(&format!("{PATH}?owner={bad}"), &json!([completed("1")])).send().await;
        refuses(&reply, 422, "invalid_query", &["owner"]);
    }
}
