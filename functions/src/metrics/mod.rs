//! `GET /metrics`: the numbers of all owners for Prometheus, gathered at scrape time from one partition of `tallies`.

use jobledger::access::StoredAccess;
use jobledger::counts::Gatherer;
use jobledger::http::{Access, Answer, Backend, Call, Problem, Route, RouteKey, function};
use jobledger::store::{Ledger, StoreError};
use jobledger::{Environment, Error, Function};

mod exposition;
mod families;
mod operations;
mod token;

use exposition::Format;
use families::{Down, Families};
use token::Token;

/// The function.
pub const FUNCTION: Function = function::<Metrics>();

/// `GET /metrics`.
#[derive(Debug)]
pub struct Metrics;

impl Route for Metrics {
    const NAME: &'static str = "metrics";
    const KEY: RouteKey = RouteKey::get("/metrics");
    const ACCESS: Access = Access::Open;
    const MAX_BODY_BYTES: usize = 0;
    const IS_OBSERVED: bool = false;
    type Backend = Scraper;

    async fn answer(mut call: Call<'_, Scraper>) -> Result<Answer, Problem> {
        let Scraper { ledger, gatherer, token } = call.backend;
        token.check(call.headers)?;
        call.query.finish(Some(()))?;
        let format = Format::wanted(call.headers);
        let text = match gatherer.gather(ledger, call.now).await {
            Ok(gathered) => format.write(Families(gathered)),
            // That is a number, too.
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store does not answer a scrape"
                );
                format.write(Down)
            }
            Err(error) => return Err(error.into()),
        };
        let text = text.map_err(Problem::internal)?;
        Ok(Answer::text(format.content_type(), text))
    }
}

/// The means of a scrape, kept from one to the next.
#[derive(Debug)]
pub struct Scraper {
    ledger: Ledger,
    gatherer: Gatherer,
    token: Token,
}

impl Backend for Scraper {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let ledger = Ledger::open(environment).await?;
        let token = Token::of(&environment.vars);
        let access = StoredAccess::new(&ledger);
        Ok((Self { ledger, gatherer: Gatherer::default(), token }, access))
    }
}
