//! The same jobs again: unchanged, changed, at once; and their counts.

use jobledger_tests::jobs::{ingest, total, went_in};
use jobledger_tests::metrics::Samples;
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{completed, only_job};

fn with(mut job: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        job[name] = value.clone();
    }
    job
}

#[tokio::test]
async fn a_repeated_call_changes_nothing() {
    let service = Service::start().await;
    let jobs = json!([completed("1"), with(completed("2"), &json!({ "payload": { "a": 1, "b": 2 } }))]);
    assert_eq!(ingest(&service, &jobs).await, [2, 0, 0, 0]);
    service.settled().await;
    let (before, samples) = (service.get("/v1/jobs").expect(200).await, Samples::scrape(&service).await);
    assert_eq!(ingest(&service, &jobs).await, [0, 0, 2, 0]);
    // Another order of lines and fields, and an older field name.
    let line = r#"{"params":{"b":2,"a":1},"completed_at":"2026-01-01T00:00:01Z","tool":"a","external_id":"2",
        "started_at":"2026-01-01T00:00:00Z","created_at":"2026-01-01T00:00:00Z","status":"completed","name":null}"#;
    let body = format!("{}\n{}", line.replace('\n', ""), completed("1"));
    let reply = service.call("POST", "/v1/admin/ingest/jobs").body(body).expect(200).await;
    assert_eq!(went_in(&reply), [0, 0, 2, 0], "{}", reply.text);
    service.settled().await;
    assert_eq!(service.get("/v1/jobs").expect(200).await.json, before.json);
    let after = Samples::scrape(&service).await;
    assert_eq!(
        after.of("jobledger_job").collect::<Vec<_>>(),
        samples.of("jobledger_job").collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn only_changed_jobs_are_updated() {
    let service = Service::shared().await;
    let first = json!([completed("1"), with(completed("2"), &json!({ "payload": "old", "result": "old" }))]);
    assert_eq!(ingest(&service, &first).await, [2, 0, 0, 0]);
    let changes =
        json!({ "type": "b", "payload": "new", "priority": 9, "labels": { "team": "t" }, "cost_usd": "1" });
    let second = json!([completed("1"), with(completed("2"), &changes), completed("3")]);
    assert_eq!(ingest(&service, &second).await, [1, 1, 1, 0]);
    let job = only_job(&service, "type=b").await;
    assert_eq!((&job["payload"], &job["priority"]), (&json!("new"), &json!(9)));
    assert_eq!(job["result"], json!(null), "what a line leaves out is not there");
    // Ingest deletes the old parts at once, because no later call would find them.
    let parts = stored_parts(&service, &text(&job["job_id"])).await;
    assert_eq!(parts.len(), 2, "a head and an input: {parts:?}");
    // A different last digit is a change.
    for (number, expect) in
        [("1.00000000000000000001", 1), ("1.00000000000000000002", 1), ("1.00000000000000000002", 0)]
    {
        let line = completed("1").to_string().replacen('{', &format!("{{\"payload\":{number},"), 1);
        let reply = service.call("POST", "/v1/admin/ingest/jobs").body(line).expect(200).await;
        assert_eq!(went_in(&reply), [0, expect, 1 - expect, 0], "{number}");
    }
}

#[tokio::test]
async fn a_job_follows_only_steps_of_the_status_table() {
    let service = Service::start().await;
    let job = |id: &str, status: &str| {
        let mut job =
            json!({ "external_id": id, "type": "a", "status": status, "created_at": "2026-01-01T00:00:00Z" });
        if status != "queued" {
            job["started_at"] = json!("2026-01-01T00:00:01Z");
        }
        if !["queued", "running"].contains(&status) {
            job["completed_at"] = json!("2026-01-01T00:00:02Z");
        }
        if status == "failed" {
            job["error"] = json!("why");
        }
        job
    };
    let statuses = ["queued", "running", "completed", "failed", "cancelled"];
    for from in statuses {
        for to in statuses {
            let id = format!("{from}-{to}");
            assert_eq!(ingest(&service, &json!([job(&id, from)])).await, [1, 0, 0, 0]);
            let reply = service.post("/v1/admin/ingest/jobs", &json!([job(&id, to)])).expect(200).await;
            // A source may report after several steps at once. Only a completed job cannot change.
            let expect = match (from, to) {
                _ if from == to => [0, 0, 1, 0],
                ("completed", _) => [0, 0, 0, 1],
                // The line is about the attempt that has ended: it arrived late.
                ("failed" | "cancelled", "running") => [0, 0, 1, 0],
                _ => [0, 1, 0, 0],
            };
            assert_eq!(went_in(&reply), expect, "{id}: {}", reply.text);
            if expect[3] == 1 {
                assert_eq!(reply.at("/rejected/0/external_id"), &json!(id));
                assert_eq!(reply.at("/rejected/0/errors/0/field"), "status");
            }
        }
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 25);
    assert_eq!(total(&service, "status=completed").await, 5 + 4);
    Samples::scrape(&service).await.balance();
}

#[tokio::test]
async fn a_job_that_moves_on_keeps_the_attempt_that_ended() {
    let service = Service::shared().await;
    let line = |status: &str, changes: Value| {
        let line = json!({
            "external_id": "1", "type": "a", "status": status, "created_at": "2026-01-01T00:00:00Z", "max_attempts": 3,
        });
        json!([with(line, &changes)])
    };
    let failed = json!({
        "started_at": "2026-01-01T00:00:01Z", "completed_at": "2026-01-01T00:00:02Z",
        "error": { "message": "bad luck", "code": "luck" },
    });
    assert_eq!(ingest(&service, &line("failed", failed)).await, [1, 0, 0, 0]);
    let begin = json!({ "started_at": "2026-01-01T00:00:05Z" });
    assert_eq!(ingest(&service, &line("running", begin.clone())).await, [0, 1, 0, 0]);
    let end = with(begin, &json!({ "completed_at": "2026-01-01T00:00:06Z" }));
    assert_eq!(ingest(&service, &line("completed", end)).await, [0, 1, 0, 0]);
    let id = text(&only_job(&service, "").await["job_id"]);
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!((job.at("/status"), job.at("/attempt")), (&json!("completed"), &json!(2)), "{}", job.text);
    assert_eq!(job.at("/attempts").as_array().map(Vec::len), Some(2), "{}", job.text);
    assert_eq!(job.at("/attempts/0/error/code"), "luck");
    assert_eq!(job.at("/attempts/0/ended_at"), "2026-01-01T00:00:02.000Z");
    assert_eq!(job.at("/attempts/1/error"), &Value::Null);
}

#[tokio::test]
async fn each_attempt_that_a_source_tells_is_kept() {
    let service = Service::shared().await;
    for number in 0..4 {
        let line = json!([{
            "external_id": "1", "type": "a", "status": "failed", "created_at": "2026-01-01T00:00:00Z",
            "started_at": format!("2026-01-01T00:00:0{}Z", 2 * number),
            "completed_at": format!("2026-01-01T00:00:0{}Z", 2 * number + 1), "error": format!("no {number}"),
        }]);
        assert_eq!(ingest(&service, &line).await.iter().sum::<u64>(), 1, "{number}");
    }
    service.settled().await;
    let id = text(&only_job(&service, "").await["job_id"]);
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    let attempts = job.at("/attempts").as_array().expect("attempts");
    let told: Vec<_> = attempts.iter().map(|tried| (&tried["number"], &tried["error"]["message"])).collect();
    let expect = [1, 2, 3, 4].map(|number| (json!(number), json!(format!("no {}", number - 1))));
    assert_eq!(
        told,
        expect.iter().map(|(number, message)| (number, message)).collect::<Vec<_>>(),
        "{}",
        job.text
    );
}

#[tokio::test]
async fn counts_follow_a_job_to_another_type_and_another_time() {
    let service = Service::start().await;
    let job = |kind: &str, day: &str| {
        json!([{
            "external_id": "1", "type": kind, "status": "completed", "created_at": format!("{day}T10:00:00Z"),
            "started_at": format!("{day}T10:00:00Z"), "completed_at": format!("{day}T10:00:01Z"),
        }])
    };
    let check = async |kind: &str, day: &str| {
        service.settled().await;
        for other in ["a", "b"] {
            assert_eq!(total(&service, &format!("type={other}")).await, u64::from(other == kind), "{other}");
        }
        for other in ["2026-01-15", "2026-01-16", "2026-02-16"] {
            let query = format!("created_after={other}&created_before={other}");
            assert_eq!(total(&service, &query).await, u64::from(other == day), "{other}");
        }
        for (month, next) in [("2026-01", "2026-01-31"), ("2026-02", "2026-02-28")] {
            let query = format!("created_after={month}-01&created_before={next}");
            assert_eq!(total(&service, &query).await, u64::from(day.starts_with(month)), "{month}");
        }
        assert_eq!(total(&service, "").await, 1);
        Samples::scrape(&service).await.balance();
    };
    assert_eq!(ingest(&service, &job("a", "2026-01-15")).await, [1, 0, 0, 0]);
    check("a", "2026-01-15").await;
    for (kind, day) in [("b", "2026-01-15"), ("b", "2026-01-16"), ("a", "2026-02-16"), ("a", "2026-01-15")] {
        assert_eq!(ingest(&service, &job(kind, day)).await, [0, 1, 0, 0], "{kind} {day}");
        check(kind, day).await;
    }
    // The offset is past the end, so these totals come from the counts and not from a page.
    assert_eq!(service.get("/v1/jobs?type=b&offset=5").expect(200).await.at("/total"), 0);
    assert_eq!(service.get("/v1/jobs?type=a&offset=5").expect(200).await.at("/total"), 1);
}

#[tokio::test]
async fn of_the_same_calls_at_once_one_creates_each_job() {
    let service = Service::start().await;
    // Half of the jobs have a head only, half have parts as well: ingest writes the two differently.
    let jobs: Vec<Value> = (0..60)
        .map(|number| {
            let job = completed(&format!("n{number}"));
            if number % 2 == 0 { job } else { with(job, &json!({ "payload": number })) }
        })
        .collect();
    let mut under_way = JoinSet::new();
    for _ in 0..6 {
        under_way.spawn(service.post("/v1/admin/ingest/jobs", &json!(jobs)).send());
    }
    let mut sum = [0; 4];
    for reply in under_way.join_all().await {
        assert_eq!(reply.status, 200, "{}", reply.text);
        for (sum, count) in sum.iter_mut().zip(went_in(&reply)) {
            *sum += count;
        }
    }
    assert_eq!(sum, [60, 0, 300, 0], "created, updated, unchanged, rejected");
    service.settled().await;
    assert_eq!(total(&service, "").await, 60);
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs_created_total{type=\"a\"}", "60");
    // No job has another job's parts, and none lacks its own.
    for number in [1, 7, 59] {
        let page = service.get(&format!("/v1/jobs?limit=1&offset={number}")).expect(200).await;
        let job = service.get(&format!("/v1/jobs/{}", text(page.at("/jobs/0/job_id")))).expect(200).await;
        let number: u64 = text(job.at("/external_id"))[1..].parse().expect("a number");
        let parts = stored_parts(&service, &text(job.at("/job_id"))).await;
        if number.is_multiple_of(2) {
            assert_eq!((job.at("/payload"), parts.len()), (&Value::Null, 1), "{parts:?}");
        } else {
            assert_eq!((job.at("/payload"), parts.len()), (&json!(number), 2), "{parts:?}");
        }
    }
}

#[tokio::test]
async fn different_calls_at_once_leave_each_job_whole() {
    let service = Service::shared().await;
    let jobs = |version: u32| -> Vec<Value> {
        let changes = json!({ "payload": version, "priority": version, "result": [version] });
        (0..20).map(|number| with(completed(&format!("n{number}")), &changes)).collect()
    };
    let mut under_way = JoinSet::new();
    for version in 0..5 {
        under_way.spawn(service.post("/v1/admin/ingest/jobs", &json!(jobs(version))).send());
    }
    let mut created = 0;
    for reply in under_way.join_all().await {
        assert_eq!(reply.status, 200, "{}", reply.text);
        created += went_in(&reply)[0];
    }
    assert_eq!(created, 20);
    let page = service.get("/v1/jobs?limit=100").expect(200).await;
    for job in page.at("/jobs").as_array().expect("jobs") {
        let job = service.get(&format!("/v1/jobs/{}", text(&job["job_id"]))).expect(200).await;
        assert_eq!((job.at("/payload"), job.at("/result/0")), (job.at("/priority"), job.at("/priority")));
        let parts = stored_parts(&service, &text(job.at("/job_id"))).await;
        assert_eq!(parts.len(), 3, "{parts:?}");
    }
}
