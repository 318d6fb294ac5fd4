//! Reports while a job runs.

use jobledger_tests::Service;
use jobledger_tests::claims::{claim, create_and_claim, set_type};
use jobledger_tests::jobs::create;
use jobledger_tests::stored::stored_items;
use serde_json::{Value, json};

use super::{patch, time, whole};

#[tokio::test]
async fn a_report_renews_the_lease_and_touches_nothing_else() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a", "payload": 1 })).await;
    let first = whole(&service, &held.id).await;
    service
        .eventually("another millisecond", || async {
            (jobledger::lambda::system_clock() > time(&first["updated_at"])).then_some(())
        })
        .await;
    let reply = held.tell(&service, &json!({})).await;
    assert_eq!((reply.at("/cancel"), reply.at("/status")), (&json!(false), &json!("running")));
    assert!(time(reply.at("/lease_expires_at")) > time(&first["lease_expires_at"]));
    let mut after = whole(&service, &held.id).await;
    assert_eq!(&after["lease_expires_at"], reply.at("/lease_expires_at"));
    after["lease_expires_at"] = first["lease_expires_at"].clone();
    assert_eq!(after, first, "nothing else moved");
    // The lease is renewed for its old length, or for the length in the report.
    for (said, length) in [
        (json!({}), 60_000),
        (json!({ "lease_seconds": 10 }), 10_000),
        (json!({ "lease_seconds": 900 }), 900_000),
    ] {
        let before = jobledger::lambda::system_clock();
        let until = time(held.tell(&service, &said).await.at("/lease_expires_at"));
        let lasts = until.since(before);
        assert!((length..length + 30_000).contains(&lasts), "{said}: {lasts}");
    }
    // A summary, with the fields of lists.
    assert!(reply.at("/payload").is_null() && reply.at("/lease_token").is_null(), "{}", reply.text);
}

#[tokio::test]
async fn a_lease_is_not_renewed_past_the_timeout_of_the_attempt() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a", "timeout_seconds": 30 })).await;
    let started = time(&held.job["started_at"]);
    for report in [json!({ "lease_seconds": 900 }), json!({ "lease_seconds": 900, "phase": "late" })] {
        let until = time(held.tell(&service, &report).await.at("/lease_expires_at"));
        assert_eq!(until.since(started), 30_000);
    }
    let until = time(held.tell(&service, &json!({ "lease_seconds": 10 })).await.at("/lease_expires_at"));
    assert!(until.since(started) < 30_000);
}

fn overall(value: &Value) -> &Value {
    &value["progress"]["overall_progress"]
}

#[tokio::test]
async fn progress_never_falls_within_an_attempt() {
    let service = Service::shared().await;
    set_type(&service, "a", &json!({ "backoff_seconds": 0 })).await;
    let first = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
    let mut most = json!(0);
    for (said, expect) in [(30, 30), (10, 30), (30, 30), (55, 55), (0, 55), (100, 100), (99, 100)] {
        let report =
            json!({ "progress": { "current_task": format!("at {said}"), "overall_progress": said } });
        let reply = first.tell(&service, &report).await;
        assert_eq!(overall(&reply.json), &json!(expect), "{said}");
        // The current task changes all the same.
        assert_eq!(reply.at("/progress/current_task"), &json!(format!("at {said}")));
        most = overall(&whole(&service, &first.id).await).clone();
    }
    assert_eq!(most, 100);
    // A report with more than progress does not lower it, either.
    let slow = json!({ "phase": "x", "progress": { "overall_progress": 3 } });
    assert_eq!(overall(&first.tell(&service, &slow).await.json), 100);
    // The next attempt begins at 0.
    first.tell(&service, &json!({ "status": "failed", "error": "no" })).await;
    assert_eq!(overall(&whole(&service, &first.id).await), 0);
    let second = claim(&service, &json!({ "worker_id": "x", "types": ["a"] })).await.remove(0);
    assert_eq!(overall(&second.job), 0);
    assert_eq!(
        overall(&second.tell(&service, &json!({ "progress": { "overall_progress": 5 } })).await.json),
        5
    );
}

#[tokio::test]
async fn fields_of_progress_may_be_reported_one_by_one() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    for (said, task, current, overall) in [
        (json!({ "current_task": "a", "current_task_progress": 12.345 }), json!("a"), json!(12.35), json!(0)),
        (json!({ "overall_progress": 0.005 }), json!("a"), json!(12.35), json!(0.01)),
        (json!({ "current_task": "b" }), json!("b"), json!(null), json!(0.01)),
        (json!({ "current_task": "b", "current_task_progress": 0 }), json!("b"), json!(0), json!(0.01)),
        (json!({}), json!("b"), json!(0), json!(0.01)),
    ] {
        let mut shown = held.tell(&service, &json!({ "progress": said })).await.at("/progress").clone();
        shown["eta_seconds"].take();
        let expect = json!({
            "current_task": task, "current_task_progress": current, "overall_progress": overall, "eta_seconds": null,
        });
        assert_eq!(shown, expect, "{said}");
    }
}

#[tokio::test]
async fn stages_are_weighed() {
    let service = Service::shared().await;
    let stages = json!([{ "name": "load", "weight": 1 }, { "name": "work", "weight": 3 }]);
    set_type(&service, "a", &json!({ "stages": stages })).await;
    let leased = create_and_claim(&service, &json!({ "type": "a" })).await;
    let outside = create(&service, &json!({ "type": "a" })).await;
    patch(&service, &outside, &json!({ "status": "running" })).expect(200).await;
    for (said, expect) in [
        (json!({ "current_task": "load", "current_task_progress": 50 }), json!(12.5)),
        (json!({ "current_task": "load" }), json!(12.5)),
        (json!({ "current_task": "work", "current_task_progress": 40 }), json!(55)),
        // A name that is not a stage gives no overall progress. A reported overall progress takes precedence.
        (json!({ "current_task": "other", "current_task_progress": 90 }), json!(55)),
        (json!({ "current_task": "work", "current_task_progress": 50, "overall_progress": 56 }), json!(56)),
        (json!({ "current_task": "work", "current_task_progress": 100 }), json!(100)),
    ] {
        let report = json!({ "progress": said });
        assert_eq!(overall(&leased.tell(&service, &report).await.json), &expect, "{said}");
        let reply = patch(&service, &outside, &report).expect(200).await;
        assert_eq!(overall(&reply.json), &expect, "outside: {said}");
    }
}

#[tokio::test]
async fn the_time_that_is_left_follows_from_progress() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let eta = |value: &Value| value["progress"]["eta_seconds"].clone();
    assert!(eta(&held.job).is_null(), "nothing is known yet");
    let half = held.tell(&service, &json!({ "progress": { "overall_progress": 50 } })).await;
    assert!(eta(&half.json).as_u64().is_some_and(|seconds| seconds < 60), "{}", half.text);
    let all = held.tell(&service, &json!({ "progress": { "overall_progress": 100 } })).await;
    assert_eq!(eta(&all.json), 0);
    let done = held.tell(&service, &json!({ "status": "completed" })).await;
    assert_eq!((eta(&done.json), overall(&done.json)), (json!(null), &json!(100)));
}

#[tokio::test]
async fn a_heartbeat_writes_the_head_alone_and_no_part() {
    let service = Service::shared().await;
    let job = create_and_claim(&service, &json!({ "type": "a", "payload": [1] })).await;
    let before = stored_items(&service, &job.id).await;
    job.tell(&service, &json!({ "progress": { "current_task": "x", "overall_progress": 3 } })).await;
    let after = stored_items(&service, &job.id).await;
    assert_eq!((before.len(), after.len()), (2, 2));
    let changed = |name: &str| {
        let of = |items: &[jobledger_tests::dynamo::Item]| {
            let head = items.iter().find(|item| item["part"]["S"] == "head").expect("a head");
            head.get(name).cloned()
        };
        of(&before) != of(&after)
    };
    let head = after.iter().find(|item| item["part"]["S"] == "head").expect("a head");
    let moved: Vec<&String> = head.keys().filter(|name| changed(name)).collect();
    assert!(moved.iter().all(|name| ["lease_until", "progress"].contains(&name.as_str())), "{moved:?}");
}

#[tokio::test]
async fn phase_and_files_may_be_reported_before_the_end() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    assert_eq!(held.tell(&service, &json!({ "status": "transcoding" })).await.at("/phase"), "transcoding");
    assert_eq!(held.tell(&service, &json!({ "phase": "uploading" })).await.at("/phase"), "uploading");
    assert_eq!(held.tell(&service, &json!({ "status": "running" })).await.at("/phase"), "uploading");
    held.tell(&service, &json!({ "artifacts": [{ "name": "a" }], "timings": { "load": 1.5 } })).await;
    held.tell(&service, &json!({ "artifacts": [{ "name": "b", "size_bytes": 2 }], "cost_usd": "0.5" })).await;
    let job = whole(&service, &held.id).await;
    let artifact = |name: &str, bytes: Value| json!({ "name": name, "size_bytes": bytes, "content_type": null, "attributes": null, "download_url": null });
    assert_eq!(job["timings"], json!({ "load": 1.5 }));
    assert!(job["artifacts"].as_array().expect("a list").contains(&artifact("b", json!(2))), "{job}");
    assert_eq!((&job["cost_usd"], &job["status"]), (&json!("0.500000"), &json!("running")));
    // The reports left one output in all, and the job completes with it.
    assert_eq!(stored_items(&service, &held.id).await.len(), 2);
    let end = held.tell(&service, &json!({ "status": "completed", "result": 7 })).await;
    assert!(end.at("/phase").is_null(), "{}", end.text);
    let job = whole(&service, &held.id).await;
    assert_eq!((&job["result"], &job["timings"]), (&json!(7), &json!({ "load": 1.5 })));
    assert_eq!(stored_items(&service, &held.id).await.len(), 2);
}
