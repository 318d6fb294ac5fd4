//! The worker's own port.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::mock::{Mock, Run, eventually, get};

#[tokio::test]
async fn metrics_are_whole_from_the_start_and_can_be_read() {
    let mock = Mock::start().await;
    let go = Arc::new(Notify::new());
    let worker = {
        let go = go.clone();
        mock.worker().concurrency(3).listen(([127, 0, 0, 1], 0)).handle("a", move |_| {
            let go = go.clone();
            async move {
                go.notified().await;
                Ok(())
            }
        })
    };
    let worker = worker.build().unwrap();
    let address = worker.listen_addr().unwrap();
    let mut run = Run::of(&mock, worker);
    let up = eventually(address, "/metrics", |_, text| text.contains("jobledger_worker_up 1")).await;
    for series in [
        "jobledger_worker_concurrency 3",
        r#"jobledger_worker_active_tasks{type="a"} 0"#,
        r#"jobledger_worker_events_processed_total{type="a",outcome="completed"} 0"#,
        r#"jobledger_worker_events_processed_total{type="a",outcome="handed_back"} 0"#,
        r#"jobledger_worker_claims_total{outcome="away"} 0"#,
        r#"jobledger_worker_circuit_breaker_state{state="closed"} 1"#,
        r#"jobledger_worker_circuit_breaker_state{state="open"} 0"#,
        "jobledger_worker_reports_dropped_total 0",
        "jobledger_worker_claim_duration_seconds_bucket{le=\"21.0\"}",
    ] {
        assert!(up.contains(series), "{series}\n{up}");
    }
    #[cfg(target_os = "linux")]
    assert!(up.contains("\nprocess_resident_memory_bytes "), "{up}");
    parses(&up);

    mock.queue("a", 2);
    let both = |_: u16, text: &str| text.contains(r#"jobledger_worker_active_tasks{type="a"} 2"#);
    eventually(address, "/metrics", both).await;
    go.notify_waiters();
    let done = r#"jobledger_worker_events_processed_total{type="a",outcome="completed"} 2"#;
    parses(&eventually(address, "/metrics", |_, text| text.contains(done)).await);

    let (code, body) = get(address, "/stats").await;
    let stats: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200);
    assert_eq!(
        (&stats["worker_id"], &stats["up"], &stats["concurrency"], &stats["circuit_breaker"]),
        (&json!("w-1"), &json!(true), &json!(3), &json!("closed"))
    );
    assert_eq!(
        (&stats["active_tasks"]["a"], &stats["events_processed"]["a"]["completed"]),
        (&json!(0), &json!(2))
    );
    assert!(stats["claims"]["jobs"].as_u64() >= Some(1), "{stats}");

    assert_eq!(get(address, "/health").await, (200, r#"{"status":"healthy"}"#.to_owned()));
    // The stop waits for the claim in flight. Meanwhile `/health` returns 503.
    run.tell_to_stop();
    let body = eventually(address, "/health", |status, _| status == 503).await;
    assert_eq!(body, r#"{"status":"stopping"}"#);
    assert_eq!(get(address, "/elsewhere").await.0, 404);
    mock.drain();
    run.ended().await.unwrap();
}

/// Checks a scrape by the grammar: help and type before each family's samples, numbers as values, one end.
#[track_caller]
fn parses(text: &str) {
    let text = text.strip_suffix("# EOF\n").expect("an end");
    let mut family = "";
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (word, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&word), "{line}");
            family = name;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let name = series.split('{').next().unwrap();
        let rest = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
        assert!(["", "_total", "_bucket", "_count", "_sum"].contains(&rest), "{line}");
        assert!(!family.is_empty() && value.parse::<f64>().is_ok(), "{line}");
        assert!(series == name || series.ends_with('}'), "{line}");
    }
}
