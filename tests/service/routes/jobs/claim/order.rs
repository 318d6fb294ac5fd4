//! The order of claims.

use jobledger_tests::Service;
use jobledger_tests::claims::{claim, claim_of, ids_of};
use jobledger_tests::jobs::create;
use serde_json::json;

async fn with_priority(service: &Service, kind: &str, priority: u8) -> String {
    create(service, &json!({ "type": kind, "priority": priority })).await
}

#[tokio::test]
async fn the_highest_priority_is_claimed_first_then_the_oldest() {
    let service = Service::shared().await;
    let mut made = Vec::new();
    for priority in [0, 10, 5, 5, 10, 9, 0, 1] {
        made.push((priority, with_priority(&service, "a", priority).await));
    }
    // The sort is stable: of the same priority, the older job comes first.
    made.sort_by_key(|(priority, _)| 10 - priority);
    let mut given = Vec::new();
    for max in [1, 3, 1, 10] {
        let claimed = claim_of(&service, "a", max).await;
        assert!(claimed.len() <= max);
        given.extend(claimed.into_iter().map(|held| held.id));
    }
    assert_eq!(given, made.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
    assert!(claim_of(&service, "a", 10).await.is_empty());
}

#[tokio::test]
async fn several_types_are_one_queue() {
    let service = Service::shared().await;
    let mut made = Vec::new();
    for (kind, priority) in [("a", 1), ("b", 2), ("c", 9), ("c", 1), ("a", 2), ("b", 1)] {
        let id = with_priority(&service, kind, priority).await;
        if kind != "c" {
            made.push((priority, id));
        }
    }
    made.sort_by_key(|(priority, _)| 10 - priority);
    let request = |max: usize| json!({ "worker_id": "w", "types": ["b", "a", "none"], "max": max });
    let mut given = Vec::new();
    for max in [3, 10] {
        given.extend(claim(&service, &request(max)).await.into_iter().map(|held| held.id));
    }
    assert_eq!(given, made.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
    // Both jobs of the other type are still there.
    assert_eq!(claim_of(&service, "c", 10).await.len(), 2);
}

#[tokio::test]
async fn indexes_in_parts_are_one_queue() {
    let service = Service::with(&[("IndexShards", "4")]).await;
    let mut made = Vec::new();
    for number in 0..24 {
        let priority = number % 3;
        made.push((priority, with_priority(&service, "a", priority).await));
    }
    made.sort_by_key(|(priority, _)| 10 - priority);
    let mut given = Vec::new();
    for _ in 0..3 {
        given.extend(claim_of(&service, "a", 8).await.into_iter().map(|held| held.id));
    }
    assert_eq!(given, made.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn cancelled_and_deleted_jobs_are_not_claimed() {
    let service = Service::shared().await;
    let (off, gone) = (with_priority(&service, "a", 9).await, with_priority(&service, "a", 9).await);
    let stays = with_priority(&service, "a", 0).await;
    service.call("POST", &format!("/v1/jobs/{off}/cancel")).expect(200).await;
    service.call("DELETE", &format!("/v1/jobs/{gone}")).expect(200).await;
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), [stays]);
    // Queued again, the job can be claimed again.
    service.call("POST", &format!("/v1/jobs/{off}/retry")).expect(200).await;
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), [off]);
}

#[tokio::test]
async fn a_queue_of_many_is_given_in_order() {
    let service = Service::start().await;
    // More jobs than a claim reads, created by one call.
    let lines: Vec<_> = (0..170)
        .map(|number| {
            json!({
                "external_id": format!("{number:03}"), "type": "a", "status": "queued", "priority": number % 11,
                "created_at": format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60),
            })
            .to_string()
        })
        .collect();
    service.call("POST", "/v1/admin/ingest/jobs").body(lines.join("\n")).expect(200).await;
    let mut given = Vec::new();
    loop {
        let claimed = claim_of(&service, "a", 10).await;
        if claimed.is_empty() {
            break;
        }
        given.extend(claimed.iter().map(|held| {
            let number: u32 =
                held.job["external_id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
            (10 - number % 11, number)
        }));
    }
    assert_eq!(given.len(), 170);
    assert!(given.is_sorted(), "{given:?}");
}
