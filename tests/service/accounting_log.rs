//! A real log. The test ingests it, and finds each job again, in every total, and in the metrics.

mod agreement;
mod numbers;
mod walks;

use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use jobledger_tests::Service;
use jobledger_tests::jobs::{total, went_in};
use jobledger_tests::metrics::Samples;
use jobledger_tests::swf::{LoggedJob, calls, parse};

/// A slice of the log; see the README beside it.
const SLICE: &str = include_str!("../fixtures/nasa-ipsc-1993-slice.swf");
/// The whole log, if the shared folder beside the workspace exists.
const WHOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/nasa-ipsc-1993-cln.swf.gz");
/// Jobs of one call: few enough for slow and busy machines to answer in time.
const CALL: usize = 500;

/// Ingests a log; returns how many jobs were created, updated, unchanged and rejected.
async fn ingest(service: &Service, jobs: &[LoggedJob]) -> [u64; 4] {
    let mut sum = [0; 4];
    for call in calls(jobs, CALL) {
        let reply = service.call("POST", "/v1/admin/ingest/jobs").body(call).expect(200).await;
        for (sum, count) in sum.iter_mut().zip(went_in(&reply)) {
            *sum += count;
        }
        // The test waits after each call, so that the counter never lags by more than one call.
        service.settled().await;
    }
    sum
}

/// All that must hold after a log was ingested, and after the same log was ingested again.
async fn goes_in_and_comes_back(service: &Service, jobs: &[LoggedJob], every: usize) {
    let count = u64::try_from(jobs.len()).expect("a count");
    assert_eq!(ingest(service, jobs).await, [count, 0, 0, 0]);
    walks::job_by_job(service, jobs).await;
    agreement::totals(service, jobs).await;
    agreement::odd_ranges(service, jobs, every).await;
    walks::offsets(service, jobs, every).await;
    numbers::by_month(service, jobs).await;
    let samples = Samples::scrape(service).await;
    agreement::metrics(&samples, jobs);

    assert_eq!(ingest(service, jobs).await, [0, 0, count, 0]);
    let again = Samples::scrape(service).await;
    assert_eq!(
        again.of("jobledger_job").collect::<Vec<_>>(),
        samples.of("jobledger_job").collect::<Vec<_>>()
    );
    assert_eq!(total(service, "").await, count);
    agreement::totals(service, jobs).await;
    numbers::by_month(service, jobs).await;
}

#[tokio::test]
async fn a_slice_of_the_log_is_listed_and_counted_job_by_job() {
    let jobs = parse(SLICE).expect("a log");
    let of = |is_wanted: fn(&LoggedJob) -> bool| jobs.iter().filter(|job| is_wanted(job)).count();
    assert_eq!(
        (jobs.len(), of(|job| job.kind() == "science"), of(|job| job.kind() == "system")),
        (420, 325, 95)
    );
    assert_eq!(of(|job| job.application.is_none()), 43);
    for shards in ["1", "4"] {
        let service = Service::with(&[("IndexShards", shards)]).await;
        goes_in_and_comes_back(&service, &jobs, 29).await;
    }
}

#[tokio::test]
async fn the_whole_log_is_listed_and_counted_job_by_job() {
    if !Path::new(WHOLE).exists() {
        return;
    }
    let packed = std::fs::File::open(WHOLE).expect("the log");
    let mut log = String::new();
    GzDecoder::new(packed).read_to_string(&mut log).expect("gzip");
    let jobs = parse(&log).expect("a log");
    let service = Service::start().await;
    goes_in_and_comes_back(&service, &jobs, 601).await;

    assert_eq!(total(&service, "").await, 18_239);
    assert_eq!(total(&service, "type=science").await, 14_952);
    assert_eq!(total(&service, "type=system").await, 3_287);
    assert_eq!(total(&service, "status=completed").await, 18_239);
    assert_eq!(total(&service, "status=queued,running,failed,cancelled").await, 0);
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs{type=\"science\",status=\"completed\"}", "14952");
    samples.check("jobledger_jobs{type=\"system\",status=\"completed\"}", "3287");
}
