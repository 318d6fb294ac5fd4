//! A type's settings, read from the body of the request.

use jobledger::domain::{
    MAX_ATTEMPTS, MAX_BACKOFF_SECONDS, MAX_CONCURRENCY, MAX_STAGE_WEIGHT, MAX_STAGES, MAX_TIMEOUT_SECONDS,
    Stage, Stages, TypeSettings,
};
use jobledger::http::{Fields, Problem, integer, text};

/// The settings as a whole: a field that is left out is as if nobody had decided it.
pub(crate) fn settings(body: &[u8]) -> Result<TypeSettings, Problem> {
    let default = TypeSettings::default();
    let mut fields = Fields::parse(body)?;
    let backoff_seconds = fields.optional("backoff_seconds", |raw| integer(raw, 0..=MAX_BACKOFF_SECONDS));
    let mode = fields.optional("mode", text);
    let settings = TypeSettings {
        max_concurrency: fields.optional("max_concurrency", |raw| integer(raw, 1..=MAX_CONCURRENCY)),
        timeout_seconds: fields.optional("timeout_seconds", |raw| integer(raw, 1..=MAX_TIMEOUT_SECONDS)),
        max_attempts: fields.optional("max_attempts", |raw| integer(raw, 1..=MAX_ATTEMPTS)),
        backoff_seconds: backoff_seconds.unwrap_or(default.backoff_seconds),
        stages: stages(&mut fields),
        mode: mode.unwrap_or(default.mode),
    };
    fields.finish(Some(settings)).map_err(Problem::invalid_body)
}

fn stages(fields: &mut Fields) -> Stages {
    let stages = fields.objects("stages", &(0..=MAX_STAGES), |fields| {
        let name = fields.required("name", text);
        let weight = fields.required("weight", |raw| integer(raw, 1..=MAX_STAGE_WEIGHT));
        Some(Stage { name: name?, weight: weight? })
    });
    let stages = Stages::try_from(stages.unwrap_or_default());
    stages.map_err(|invalid| fields.refuse("stages", invalid)).unwrap_or_default()
}
