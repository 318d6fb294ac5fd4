//! Totals and metrics, compared with the log.

use std::collections::BTreeMap;

use jobledger::domain::Timestamp;
use jobledger_tests::Service;
use jobledger_tests::jobs::total;
use jobledger_tests::metrics::Samples;
use jobledger_tests::swf::LoggedJob;

const KINDS: [&str; 2] = ["science", "system"];

fn count(jobs: &[LoggedJob], is_wanted: impl Fn(&LoggedJob) -> bool) -> u64 {
    u64::try_from(jobs.iter().filter(|job| is_wanted(job)).count()).expect("a count")
}

/// Totals by type, status, day, month, and hours.
pub(super) async fn totals(service: &Service, jobs: &[LoggedJob]) {
    let all = count(jobs, |_| true);
    for (query, expect) in [
        ("", all),
        ("status=completed", all),
        ("status=failed", 0),
        ("type=science,system", all),
        ("type=science&status=completed", count(jobs, |job| job.group == 1)),
        ("type=science", count(jobs, |job| job.group == 1)),
        ("type=system", count(jobs, |job| job.group == 2)),
        ("type=system&status=queued,running", 0),
        ("created_before=1993-09-30", 0),
        ("created_after=1993-09-30&created_before=1994-01-02", all),
        ("created_after=1994-01-02", 0),
    ] {
        assert_eq!(total(service, query).await, expect, "{query}");
    }
    // Spans, by the first characters of their times: each is a day or a month.
    let mut spans: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for job in jobs {
        let time = job.submitted_at.to_string();
        for length in ["1993-10".len(), "1993-10-01".len()] {
            spans.entry(time[..length].to_owned()).or_default()[usize::from(job.group == 2)] += 1;
        }
    }
    for (span, by_kind) in &spans {
        let (from, to) = if span.len() == 7 {
            (format!("{span}-01"), last_day(span))
        } else {
            (span.clone(), span.clone())
        };
        let range = format!("from_date={from}&to_date={to}");
        assert_eq!(total(service, &range).await, by_kind.iter().sum::<u64>(), "{range}");
        for (kind, expect) in KINDS.into_iter().zip(by_kind) {
            assert_eq!(total(service, &format!("{range}&type={kind}")).await, *expect, "{range} {kind}");
        }
    }
}

fn last_day(month: &str) -> String {
    let days = match &month[5..] {
        "02" => 28,
        "04" | "06" | "09" | "11" => 30,
        _ => 31,
    };
    format!("{month}-{days}")
}

/// Totals of ranges that begin and end exactly at jobs, just before them, and just after.
pub(super) async fn odd_ranges(service: &Service, jobs: &[LoggedJob], every: usize) {
    let times: Vec<Timestamp> = jobs.iter().map(|job| job.submitted_at).collect();
    let length = times.len();
    for (number, from) in times.iter().enumerate().step_by(every) {
        // Short and long ranges, spread over the log by a stride that shares no factor with its length.
        let to = times[(number * 7_919 + 13) % length];
        for (early, late) in [(0, 0), (-1, 1), (1, -1), (0, 3_599_999), (-86_400_000, 0)] {
            let (from, to) = (from.plus_millis(early), to.plus_millis(late));
            let (from, to) = if from <= to { (from, to) } else { (to, from) };
            let range = format!("created_after={from}&created_before={to}");
            let within = |job: &LoggedJob| (from..=to).contains(&job.submitted_at);
            // The range contains all jobs, so the total comes from the counts alone.
            for (filter, kind) in
                [("", None), ("&type=system", Some(2)), ("&type=science&status=completed", Some(1))]
            {
                let expect = count(jobs, |job| within(job) && kind.is_none_or(|group| job.group == group));
                assert_eq!(total(service, &format!("{range}{filter}")).await, expect, "{range}{filter}");
                let path = format!("/v1/jobs?{range}{filter}&offset=100000");
                assert_eq!(service.get(&path).expect(200).await.at("/total"), expect, "{path}");
            }
        }
    }
}

/// The metrics equal the log's numbers by type, to the second and to the bucket.
pub(super) fn metrics(samples: &Samples, jobs: &[LoggedJob]) {
    for kind in KINDS {
        let own: Vec<&LoggedJob> = jobs.iter().filter(|job| job.kind() == kind).collect();
        let jobs = u64::try_from(own.len()).expect("a count");
        let label = format!("type=\"{kind}\"");
        for status in ["queued", "running", "completed", "failed", "cancelled"] {
            let expect = if status == "completed" { jobs } else { 0 };
            assert_eq!(samples.count(&format!("jobledger_jobs{{{label},status=\"{status}\"}}")), expect);
        }
        assert_eq!(samples.count(&format!("jobledger_jobs_created_total{{{label}}}")), jobs);
        assert_eq!(samples.count(&format!("jobledger_jobs_removed_total{{{label}}}")), 0);
        for status in ["completed", "failed", "cancelled"] {
            let expect = if status == "completed" { jobs } else { 0 };
            assert_eq!(
                samples.count(&format!("jobledger_jobs_ended_total{{{label},status=\"{status}\"}}")),
                expect
            );
        }
        let run_ms: u64 = own.iter().map(|job| job.run_seconds * 1_000).sum();
        assert_eq!(samples.count(&format!("jobledger_job_run_seconds_count{{{label}}}")), jobs);
        assert_eq!(samples.millis(&format!("jobledger_job_run_seconds_sum{{{label}}}")), run_ms);
        // The log has no waiting times: each job began when it was submitted.
        assert_eq!(samples.count(&format!("jobledger_job_wait_seconds_count{{{label}}}")), jobs);
        assert_eq!(samples.millis(&format!("jobledger_job_wait_seconds_sum{{{label}}}")), 0);
        let mut buckets = 0;
        for (series, value) in samples.of("jobledger_job_run_seconds_bucket{le=\"") {
            let Some((bound, _)) = series["jobledger_job_run_seconds_bucket{le=\"".len()..].split_once('"')
            else {
                panic!("{series} has no bound");
            };
            if !series.contains(&label) {
                continue;
            }
            buckets += 1;
            // Run times are whole seconds. So are all bounds, except those below one second.
            let seconds = match bound.split_once('.') {
                Some((whole, _)) => whole.parse().expect("a bound"),
                None => u64::MAX,
            };
            let expect = own.iter().filter(|job| job.run_seconds <= seconds).count();
            assert_eq!(value.parse::<usize>().expect("a count"), expect, "{series}");
        }
        assert_eq!(buckets, 14);
    }
    samples.check("jobledger_tally_failed_records_total", "0");
    samples.balance();
}
