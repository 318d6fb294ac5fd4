//! A type's settings, read from the body of the request.

use jobledger::domain::{
    Invalid, MAX_ATTEMPTS, MAX_BACKOFF_SECONDS, MAX_CONCURRENCY, MAX_STAGE_WEIGHT, MAX_STAGES,
    MAX_TIMEOUT_SECONDS, SettingsChange, Stage, Stages, TypeName, TypeSettings,
};
use jobledger::http::{Fields, Problem, integer, text};

/// The fields of an answer that nobody puts: in a body that is an answer, they are passed over.
const SHOWN: [&str; 3] = ["running", "paused_at", "updated_at"];

/// The settings as a whole. An answer of `GET` is one, too.
pub(crate) fn put(body: &[u8], kind: &TypeName) -> Result<SettingsChange, Problem> {
    let mut fields = Fields::parse(body)?;
    fields.optional("type", |raw| match text::<TypeName>(raw) {
        Ok(said) if said == *kind => Ok(()),
        Ok(_) | Err(_) => Err(Invalid(format!("must be {kind}, as in the path, or be left out"))),
    });
    for name in SHOWN {
        fields.optional(name, |_| Ok(()));
    }
    let change = settings(&mut fields);
    fields.finish(Some(change)).map_err(Problem::invalid_body)
}

/// Some settings.
pub(crate) fn patch(body: &[u8]) -> Result<SettingsChange, Problem> {
    let mut fields = Fields::parse(body)?;
    for name in SHOWN {
        if fields.optional(name, |_| Ok(())).is_some() {
            let by = if name == "paused_at" { ": use pause and resume" } else { "" };
            fields.refuse(name, Invalid(format!("cannot be changed{by}")));
        }
    }
    let change = settings(&mut fields);
    let change = fields.finish(Some(change)).map_err(Problem::invalid_body)?;
    if change == SettingsChange::default() {
        return Err(Problem::invalid_json("the body changes nothing: give a setting to change"));
    }
    Ok(change)
}

/// The settings that a body has; null stands for the default.
fn settings(fields: &mut Fields) -> SettingsChange {
    let default = TypeSettings::default();
    let backoff_seconds = fields.nullable("backoff_seconds", |raw| integer(raw, 0..=MAX_BACKOFF_SECONDS));
    let mode = fields.nullable("mode", text);
    SettingsChange {
        max_concurrency: fields.nullable("max_concurrency", |raw| integer(raw, 1..=MAX_CONCURRENCY)),
        timeout_seconds: fields.nullable("timeout_seconds", |raw| integer(raw, 1..=MAX_TIMEOUT_SECONDS)),
        max_attempts: fields.nullable("max_attempts", |raw| integer(raw, 1..=MAX_ATTEMPTS)),
        backoff_seconds: backoff_seconds.map(|seconds| seconds.unwrap_or(default.backoff_seconds)),
        stages: fields.has("stages").then(|| stages(fields)),
        mode: mode.map(|mode| mode.unwrap_or(default.mode)),
    }
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
