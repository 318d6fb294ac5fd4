//! Calls that break off at each of their requests, and are repeated. The second call must complete the first.

use jobledger::Environment;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::dynamo::{Item, text};
use jobledger_tests::faults::Fault;
use jobledger_tests::jobs::went_in;
use jobledger_tests::stream::{event, raw_record};
use serde_json::{Value, json};

use super::FaultFixture;

/// More requests than any call sends.
const MAX_REQUESTS: usize = 40;
/// Lines of the call: the first is known and unchanged, the next two are known and changed.
const LINES: u64 = 5;

fn line(round: usize, number: u64, version: u64) -> Value {
    json!({
        "external_id": format!("{round}-{number}"),
        "type": "render",
        "status": "completed",
        "created_at": "2026-03-01T00:00:00Z",
        "completed_at": "2026-03-01T00:00:01Z",
        "payload": { "version": version },
        "result": { "version": version },
        "cost_usd": version.to_string(),
    })
}

/// The version of a job, if it exists. All its parts must have the same version.
async fn version(fixture: &FaultFixture, round: usize, number: u64) -> Option<u64> {
    let page = fixture.service.get(&format!("/v1/jobs?external_id={round}-{number}")).expect(200).await;
    let id = page.at("/jobs/0/job_id").as_str()?.to_owned();
    let job = fixture.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    let version = job.at("/payload/version").as_u64().expect("a version");
    assert_eq!(job.at("/result/version"), &json!(version), "{}", job.text);
    assert_eq!(job.at("/cost_usd"), &json!(format!("{version}.000000")), "{}", job.text);
    Some(version)
}

#[tokio::test]
async fn a_repeated_ingest_completes_one_that_was_cut_off() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.behind("ingest-jobs").await.knows_the_key().await;
    let mut round = 0;
    for last in [Fault::refused(), Fault::AnswerLost, Fault::cancelled()] {
        for broken in 0..MAX_REQUESTS {
            round += 1;
            let old: Vec<Value> = (0..3).map(|number| line(round, number, 1)).collect();
            fixture.service.post("/v1/admin/ingest/jobs", &json!(old)).expect(200).await;
            let new: Vec<Value> =
                (0..LINES).map(|number| line(round, number, if number == 0 { 1 } else { 2 })).collect();
            let request = Request::new("POST", "/v1/admin/ingest/jobs").body(json!(new).to_string());
            let last = last.clone();
            behind.proxy.plan(move |seen| match seen.number {
                number if number < broken => Fault::None,
                number if number == broken => last.clone(),
                _ => Fault::refused(),
            });
            let first = behind.call(&request).await;
            let sent = behind.proxy.operations();
            let what = format!("broken at {broken} of {sent:?}: {}", first.text);
            let is_whole = sent.len() <= broken;
            assert_eq!(first.status == 200, is_whole, "{what}");
            // However far the call came, each job has one line's values only.
            for number in 0..LINES {
                let versions: &[Option<u64>] = match number {
                    0 => &[Some(1)],
                    1 | 2 => &[Some(1), Some(2)],
                    _ => &[None, Some(2)],
                };
                let found = version(&fixture, round, number).await;
                assert!(versions.contains(&found), "{number} is {found:?}, {what}");
            }
            behind.proxy.heal();
            let again = behind.call(&request).await;
            assert_eq!(again.status, 200, "{what}: {}", again.text);
            let [created, updated, unchanged, rejected] = went_in(&again);
            assert_eq!((created + updated + unchanged, rejected), (LINES, 0), "{what}: {}", again.text);
            for number in 0..LINES {
                let expect = if number == 0 { 1 } else { 2 };
                assert_eq!(version(&fixture, round, number).await, Some(expect), "{number}, {what}");
            }
            assert_eq!(went_in(&behind.call(&request).await), [0, 0, LINES, 0], "{what}");
            if is_whole {
                break;
            }
            assert!(broken + 1 < MAX_REQUESTS, "more requests than are tried: {sent:?}");
        }
    }
    assert!(round > 15, "a call has several requests, and each was broken");
    leaves_nothing(&fixture).await;
    fixture.service.settled().await;
    let report = fixture.service.get("/v1/analytics/cost/by-team").expect(200).await;
    let dollars = u64::try_from(round).expect("few") * (1 + 2 * (LINES - 1));
    assert_eq!(report.at("/total_cost_usd"), &json!(format!("{dollars}.000000")), "each is counted once");
}

/// Calls that broke off left parts that no head names. Deleting the job deletes them, too.
async fn leaves_nothing(fixture: &FaultFixture) {
    let heads = fixture.heads().await;
    delete(fixture, heads.values()).await;
    fixture.service.settled().await;
    let left = fixture.dynamo.scan(&fixture.jobs).await;
    assert!(!left.is_empty(), "some calls broke off between parts and heads");
    let later = later(fixture).await;
    removed(&later, heads.values()).await;
    assert_eq!(fixture.dynamo.scan(&fixture.jobs).await.len(), 0, "of {} before", left.len());
}

/// `delete-job-data`, ten minutes later: by then no call that runs now still runs.
async fn later(fixture: &FaultFixture) -> Alone {
    let environment =
        fixture.service.environment_at("delete-job-data", fixture.service.stack.dynamodb_endpoint());
    let clock = || system_clock().plus_millis(600_000);
    Alone::start("delete-job-data", Environment { clock, ..environment }).await
}

/// Delivers records that these heads were removed.
async fn removed(function: &Alone, heads: impl Iterator<Item = &Item>) {
    let record = |(place, head): (usize, &Item)| {
        let keys = json!({ "job_id": head["job_id"], "part": head["part"] });
        raw_record(place, &keys, Some(head.clone()), None)
    };
    let records: Vec<Value> = heads.enumerate().map(record).collect();
    function.invoke(&event("shard", &records)).await.expect("they are removed");
}

async fn delete(fixture: &FaultFixture, heads: impl Iterator<Item = &Item>) {
    for head in heads {
        fixture.service.call("DELETE", &format!("/v1/jobs/{}", text(head, "job_id"))).expect(200).await;
    }
}

/// A late or repeated record of an earlier life of a job deletes nothing of the present job.
#[tokio::test]
async fn cleaning_up_an_earlier_version_keeps_the_parts_of_the_current_one() {
    let fixture = FaultFixture::start().await;
    let ingest = |version: u64| fixture.service.post("/v1/admin/ingest/jobs", &json!([line(0, 0, version)]));
    ingest(1).expect(200).await;
    let first = fixture.heads().await;
    delete(&fixture, first.values()).await;
    fixture.service.settled().await;
    assert_eq!(went_in(&ingest(2).expect(200).await), [1, 0, 0, 0]);
    let later = later(&fixture).await;
    removed(&later, first.values()).await;
    assert_eq!(version(&fixture, 0, 0).await, Some(2));
    // A call has written the parts of a job, but not the head that names them.
    let behind = fixture.behind("ingest-jobs").await.knows_the_key().await;
    behind.proxy.plan(|seen| if seen.operation == "PutItem" { Fault::refused() } else { Fault::None });
    let body = json!([line(0, 1, 1)]).to_string();
    let broken = behind.call(&Request::new("POST", "/v1/admin/ingest/jobs").body(body)).await;
    assert_eq!(broken.status, 500, "{}", broken.text);
    let parts = fixture.dynamo.scan(&fixture.jobs).await;
    let mut head = fixture.heads().await.into_values().next().expect("the job");
    let written = parts.iter().find(|item| item["job_id"] != head["job_id"]).expect("a part");
    head.insert("job_id".to_owned(), written["job_id"].clone());
    let now = fixture.function_at("delete-job-data", fixture.service.stack.dynamodb_endpoint()).await;
    removed(&now, [&head].into_iter()).await;
    assert_eq!(fixture.dynamo.scan(&fixture.jobs).await.len(), parts.len());
    removed(&later, [&head].into_iter()).await;
    assert_eq!(fixture.dynamo.scan(&fixture.jobs).await.len(), 3, "a head, its input and its output");
}
