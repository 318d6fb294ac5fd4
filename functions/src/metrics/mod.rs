//! `GET /metrics`: the numbers of all owners for Prometheus, gathered at scrape time from one partition of `tallies`.

use jobledger::access::StoredAccess;
use jobledger::http::{Access, Answer, Backend, Call, Problem, Route, RouteKey, function};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};

mod exposition;
mod gather;
mod lag;
mod shares;
mod token;

use exposition::Format;
use gather::Gathered;
use lag::Probing;
use shares::Shares;
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
    type Backend = Scraper;

    async fn answer(mut call: Call<'_, Scraper>) -> Result<Answer, Problem> {
        let Scraper { ledger, probing, shares, token } = call.backend;
        token.check(call.headers)?;
        call.query.finish(Some(()))?;
        let (mut scrape, ()) = tokio::try_join!(ledger.metrics().scrape(), probing.send(ledger, call.now))?;
        if scrape.are_records_cut {
            scrape.records = shares.get(ledger, call.now).await?;
        }
        let lag_ms = probing.lag_ms(scrape.probe, call.now);
        let format = Format::wanted(call.headers);
        let text = format.write(Gathered::new(scrape, lag_ms, call.now)).map_err(Problem::internal)?;
        Ok(Answer::text(format.content_type(), text))
    }
}

/// What a scrape works with, kept from one to the next.
#[derive(Debug)]
pub struct Scraper {
    ledger: Ledger,
    probing: Probing,
    shares: Shares,
    token: Token,
}

impl Backend for Scraper {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let ledger = Ledger::open(environment).await?;
        let token = Token::of(&environment.vars);
        let access = StoredAccess::new(&ledger);
        Ok((Self { ledger, probing: Probing::default(), shares: Shares::default(), token }, access))
    }
}
