//! The log's jobs, read back one by one.

use jobledger::domain::{ExternalId, JobId, Owner, Timestamp};
use jobledger_local::LOCAL_OWNER;
use jobledger_tests::Service;
use jobledger_tests::swf::LoggedJob;
use serde_json::{Value, json};

/// The jobs in the order of lists: the newest first; within one millisecond, the greatest id first.
pub(super) fn newest_first(jobs: &[LoggedJob]) -> Vec<&LoggedJob> {
    let owner = Owner::try_from(LOCAL_OWNER).expect("an owner");
    let id = |job: &LoggedJob| {
        let external_id = ExternalId::try_from(job.number.to_string()).expect("an external id");
        JobId::of_external_id(&owner, &external_id).to_string()
    };
    let mut sorted: Vec<_> = jobs.iter().map(|job| ((job.submitted_at, id(job)), job)).collect();
    sorted.sort_by(|(one, _), (other, _)| other.cmp(one));
    sorted.into_iter().map(|(_, job)| job).collect()
}

/// A job's expected entry in a list, as far as the log has it.
fn summary(job: &LoggedJob) -> Value {
    let mut labels = json!({ "team": format!("user-{}", job.user) });
    if let Some(application) = job.application {
        labels["model"] = json!(format!("app-{application}"));
    }
    // Microdollars: processors times seconds times 0.01 USD an hour, rounded half up.
    let cost = (job.processors * job.run_seconds * 10_000 + 1_800) / 3_600;
    json!({
        "external_id": job.number.to_string(), "owner": "default", "type": if job.group == 2 { "system" } else { "science" },
        "status": "completed", "priority": 0, "attempt": 1, "max_attempts": 1, "labels": labels,
        "created_at": job.submitted_at, "started_at": job.submitted_at,
        "completed_at": Timestamp::from_millis(job.submitted_at.millis() + i64::try_from(job.run_seconds).expect("seconds") * 1_000),
        "duration_ms": job.run_seconds * 1_000, "cost_usd": format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000),
        "progress": {
            "current_task": null, "current_task_progress": null, "overall_progress": 100, "eta_seconds": null,
        },
    })
}

/// Expects a page to hold exactly these jobs.
#[track_caller]
fn check(page: &Value, expect: &[&LoggedJob], at: &str) {
    let found = page["jobs"].as_array().expect("jobs");
    assert_eq!(found.len(), expect.len(), "{at}");
    for (found, expect) in found.iter().zip(expect) {
        let mut found = found.clone();
        let fields = found.as_object_mut().expect("a job");
        assert!(fields.remove("job_id").is_some() && fields.remove("updated_at").is_some());
        assert_eq!(found, summary(expect), "{at}");
    }
}

/// Every job of the log is listed once, with the log's values: of all types, and type by type.
pub(super) async fn job_by_job(service: &Service, jobs: &[LoggedJob]) {
    let sorted = newest_first(jobs);
    let pages = sorted.chunks(500).count();
    for (number, expect) in (1..).zip(sorted.chunks(500)) {
        let path = format!("/v1/jobs?per_page=500&page={number}");
        let page = service.get(&path).expect(200).await;
        check(&page.json, expect, &path);
        assert_eq!((page.at("/total"), page.at("/total_pages")), (&json!(jobs.len()), &json!(pages)));
    }
    // In the other direction, by cursor, one type.
    let systems: Vec<_> = sorted.into_iter().rev().filter(|job| job.group == 2).collect();
    let mut cursor = String::new();
    for expect in systems.chunks(100) {
        let path = format!("/v1/jobs?type=system&status=completed&sort_order=asc&limit=100{cursor}");
        let page = service.get(&path).expect(200).await;
        check(&page.json, expect, &path);
        assert_eq!(page.at("/total"), systems.len());
        cursor = format!("&cursor={}", page.at("/next_cursor").as_str().unwrap_or_default());
    }
    assert_eq!(cursor, "&cursor=", "the last page says that it is");
    // A whole job also has fields that no list shows.
    for job in jobs.iter().step_by(jobs.len() / 10) {
        let page = service.get(&format!(
            "/v1/jobs?created_after={at}&created_before={at}&limit=100",
            at = job.submitted_at
        ));
        let page = page.expect(200).await;
        let found = page.at("/jobs").as_array().expect("jobs").iter();
        let number = job.number.to_string();
        let mut found = found.filter(|found| found["external_id"] == number);
        let id = found.next().expect("the job")["job_id"].as_str().expect("an id").to_owned();
        let whole = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!(whole.at("/metadata"), &json!({ "processors": job.processors }));
    }
}

/// Pages at any offset.
pub(super) async fn offsets(service: &Service, jobs: &[LoggedJob], every: usize) {
    let newest = newest_first(jobs);
    let mut oldest = newest.clone();
    oldest.reverse();
    let ends = [0, 1, jobs.len() - 1, jobs.len(), jobs.len() + 1];
    for offset in (0..jobs.len()).step_by(every).chain(ends) {
        for (order, sorted) in [("desc", &newest), ("asc", &oldest)] {
            let path = format!("/v1/jobs?limit=5&sort_order={order}&offset={offset}");
            let page = service.get(&path).expect(200).await;
            let expect: Vec<_> = sorted.iter().skip(offset).take(5).copied().collect();
            check(&page.json, &expect, &path);
            assert_eq!(page.at("/total"), jobs.len(), "{path}");
        }
    }
    // Within a type and a range: from the second tenth of the log to its last but one.
    let [from, to] = [1, 9].map(|tenth| oldest[jobs.len() * tenth / 10].submitted_at);
    let within = |job: &&LoggedJob| job.group == 1 && (from..=to).contains(&job.submitted_at);
    let sorted: Vec<_> = newest.iter().copied().filter(within).collect();
    for offset in (0..sorted.len()).step_by(every) {
        let path = format!("/v1/jobs?type=science&from_date={from}&to_date={to}&limit=3&skip={offset}");
        let page = service.get(&path).expect(200).await;
        let expect: Vec<_> = sorted.iter().skip(offset).take(3).copied().collect();
        check(&page.json, &expect, &path);
        assert_eq!(page.at("/total"), sorted.len(), "{path}");
    }
}
