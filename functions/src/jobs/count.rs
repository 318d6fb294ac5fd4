//! `GET /v1/jobs/count`: how many jobs a list has, by status and by type, without a page of it.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::counts::StatusCounts;
use jobledger::domain::{Invalid, Status, TypeName, Wait};
use jobledger::http::{
    Access, Answer, Call, FieldError, MAX_ANSWER_BYTES, Problem, Route, RouteKey, Scope, function, job_query,
};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<GetJobCount>();

/// `GET /v1/jobs/count`.
#[derive(Debug)]
pub struct GetJobCount;

#[derive(Serialize)]
struct Body {
    total: u64,
    total_kind: &'static str,
    by_status: BTreeMap<Status, u64>,
    by_type: BTreeMap<TypeName, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_state: Option<BTreeMap<&'static str, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_type_and_status: Option<BTreeMap<TypeName, BTreeMap<Status, u64>>>,
}

impl Route for GetJobCount {
    const NAME: &'static str = "get-job-count";
    const KEY: RouteKey = RouteKey::get("/v1/jobs/count");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let query = job_query(call.owner()?.clone(), &mut call.query, call.now);
        let by = call.query.optional("by", |word| match word {
            "type_and_status" => Ok(By::TypeAndStatus),
            "state" => Ok(By::State),
            _ => Err(Invalid::new("must be state or type_and_status")),
        });
        let query = call.query.finish(Some(query))?;
        let counts = call.backend.jobs().count(&query, by == Some(By::State)).await?;
        let by_state = match (by, &counts.by_wait) {
            (Some(By::State), Some(waits)) => Some(by_state(&counts.by_status, waits)),
            (Some(By::State), None) => return Err(not_by_state()),
            (Some(By::TypeAndStatus) | None, _) => None,
        };
        let answer = Answer::ok(&Body {
            total: counts.total.count,
            total_kind: counts.total.kind(),
            by_status: counts.by_status.iter().collect(),
            by_type: counts.by_type.iter().map(|(kind, counts)| (kind.clone(), counts.total())).collect(),
            by_state,
            by_type_and_status: (by == Some(By::TypeAndStatus)).then(|| by_type_and_status(counts.by_type)),
        });
        if answer.fits() { Ok(answer) } else { Err(too_many_types()) }
    }
}

/// By what else the jobs are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    State,
    TypeAndStatus,
}

/// The numbers by status, with queued jobs by how they wait.
fn by_state(statuses: &StatusCounts, waits: &BTreeMap<Wait, u64>) -> BTreeMap<&'static str, u64> {
    let statuses = statuses.iter().filter(|(status, _)| *status != Status::Queued);
    let statuses = statuses.map(|(status, count)| (status.as_str(), count));
    statuses.chain(waits.iter().map(|(wait, count)| (wait.as_str(), *count))).collect()
}

fn not_by_state() -> Problem {
    let message = "cannot be state together with dates or with filters other than type and status";
    Problem::invalid_query(vec![FieldError::new("by", Invalid::new(message))])
}

/// Each type's numbers by status, without those that are 0.
fn by_type_and_status(types: BTreeMap<TypeName, StatusCounts>) -> BTreeMap<TypeName, BTreeMap<Status, u64>> {
    let counted = |counts: StatusCounts| counts.iter().filter(|(_, count)| *count > 0).collect();
    types.into_iter().map(|(kind, counts)| (kind, counted(counts))).collect()
}

fn too_many_types() -> Problem {
    let message = format!("has more types than {MAX_ANSWER_BYTES} bytes can name; ask for some of them");
    Problem::invalid_query(vec![FieldError::new("type", Invalid(message))])
}
