//! The benchmark itself with few jobs: the report is complete, and its promises are checked. Speed is not.

use jobledger_bench::operations::{Needs, OPERATIONS};
use jobledger_bench::queue::steps::STEPS;
use jobledger_bench::{Plan, Progress, Verdict, run};
use serde_json::{Value, json};

const SIZES: [u64; 2] = [300, 1_500];
const CALLS: u32 = 3;
const BACKLOGS: [u64; 2] = [200, 1_000];
const CREWS: [(usize, usize); 2] = [(1, 1), (4, 10)];
const DRAINED: u64 = 40;

/// A plan to measure nothing.
fn small() -> Plan {
    Plan {
        sizes: Vec::new(),
        backlogs: Vec::new(),
        crews: CREWS.to_vec(),
        drained: DRAINED,
        calls: CALLS,
        seed: 1,
        date: None,
    }
}

#[tokio::test]
async fn a_report_has_every_operation_at_every_size() {
    let date = Some("2026-11-22".to_owned());
    let plan = Plan { sizes: SIZES.to_vec(), date, ..small() };
    let report = run(&plan, Progress::Hidden).await.expect("a report");
    let written: Value = serde_json::from_str(&report.to_json().expect("JSON")).expect("JSON");
    let markdown = report.to_markdown();

    let rows = written["operations"].as_array().expect("operations");
    assert_eq!(rows.len(), OPERATIONS.len());
    for (row, operation) in rows.iter().zip(OPERATIONS) {
        assert_eq!(row["operation"], json!(operation.name));
        assert!(markdown.contains(operation.name), "{markdown}");
        let sizes = row["sizes"].as_array().expect("sizes");
        if row["skipped"].is_string() {
            assert_eq!((operation.needs, sizes.len()), (Needs::WhereThere, 0), "{row}");
            continue;
        }
        assert_eq!(sizes.len(), SIZES.len(), "{row}");
        for cost in sizes {
            assert_eq!(cost["calls"], json!(CALLS));
            let units = |kind: &str| cost[kind]["median"].as_f64().expect("a number");
            assert!(
                units("round_trips") >= 1.0 && units("read_units") + units("write_units") >= 0.5,
                "{row}"
            );
        }
        assert!(row["growth"].is_number(), "{row}");
    }

    for (load, size) in written["loads"].as_array().expect("loads").iter().zip(SIZES) {
        assert_eq!(load["jobs"], json!(size));
        assert!(load["database_bytes"].as_u64() > Some(size), "{load}");
    }
    assert_eq!(written["date"], json!("2026-11-22"));
    assert!(markdown.contains("2026-11-22: jobledger"), "{markdown}");
    assert!(!markdown.contains("\n\n\n"), "{markdown}");

    // Promises hold only with many jobs. With few, this test sees that they are checked.
    let judged = |name: &str| {
        let promise = report.promises.iter().find(|promise| promise.promise.starts_with(name));
        promise.unwrap_or_else(|| panic!("no promise about {name}")).holds
    };
    for name in ["list 50, all:", "total (limit=1):", "page of 50 at an offset of 90 %:", "scrape:"] {
        assert_ne!(judged(name), Verdict::Unknown, "{name}");
    }
    assert_eq!(judged("list 50, all:"), Verdict::Holds, "{markdown}");
}

#[tokio::test]
async fn the_queue_keeps_its_limits_at_any_backlog() {
    let plan = Plan { backlogs: BACKLOGS.to_vec(), ..small() };
    let report = run(&plan, Progress::Hidden).await.expect("a report");
    let broken: Vec<_> = report.broken().collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let markdown = report.to_markdown();
    let queue = report.queue.expect("the queue");
    assert_eq!(queue.steps.len(), STEPS.len());
    for row in &queue.steps {
        assert_eq!(row.backlogs.len(), BACKLOGS.len(), "{row:?}");
        assert!(markdown.contains(row.step), "{markdown}");
    }
    let crews: Vec<_> = queue.crews.iter().map(|crew| (crew.workers, crew.max, crew.jobs)).collect();
    assert_eq!(crews, CREWS.map(|(workers, max)| (workers, max, DRAINED)));
    // One worker alone loses no job to another.
    assert_eq!(queue.crews[0].lost_per_job.expect("a ratio").thousandths(), 0);
}
