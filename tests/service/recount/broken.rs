//! Counts that the test broke. The recount finds each, names its scope, and repairs it on request.

use jobledger_tests::jobs::total;
use jobledger_tests::metrics::Samples;

use serde_json::{Value, json};

use super::RecountFixture;

/// Damage to the tallies.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// A number of an item is off by this much.
    Off(&'static str, &'static str, &'static str, i64),
    /// An item is missing.
    Gone(&'static str, &'static str),
}

/// Damages the tallies, finds and repairs that, and then finds nothing more. `drift` is how many numbers differ from
/// the numbers below them: a wrong number, and each number that contains it.
async fn check(fixture: &RecountFixture, harm: &[Harm], drift: Value) {
    let right = fixture.tallies.counts().await;
    for harm in harm {
        match *harm {
            Harm::Off(scope, bucket, cell, by) => fixture.tallies.spoil(scope, bucket, cell, by).await,
            Harm::Gone(scope, bucket) => fixture.tallies.lose(scope, bucket).await,
        }
    }
    let spoilt = fixture.tallies.counts().await;
    assert_ne!(spoilt, right);
    assert_eq!(fixture.drift().await, drift, "{harm:?}");
    assert_eq!(fixture.tallies.counts().await, spoilt, "nothing is repaired that nobody asked for: {harm:?}");
    let result = fixture.recount(&json!({ "settle_seconds": 0, "repair": true })).await;
    assert_ne!(result["drift"], json!({}), "{harm:?}");
    assert!(result["repaired"].as_u64() > Some(0), "{harm:?}: {result}");
    assert_eq!(fixture.tallies.counts().await, right, "{harm:?}");
    assert_eq!(fixture.drift().await, json!({}), "{harm:?}");
}

#[tokio::test]
async fn drift_in_each_kind_of_item_is_found_and_repaired() {
    let fixture = RecountFixture::start(&[]).await;
    let off = |bucket, cell| Harm::Off("default", bucket, cell, 3);
    check(&fixture, &[off("minutes#2026-01-11T05", "11q")], json!({ "default": 1 })).await;
    // The hour differs from its jobs, and the day from the hour: in its own number, and in its number for the hour.
    check(&fixture, &[off("hour#2026-01-11T05", "alive:queued")], json!({ "default": 3 })).await;
    check(&fixture, &[off("hour@a#2026-01-11T06", "alive:running")], json!({ "default": 3 })).await;
    check(&fixture, &[off("day#2026-01-11", "05q")], json!({ "default": 1 })).await;
    check(&fixture, &[off("day@b#2026-01-31", "created")], json!({ "default": 2 })).await;
    check(&fixture, &[off("month#2026-02", "alive:queued")], json!({ "default": 2 })).await;
    check(&fixture, &[off("total", "ended:failed")], json!({ "default": 1 })).await;
    check(&fixture, &[off("total@a", "alive:completed")], json!({ "default": 1, "*": 1 })).await;
    check(&fixture, &[Harm::Off("*", "total@b", "alive:queued", -1)], json!({ "*": 1 })).await;
}

#[tokio::test]
async fn missing_and_surplus_items_are_repaired() {
    let fixture = RecountFixture::start(&[]).await;
    // Each number of the item is missing: alive by status and minute, created, ended, the times, and
    // how they are spread.
    check(&fixture, &[Harm::Gone("other", "total")], json!({ "other": 13 })).await;
    for bucket in ["hour@a#2026-01-11T05", "hour#2026-01-11T05", "day#2026-01-11", "month@b#2026-01"] {
        let right = fixture.tallies.counts().await;
        fixture.tallies.lose("default", bucket).await;
        let drift = fixture.drift().await;
        assert!(
            drift["default"].as_u64() > Some(0) && drift.as_object().map(serde_json::Map::len) == Some(1)
        );
        fixture.recount(&json!({ "settle_seconds": 0, "repair": true })).await;
        assert_eq!(fixture.tallies.counts().await, right, "{bucket}");
        assert_eq!(fixture.drift().await, json!({}), "{bucket}");
    }
    let extra = |bucket| Harm::Off("default", bucket, "alive:queued", 2);
    check(&fixture, &[extra("hour#2025-07-01T00")], json!({ "default": 3 })).await;
    check(&fixture, &[extra("hour@nobody#2026-01-11T05")], json!({ "default": 3 })).await;
    check(&fixture, &[extra("day#2025-07-01")], json!({ "default": 3 })).await;
    check(&fixture, &[extra("total@nobody")], json!({ "default": 1, "*": 1 })).await;
}

#[tokio::test]
async fn drift_in_several_items_is_repaired_over_several_index_shards() {
    let fixture = RecountFixture::start(&[("IndexShards", "4")]).await;
    let harm = [
        Harm::Off("default", "hour#2026-01-11T05", "alive:queued", 5),
        Harm::Off("default", "minutes#2026-01-11T06", "00f", -1),
        Harm::Off("default", "month@a#2026-01", "11c", 7),
        Harm::Off("other", "total@b", "created", 1),
        Harm::Off("*", "total@a", "removed", 1),
    ];
    let total_before = total(&fixture.service, "").await;
    check(&fixture, &harm, json!({ "default": 5, "other": 1, "*": 2 })).await;
    assert_eq!(total(&fixture.service, "").await, total_before);
    let hour = "created_after=2026-01-11T05:00:00Z&created_before=2026-01-11T05:59:59.999Z";
    assert_eq!(total(&fixture.service, hour).await, 3);
}

#[tokio::test]
async fn one_owner_can_be_recounted_alone() {
    let fixture = RecountFixture::start(&[]).await;
    fixture.tallies.spoil("default", "total", "alive:queued", 1).await;
    fixture.tallies.spoil("other", "total", "alive:queued", 1).await;
    assert_eq!(fixture.drift().await, json!({ "default": 1, "other": 1 }));
    let one = json!({ "settle_seconds": 0, "repair": true, "owner": "other" });
    assert_eq!(fixture.recount(&one).await["drift"], json!({ "other": 1 }));
    // For the other owner, the metrics show the result of the earlier recount.
    let samples = Samples::scrape(&fixture.service).await;
    samples.check("jobledger_tally_drift{scope=\"owners\"}", "1");
    assert_eq!(fixture.drift().await, json!({ "default": 1 }));
}

#[tokio::test]
async fn the_metrics_show_the_drift_that_is_left() {
    let fixture = RecountFixture::start(&[]).await;
    let samples = Samples::scrape(&fixture.service).await;
    let names = ["jobledger_tally_drift", "jobledger_tally_recount"];
    for name in names {
        assert_eq!(samples.of(name).count(), 0, "before the first recount there is no {name}");
    }
    let drift = |samples: &Samples, scope: &str, expect: &str| {
        samples.check(&format!("jobledger_tally_drift{{scope=\"{scope}\"}}"), expect);
    };
    fixture.drift().await;
    let samples = Samples::scrape(&fixture.service).await;
    drift(&samples, "*", "0");
    let first = samples.millis("jobledger_tally_recount_finished_timestamp_seconds");
    assert!(first > 1_700_000_000_000);
    samples.check("jobledger_tally_recount_busy_buckets", "0");
    fixture.tallies.spoil("default", "total@a", "alive:queued", 1).await;
    fixture.drift().await;
    let samples = Samples::scrape(&fixture.service).await;
    drift(&samples, "*", "1");
    drift(&samples, "owners", "1");
    assert!(samples.millis("jobledger_tally_recount_finished_timestamp_seconds") > first);
    fixture.recount(&json!({ "repair": true, "settle_seconds": 0 })).await;
    let samples = Samples::scrape(&fixture.service).await;
    drift(&samples, "*", "0");
    drift(&samples, "owners", "0");
    // The metrics do not name the owners.
    assert_eq!(samples.of("jobledger_tally_drift").count(), 2);
    promtool(&fixture).await;
}

async fn promtool(fixture: &RecountFixture) {
    fixture.tallies.spoil("default", "total@a", "alive:queued", 1).await;
    fixture.drift().await;
    jobledger_tests::metrics::is_well_formed(&fixture.service).await;
}
