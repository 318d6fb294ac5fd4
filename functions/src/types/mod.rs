//! `/v1/types`: how jobs of each type are worked on, and whether they are handed out.

use jobledger::Function;
use jobledger::domain::{Mode, Stages, Timestamp, TypeName, TypeSettings, callers_type};
use jobledger::http::{Call, Problem, Served, Serves, function};
use jobledger::store::{Ledger, StoredType};
use serde::Serialize;

pub mod get;
pub mod list;
mod parse;
pub mod pause;
pub mod put;
pub mod resume;
pub mod update;

/// The function.
pub const FUNCTION: Function = function::<Types>();

const NAME: &str = "type-settings";
/// Longest body: the most stages, with the longest names, with white space, and the other fields.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// `/v1/types` and all below it.
#[derive(Debug)]
pub struct Types;

impl Serves for Types {
    const NAME: &'static str = NAME;
    type Backend = Ledger;
    const ROUTES: &'static [Served<Ledger>] = &[
        Served::of::<list::ListTypes>(),
        Served::of::<get::GetType>(),
        Served::of::<put::PutType>(),
        Served::of::<update::UpdateType>(),
        Served::of::<pause::PauseType>(),
        Served::of::<resume::ResumeType>(),
    ];
}

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
    paused_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

/// The type that the path names.
fn named_type(call: &mut Call<'_, Ledger>) -> Result<TypeName, Problem> {
    let kind = TypeName::try_from(call.path_value("type").unwrap_or_default()).and_then(callers_type);
    let kind = kind.map_err(|invalid| call.query.refuse("type", invalid)).ok();
    call.query.finish(kind)
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
        paused_at: stored.and_then(|stored| stored.paused_at),
        updated_at: stored.map(|stored| stored.updated_at),
    }
}
