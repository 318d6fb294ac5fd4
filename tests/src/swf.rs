//! The Standard Workload Format of the Parallel Workloads Archive: the lines of a log as jobs for ingest.
//!
//! A line that begins with `;` belongs to the header. Every other has 18 numbers; -1 means unknown.

use jobledger::domain::Timestamp;
use serde_json::{Value, json};

/// The price of a processor for an hour, in millionths of a US dollar.
const MICROS_PER_PROCESSOR_HOUR: u64 = 10_000;

/// A job of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedJob {
    /// Its number in the log.
    pub number: u64,
    /// The time at which it was submitted and started: this kind of log has one time for both.
    pub submitted_at: Timestamp,
    /// Its run time, in seconds.
    pub run_seconds: u64,
    /// Its number of processors.
    pub processors: u64,
    /// Its user.
    pub user: u64,
    /// 1 for users, 2 for system staff.
    pub group: u64,
    /// Its application; `None`: unknown.
    pub application: Option<u64>,
}

/// The jobs of a log, in its order.
pub fn parse(log: &str) -> Result<Vec<LoggedJob>, String> {
    let mut start: Option<i64> = None;
    let mut jobs = Vec::new();
    for (number, line) in (1..).zip(log.lines()) {
        let wrong = |what: &str| format!("line {number}: {what}");
        if let Some(header) = line.strip_prefix(';') {
            if let Some(value) = header.trim().strip_prefix("UnixStartTime:") {
                start = Some(value.trim().parse().map_err(|_| wrong("UnixStartTime is no number"))?);
            }
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let start = start.ok_or_else(|| wrong("a job before UnixStartTime"))?;
        jobs.push(job(line, start).map_err(|what| wrong(&what))?);
    }
    Ok(jobs)
}

fn job(line: &str, start: i64) -> Result<LoggedJob, String> {
    let fields: Vec<i64> = line
        .split_whitespace()
        .map(|field| field.parse().map_err(|_| format!("{field:?} is no whole number")))
        .collect::<Result<_, _>>()?;
    let [number, submit, _, run, processors, _, _, _, _, _, _, user, group, application, ..] = fields[..]
    else {
        return Err(format!("{} fields instead of 18", fields.len()));
    };
    let known = |value: i64, name: &str| u64::try_from(value).map_err(|_| format!("{name} is unknown"));
    Ok(LoggedJob {
        number: known(number, "job number")?,
        submitted_at: Timestamp::from_millis((start + submit) * 1_000),
        run_seconds: known(run, "run time")?,
        processors: known(processors, "processors")?,
        user: known(user, "user")?,
        group: known(group, "group")?,
        application: u64::try_from(application).ok(),
    })
}

impl LoggedJob {
    /// The time of its end.
    pub fn completed_at(&self) -> Timestamp {
        self.submitted_at.plus_millis(i64::try_from(self.run_seconds).unwrap_or(i64::MAX) * 1_000)
    }

    /// Its type, from its group.
    pub fn kind(&self) -> &'static str {
        if self.group == 2 { "system" } else { "science" }
    }

    /// Its cost, in millionths of a US dollar, rounded half up.
    pub fn cost_micros(&self) -> u64 {
        (self.run_seconds * self.processors * MICROS_PER_PROCESSOR_HOUR * 2 + 3_600) / 7_200
    }

    /// The job as ingest takes it.
    pub fn to_ingest(&self) -> Value {
        let cost = self.cost_micros();
        let mut labels = json!({ "team": format!("user-{}", self.user) });
        if let Some(application) = self.application {
            labels["model"] = json!(format!("app-{application}"));
        }
        json!({
            "external_id": self.number.to_string(),
            "type": self.kind(),
            "status": "completed",
            "created_at": self.submitted_at,
            "started_at": self.submitted_at,
            "completed_at": self.completed_at(),
            "labels": labels,
            "metadata": { "processors": self.processors },
            "cost_usd": format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000),
        })
    }
}

/// The jobs as NDJSON, in calls of at most `size`.
pub fn calls(jobs: &[LoggedJob], size: usize) -> Vec<String> {
    let line = |job: &LoggedJob| job.to_ingest().to_string();
    jobs.chunks(size).map(|chunk| chunk.iter().map(line).collect::<Vec<_>>().join("\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "; Version: 2.2\n;\n; UnixStartTime: 749458803\n";
    const LINE: &str =
        "   74    29616     -1     15    3     -1    -1   -1     -1    -1 -1   4   2   6 -1 -1 -1 -1 -1\n";

    fn job(run_seconds: u64, processors: u64) -> LoggedJob {
        let line = format!("1 0 -1 {run_seconds} {processors} -1 -1 -1 -1 -1 -1 1 1 -1 -1 -1 -1 -1");
        parse(&format!("{HEADER}{line}")).unwrap().remove(0)
    }

    #[test]
    fn a_line_is_a_job() {
        let expect = LoggedJob {
            number: 74,
            submitted_at: Timestamp::from_millis((749_458_803 + 29_616) * 1_000),
            run_seconds: 15,
            processors: 3,
            user: 4,
            group: 2,
            application: Some(6),
        };
        assert_eq!(parse(&format!("{HEADER}\n{LINE}\n  \n")), Ok(vec![expect]));
        assert_eq!(parse(HEADER), Ok(Vec::new()));
    }

    #[test]
    fn fields_of_minus_one_are_left_out() {
        let unknown = job(1, 1);
        assert_eq!(unknown.application, None);
        assert_eq!(unknown.to_ingest()["labels"], json!({ "team": "user-1" }));
    }

    #[test]
    fn a_job_is_ingested_as_the_log_has_it() {
        let job = parse(&format!("{HEADER}{LINE}")).unwrap().remove(0);
        let expect = json!({
            "external_id": "74", "type": "system", "status": "completed",
            "created_at": "1993-10-01T15:13:39.000Z", "started_at": "1993-10-01T15:13:39.000Z",
            "completed_at": "1993-10-01T15:13:54.000Z", "labels": { "team": "user-4", "model": "app-6" },
            "metadata": { "processors": 3 }, "cost_usd": "0.000125",
        });
        assert_eq!(job.to_ingest(), expect);
    }

    #[test]
    fn a_cost_is_rounded_half_up_to_microdollars() {
        // A processor-second costs 2.77… microdollars.
        for (run_seconds, processors, expect) in [
            (0, 128, 0),
            (1, 1, 3),
            (1, 2, 6),
            (2, 2, 11),
            (9, 1, 25),
            (3_600, 1, 10_000),
            (3_600, 128, 1_280_000),
            (62_643, 128, 22_273_067),
        ] {
            assert_eq!(job(run_seconds, processors).cost_micros(), expect, "{run_seconds} s on {processors}");
        }
    }

    #[test]
    fn an_invalid_log_is_refused_with_its_line() {
        let wrong = |log: &str| parse(log).unwrap_err();
        assert_eq!(wrong(LINE), "line 1: a job before UnixStartTime");
        assert_eq!(wrong("; UnixStartTime: soon"), "line 1: UnixStartTime is no number");
        assert_eq!(wrong(&format!("{HEADER}1 2 3")), "line 4: 3 fields instead of 18");
        assert_eq!(
            wrong(&format!("{HEADER}{}", LINE.replace("15", "x"))),
            "line 4: \"x\" is no whole number"
        );
        assert_eq!(wrong(&format!("{HEADER}{}", LINE.replace("15", "-1"))), "line 4: run time is unknown");
    }

    #[test]
    fn jobs_are_split_into_calls_of_that_size() {
        let jobs = vec![job(1, 1); 5];
        let sizes: Vec<usize> = calls(&jobs, 2).iter().map(|call| call.lines().count()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert!(calls(&[], 2).is_empty());
    }
}
