//! `GET /v1/jobs/failures`: failed jobs by type and reason, with an example of each.

use jobledger::counts::{Example, FailedJobs, Failures, MAX_FAILURE_GROUPS};
use jobledger::domain::{ErrorCode, FailureGroup, JobId, Timestamp, TypeName};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, limit, types};
use jobledger::store::Ledger;
use serde::Serialize;

/// Groups of an answer, if the caller sets no limit.
const DEFAULT_LIMIT: usize = 50;

/// `GET /v1/jobs/failures`.
#[derive(Debug)]
pub struct ListFailures;

#[derive(Serialize)]
struct Body {
    failures: Vec<Item>,
    groups: usize,
    left_out_count: u64,
    other_count: u64,
    total: u64,
    total_kind: &'static str,
    limit: usize,
}

#[derive(Serialize)]
struct Item {
    #[serde(rename = "type")]
    kind: TypeName,
    error_code: Option<ErrorCode>,
    error_pattern: Option<String>,
    count: u64,
    count_kind: &'static str,
    example: Option<ExampleView>,
}

#[derive(Serialize)]
struct ExampleView {
    job_id: JobId,
    error_message: String,
    failed_at: Timestamp,
}

impl Route for ListFailures {
    const NAME: &'static str = super::stats::NAME;
    const KEY: RouteKey = RouteKey::get("/v1/jobs/failures");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let types = types(&mut call.query);
        let limit = call.query.optional("limit", limit(MAX_FAILURE_GROUPS));
        call.query.finish(Some(()))?;
        let failures = call.backend.jobs().failures(call.owner()?, &types).await?;
        Ok(Answer::ok(&body(failures, limit.unwrap_or(DEFAULT_LIMIT))))
    }
}

fn body(failures: Failures, limit: usize) -> Body {
    let Failures { mut groups, total, other } = failures;
    let number = groups.len();
    let rest = groups.split_off(limit.min(number));
    // A group that got its place late counts only some of its jobs. The others are among those that are in no group.
    let count_kind = if other == 0 { "exact" } else { "at_least" };
    Body {
        failures: groups.into_iter().map(|group| item(group, count_kind)).collect(),
        groups: number,
        left_out_count: rest.iter().map(|group| group.count).sum(),
        other_count: other,
        total,
        total_kind: "exact",
        limit,
    }
}

fn item(group: FailedJobs, count_kind: &'static str) -> Item {
    let FailedJobs { kind, group, count, example } = group;
    let (error_code, error_pattern) = match group {
        FailureGroup::Code(code) => (Some(code), None),
        FailureGroup::Message(pattern) => (None, Some(pattern)),
    };
    let example = example.map(|Example { job_id, failed_at, message }| ExampleView {
        job_id,
        error_message: message,
        failed_at,
    });
    Item { kind, error_code, error_pattern, count, count_kind, example }
}
