//! `GET /v1/analytics/cost/by-model` and `/by-team`: the cost of jobs, by the value of a label.

use std::cmp::Reverse;

use jobledger::Function;
use jobledger::counts::{CostBy, CostError, Costs, MAX_COST_ITEMS, Spent};
use jobledger::domain::{Invalid, MicroDollars};
use jobledger::http::{
    Access, Answer, Call, DateRange, FieldError, MAX_ANSWER_BYTES, Problem, Route, RouteKey, Scope, Served,
    Serves, function, start_and_end,
};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<CostReports>();

const NAME: &str = "costs";

/// `/v1/analytics/cost`.
#[derive(Debug)]
pub struct CostReports;

impl Serves for CostReports {
    const NAME: &'static str = NAME;
    type Backend = Ledger;
    const ROUTES: &'static [Served<Ledger>] = &[Served::of::<CostByModel>(), Served::of::<CostByTeam>()];
}

/// `GET /v1/analytics/cost/by-model`.
#[derive(Debug)]
pub struct CostByModel;

/// `GET /v1/analytics/cost/by-team`.
#[derive(Debug)]
pub struct CostByTeam;

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

impl Route for CostByModel {
    const NAME: &'static str = NAME;
    const KEY: RouteKey = RouteKey::get("/v1/analytics/cost/by-model");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        report(call, CostBy::Model).await
    }
}

impl Route for CostByTeam {
    const NAME: &'static str = NAME;
    const KEY: RouteKey = RouteKey::get("/v1/analytics/cost/by-team");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        report(call, CostBy::Team).await
    }
}

async fn report(mut call: Call<'_, Ledger>, by: CostBy) -> Result<Answer, Problem> {
    let created = start_and_end(&mut call.query);
    let created = call.query.finish(Some(created))?;
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

/// Dearest first. Equal costs are sorted by name, and jobs without the label come after them.
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
    fn the_dearest_comes_first() {
        let spent = |micros| Spent { jobs: 1, cost: MicroDollars::of_sum(micros) };
        let value = |name: &str| Some(name.to_owned());
        let by_name =
            [(None, spent(5)), (value("a"), spent(0)), (value("b"), spent(5)), (value("c"), spent(5))];
        let names: Vec<Option<String>> = sorted(by_name).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [value("b"), value("c"), None, value("a")]);
    }
}
