//! Many claims at once: each attempt goes to one worker, and no limit is exceeded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jobledger_tests::claims::{ClaimedJob, claim, set_type, slots};
use jobledger_tests::jobs::{create, total};
use jobledger_tests::{Service, text};
use serde_json::json;
use tokio::task::JoinSet;

/// Each worker claims, and fails or completes jobs, until none is left; returns the attempts that workers got.
async fn work_off(service: &Arc<Service>, workers: usize, tries: u32) -> Vec<(String, u32)> {
    let given = Arc::new(Mutex::new(Vec::new()));
    let mut running = JoinSet::new();
    for worker in 0..workers {
        let (service, given) = (Arc::clone(service), Arc::clone(&given));
        running.spawn(async move {
            let request = json!({ "worker_id": format!("w{worker}"), "types": ["a"], "max": 1 + worker % 3 });
            loop {
                let claimed = claim(&service, &request).await;
                if claimed.is_empty() && total_left(&service).await == 0 {
                    return;
                }
                for held in claimed {
                    let attempt = held.job["attempt"].as_u64().and_then(|number| u32::try_from(number).ok());
                    let attempt = attempt.expect("a number");
                    given.lock().expect("no panic").push((held.id.clone(), attempt));
                    let end = if attempt < tries {
                        json!({ "status": "failed", "error": "again" })
                    } else {
                        json!({ "status": "completed" })
                    };
                    held.tell(&service, &end).await;
                }
            }
        });
    }
    running.join_all().await;
    Arc::into_inner(given).expect("all have ended").into_inner().expect("no panic")
}

/// How many jobs have not ended, from the index itself.
async fn total_left(service: &Service) -> usize {
    let page = service.get("/v1/jobs?type=a&status=queued,running&limit=1").expect(200).await;
    page.at("/jobs").as_array().expect("jobs").len()
}

#[tokio::test]
async fn every_attempt_is_claimed_once() {
    let service = Arc::new(Service::shared().await);
    set_type(&service, "a", &json!({ "backoff_seconds": 0 })).await;
    let mut made = Vec::new();
    for number in 0..40 {
        made.push(create(&service, &json!({ "type": "a", "priority": number % 4, "max_attempts": 3 })).await);
    }
    let mut given = work_off(&service, 8, 2).await;
    given.sort();
    let mut expect: Vec<(String, u32)> =
        made.iter().flat_map(|id| [(id.clone(), 1), (id.clone(), 2)]).collect();
    expect.sort();
    assert_eq!(given, expect);
    for id in &made {
        let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!((job.at("/status"), job.at("/attempt")), (&json!("completed"), &json!(2)));
        assert_eq!(job.at("/attempts").as_array().map(Vec::len), Some(2), "{}", job.text);
    }
    service.settled().await;
    assert_eq!(total(&service, "type=a&status=completed").await, 40);
    assert_eq!(total(&service, "type=a").await, 40);
}

#[tokio::test]
async fn sixteen_claims_at_once_keep_every_limit() {
    const LIMIT: usize = 3;
    let service = Arc::new(Service::shared().await);
    set_type(&service, "a", &json!({ "max_concurrency": LIMIT })).await;
    for _ in 0..48 {
        create(&service, &json!({ "type": "a" })).await;
    }
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = JoinSet::new();
    for worker in 0..16 {
        let (service, running, most) = (Arc::clone(&service), Arc::clone(&running), Arc::clone(&most));
        workers.spawn(async move {
            let request = json!({ "worker_id": format!("w{worker}"), "types": ["a"], "max": 2 });
            let mut given: Vec<String> = Vec::new();
            loop {
                let claimed: Vec<ClaimedJob> = claim(&service, &request).await;
                if claimed.is_empty() && total_left(&service).await == 0 {
                    return given;
                }
                for held in &claimed {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    assert!(now <= LIMIT, "{now} run at once");
                    given.push(held.id.clone());
                }
                for held in claimed {
                    // Counted until just before the report: the service may give the slot away during it.
                    running.fetch_sub(1, Ordering::SeqCst);
                    held.tell(&service, &json!({ "status": "completed" })).await;
                }
            }
        });
    }
    let given: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in given {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!((times.len(), times.values().max()), (48, Some(&1)));
    assert!(most.load(Ordering::SeqCst) >= 1);
    assert_eq!(slots(&service, "a").await, 0);
}

/// Twelve claims compete for the only job. One gets it, and none fails.
#[tokio::test]
async fn one_of_many_claims_gets_the_job() {
    let service = Arc::new(Service::shared().await);
    for _ in 0..5 {
        let id = create(&service, &json!({ "type": "a" })).await;
        let mut claims = JoinSet::new();
        for number in 0..12 {
            let body = json!({ "worker_id": format!("w{number}"), "types": ["a"], "max": 5 });
            claims.spawn(service.post("/v1/jobs/claim", &body).send());
        }
        let mut given = Vec::new();
        for reply in claims.join_all().await {
            assert_eq!(reply.status, 200, "{}", reply.text);
            given.extend(reply.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])));
        }
        assert_eq!(given, [id]);
    }
}
