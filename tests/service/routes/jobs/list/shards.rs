//! The number of index parts grows while jobs are created. No list may have a gap, whatever number its function knows.

use std::sync::atomic::{AtomicI64, Ordering};

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::{Service, text};
use serde_json::Value;

/// How far the clock of these functions is ahead, in milliseconds.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    system_clock().plus_millis(AHEAD_MS.load(Ordering::SeqCst))
}

async fn function(service: &Service, name: &str, shards: &str) -> Alone {
    let mut environment = service.stack.environment(name).expect("the function");
    environment.vars.insert("INDEX_SHARDS".to_owned(), shards.to_owned());
    Alone::start(name, Environment { clock, ..environment }).await
}

async fn create(creator: &Alone) -> String {
    let reply = creator.call(&Request::new("POST", "/v1/jobs").body(r#"{"type":"x"}"#)).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    text(reply.at("/job_id"))
}

async fn listed(lister: &Alone) -> Vec<String> {
    let mut ids = Vec::new();
    let mut path = "/v1/jobs?limit=100".to_owned();
    loop {
        let reply = lister.call(&Request::new("GET", &path)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        ids.extend(reply.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])));
        let Some(next) = reply.at("/next_cursor").as_str() else { return ids };
        path = format!("/v1/jobs?limit=100&cursor={next}");
    }
}

/// The number of parts that have jobs.
async fn parts(service: &Service) -> usize {
    let dynamo = jobledger_tests::dynamo::Dynamo::at(service.stack.dynamodb_endpoint());
    let environment = service.stack.environment("create-job").expect("the function");
    let heads = dynamo.scan(&environment.vars["JOBS_TABLE"]).await;
    let shards: std::collections::BTreeSet<String> =
        heads.iter().filter_map(|head| head.get("shard")?["N"].as_str().map(str::to_owned)).collect();
    shards.len()
}

#[tokio::test]
async fn shards_grow_from_one_to_eight_under_load_without_a_gap() {
    let service = Service::start().await;
    let (old_creator, new_creator) =
        (function(&service, "create-job", "1").await, function(&service, "create-job", "8").await);
    // A function for lists that was never updated, and one that was.
    let (old_lister, new_lister) =
        (function(&service, "list-jobs", "1").await, function(&service, "list-jobs", "8").await);
    let mut created: Vec<String> = Vec::new();
    for _ in 0..5 {
        created.push(create(&old_creator).await);
    }
    assert_eq!(listed(&old_lister).await.len(), 5);
    // Each round is twenty seconds. The new number is announced in the first, and used some rounds later.
    let mut spread = Vec::new();
    for round in 0..16 {
        let creating = async {
            tokio::join!(
                create(&old_creator),
                create(&new_creator),
                create(&new_creator),
                create(&new_creator)
            )
        };
        let (new, old_list, new_list) = tokio::join!(creating, listed(&old_lister), listed(&new_lister));
        for list in [old_list, new_list] {
            let missing: Vec<&String> = created.iter().filter(|id| !list.contains(id)).collect();
            assert!(missing.is_empty(), "round {round}: {missing:?}");
        }
        created.extend(<[String; 4]>::from(new));
        spread.push(parts(&service).await);
        AHEAD_MS.fetch_add(20_000, Ordering::SeqCst);
    }
    assert_eq!(spread[..8], [1; 8], "while a lister may not know yet, nothing goes to the new parts");
    assert!(*spread.last().expect("rounds") > 4, "{spread:?}");
    // Back to one part. All functions still read the old parts, even those that were only told of one.
    AHEAD_MS.fetch_add(600_000, Ordering::SeqCst);
    let shrunk = function(&service, "list-jobs", "1").await;
    created.push(create(&function(&service, "create-job", "1").await).await);
    for lister in [&shrunk, &old_lister, &new_lister] {
        let mut list = listed(lister).await;
        list.sort();
        let mut all = created.clone();
        all.sort();
        assert_eq!(list, all);
    }
    // The lists are still in order.
    let reply = new_lister.call(&Request::new("GET", "/v1/jobs?limit=100")).await;
    let times: Vec<&Value> =
        reply.at("/jobs").as_array().expect("jobs").iter().map(|job| &job["created_at"]).collect();
    assert!(times.windows(2).all(|pair| pair[0].as_str() >= pair[1].as_str()));
}
