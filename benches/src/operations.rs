//! The operations: one table, with a function for each that makes its request.

use jobledger::domain::Timestamp;
use jobledger_tests::alone::Request;
use serde_json::json;

use crate::draw::Draw;
use crate::error::Error;
use crate::jobs::{self, Jobs, KINDS};

/// Jobs in one batch-status call: the most that it allows.
const BATCH: u64 = 100;
/// Types that fill pages at every size.
const COMMON_KINDS: [&str; 3] = [KINDS[0].0, KINDS[1].0, KINDS[2].0];

/// An operation that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name in the report.
    pub name: &'static str,
    /// Its route, as the template has it.
    pub route: &'static str,
    /// Whether it is required.
    pub needs: Needs,
    /// The HTTP status of success.
    pub done: u16,
    /// The part of its answers that later operations need.
    pub gives: Gives,
    /// The promise about its units.
    pub promise: Promised,
    /// Makes the request of one call.
    pub(crate) request: Asking,
}

/// Whether an operation is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// It is part of the API. Without it there is no report.
    Always,
    /// If the template lacks the route, or the route refuses the first call, the report says that it was left out.
    WhereThere,
}

/// The part of answers that later operations need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Nothing.
    Nothing,
    /// For each call a new job: `job_id`.
    Job,
    /// For each call a place in a list: `next_cursor`.
    Cursor,
}

/// The promise about the units that an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promised {
    /// They do not grow with the jobs.
    Flat,
    /// They do not grow with the jobs. This is a first page, and the units of others are compared with it.
    FlatFirstPage,
    /// They do not grow with the jobs, nor with the depth: this is a page at an offset.
    FlatDeepPage,
    /// No promise: the report only shows them.
    Nothing,
}

/// One call of an operation.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The jobs that are loaded.
    pub(crate) jobs: &'a Jobs,
    /// Chance, different in each call.
    pub(crate) draw: Draw,
    /// A job that this run created, if any.
    pub(crate) created: Option<&'a str>,
    /// A place in the list of all jobs, if an earlier page gave one.
    pub(crate) cursor: Option<&'a str>,
}

/// All operations, in the order in which they run. Operations that write come last, because no load has their jobs.
pub const OPERATIONS: [Operation; 27] = [
    list("list 50, all", Promised::FlatFirstPage, |case| {
        Ok(listed(&format!("limit=50&sort_order={}", order(case))))
    }),
    list("list 50, one status", Promised::Flat, |case| {
        Ok(listed(&format!("limit=50&status=completed&sort_order={}", order(case))))
    }),
    list("list 50, one type", Promised::Flat, |case| Ok(listed(&format!("limit=50&type={}", kind(case))))),
    list("list 50, a type in a status", Promised::Flat, |case| {
        Ok(listed(&format!("limit=50&type={}&status=completed", kind(case))))
    }),
    list("list 50, two statuses", Promised::Flat, |case| {
        Ok(listed(&format!("limit=50&status=completed,failed&sort_order={}", order(case))))
    }),
    list("list 50, some odd days", Promised::Flat, |case| {
        let (from, to) = odd_days(case);
        Ok(listed(&format!("limit=50&created_after={from}&created_before={to}")))
    }),
    Operation {
        gives: Gives::Cursor,
        ..list("page of 50 at an offset of 50 %", Promised::FlatDeepPage, |case| {
            Ok(listed(&format!("limit=50&offset={}", depth(case, 50))))
        })
    },
    list("list 50, from a cursor there", Promised::Flat, |case| {
        Ok(listed(&format!("limit=50&cursor={}", case.cursor.unwrap_or_default())))
    }),
    list("page of 50 at an offset of 90 %", Promised::FlatDeepPage, |case| {
        Ok(listed(&format!("limit=50&offset={}", depth(case, 90))))
    }),
    list("page of 100 by its number, at 90 %", Promised::Flat, |case| {
        Ok(listed(&format!("per_page=100&page={}", (depth(case, 90) / 100).max(1))))
    }),
    list("total (limit=1)", Promised::Flat, |case| Ok(listed(&format!("limit=1{}", filter(case))))),
    list("total of some odd days (limit=1)", Promised::Flat, |case| {
        let (from, to) = odd_days(case);
        Ok(listed(&format!("limit=1&created_after={from}&created_before={to}")))
    }),
    later(list("list 50, of a team", Promised::Nothing, |case| {
        Ok(listed(&format!("limit=50&team={}", jobs::team(&mut case.draw))))
    })),
    later(list("list 50, by a part of the name", Promised::Nothing, |case| {
        Ok(listed(&format!("limit=50&search={}", jobs::name(&mut case.draw).replace(' ', "%20"))))
    })),
    get("count", "GET /v1/jobs/count", |case| {
        Ok(Request::new("GET", &format!("/v1/jobs/count?type={}", kind(case))))
    }),
    get("count of records", "GET /v1/records/count", |_| Ok(Request::new("GET", "/v1/records/count"))),
    // Due jobs are counted up to 1,000 of each type.
    Operation {
        promise: Promised::Nothing,
        ..get("types, with their queues", "GET /v1/types", |_| Ok(Request::new("GET", "/v1/types")))
    },
    get("stats of some odd days", "GET /v1/jobs/stats", |case| {
        let (from, to) = odd_days(case);
        Ok(Request::new("GET", &format!("/v1/jobs/stats?from_date={from}&to_date={to}")))
    }),
    Operation {
        promise: Promised::Nothing,
        ..get("list of workers", "GET /v1/workers", |_| Ok(Request::new("GET", "/v1/workers")))
    },
    Operation {
        promise: Promised::Nothing,
        ..get("cost by model", "GET /v1/analytics/cost/by-model", |case| Ok(cost(case, "by-model")))
    },
    Operation {
        promise: Promised::Nothing,
        ..get("cost by team", "GET /v1/analytics/cost/by-team", |case| Ok(cost(case, "by-team")))
    },
    Operation {
        needs: Needs::Always,
        ..get("scrape", "GET /metrics", |_| Ok(Request::new("GET", "/metrics")))
    },
    Operation {
        needs: Needs::Always,
        promise: Promised::Nothing,
        ..get("get", "GET /v1/jobs/{job_id}", |case| {
            let number = case.draw.below(case.jobs.count);
            Ok(Request::new("GET", &format!("/v1/jobs/{}", case.jobs.job_id(number)?)))
        })
    },
    later(write("status of 100 jobs", "POST /v1/jobs/batch-status", 200, |case| {
        let step = case.jobs.count / BATCH;
        let first = case.draw.below(step);
        let ids: Vec<_> =
            (0..BATCH).map(|place| case.jobs.job_id(first + place * step)).collect::<Result<_, _>>()?;
        Ok(Request::new("POST", "/v1/jobs/batch-status").body(json!({ "job_ids": ids }).to_string()))
    })),
    Operation {
        gives: Gives::Job,
        ..write("create", "POST /v1/jobs", 201, |case| {
            let body = json!({
                "type": kind(case),
                "name": jobs::name(&mut case.draw),
                "labels": { "team": jobs::team(&mut case.draw) },
                "payload": { "input": format!("s3://raw/{}.mov", case.draw.below(1_000_000)) },
            });
            Ok(Request::new("POST", "/v1/jobs").body(body.to_string()))
        })
    },
    write("cancel", "POST /v1/jobs/{job_id}/cancel", 200, |case| {
        Ok(Request::new("POST", &format!("/v1/jobs/{}/cancel", case.created.unwrap_or_default())))
    }),
    write("delete", "DELETE /v1/jobs/{job_id}", 200, |case| {
        Ok(Request::new("DELETE", &format!("/v1/jobs/{}", case.created.unwrap_or_default())))
    }),
];

/// Makes a request.
type Asking = fn(&mut Case<'_>) -> Result<Request, Error>;

const fn list(name: &'static str, promise: Promised, request: Asking) -> Operation {
    Operation { needs: Needs::Always, promise, ..get(name, "GET /v1/jobs", request) }
}

/// A route that reads numbers and may be missing.
const fn get(name: &'static str, route: &'static str, request: Asking) -> Operation {
    let (needs, promise) = (Needs::WhereThere, Promised::Flat);
    Operation { name, route, needs, done: 200, gives: Gives::Nothing, promise, request }
}

const fn write(name: &'static str, route: &'static str, done: u16, request: Asking) -> Operation {
    Operation { needs: Needs::Always, promise: Promised::Nothing, done, ..get(name, route, request) }
}

const fn later(operation: Operation) -> Operation {
    Operation { needs: Needs::WhereThere, ..operation }
}

fn listed(query: &str) -> Request {
    Request::new("GET", &format!("/v1/jobs?{query}"))
}

fn cost(case: &mut Case<'_>, by: &str) -> Request {
    let (start, end) = odd_days(case);
    Request::new("GET", &format!("/v1/analytics/cost/{by}?start={start}&end={end}"))
}

fn order(case: &mut Case<'_>) -> &'static str {
    case.draw.pick(&["desc", "asc"])
}

fn kind(case: &mut Case<'_>) -> &'static str {
    case.draw.pick(&COMMON_KINDS)
}

/// A filter that totals support.
fn filter(case: &mut Case<'_>) -> String {
    let kind = kind(case);
    case.draw.pick(&[
        String::new(),
        format!("&type={kind}"),
        "&status=failed".to_owned(),
        format!("&type={kind}&status=completed"),
    ])
}

/// Two to six days. Each bound lies somewhere within an hour.
fn odd_days(case: &mut Case<'_>) -> (Timestamp, Timestamp) {
    let count = case.jobs.count;
    let from = case.draw.below(count * 3 / 4);
    let to = from + count / 15 + case.draw.below(count / 8);
    (case.jobs.created_at(from).plus_millis(1), case.jobs.created_at(to).plus_millis(-1))
}

/// The number of jobs before a place at about this percentage of them.
fn depth(case: &mut Case<'_>, percent: u64) -> u64 {
    let place = case.jobs.count * percent / 100;
    place - case.draw.below(case.jobs.count / 100)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_routes_agree_with_requests() {
        let jobs = Jobs::new(300, 1).unwrap();
        let names: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
        for operation in OPERATIONS {
            let mut case = Case { jobs: &jobs, draw: Draw::at(1, 1), created: Some("id"), cursor: Some("c") };
            let request = format!("{:?}", (operation.request)(&mut case).unwrap());
            let (method, path) = operation.route.split_once(' ').unwrap();
            let fixed = path.split("{job_id}").next().unwrap();
            assert!(request.contains(&format!("method: {method:?}")), "{request}");
            assert!(request.contains(&format!("path: \"{fixed}")), "{request}");
        }
    }

    #[test]
    fn operations_that_need_jobs_or_cursors_run_after_those_that_give_them() {
        let place = |name: &str| OPERATIONS.iter().position(|operation| operation.name == name).unwrap();
        let giving = |gives: Gives| OPERATIONS.iter().position(|operation| operation.gives == gives).unwrap();
        assert!(giving(Gives::Cursor) < place("list 50, from a cursor there"));
        assert!(giving(Gives::Job) < place("cancel"));
        assert!(place("cancel") < place("delete"));
    }

    #[test]
    fn odd_days_lie_within_the_load_and_depths_before_its_end() {
        for count in [crate::MIN_JOBS, 1_000, 1_000_000] {
            let jobs = Jobs::new(count, 1).unwrap();
            for call in 0..100 {
                let draw = Draw::at(1, call);
                let mut case = Case { jobs: &jobs, draw, created: None, cursor: None };
                let (from, to) = odd_days(&mut case);
                assert!(jobs.created_at(0) < from && from < to && to < jobs.created_at(count));
                assert!(depth(&mut case, 90) <= count * 9 / 10);
            }
        }
    }
}
