//! The progress of jobs, from their source.

use jobledger_tests::jobs::{ingest, total, went_in};
use jobledger_tests::metrics::Samples;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

use super::only_job;

const PATH: &str = "/v1/admin/ingest/jobs";

fn running(progress: &Value) -> Value {
    json!({
        "external_id": "1", "type": "a", "status": "running", "created_at": "2026-01-01T00:00:00Z",
        "started_at": "2026-01-01T00:00:00Z", "progress": progress,
    })
}

fn shown(task: &Value, current: &Value, overall: &Value) -> Value {
    json!({ "current_task": task, "current_task_progress": current, "overall_progress": overall, "eta_seconds": null })
}

/// The progress of a job without its `eta_seconds`, which only a running job with some progress has.
fn progress(job: &Value) -> Value {
    let mut progress = job["progress"].clone();
    let eta = progress["eta_seconds"].take();
    let is_under_way = job["status"] == "running" && progress["overall_progress"] != 0;
    assert_eq!(eta.is_u64(), is_under_way, "{job}");
    progress
}

#[tokio::test]
async fn a_changed_progress_is_an_update_and_moves_no_count() {
    let service = Service::start().await;
    let first = json!({ "current_task": "decode", "current_task_progress": 50, "overall_progress": 12.345 });
    assert_eq!(ingest(&service, &json!([running(&first)])).await, [1, 0, 0, 0]);
    assert_eq!(ingest(&service, &json!([running(&first)])).await, [0, 0, 1, 0]);
    service.settled().await;
    let samples = Samples::scrape(&service).await;
    let job = only_job(&service, "").await;
    assert_eq!(progress(&job), shown(&json!("decode"), &json!(50), &json!(12.35)));
    // The source may correct progress downwards. Each line has all fields of the job.
    for (said, expect) in [
        (json!({ "overall_progress": 10 }), shown(&json!(null), &json!(null), &json!(10))),
        (json!({ "current_task": "encode" }), shown(&json!("encode"), &json!(null), &json!(0))),
        (
            json!({ "overall_progress": 100, "current_task_progress": 0.005 }),
            shown(&json!(null), &json!(0.01), &json!(100)),
        ),
        (json!(null), shown(&json!(null), &json!(null), &json!(0))),
    ] {
        assert_eq!(ingest(&service, &json!([running(&said)])).await, [0, 1, 0, 0], "{said}");
        assert_eq!(progress(&only_job(&service, "").await), expect, "{said}");
    }
    service.settled().await;
    let after = Samples::scrape(&service).await;
    assert_eq!(
        after.of("jobledger_job").collect::<Vec<_>>(),
        samples.of("jobledger_job").collect::<Vec<_>>()
    );
    assert_eq!(total(&service, "status=running").await, 1);
}

#[tokio::test]
async fn an_ended_job_keeps_its_last_progress_unless_it_completed() {
    let service = Service::shared().await;
    let said =
        json!({ "current_task": "encode", "current_task_progress": 33.3333, "overall_progress": 66.67 });
    let last = shown(&json!("encode"), &json!(33.33), &json!(66.67));
    for (status, expect) in [
        ("failed", last.clone()),
        ("cancelled", last.clone()),
        ("completed", shown(&json!(null), &json!(null), &json!(100))),
    ] {
        let mut job = running(&said);
        job["external_id"] = json!(status);
        job["type"] = json!(status);
        assert_eq!(ingest(&service, &json!([job])).await, [1, 0, 0, 0]);
        assert_eq!(progress(&only_job(&service, &format!("type={status}")).await), last);
        job["status"] = json!(status);
        job["completed_at"] = json!("2026-01-01T00:00:01Z");
        if status == "failed" {
            job["error"] = json!("why");
        }
        assert_eq!(ingest(&service, &json!([job])).await, [0, 1, 0, 0]);
        assert_eq!(progress(&only_job(&service, &format!("type={status}")).await), expect, "{status}");
    }
    // A caller cancels such a job here, too, and the answer shows its last progress.
    let mut job = running(&said);
    job["type"] = json!("here");
    ingest(&service, &json!([job])).await;
    let id = text(&only_job(&service, "type=here").await["job_id"]);
    let cancelled = service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    assert_eq!(cancelled.at("/progress"), &last);
    assert_eq!(service.get(&format!("/v1/jobs/{id}")).expect(200).await.at("/progress"), &last);
    // A queued job has no progress, whatever its source says.
    let queued = json!({ "external_id": "q", "type": "q", "status": "queued", "progress": said });
    assert_eq!(ingest(&service, &json!([queued])).await, [1, 0, 0, 0]);
    let expect = shown(&json!(null), &json!(null), &json!(0));
    assert_eq!(progress(&only_job(&service, "type=q").await), expect);
}

#[track_caller]
fn rejects(reply: &Reply, mut fields: Vec<&str>) {
    assert_eq!(went_in(reply), [0, 0, 0, 1], "{}", reply.text);
    let errors = reply.at("/rejected/0/errors").as_array().expect("errors");
    let mut named: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    named.sort_unstable();
    fields.sort_unstable();
    assert_eq!(named, fields, "{}", reply.text);
}

#[tokio::test]
async fn a_task_is_kept_as_far_as_it_can_be_shown() {
    let service = Service::shared().await;
    let long = "ä".repeat(201);
    let cut = format!("{}…", "ä".repeat(199));
    for (told, kept) in [
        ("", json!(null)),
        (" ", json!(null)),
        ("a\u{202e}b", json!("a b")),
        ("a\nb", json!("a b")),
        ("a\u{7f}", json!("a")),
        (&long, json!(cut)),
    ] {
        let job = running(&json!({ "current_task": told }));
        let reply = service.post(PATH, &json!([job])).expect(200).await;
        assert_eq!(reply.at("/rejected"), &json!([]), "{told:?}: {}", reply.text);
        assert_eq!(only_job(&service, "").await["progress"]["current_task"], kept, "{told:?}");
    }
}

#[tokio::test]
async fn every_wrong_field_of_progress_is_named() {
    let service = Service::shared().await;
    let check = async |said: Value, fields: Vec<&str>| {
        rejects(&service.post(PATH, &json!([running(&said)])).expect(200).await, fields);
    };
    for bad in [json!(50), json!("50"), json!([]), json!(true)] {
        check(bad, vec!["progress"]).await;
    }
    for bad in
        [json!(-1), json!(-0.01), json!(100.01), json!(1e3), json!("50"), json!(true), json!([1]), json!({})]
    {
        check(json!({ "overall_progress": bad }), vec!["progress.overall_progress"]).await;
        check(json!({ "current_task_progress": bad }), vec!["progress.current_task_progress"]).await;
    }
    for bad in [json!(1), json!({})] {
        check(json!({ "current_task": bad }), vec!["progress.current_task"]).await;
    }
    let much =
        json!({ "current_task": 1, "current_task_progress": 101, "overall_progress": "x", "eta_seconds": 1 });
    let fields = vec![
        "progress.current_task",
        "progress.current_task_progress",
        "progress.overall_progress",
        "progress.eta_seconds",
    ];
    check(much, fields).await;
    let line =
        running(&json!(null)).to_string().replace("null", r#"{"overall_progress":1,"overall_progress":2}"#);
    rejects(&service.call("POST", PATH).body(line).expect(200).await, vec!["progress.overall_progress"]);
    let longest = json!({ "current_task": "ä".repeat(200) });
    assert_eq!(ingest(&service, &json!([running(&longest)])).await, [1, 0, 0, 0]);
}
