//! The jobs that are loaded. Each is made from a seed when it is sent, so a million of them need no memory.
//! Their shape is the same for every number of jobs.

use std::ops::Range;

use jobledger::domain::{ExternalId, Invalid, JobId, Owner, Status, Timestamp};
use jobledger_local::LOCAL_OWNER;
use serde_json::{Value, json};

use crate::draw::Draw;

/// The time of creation of the first job: 2026-09-16T00:00:00Z, so that the jobs lie in two months.
const START_MS: i64 = 1_789_516_800_000;
/// The times of creation are spread evenly over this span: 30 days.
const SPAN_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// Types, each with its share in percent.
pub(crate) const KINDS: [(&str, u64); 5] =
    [("render", 50), ("transcode", 25), ("scrape", 15), ("embed", 8), ("report", 2)];
/// Statuses, each with its share in percent.
const STATUSES: [(Status, u64); 5] = [
    (Status::Completed, 90),
    (Status::Failed, 6),
    (Status::Cancelled, 2),
    (Status::Running, 1),
    (Status::Queued, 1),
];
/// Teams, all equally frequent.
const TEAMS: u64 = 20;
/// Models, all equally frequent.
const MODELS: u64 = 12;
const PROVIDERS: [&str; 3] = ["north", "east", "west"];
/// The words of a name: each pair is one name in 144.
const COLOURS: [&str; 12] = [
    "amber", "azure", "black", "coral", "ebony", "green", "ivory", "lilac", "ochre", "olive", "pearl",
    "white",
];
const ANIMALS: [&str; 12] = [
    "badger", "condor", "falcon", "gibbon", "heron", "ibis", "jackal", "lynx", "marten", "otter", "raven",
    "wolf",
];
/// Longest wait before an attempt, in milliseconds.
const WAIT_MS_MAX: u64 = 120_000;
/// Longest run, in milliseconds.
const RUN_MS_MAX: u64 = 1_800_000;
/// Highest cost, in millionths of a US dollar.
const COST_MICROS_MAX: u64 = 250_000;

/// All jobs of one load.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) count: u64,
    pub(crate) seed: u64,
    owner: Owner,
}

impl Jobs {
    /// This many jobs, of the owner of the local key.
    pub(crate) fn new(count: u64, seed: u64) -> Result<Self, Invalid> {
        Ok(Self { count, seed, owner: Owner::try_from(LOCAL_OWNER)? })
    }

    /// The time of creation of the job of this number. The number may be past the last job's.
    pub(crate) fn created_at(&self, number: u64) -> Timestamp {
        let after = u128::from(number) * u128::from(SPAN_MS) / u128::from(self.count.max(1));
        Timestamp::from_millis(START_MS).plus_millis(i64::try_from(after).unwrap_or(i64::MAX))
    }

    /// The id of the job of this number.
    pub(crate) fn job_id(&self, number: u64) -> Result<JobId, Invalid> {
        let external_id = ExternalId::try_from(external_id(number).as_str())?;
        Ok(JobId::of_external_id(&self.owner, &external_id))
    }

    /// These jobs as a call's body, one job a line.
    pub(crate) fn lines(&self, numbers: Range<u64>) -> String {
        numbers.fold(String::new(), |mut body, number| {
            body.push_str(&self.job(number).to_string());
            body.push('\n');
            body
        })
    }

    /// The job of this number, as ingest takes it.
    fn job(&self, number: u64) -> Value {
        let mut draw = Draw::at(self.seed, number);
        let later =
            |time: Timestamp, millis: u64| time.plus_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        let created_at = self.created_at(number);
        let started_at = later(created_at, draw.below(WAIT_MS_MAX));
        let completed_at = later(started_at, 1_000 + draw.below(RUN_MS_MAX));
        let status = draw.weighted(&STATUSES);
        let cost = draw.below(COST_MICROS_MAX);
        let mut job = json!({
            "external_id": external_id(number),
            "type": draw.weighted(&KINDS),
            "status": status.as_str(),
            "name": format!("{} {number:09}", name(&mut draw)),
            "created_at": created_at,
            "labels": {
                "team": team(&mut draw),
                "model": format!("model-{:02}", draw.below(MODELS)),
                "provider": draw.pick(&PROVIDERS),
            },
        });
        match status {
            Status::Queued => {}
            Status::Running => job["started_at"] = json!(started_at),
            Status::Completed | Status::Failed | Status::Cancelled => {
                job["started_at"] = json!(started_at);
                job["completed_at"] = json!(completed_at);
                job["cost_usd"] = json!(format!("0.{cost:06}"));
            }
        }
        if status == Status::Failed {
            job["error"] = json!("the worker went away");
        }
        job
    }
}

fn external_id(number: u64) -> String {
    format!("bench-{number:09}")
}

/// A team's name.
pub(crate) fn team(draw: &mut Draw) -> String {
    format!("team-{:02}", draw.below(TEAMS))
}

/// The part of a job's name that other jobs share.
pub(crate) fn name(draw: &mut Draw) -> String {
    format!("{} {}", draw.pick(&COLOURS), draw.pick(&ANIMALS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_jobs() {
        let [one, two] = [1, 2].map(|seed| Jobs::new(1_000, seed).unwrap());
        assert_eq!(one.lines(10..20), one.lines(10..20));
        assert_ne!(one.lines(10..20), two.lines(10..20));
        assert_eq!(one.lines(10..20).lines().count(), 10);
    }

    #[test]
    fn jobs_have_one_shape_however_many_they_are() {
        for count in [300, 1_000_000] {
            let jobs = Jobs::new(count, 1).unwrap();
            let last = jobs.job(count - 1);
            assert_eq!(jobs.job(0)["created_at"], "2026-09-16T00:00:00.000Z");
            assert!(last["created_at"].as_str().unwrap().starts_with("2026-10-15T2"), "{last}");
        }
        let jobs = Jobs::new(10_000, 1).unwrap();
        let completed = (0..10_000).filter(|number| jobs.job(*number)["status"] == "completed").count();
        assert!((8_800..9_200).contains(&completed), "{completed}");
    }

    #[test]
    fn a_job_has_only_the_fields_that_its_status_allows() {
        let jobs = Jobs::new(2_000, 3).unwrap();
        for job in (0..2_000).map(|number| jobs.job(number)) {
            let status = job["status"].as_str().unwrap();
            assert_eq!(job.get("started_at").is_none(), status == "queued", "{job}");
            let ended = matches!(status, "completed" | "failed" | "cancelled");
            assert_eq!(job.get("completed_at").is_some(), ended, "{job}");
            assert_eq!(job.get("error").is_some(), status == "failed", "{job}");
        }
    }
}
