//! Statistics, counts and costs compared with the log, by month and over odd spans.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jobledger::domain::Timestamp;
use jobledger_tests::Service;
use jobledger_tests::percentiles::percentiles;
use jobledger_tests::swf::LoggedJob;
use serde_json::{Value, json};

/// The months of the log, and one after it.
const MONTHS: [(&str, &str); 4] = [
    ("1993-10-01", "1993-10-31"),
    ("1993-11-01", "1993-11-30"),
    ("1993-12-01", "1993-12-31"),
    ("1994-01-01", "1994-01-31"),
];

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn seconds(millis: u64) -> Value {
    serde_json::from_str(&format!("{}.{:03}", millis / 1_000, millis % 1_000)).expect("a number")
}

fn money(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The numbers of each month, of all months, and of an odd span.
pub(super) async fn by_month(service: &Service, jobs: &[LoggedJob]) {
    for (first, last) in MONTHS {
        let (from, to) = (time(&format!("{first}T00:00:00Z")), time(&format!("{last}T23:59:59.999Z")));
        agree(service, jobs, &[first, last], from, to).await;
    }
    let all = ["1993-01-01", "1994-12-31"];
    agree(service, jobs, &all, time("1993-01-01T00:00:00Z"), time("1994-12-31T23:59:59.999Z")).await;
    // Whole days, because costs are counted by day.
    let odd = ["1993-10-17T00:00:00Z", "1993-11-28T23:59:59.999Z"];
    agree(service, jobs, &odd, time(odd[0]), time(odd[1])).await;
}

async fn agree(service: &Service, jobs: &[LoggedJob], words: &[&str; 2], from: Timestamp, to: Timestamp) {
    let [first, last] = words;
    let within: Vec<&LoggedJob> = jobs.iter().filter(|job| (from..=to).contains(&job.submitted_at)).collect();
    let count = within.len() as u64;
    let runs: Vec<u64> = within.iter().map(|job| job.run_seconds * 1_000).collect();
    let run_ms: u64 = runs.iter().sum();
    let stats = service.get(&format!("/v1/jobs/stats?from_date={first}&to_date={last}")).expect(200).await;
    let some = |value: Value| if count == 0 { Value::Null } else { value };
    let expect = json!({
        "total_jobs": count, "created_jobs": count, "removed_jobs": 0,
        "status_breakdown": { "queued": 0, "running": 0, "completed": count, "failed": 0, "cancelled": 0 },
        "ended": { "completed": count, "failed": 0, "cancelled": 0 },
        "success_rate": some(json!(100.0)),
        "processing_metrics": {
            "total_processing_seconds": some(seconds(run_ms)),
            "mean_processing_seconds": some(seconds(run_ms.checked_div(count).unwrap_or(0))),
            "processing_percentiles_seconds": percentiles(&runs),
            "mean_wait_seconds": some(seconds(0)),
            "wait_percentiles_seconds": percentiles(&vec![0; within.len()]),
        },
        "storage": stats.at("/storage"), "date_range": { "from": from, "to": to },
    });
    assert_eq!(stats.json, expect, "{first} {last}");
    assert!(stats.at("/storage/used_bytes").as_u64().is_some_and(|bytes| bytes > 0));
    let counted = service.get(&format!("/v1/jobs/count?from_date={first}&to_date={last}")).expect(200).await;
    let mut by_type: BTreeMap<&str, u64> = BTreeMap::new();
    for job in &within {
        *by_type.entry(job.kind()).or_default() += 1;
    }
    assert_eq!((counted.at("/total"), counted.at("/by_type")), (&json!(count), &json!(by_type)));
    for by in ["team", "model"] {
        let path = format!("/v1/analytics/cost/by-{by}?start={first}&end={last}");
        let answer = service.get(&path).expect(200).await;
        assert_eq!(answer.json, costs(&within, by, from, to), "{path}");
    }
}

fn costs(within: &[&LoggedJob], by: &str, from: Timestamp, to: Timestamp) -> Value {
    let mut sums: BTreeMap<Option<String>, (u64, u64)> = BTreeMap::new();
    for job in within {
        let team = || Some(format!("user-{}", job.user));
        let label = if by == "team" { team() } else { job.application.map(|number| format!("app-{number}")) };
        let sum = sums.entry(label).or_default();
        *sum = (sum.0 + job.cost_micros(), sum.1 + 1);
    }
    let total = sums.values().map(|(cost, _)| cost).sum();
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(label, (cost, _))| (Reverse(*cost), label.is_none()));
    let items = sums.iter();
    let items =
        items.map(|(label, (cost, jobs))| json!({ by: label, "cost_usd": money(*cost), "jobs": jobs }));
    json!({
        "items": items.collect::<Vec<_>>(), "total_cost_usd": money(total), "date_range": { "from": from, "to": to },
    })
}
