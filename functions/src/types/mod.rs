//! `PUT` and `GET /v1/types/{type}`: how jobs of a type are worked on.

use jobledger::Function;
use jobledger::domain::{Mode, Owner, Stages, Timestamp, TypeName, TypeSettings, callers_type};
use jobledger::http::{Access, Answer, Call, Problem, Route, Scope, function};
use jobledger::store::types::{any_runs, any_waits, get_type, open_type, put_type, type_of_item};
use jobledger::store::{AttributeMap, Ledger, StoreError, StoredType, Written};
use lambda_http::http::Method;
use serde::Serialize;

mod parse;

/// The function.
pub const FUNCTION: Function = function::<TypesRoute>();

/// Longest body: the most stages, with the longest names, with white space, and the other fields.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Tries to write while others change the same type's limit.
const MAX_TRIES: u32 = 5;

/// `PUT` and `GET /v1/types/{type}`.
#[derive(Debug)]
pub struct TypesRoute;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a TypeName,
    max_concurrency: Option<u32>,
    timeout_seconds: Option<u32>,
    max_attempts: Option<u32>,
    backoff_seconds: u32,
    stages: &'a Stages,
    mode: Mode,
    /// Slots that are taken; they are only counted where there is a limit.
    running: Option<u64>,
    updated_at: Option<Timestamp>,
}

impl Route for TypesRoute {
    const NAME: &'static str = "type-settings";
    const ACCESS: Access = Access::Any(&[Scope::Read, Scope::Write]);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let is_put = *call.method == Method::PUT;
        call.require(if is_put { Scope::Write } else { Scope::Read })?;
        let owner = call.owner()?.clone();
        let kind = kind(&mut call);
        let kind = call.query.finish(kind)?;
        let stored = if is_put {
            let settings = parse::settings(call.body)?;
            Some(put(call.backend, &owner, &kind, &settings, call.now).await?)
        } else {
            read(call.backend, &owner, &kind).await?
        };
        Ok(Answer::ok(&body(&kind, stored.as_ref(), &TypeSettings::default())))
    }
}

/// The type that the path names; what is wrong with it is said when the query is finished.
fn kind(call: &mut Call<'_, Ledger>) -> Option<TypeName> {
    let kind = TypeName::try_from(call.path_value("type").unwrap_or_default()).and_then(callers_type);
    kind.map_err(|invalid| call.query.refuse("type", invalid)).ok()
}

fn body<'a>(kind: &'a TypeName, stored: Option<&'a StoredType>, default: &'a TypeSettings) -> Body<'a> {
    let settings = stored.map_or(default, |stored| &stored.settings);
    Body {
        r#type: kind,
        max_concurrency: settings.max_concurrency,
        timeout_seconds: settings.timeout_seconds,
        max_attempts: settings.max_attempts,
        backoff_seconds: settings.backoff_seconds,
        stages: &settings.stages,
        mode: settings.mode,
        running: settings.max_concurrency.and(stored).map(|stored| stored.running),
        updated_at: stored.map(|stored| stored.updated_at),
    }
}

async fn read(ledger: &Ledger, owner: &Owner, kind: &TypeName) -> Result<Option<StoredType>, StoreError> {
    let item = ledger.store.get(get_type(&ledger.config.tables, owner, kind)).await?;
    item.map(stored).transpose()
}

fn stored(item: AttributeMap) -> Result<StoredType, StoreError> {
    Ok(type_of_item(item)?.1)
}

/// Writes the settings. A first limit closes the type, and opens it at once where no job of it is about.
///
/// It is closed before anybody looks: so a job that comes or is taken meanwhile is either seen, or waits for a slot.
async fn put(
    ledger: &Ledger,
    owner: &Owner,
    kind: &TypeName,
    settings: &TypeSettings,
    now: Timestamp,
) -> Result<StoredType, StoreError> {
    let Ledger { store, config, .. } = ledger;
    for _ in 0..MAX_TRIES {
        let seen = read(ledger, owner, kind).await?.and_then(|stored| stored.settings.max_concurrency);
        let plan = put_type(&config.tables, owner, kind, settings, seen, now)?;
        let Written::Done(item) = store.update(plan).await? else { continue };
        let written = stored(item.unwrap_or_default())?;
        let (None, Some(opens_at)) = (seen, written.opens_at) else { return Ok(written) };
        if is_any_about(ledger, owner, kind).await? {
            return Ok(written);
        }
        let opened = store.update(open_type(&config.tables, owner, kind, opens_at)).await?;
        return match opened {
            Written::Done(item) => stored(item.unwrap_or_default()),
            // Somebody has put other settings since, or has opened it already.
            Written::Refused(_) => Ok(written),
        };
    }
    Err(StoreError::Unavailable("others changed the type's limit at every try".into()))
}

/// Whether a job of the type waits or runs. Looked at in the order of a job's way, and its beginning once more: one that
/// goes on, or goes back, between two looks is seen by one of them.
async fn is_any_about(ledger: &Ledger, owner: &Owner, kind: &TypeName) -> Result<bool, StoreError> {
    let source = ledger.source().await?;
    for shard in 0..source.shards {
        for look in [any_waits, any_runs, any_waits] {
            if ledger.store.query(look(source.tables, owner, kind, shard)).await?.count > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
