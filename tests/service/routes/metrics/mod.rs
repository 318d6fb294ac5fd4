//! `GET /metrics`.

mod flood;
mod token;

use jobledger_tests::Service;
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::metrics::{Samples, is_well_formed};
use jobledger_tests::problems::refuses;
use serde_json::json;

/// The time until which the stream of jobs is counted.
const COUNTED_UNTIL_OF_JOBS: &str = "jobledger_counted_until_timestamp_seconds{stream=\"jobs\"}";

/// Three types: one with a job in each status, one that only had a queued job, one whose job was deleted.
async fn fill(service: &Service) {
    let jobs = json!([
        { "external_id": "q", "type": "a", "status": "queued", "created_at": "2026-01-01T00:00:00Z" },
        { "external_id": "r", "type": "a", "status": "running", "created_at": "2026-01-01T00:00:00Z",
          "started_at": "2026-01-01T00:00:00.400Z" },
        { "external_id": "c", "type": "a", "status": "completed", "created_at": "2026-01-01T00:00:00Z",
          "started_at": "2026-01-01T00:00:20Z", "completed_at": "2026-01-01T00:00:20.100Z" },
        { "external_id": "d", "type": "a", "status": "completed", "created_at": "2026-01-01T00:00:00Z",
          "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-03T00:00:00.001Z" },
        { "external_id": "f", "type": "a", "status": "failed", "error": "x", "created_at": "2026-01-01T00:00:00Z",
          "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z" },
        { "external_id": "x", "type": "a", "status": "cancelled", "completed_at": "2026-01-01T00:00:00Z" },
    ]);
    assert_eq!(ingest(service, &jobs).await, [6, 0, 0, 0]);
    service.post("/v1/jobs?owner=other", &json!({ "type": "b" })).expect(201).await;
    let gone = create(service, &json!({ "type": "c" })).await;
    service.call("DELETE", &format!("/v1/jobs/{gone}")).expect(200).await;
    service.settled().await;
}

#[tokio::test]
async fn every_number_is_there_and_right() {
    let service = Service::start().await;
    fill(&service).await;
    let samples = Samples::scrape(&service).await;
    let jobs = |kind: &str, status: &str, expect: &str| {
        samples.check(&format!("jobledger_jobs{{type=\"{kind}\",status=\"{status}\"}}"), expect);
    };
    for (status, expect) in
        [("queued", "1"), ("running", "1"), ("completed", "2"), ("failed", "1"), ("cancelled", "1")]
    {
        jobs("a", status, expect);
        jobs("b", status, if status == "queued" { "1" } else { "0" });
        jobs("c", status, "0");
    }
    for (kind, created, removed) in [("a", "6", "0"), ("b", "1", "0"), ("c", "1", "1")] {
        samples.check(&format!("jobledger_jobs_created_total{{type=\"{kind}\"}}"), created);
        samples.check(&format!("jobledger_jobs_removed_total{{type=\"{kind}\"}}"), removed);
    }
    for (kind, completed, failed, cancelled) in
        [("a", "2", "1", "1"), ("b", "0", "0", "0"), ("c", "0", "0", "1")]
    {
        for (status, expect) in [("completed", completed), ("failed", failed), ("cancelled", cancelled)] {
            samples
                .check(&format!("jobledger_jobs_ended_total{{type=\"{kind}\",status=\"{status}\"}}"), expect);
        }
    }
    // Runs of 0.1 s, 1 s, and two days and a millisecond; waits of 0 s (twice), 0.4 s and 20 s.
    samples.check("jobledger_job_run_seconds_count{type=\"a\"}", "3");
    assert_eq!(samples.millis("jobledger_job_run_seconds_sum{type=\"a\"}"), 100 + 1_000 + 172_800_001);
    samples.check("jobledger_job_wait_seconds_count{type=\"a\"}", "4");
    assert_eq!(samples.millis("jobledger_job_wait_seconds_sum{type=\"a\"}"), 20_400);
    let bucket = |name: &str, le: &str, expect: &str| {
        samples.check(&format!("jobledger_job_{name}_seconds_bucket{{le=\"{le}\",type=\"a\"}}"), expect);
    };
    for (le, run, wait) in [
        ("0.1", "1", "2"),
        ("0.5", "1", "3"),
        ("1.0", "2", "3"),
        ("5.0", "2", "3"),
        ("15.0", "2", "3"),
        ("60.0", "2", "4"),
        ("86400.0", "2", "4"),
        ("+Inf", "3", "4"),
    ] {
        bucket("run", le, run);
        bucket("wait", le, wait);
    }
    for kind in ["b", "c"] {
        for name in ["run", "wait"] {
            samples.check(&format!("jobledger_job_{name}_seconds_count{{type=\"{kind}\"}}"), "0");
            assert_eq!(samples.millis(&format!("jobledger_job_{name}_seconds_sum{{type=\"{kind}\"}}")), 0);
            let family = format!("jobledger_job_{name}_seconds_bucket");
            let buckets = samples.of(&family);
            let own = buckets.filter(|(series, _)| series.contains(&format!("type=\"{kind}\"")));
            assert_eq!(own.map(|(_, value)| value).collect::<Vec<_>>(), ["0"; 14]);
        }
    }
    samples.check("jobledger_tally_failed_records_total", "0");
    samples.check(&format!("jobledger_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), "1");
    assert!(samples.millis(COUNTED_UNTIL_OF_JOBS) > 1_700_000_000_000);
    // Each stream has its own series. No record was ever counted.
    assert_eq!(samples.of("jobledger_counted_until_timestamp_seconds").count(), 1);
    samples.millis("jobledger_tally_lag_seconds");
    samples.balance();
}

#[tokio::test]
async fn a_service_without_jobs_has_numbers_too() {
    let service = Service::start().await;
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_tally_failed_records_total", "0");
    assert_eq!(samples.of("jobledger_jobs").count(), 0);
    assert_eq!(samples.of("jobledger_records{").count(), 0);
    samples.check("jobledger_records_cut", "0");
    samples.balance();
}

/// Sources by status, extractions, entities, of all owners together. A status without records has no series.
#[tokio::test]
async fn records_are_shown_by_kind_and_status() {
    let service = Service::start().await;
    fill(&service).await;
    for (path, status) in [
        ("source/1", Some("ready")),
        ("source/2", Some("ready")),
        ("source/3", Some("stale")),
        ("source/2?owner=other", Some("ready")),
        ("extraction/1", None),
        ("entity/1", None),
        ("entity/2", Some("merged")),
    ] {
        let call = service.call("PUT", &format!("/v1/records/{path}"));
        call.json(&json!({ "status": status })).expect(201).await;
    }
    service.call("DELETE", "/v1/records/entity/2").expect(200).await;
    service.settled().await;
    let samples = Samples::scrape(&service).await;
    let shown: Vec<_> = samples.of("jobledger_records{").collect();
    assert_eq!(
        shown,
        [
            ("jobledger_records{kind=\"entity\",status=\"none\"}", "1"),
            ("jobledger_records{kind=\"extraction\",status=\"none\"}", "1"),
            ("jobledger_records{kind=\"source\",status=\"ready\"}", "3"),
            ("jobledger_records{kind=\"source\",status=\"stale\"}", "1"),
        ]
    );
    samples.check("jobledger_records_cut", "0");
    // The series on both sides of the records are there as well.
    samples.check("jobledger_jobs_created_total{type=\"a\"}", "6");
    assert!(samples.millis(COUNTED_UNTIL_OF_JOBS) > 1_700_000_000_000);
    let of_records = COUNTED_UNTIL_OF_JOBS.replace("jobs", "records");
    assert!(samples.millis(&of_records) > 1_700_000_000_000);
    samples.balance();
    is_well_formed(&service).await;
}

#[tokio::test]
async fn the_scraper_chooses_the_format() {
    let service = Service::start().await;
    fill(&service).await;
    let plain = service.anonymous("GET", "/metrics").expect(200).await;
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(plain.text.contains("# TYPE jobledger_jobs_created_total counter\n"), "{}", plain.text);
    assert!(!plain.text.contains("# EOF") && !plain.text.contains("# UNIT"), "{}", plain.text);
    // The header that Prometheus 3 sends.
    let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                  text/plain;version=0.0.4;escaping=allow-utf-8;q=0.5,*/*;q=0.1";
    let open = service.anonymous("GET", "/metrics").header("accept", accept).expect(200).await;
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text.contains("# TYPE jobledger_jobs_created counter\n"), "{}", open.text);
    assert!(open.text.ends_with("# EOF\n"), "{}", open.text);
    // Both formats show the same values, except those that change by themselves.
    let still = |text: &str| {
        let samples = Samples::parse(text);
        let own = samples.of("jobledger_job").map(|(series, value)| (series.to_owned(), value.to_owned()));
        own.collect::<Vec<_>>()
    };
    assert_eq!(still(&plain.text), still(&open.text));
}

#[tokio::test]
async fn the_function_url_answers_the_same() {
    let service = Service::start().await;
    fill(&service).await;
    let route = Samples::scrape(&service).await;
    for path in ["/lambda-url/metrics", "/lambda-url/metrics/", "/lambda-url/metrics/metrics"] {
        let reply = service.anonymous("GET", path).expect(200).await;
        assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let url = Samples::parse(&reply.text);
        assert_eq!(
            url.of("jobledger_job").collect::<Vec<_>>(),
            route.of("jobledger_job").collect::<Vec<_>>()
        );
    }
}

/// If `promtool` is installed, it accepts both formats.
#[tokio::test]
async fn promtool_finds_nothing_wrong() {
    let service = Service::start().await;
    fill(&service).await;
    is_well_formed(&service).await;
}

#[tokio::test]
async fn the_query_takes_no_names() {
    let service = Service::start().await;
    let reply = service.anonymous("GET", "/metrics?name%5B%5D=up").send().await;
    refuses(&reply, 422, "invalid_query", &["name[]"]);
}

#[tokio::test]
async fn failures_are_counted_by_type_and_code_up_to_a_limit() {
    let service = Service::start().await;
    let failed = |id: &str, code: Option<&str>| {
        let mut error = json!({ "message": "no" });
        if let Some(code) = code {
            error["code"] = json!(code);
        }
        json!({ "external_id": id, "type": "a", "status": "failed", "error": error,
                "created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z" })
    };
    let few = json!([failed("1", Some("oom")), failed("2", Some("oom")), failed("3", None)]);
    assert_eq!(ingest(&service, &few).await, [3, 0, 0, 0]);
    service.settled().await;
    let of = |code: &str| format!("jobledger_job_failures_total{{type=\"a\",code=\"{code}\"}}");
    let samples = Samples::scrape(&service).await;
    samples.check(&of("oom"), "2");
    samples.check(&of("none"), "1");
    assert_eq!(samples.of("jobledger_job_failures_total").count(), 2);

    let many: Vec<_> = (0..40).map(|n| failed(&format!("many-{n}"), Some(&format!("code-{n:02}")))).collect();
    assert_eq!(ingest(&service, &json!(many)).await, [40, 0, 0, 0]);
    service.settled().await;
    assert_eq!(
        ingest(&service, &json!([failed("4", Some("oom")), failed("5", Some("new"))])).await,
        [2, 0, 0, 0]
    );
    service.settled().await;
    let samples = Samples::scrape(&service).await;
    samples.check(&of("oom"), "3");
    samples.check(&of("other"), "22");
    let all: u64 = samples.of("jobledger_job_failures_total").map(|(series, _)| samples.count(series)).sum();
    assert_eq!(all, 45);
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"failed\"}", "45");
    // Those of 20 codes, of failures without a code, and of all other codes.
    assert_eq!(samples.of("jobledger_job_failures_total").count(), 22);
    is_well_formed(&service).await;
}
