//! `GET /v1/analytics/cost/by-model` and `/by-team`: what jobs cost, by the value of a label.

use std::cmp::Reverse;

use jobledger::Function;
use jobledger::counts::{CostBy, CostError, Costs, MAX_COST_ITEMS, Spent};
use jobledger::domain::{Invalid, MicroDollars};
use jobledger::http::{
    Access, Answer, Call, DateRange, FieldError, MAX_ANSWER_BYTES, Problem, Route, Scope, function,
    start_and_end,
};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<CostReport>();

/// `GET /v1/analytics/cost/by-model` and `/by-team`.
#[derive(Debug)]
pub struct CostReport;

#[derive(Serialize)]
struct Body {
    items: Vec<Item>,
    total_cost_usd: MicroDollars,
    date_range: DateRange,
}

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    label: Label,
    cost_usd: MicroDollars,
    jobs: u64,
}

/// The value of the label under its name; null of jobs without it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Label {
    Model(Option<String>),
    Team(Option<String>),
}

impl Route for CostReport {
    const NAME: &'static str = "costs";
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let by = by(call.uri_path).map_err(|invalid| call.query.refuse("path", invalid)).ok();
        let created = start_and_end(&mut call.query);
        let (by, created) = call.query.finish(by.map(|by| (by, created)))?;
        let report = call.backend.jobs().costs(call.owner()?, by, created).await;
        let Costs { spent, range } = report.map_err(|error| refused(by, error))?;
        let total = spent.values().fold(0, |sum: u64, spent| sum.saturating_add(spent.cost.micros()));
        let answer = Answer::ok(&Body {
            items: sorted(spent).into_iter().map(|(value, spent)| item(by, value, spent)).collect(),
            total_cost_usd: MicroDollars::of_sum(total),
            date_range: range.into(),
        });
        if answer.fits() { Ok(answer) } else { Err(too_much(&format!("{MAX_ANSWER_BYTES} bytes can tell"))) }
    }
}

/// Which label a route's path asks for: its last word says so.
fn by(path: &str) -> Result<CostBy, Invalid> {
    let word = path.rsplit('/').next().and_then(|last| last.strip_prefix("by-"));
    let found = CostBy::ALL.into_iter().find(|by| word == Some(by.label()));
    found.ok_or_else(|| Invalid::new("must end in by-model or by-team"))
}

/// Dearest first; what costs the same by name, and jobs without the label after it.
fn sorted(spent: impl IntoIterator<Item = (Option<String>, Spent)>) -> Vec<(Option<String>, Spent)> {
    let mut spent: Vec<_> = spent.into_iter().collect();
    // They come by name, and stay so where the rest is the same.
    spent.sort_by_key(|(value, spent)| (Reverse(spent.cost), value.is_none()));
    spent
}

fn item(by: CostBy, value: Option<String>, spent: Spent) -> Item {
    let label = match by {
        CostBy::Model => Label::Model(value),
        CostBy::Team => Label::Team(value),
    };
    Item { label, cost_usd: spent.cost, jobs: spent.jobs }
}

fn refused(by: CostBy, error: CostError) -> Problem {
    match error {
        CostError::Store(error) => error.into(),
        CostError::TooManySums => {
            too_much(&format!("{MAX_COST_ITEMS} sums, of a {} and a day or a month each", by.label()))
        }
    }
}

fn too_much(what: &str) -> Problem {
    let message = format!("there is more in these days than {what}; ask for fewer days with start and end");
    Problem::invalid_query(vec![FieldError::new("start", Invalid(message))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_by_which_label() {
        assert_eq!(by("/v1/analytics/cost/by-model"), Ok(CostBy::Model));
        assert_eq!(by("/v1/analytics/cost/by-team"), Ok(CostBy::Team));
        for bad in ["", "/", "/by-team/", "/v1/analytics/cost/by-", "/team", "/by-gpu"] {
            assert!(by(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_dearest_comes_first() {
        let spent = |micros| Spent { jobs: 1, cost: MicroDollars::of_sum(micros) };
        let value = |name: &str| Some(name.to_owned());
        let by_name =
            [(None, spent(5)), (value("a"), spent(0)), (value("b"), spent(5)), (value("c"), spent(5))];
        let names: Vec<Option<String>> = sorted(by_name).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [value("b"), value("c"), None, value("a")]);
    }
}
