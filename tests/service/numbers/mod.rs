//! The routes for numbers, compared with a plain model. The jobs lie in several months, days and odd hours. They
//! change, are deleted and expire.

mod model;

use jobledger::counts::HEAD_BYTES;
use jobledger::domain::{ExternalId, JobId, Owner, Timestamp};
use jobledger_tests::Service;
use jobledger_tests::dynamo::{Dynamo, text};
use jobledger_tests::jobs::{ingest, total};
use jobledger_tests::stream::Dice;
use serde_json::{Value, json};

use model::{Job, Model, STATUSES};

/// Jobs that the test ingests.
const JOBS: u64 = 150;
/// Changes in each round.
const CHANGES: u64 = 50;
/// Ranges of dates that the test reads after each round.
const RANGES: u64 = 25;

const TYPES: [&str; 4] = ["a", "b.c", "d:e", "rare"];
const MODELS: [&str; 4] = ["gpt-4", "x#y", "\"quoted\"", "größe"];
const TEAMS: [&str; 3] = ["search", "pictures", "día"];
const BEGIN: &str = "2025-11-29T22:00:00.000Z";
const SPAN_MS: u64 = 100 * 86_400_000;

fn pick(dice: &mut Dice, from: &[&'static str]) -> &'static str {
    from[usize::try_from(dice.roll(from.len() as u64)).expect("a place")]
}

fn label(dice: &mut Dice, from: &[&'static str]) -> Option<String> {
    (dice.roll(4) > 0).then(|| pick(dice, from).to_owned())
}

fn cost(dice: &mut Dice) -> Option<u64> {
    (dice.roll(5) > 0).then(|| dice.roll(3) * dice.roll(4_000_000))
}

/// A time in the hundred days. Some are the edge of an hour, a day or a month.
fn time(dice: &mut Dice) -> Timestamp {
    let millis =
        Timestamp::parse(BEGIN).expect("a time").millis() + i64::try_from(dice.roll(SPAN_MS)).expect("fits");
    let edge = match dice.roll(6) {
        0 => 3_600_000,
        1 => 86_400_000,
        2 => return Timestamp::parse("2026-01-01T00:00:00.000Z").expect("a time"),
        _ => 1,
    };
    Timestamp::from_millis(millis / edge * edge - i64::from(dice.roll(8) == 0))
}

fn any_job(dice: &mut Dice, number: u64) -> Job {
    let (created_at, status) = (time(dice), pick(dice, &STATUSES));
    Job {
        external_id: format!("n{number}"),
        kind: pick(dice, &TYPES[..3]),
        status,
        created_at,
        wait_ms: dice.roll(90_000),
        is_requeued: false,
        run_ms: dice.roll(5_000_000),
        cost: cost(dice),
        model: label(dice, &MODELS),
        team: label(dice, &TEAMS),
    }
}

/// Changes one or two fields of a job.
fn change(dice: &mut Dice, job: &mut Job) {
    for _ in 0..=dice.roll(2) {
        match dice.roll(6) {
            0 | 1 => job.cost = cost(dice),
            2 => job.model = label(dice, &MODELS),
            3 => job.team = label(dice, &TEAMS),
            4 => job.kind = pick(dice, &TYPES),
            // With an earlier `created_at`, the job would begin before its last attempt ended: a late line.
            _ if dice.roll(2) == 0 => job.created_at = job.created_at.max(time(dice)),
            _ => {
                job.status = match job.status {
                    "queued" => STATUSES[1 + usize::try_from(dice.roll(4)).expect("a place")],
                    "running" => STATUSES[2 + usize::try_from(dice.roll(3)).expect("a place")],
                    "failed" | "cancelled" => {
                        job.is_requeued = true;
                        job.wait_ms += job.run_ms;
                        "queued"
                    }
                    other => other,
                }
            }
        }
    }
}

fn id_of(external_id: &str) -> String {
    let owner = Owner::try_from("default").expect("an owner");
    JobId::of_external_id(&owner, &ExternalId::try_from(external_id).expect("an id")).to_string()
}

/// A bound of a range, as a query has it and as a time: a date, a time, none, or far beyond all jobs.
fn bound(dice: &mut Dice, is_end: bool) -> (Option<String>, Timestamp) {
    let open = if is_end { Timestamp::MAX } else { Timestamp::MIN };
    let at = time(dice);
    match dice.roll(8) {
        0 => (None, open),
        1 => {
            let far = if is_end { "2999-12-31T23:59:59.999Z" } else { "1066-10-14T00:00:00.000Z" };
            (Some(far.to_owned()), Timestamp::parse(far).expect("a time"))
        }
        2..=4 => {
            let day = at.to_string()[..10].to_owned();
            let edge = if is_end { "T23:59:59.999Z" } else { "T00:00:00.000Z" };
            let meant = Timestamp::parse(&format!("{day}{edge}")).expect("a time");
            (Some(day), meant)
        }
        _ => (Some(at.to_string()), at),
    }
}

fn query(names: [&str; 2], words: [&Option<String>; 2]) -> String {
    let pairs = names.iter().zip(words).filter_map(|(name, word)| Some(format!("{name}={}", word.as_ref()?)));
    pairs.collect::<Vec<_>>().join("&")
}

async fn answer(service: &Service, path: &str) -> Value {
    service.get(path).expect(200).await.json
}

/// Reads all routes with these dates.
async fn check(service: &Service, model: &Model, dice: &mut Dice, used_bytes: u64) {
    let ((from_word, mut from), (to_word, mut to)) = (bound(dice, false), bound(dice, true));
    let (mut words, is_backwards) = ([&from_word, &to_word], from > to);
    if is_backwards {
        // As dates, they would include other days. The test swaps such a pair and sends it as times.
        (from, to) = (to, from);
    }
    let (first, last) = (Some(from.to_string()), Some(to.to_string()));
    if is_backwards {
        words = [&first, &last];
    }
    let dates = query(["created_after", "to_date"], words);
    let stats = answer(service, &format!("/v1/jobs/stats?{dates}")).await;
    assert_eq!(stats, model.stats(from, to, used_bytes), "{dates}");
    for (by, path) in [("model", "by-model"), ("team", "by-team")] {
        let days = query(["start", "end"], words);
        let costs = answer(service, &format!("/v1/analytics/cost/{path}?{days}")).await;
        assert_eq!(costs, model.costs(from, to, by), "{path} {days}");
    }
    for filter in ["", "&type=a", "&status=queued,failed", "&type=b.c,d:e,rare&status=completed"] {
        let query = format!("{dates}{filter}");
        let query = query.trim_start_matches('&');
        let count = answer(service, &format!("/v1/jobs/count?{query}")).await;
        let expect = model.count(from, to, filter);
        assert_eq!(count, expect, "{query}");
        assert_eq!(json!(total(service, query).await), expect["total"], "{query}");
    }
}

/// The heads' sum of the sizes of their parts.
async fn stored_bytes(service: &Service, dynamo: &Dynamo, table: &str) -> u64 {
    service.settled().await;
    let items = dynamo.scan(table).await;
    let bytes = items.iter().filter_map(|item| item.get("bytes")?["N"].as_str()?.parse::<u64>().ok());
    bytes.sum()
}

/// Lets jobs expire, and waits until they are deleted.
async fn expire(service: &Service, dynamo: &Dynamo, table: &str, ids: &[String]) {
    for mut head in dynamo.scan(table).await {
        if text(&head, "part") == "head" && ids.iter().any(|id| id == text(&head, "job_id")) {
            head.insert("expires_at".to_owned(), json!({ "N": "1700000000" }));
            dynamo.put(table, &head).await;
        }
    }
    service
        .eventually("the end of jobs that have expired", || async {
            let items = dynamo.scan(table).await;
            let is_left = items.iter().any(|item| ids.iter().any(|id| id == text(item, "job_id")));
            (!is_left).then_some(())
        })
        .await;
}

#[tokio::test]
async fn counts_stats_and_costs_agree_with_a_model() {
    let service = Service::start().await;
    let table = service.stack.environment("get-job").expect("the function").vars["JOBS_TABLE"].clone();
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let (mut dice, mut model) = (Dice::new(7), Model::default());
    let jobs: Vec<Job> = (0..JOBS).map(|number| any_job(&mut dice, number)).collect();
    let lines: Vec<Value> = jobs.iter().map(Job::to_ingest).collect();
    assert_eq!(ingest(&service, &json!(lines)).await, [JOBS, 0, 0, 0]);
    for job in jobs {
        model.create(job);
    }
    for round in 0..3 {
        let mut lines = Vec::new();
        for _ in 0..CHANGES {
            let place = usize::try_from(dice.roll(model.jobs.len() as u64)).expect("a place");
            let old = model.jobs.values().nth(place).expect("a job").clone();
            let mut new = old.clone();
            change(&mut dice, &mut new);
            // Each call has at most one line for a job.
            if new != old && !lines.iter().any(|line: &Value| line["external_id"] == json!(new.external_id)) {
                lines.push(new.to_ingest());
                model.update(new);
            }
        }
        let changed = lines.len() as u64;
        assert_eq!(ingest(&service, &json!(lines)).await, [0, changed, 0, 0], "round {round}");
        // Some jobs are removed: a caller deletes them, or they expire.
        let ended: Vec<String> = model.ended().into_iter().skip(3).step_by(9).collect();
        let (deleted, expired) = ended.split_at(ended.len() / 2);
        for external_id in deleted {
            service.call("DELETE", &format!("/v1/jobs/{}", id_of(external_id))).expect(200).await;
        }
        // The next sweep removes expired jobs only after seconds, so one round with them is enough.
        let expired = if round == 1 { expired } else { &[] };
        let ids: Vec<String> = expired.iter().map(|external_id| id_of(external_id)).collect();
        expire(&service, &dynamo, &table, &ids).await;
        for external_id in deleted.iter().chain(expired) {
            model.remove(external_id);
        }
        let stored = stored_bytes(&service, &dynamo, &table).await;
        assert!(stored > 0);
        let jobs = service.get("/v1/jobs").expect(200).await.at("/total").as_u64().expect("a total");
        let used_bytes = stored + jobs * HEAD_BYTES;
        for _ in 0..RANGES {
            check(&service, &model, &mut dice, used_bytes).await;
        }
    }
}
