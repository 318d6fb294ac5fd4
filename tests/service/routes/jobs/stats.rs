//! `GET /v1/jobs/stats`.

use jobledger::domain::Timestamp;
use jobledger_tests::Service;
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::keys::add_key;
use jobledger_tests::percentiles::percentiles;
use jobledger_tests::problems::refuses;
use serde_json::{Value, json};

async fn stats(service: &Service, query: &str) -> Value {
    service.get(&format!("/v1/jobs/stats?{query}")).expect(200).await.json
}

/// A job that waited 1.25 seconds and ran 2.5 seconds, as far as its status allows.
fn job(number: usize, status: &str, created_at: &str) -> Value {
    let at = |more: &str| created_at.replace(":00.000Z", more);
    let mut job = json!({
        "external_id": format!("n{number}"), "type": "a", "status": status, "created_at": created_at,
    });
    if ["running", "completed", "failed"].contains(&status) {
        job["started_at"] = json!(at(":01.250Z"));
    }
    if ["completed", "failed", "cancelled"].contains(&status) {
        job["completed_at"] = json!(at(":03.750Z"));
    }
    if status == "failed" {
        job["error"] = json!("x");
    }
    job
}

#[tokio::test]
async fn the_stats_of_an_owner_have_every_number() {
    let service = Service::start().await;
    let mut jobs = vec![
        job(1, "completed", "2026-01-11T05:00:00.000Z"),
        job(2, "completed", "2026-01-11T05:30:00.000Z"),
        job(3, "failed", "2026-01-11T06:00:00.000Z"),
        job(4, "running", "2026-01-11T06:59:00.000Z"),
        job(5, "queued", "2026-02-01T00:00:00.000Z"),
    ];
    jobs[0]["payload"] = json!([1, 2]);
    assert_eq!(ingest(&service, &json!(jobs)).await, [5, 0, 0, 0]);
    service.settled().await;
    let used = r#"{"payload":[1,2]}"#.len() + 5 * 1_024;
    let reply = service.get("/v1/jobs/stats").expect(200).await;
    let expect = format!(
        "{{\"total_jobs\":5,\"status_breakdown\":{{\"queued\":1,\"running\":1,\"completed\":2,\"failed\":1,\
         \"cancelled\":0}},\"created_jobs\":5,\"removed_jobs\":0,\"ended\":{{\"completed\":2,\"failed\":1,\
         \"cancelled\":0}},\"success_rate\":66.67,\"processing_metrics\":{{\"total_processing_seconds\":7.500,\
         \"mean_processing_seconds\":2.500,\"processing_percentiles_seconds\":{{\"p50\":3.000,\"p95\":4.800,\
         \"p99\":4.960}},\"mean_wait_seconds\":1.250,\"wait_percentiles_seconds\":{{\"p50\":3.000,\"p95\":4.800,\
         \"p99\":4.960}}}},\"storage\":{{\"used_bytes\":{used},\
         \"quota_bytes\":null,\"percent\":null}},\"date_range\":{{\"from\":null,\"to\":null}}}}"
    );
    assert_eq!(reply.text, expect, "to the digit");
    // Times are widened to whole hours. The stored bytes are always those of all jobs.
    let hour = stats(&service, "from_date=2026-01-11T05:59:59.999Z&to_date=2026-01-11T06:00:00Z").await;
    assert_eq!(hour["total_jobs"], 4);
    let range = json!({ "from": "2026-01-11T05:00:00.000Z", "to": "2026-01-11T06:59:59.999Z" });
    assert_eq!(hour["date_range"], range);
    assert_eq!(hour["storage"]["used_bytes"], used);
    let one = stats(&service, "created_after=2026-01-11T06:00:00Z&created_before=2026-01-11T06:00:00Z").await;
    assert_eq!(
        one["status_breakdown"],
        json!({ "queued": 0, "running": 1, "completed": 0, "failed": 1, "cancelled": 0 })
    );
    assert_eq!((&one["success_rate"], &one["ended"]["failed"]), (&json!(0.0), &json!(1)));
    // Without jobs that ended or began, there is no mean. An open end is null.
    let late = stats(&service, "from_date=2026-02-01").await;
    assert_eq!((&late["total_jobs"], &late["success_rate"]), (&json!(1), &Value::Null));
    assert_eq!(late["date_range"], json!({ "from": "2026-02-01T00:00:00.000Z", "to": null }));
    let nothing = json!({
        "total_processing_seconds": null, "mean_processing_seconds": null,
        "processing_percentiles_seconds": null, "mean_wait_seconds": null, "wait_percentiles_seconds": null,
    });
    assert_eq!(late["processing_metrics"], nothing);
}

#[tokio::test]
async fn stats_keep_events_of_deleted_jobs() {
    let service = Service::start().await;
    let jobs =
        [job(1, "completed", "2026-01-11T05:00:00.000Z"), job(2, "failed", "2026-01-11T05:00:00.000Z")];
    ingest(&service, &json!(jobs)).await;
    let id = create(&service, &json!({ "type": "a", "payload": "x" })).await;
    service.settled().await;
    assert!(stats(&service, "").await["storage"]["used_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    service.settled().await;
    let after = stats(&service, "").await;
    assert_eq!(
        (&after["total_jobs"], &after["created_jobs"], &after["removed_jobs"]),
        (&json!(2), &json!(3), &json!(1))
    );
    // The delete cancelled the job first.
    assert_eq!(after["ended"], json!({ "completed": 1, "failed": 1, "cancelled": 1 }));
    assert_eq!((&after["success_rate"], &after["storage"]["used_bytes"]), (&json!(33.33), &json!(2 * 1_024)));
    // A job that changes its type is removed from the old type and created in the new one, with its times.
    let mut moved = job(1, "completed", "2026-01-11T05:00:00.000Z");
    moved["type"] = json!("b");
    assert_eq!(ingest(&service, &json!([moved])).await, [0, 1, 0, 0]);
    service.settled().await;
    let moved = stats(&service, "to_date=2026-01-11").await;
    assert_eq!(
        (&moved["total_jobs"], &moved["created_jobs"], &moved["removed_jobs"]),
        (&json!(2), &json!(3), &json!(1))
    );
    assert_eq!(moved["ended"]["completed"], 2);
    assert_eq!(moved["processing_metrics"]["mean_processing_seconds"], json!(2.5));
}

#[tokio::test]
async fn an_owner_without_jobs_has_zeros() {
    let service = Service::start().await;
    create(&service, &json!({ "type": "a", "payload": "x" })).await;
    service.settled().await;
    add_key(&service, "reader", "nobody", &["read"], None).await;
    let expect = json!({
        "total_jobs": 0, "created_jobs": 0, "removed_jobs": 0, "success_rate": null,
        "status_breakdown": { "queued": 0, "running": 0, "completed": 0, "failed": 0, "cancelled": 0 },
        "ended": { "completed": 0, "failed": 0, "cancelled": 0 },
        "processing_metrics": {
            "total_processing_seconds": null, "mean_processing_seconds": null,
        "processing_percentiles_seconds": null, "mean_wait_seconds": null, "wait_percentiles_seconds": null,
        },
        "storage": { "used_bytes": 0, "quota_bytes": null, "percent": null },
        "date_range": { "from": null, "to": null },
    });
    assert_eq!(stats(&service, "owner=nobody").await, expect);
    let call = |query: &str| {
        service.anonymous("GET", &format!("/v1/jobs/stats{query}")).header("x-api-key", "reader")
    };
    assert_eq!(call("").expect(200).await.json, expect);
    call("?owner=default").expect(403).await;
    // Far beyond all jobs, and over all of the calendar.
    let far = stats(&service, "owner=nobody&from_date=1066-10-14&to_date=2999-12-31").await;
    assert_eq!(
        far["date_range"],
        json!({ "from": "1066-10-14T00:00:00.000Z", "to": "2999-12-31T23:59:59.999Z" })
    );
    assert_eq!(stats(&service, "owner=nobody&from_date=0001-01-01&to_date=9999-12-31").await, expect);
    assert_eq!(stats(&service, "from_date=1066-10-14&to_date=2999-12-31").await["total_jobs"], 1);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    for (query, fields) in [
        ("from_date=2026-01-02&to_date=2026-01-01", vec!["to_date"]),
        ("created_after=2026-01-02&created_before=2026-01-01T23:59:59.999Z", vec!["created_before"]),
        ("from_date=soon&to_date=2026-02-30", vec!["from_date", "to_date"]),
        ("from_date=2026-01-01&created_after=2026-01-01", vec!["from_date"]),
        ("start=2026-01-01&end=2026-01-01", vec!["start", "end"]),
        ("type=a+b&status=queued&limit=1", vec!["type", "status", "limit"]),
        ("from_date=2026-01-01&from_date=2026-01-01", vec!["from_date"]),
    ] {
        let reply = service.get(&format!("/v1/jobs/stats?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &fields);
    }
}

#[tokio::test]
async fn a_series_has_every_hour_or_day_of_the_dates() {
    let service = Service::shared().await;
    let jobs = [
        job(1, "completed", "2026-01-11T05:00:00.000Z"),
        job(2, "failed", "2026-01-11T05:59:00.000Z"),
        job(3, "queued", "2026-01-11T07:00:00.000Z"),
        job(4, "completed", "2026-01-13T00:00:00.000Z"),
    ];
    assert_eq!(ingest(&service, &json!(jobs)).await, [4, 0, 0, 0]);
    service.settled().await;
    let column = |stats: &Value, name: &str| -> Vec<Value> {
        stats["series"].as_array().expect("a series").iter().map(|entry| entry[name].clone()).collect()
    };
    let hours = "from_date=2026-01-11T05:30:00Z&to_date=2026-01-11T07:00:00Z";
    let by_hour = stats(&service, &format!("by=hour&{hours}")).await;
    let from = ["05:00", "06:00", "07:00"].map(|hour| json!(format!("2026-01-11T{hour}:00.000Z")));
    assert_eq!(column(&by_hour, "from"), from);
    assert_eq!(by_hour["series"][0]["to"], "2026-01-11T05:59:59.999Z");
    assert_eq!(column(&by_hour, "created_jobs"), [2, 0, 1]);
    assert_eq!(column(&by_hour, "success_rate"), [json!(50.0), Value::Null, Value::Null]);
    let ended = json!({ "completed": 1, "failed": 1, "cancelled": 0 });
    assert_eq!(by_hour["series"][0]["ended"], ended);
    assert_eq!(by_hour["series"][0]["processing_metrics"]["mean_processing_seconds"], 2.5);
    assert!(by_hour["series"][0].get("storage").is_none());
    // The rest is the same as without a series.
    let mut rest = by_hour.clone();
    rest.as_object_mut().expect("an object").remove("series");
    assert_eq!(rest, stats(&service, hours).await);
    // Days are whole, and so are the dates of the sum.
    let by_day = stats(&service, &format!("by=day&{}", hours.replace("11T07", "13T07"))).await;
    assert_eq!(column(&by_day, "total_jobs"), [3, 0, 1]);
    assert_eq!(by_day["total_jobs"], 4);
    let range = json!({ "from": "2026-01-11T00:00:00.000Z", "to": "2026-01-13T23:59:59.999Z" });
    assert_eq!(by_day["date_range"], range);
    for query in [
        "by=hour",
        "by=hour&from_date=2026-01-11",
        "by=day&to_date=2026-01-11",
        "by=minute&from_date=2026-01-11&to_date=2026-01-11",
        "by=hour&from_date=2026-01-01&to_date=2026-03-01",
        "by=day&from_date=2020-01-01&to_date=2026-03-01",
    ] {
        let reply = service.get(&format!("/v1/jobs/stats?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &["by"]);
    }
}

/// A completed job that waited and ran for so many milliseconds.
fn timed(number: u32, kind: &str, wait_ms: i64, run_ms: i64) -> Value {
    let created_at = Timestamp::parse("2026-01-11T05:00:00Z").expect("a time").plus_hours(hour(number));
    let started_at = created_at.plus_millis(wait_ms);
    json!({
        "external_id": format!("t{number}"), "type": kind, "status": "completed", "created_at": created_at,
        "started_at": started_at, "completed_at": started_at.plus_millis(run_ms),
    })
}

/// Every tenth job is of the second hour.
fn hour(number: u32) -> i64 {
    i64::from(number.is_multiple_of(10))
}

#[tokio::test]
async fn percentiles_are_told_by_owner_by_type_and_by_hour() {
    let service = Service::shared().await;
    // Jobs of `slow` take up to two days, and those of `fast` less than two seconds.
    let of = |number: u32| match number % 3 {
        0 => ("slow", 1_000 * i64::from(number).pow(2), 20_000 * i64::from(number).pow(2)),
        _ => ("fast", 7 * i64::from(number), 19 * i64::from(number)),
    };
    let jobs: Vec<_> = (1..=100).map(|number| (number, of(number))).collect();
    let lines = jobs.iter().map(|(number, (kind, wait, run))| timed(*number, kind, *wait, *run));
    assert_eq!(ingest(&service, &Value::Array(lines.collect())).await, [100, 0, 0, 0]);
    service.settled().await;
    let expected = |is_wanted: &dyn Fn(u32, &str) -> bool| {
        let wanted = jobs.iter().filter(|(number, (kind, ..))| is_wanted(*number, kind));
        let times =
            wanted.map(|(_, (_, wait, run))| [*wait, *run].map(|time| u64::try_from(time).unwrap_or(0)));
        let times: Vec<_> = times.collect();
        let of = |place: usize| percentiles(&times.iter().map(|times| times[place]).collect::<Vec<_>>());
        (of(0), of(1))
    };
    let told = |numbers: &Value| {
        let metrics = &numbers["processing_metrics"];
        (metrics["wait_percentiles_seconds"].clone(), metrics["processing_percentiles_seconds"].clone())
    };
    let dates = "from_date=2026-01-11T05:00:00Z&to_date=2026-01-11T06:00:00Z";
    for query in ["", dates] {
        assert_eq!(told(&stats(&service, query).await), expected(&|_, _| true), "{query}");
        for kind in ["slow", "fast"] {
            let of_kind = stats(&service, &format!("type={kind}&{query}")).await;
            assert_eq!(told(&of_kind), expected(&|_, of| of == kind), "{kind} {query}");
            let number = jobs.iter().filter(|(_, (of, ..))| *of == kind).count();
            assert_eq!(of_kind["total_jobs"], json!(number), "{kind} {query}");
        }
        let both = stats(&service, &format!("type=fast,slow,none&{query}")).await;
        assert_eq!(both, stats(&service, query).await, "{query}");
    }
    let none = stats(&service, "type=none").await;
    assert_eq!((told(&none), &none["total_jobs"]), ((Value::Null, Value::Null), &json!(0)));
    for kind in ["slow", "fast"] {
        let by_hour = stats(&service, &format!("type={kind}&by=hour&{dates}")).await;
        for (place, entry) in by_hour["series"].as_array().expect("a series").iter().enumerate() {
            let is_wanted = |number: u32, of: &str| of == kind && i64::try_from(place) == Ok(hour(number));
            assert_eq!(told(entry), expected(&is_wanted), "{kind} {entry}");
        }
    }
}
