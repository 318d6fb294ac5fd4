//! Names and labels in several spellings; and ids, which have only one.

use jobledger_tests::jobs::{create, ingest, total, went_in};
use jobledger_tests::stored::spoil_head;
use jobledger_tests::{Service, text};
use serde_json::json;

use super::{completed, only_job};

/// One team, in the spellings of machines and people.
const SPELLINGS: [&str; 5] =
    ["Équipe", "E\u{301}quipe", "  Équipe\t", "\u{feff}Équipe\u{200b}", "E\u{301}quipe\r\n"];

#[tokio::test]
async fn a_team_is_one_team_in_every_spelling() {
    let service = Service::shared().await;
    let jobs: Vec<_> = (0..)
        .zip(SPELLINGS)
        .map(|(number, team)| {
            let mut job = completed(&format!("n{number}"));
            job["labels"] =
                json!({ "team": team, "model": team, "provider": team, "gpu_type": team, "x": team });
            job["cost_usd"] = json!("1");
            job
        })
        .collect();
    assert_eq!(ingest(&service, &json!(jobs)).await, [5, 0, 0, 0]);
    // Also through the other routes.
    create(&service, &json!({ "type": "a", "labels": { "team": SPELLINGS[1] } })).await;
    let changed = create(&service, &json!({ "type": "a" })).await;
    let change = service.call("PATCH", &format!("/v1/jobs/{changed}"));
    change.json(&json!({ "labels": { "team": SPELLINGS[4] } })).expect(200).await;
    service.settled().await;
    let report = service.get("/v1/analytics/cost/by-team").expect(200).await;
    assert_eq!(report.at("/items"), &json!([{ "team": "Équipe", "cost_usd": "5.000000", "jobs": 7 }]));
    // Teams differ by case. A query may use any spelling.
    for (value, expect) in [
        ("%C3%89quipe", 7),
        ("E%CC%81quipe", 7),
        ("%20E%CC%81quipe%20", 7),
        ("%EF%BB%BF%C3%89quipe", 7),
        ("%C3%A9quipe", 0),
        ("Equipe", 0),
    ] {
        assert_eq!(total(&service, &format!("team={value}")).await, expect, "{value}");
    }
    for name in ["model", "provider"] {
        assert_eq!(total(&service, &format!("{name}=E%CC%81quipe")).await, 5, "{name}");
    }
    let page = service.get("/v1/jobs?model=%C3%89quipe").expect(200).await;
    let expect =
        ["team", "model", "provider", "gpu_type", "x"].map(|name| (name.to_owned(), json!("Équipe")));
    for job in page.at("/jobs").as_array().expect("jobs") {
        assert_eq!(job["labels"], json!(serde_json::Map::from_iter(expect.clone())));
    }
}

#[tokio::test]
async fn a_name_is_found_in_every_spelling() {
    let service = Service::shared().await;
    let jobs = ["Kova\u{301}cs E\u{301}va.MP4", " Kovács Éva.MP4\n", "H\u{331}.mp4"];
    let jobs: Vec<_> = (0..)
        .zip(jobs)
        .map(|(number, name)| {
            let mut job = completed(&format!("n{number}"));
            job["name"] = json!(name);
            job
        })
        .collect();
    assert_eq!(ingest(&service, &json!(jobs)).await, [3, 0, 0, 0]);
    let page = service.get("/v1/jobs?search=kov%C3%A1cs").expect(200).await;
    assert_eq!(page.at("/total"), 2);
    for job in page.at("/jobs").as_array().expect("jobs") {
        assert_eq!(job["name"], "Kovács Éva.MP4");
    }
    for search in ["KOVA%CC%81CS", "%C3%A9va.mp4", "E%CC%81VA", "%20%C3%89va"] {
        assert_eq!(total(&service, &format!("search={search}")).await, 2, "{search}");
    }
    // This letter and its mark form one character only in lower case.
    for search in ["H%CC%B1", "%E1%BA%96", "h%CC%B1"] {
        assert_eq!(total(&service, &format!("search={search}")).await, 1, "{search}");
    }
}

/// An older version stored jobs in any spelling. The service must read them, and count them where they were counted.
#[tokio::test]
async fn stored_jobs_keep_their_spelling() {
    let service = Service::shared().await;
    let mut job = completed("1");
    job["cost_usd"] = json!("1");
    assert_eq!(ingest(&service, &json!([job])).await, [1, 0, 0, 0]);
    let id = text(&only_job(&service, "external_id=1").await["job_id"]);
    let odd = json!({ "M": { "team": { "S": "E\u{301}quipe \u{202e}x" } } });
    spoil_head(&service, &id, &json!({ "labels": odd, "name": { "S": "E\u{301}.\u{202e}gpj" } })).await;
    service.settled().await;
    let found = only_job(&service, "external_id=1").await;
    assert_eq!(
        (&found["name"], &found["labels"]["team"]),
        (&json!("E\u{301}.\u{202e}gpj"), &json!("E\u{301}quipe \u{202e}x"))
    );
    let by_team = async || service.get("/v1/analytics/cost/by-team").expect(200).await.at("/items").clone();
    let team = |team: &str, cost: &str| json!({ "team": team, "cost_usd": cost, "jobs": 1 });
    assert_eq!(by_team().await, json!([team("E\u{301}quipe \u{202e}x", "1.000000")]));
    // Ingested again, the job moves from the old team to the new one, and leaves nothing behind.
    job["cost_usd"] = json!("2");
    job["labels"] = json!({ "team": "E\u{301}quipe" });
    assert_eq!(ingest(&service, &json!([job])).await, [0, 1, 0, 0]);
    service.settled().await;
    assert_eq!(by_team().await, json!([team("Équipe", "2.000000")]));
}

#[tokio::test]
async fn ids_keep_their_spelling() {
    let service = Service::shared().await;
    let ids = [
        "caf\u{e9}",
        "cafe\u{301}",
        "a/b/../c//d",
        "%2F?x=1&y#z",
        "🦀",
        "👩\u{200d}💻",
        "a\u{200d}b",
        "\u{feff}bom",
        "\"quoted\\\"",
        "{}",
    ];
    let jobs: Vec<_> = ids.map(completed).to_vec();
    assert_eq!(ingest(&service, &json!(jobs)).await, [10, 0, 0, 0]);
    assert_eq!(ingest(&service, &json!(jobs)).await, [0, 0, 10, 0]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 10);
    for id in ids {
        let encoded = id.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        for filter in ["external_id", "search"] {
            let job = only_job(&service, &format!("{filter}={encoded}")).await;
            assert_eq!(text(&job["external_id"]), id, "{filter}");
        }
    }
    // Ingest refuses blanks at the ends of an id. Without them it would be another id.
    for id in [" a", "a\n", "a\u{0}b", ""] {
        let reply = service.post("/v1/admin/ingest/jobs", &json!([completed(id)])).expect(200).await;
        assert_eq!(went_in(&reply), [0, 0, 0, 1], "{id:?}");
        assert_eq!(reply.at("/rejected/0/errors/0/field"), "external_id");
    }
}

#[tokio::test]
async fn a_stage_is_the_same_in_every_spelling() {
    let service = Service::shared().await;
    let stages =
        json!({ "stages": [{ "name": "E\u{301}tape", "weight": 1 }, { "name": "fin", "weight": 3 }] });
    let stored = service.call("PUT", "/v1/types/a").json(&stages).expect(200).await;
    assert_eq!(stored.at("/stages/0/name"), "Étape");
    let twice = json!({ "stages": [{ "name": "É", "weight": 1 }, { "name": "E\u{301} ", "weight": 3 }] });
    assert_eq!(service.call("PUT", "/v1/types/a").json(&twice).send().await.status, 400, "they are one");
    create(&service, &json!({ "type": "a" })).await;
    let claim = json!({ "worker_id": "w", "types": ["a"] });
    let claimed = service.post("/v1/jobs/claim", &claim).expect(200).await;
    let report = json!({
        "lease_token": claimed.at("/jobs/0/lease_token"),
        "progress": { "current_task": " E\u{301}tape", "current_task_progress": 100 },
    });
    let path = format!("/v1/jobs/{}", text(claimed.at("/jobs/0/job_id")));
    service.call("PATCH", &path).json(&report).expect(200).await;
    let job = service.get(&path).expect(200).await;
    assert_eq!(
        (job.at("/progress/current_task"), job.at("/progress/overall_progress")),
        (&json!("Étape"), &json!(25))
    );
}
