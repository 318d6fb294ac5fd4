//! The real service.

use jobledger_local::LOCAL_KEY;
use jobledger_tests::Service;
use jobledger_tests::swf::{LoggedJob, parse};
use serde_json::{Value, json};

use crate::command::{Ended, Ingest, Source, ingest};

/// A slice of a real log; see the README beside it.
const LOG: &str = include_str!("../../../tests/fixtures/nasa-ipsc-1993-slice.swf");

fn url(service: &Service) -> String {
    service.stack.url().expect("an HTTP API")
}

fn sending(service: &Service, source: &Source) -> Ingest {
    ingest(&source.path, &url(service)).key(LOCAL_KEY)
}

async fn total(service: &Service, query: &str) -> u64 {
    service.settled().await;
    let page = service.get(&format!("/v1/jobs?limit=1&{query}")).expect(200).await;
    assert_eq!(page.at("/total_kind"), "exact");
    page.at("/total").as_u64().expect("a total")
}

fn log() -> Vec<LoggedJob> {
    parse(LOG).expect("a log")
}

fn array(jobs: &[LoggedJob]) -> String {
    Value::from(jobs.iter().map(LoggedJob::to_ingest).collect::<Vec<_>>()).to_string()
}

#[tokio::test]
async fn a_real_log_is_ingested_exactly_although_the_command_is_killed_repeatedly() {
    let service = Service::start().await;
    let jobs = log();
    let count = u64::try_from(jobs.len()).unwrap();
    let source = Source::new(array(&jobs));
    // A third in each run, with the next call in flight.
    for part in 1..3 {
        let running = sending(&service, &source).with(&["--batch", "50"]).start();
        service
            .eventually("a part of the file", async || (source.confirmed() >= count * part / 3).then_some(()))
            .await;
        running.signal("-KILL").await;
        running.ended().await;
    }
    let before = source.confirmed();
    let ended = sending(&service, &source).with(&["--batch", "50"]).run().await;
    let [created, updated, unchanged, rejected] = ended.counts();
    assert_eq!((created + unchanged, updated, rejected), (count, 0, 0), "{ended:?}");
    assert_eq!((ended.code, &ended.summary["jobs_before"]), (Some(0), &before.into()));
    assert_eq!(total(&service, "").await, count);
    for job in jobs.iter().step_by(jobs.len() / 20) {
        let found = service.get(&format!("/v1/jobs?external_id={}", job.number)).expect(200).await;
        assert_eq!(found.at("/jobs/0/type"), job.kind());
        assert_eq!(found.at("/jobs/0/completed_at"), &json!(job.completed_at()));
    }
    sending(&service, &source).with(&["--restart"]).run().await.is(0, [0, 0, count, 0]);
    assert_eq!(total(&service, "").await, count);
}

#[tokio::test]
async fn rejected_jobs_are_reported_with_their_line_and_every_reason() {
    let service = Service::start().await;
    let good = |id: &str, team: &str| {
        json!({
            "external_id": id, "type": "a", "status": "completed", "labels": { "team": team },
            "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z",
        })
        .to_string()
    };
    let wrong = json!({ "external_id": "w", "type": "", "status": "gone", "colour": 1 }).to_string();
    let lines = [good("1", "red"), "{".to_owned(), good("2", "red"), String::new(), wrong, good("1", "blue")];
    let source = Source::new(lines.join("\n"));
    let ended: Ended = sending(&service, &source).with(&["--batch", "2"]).run().await;
    ended.is(1, [2, 1, 0, 2]);
    let mut rejected = source.rejected();
    for (_, fields) in &mut rejected {
        fields.sort();
        // A field may be wrong in several ways.
        fields.dedup();
    }
    let fields = ["colour", "status", "type"].map(ToOwned::to_owned);
    assert_eq!(rejected, [(2, vec!["line".to_owned()]), (5, fields.to_vec())]);
    // The last line about a job wins.
    assert_eq!((total(&service, "team=red").await, total(&service, "team=blue").await), (1, 1));
}

#[tokio::test]
async fn jobs_belong_to_the_named_owner_and_a_key_is_required() {
    let service = Service::start().await;
    let source = Source::new(array(&log()[..3]));
    let refused = ingest(&source.path, &url(&service)).run().await;
    refused.says(2, &["401", "key"]);
    let ended = sending(&service, &source).with(&["--owner", "other"]).run().await;
    ended.is(0, [3, 0, 0, 0]);
    assert_eq!((total(&service, "").await, total(&service, "owner=other").await), (0, 3));
    // Only the service knows the owners. It accepts no job, and the command keeps no state.
    for owner in ["", "-a", "a b&owner=local", "ä"] {
        let other = Source::new(array(&log()[..1]));
        let refused = sending(&service, &other).with(&[&format!("--owner={owner}")]).run().await;
        refused.says(2, &["422", "owner", "must be"]);
        assert_eq!(other.confirmed(), 0);
        sending(&service, &other).with(&["--owner", "third"]).run().await.says(0, &[]);
    }
    sending(&service, &source)
        .with(&["--url", &format!("{}/v2", url(&service)), "--restart"])
        .run()
        .await
        .says(2, &["404"]);
}
