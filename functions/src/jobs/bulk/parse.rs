//! The request, read from its body.

use jobledger::domain::{BulkAction, Fingerprint, Input, Invalid, JobQuery, Json, Owner, Timestamp, is_reserved};
use jobledger::http::{FieldError, Fields, Problem, QueryString, Raw, job_query, object, text};
use serde_json::value::to_raw_value;

/// One change to many jobs.
pub(crate) struct Request {
    pub(crate) action: BulkAction,
    /// The list's filters, by the names that its query has.
    pub(crate) filter: Vec<(String, String)>,
    /// The request as the job keeps it.
    pub(crate) input: Input,
    pub(crate) fingerprint: Fingerprint,
}

impl Request {
    pub(crate) fn parse(body: &[u8], owner: &Owner, now: Timestamp) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let fingerprint = fields.fingerprint();
        let action: Option<BulkAction> = fields.required("action", text);
        let said: Option<Json> = fields.required("filter", object);
        let mut filter = said.as_deref().map(|json| Filter::parse(json.get(), owner, now)).transpose()?;
        for error in filter.iter_mut().flat_map(|filter| filter.errors(action)) {
            fields.refuse(&format!("filter.{}", error.field), Invalid(error.message));
        }
        if filter.as_ref().is_some_and(|filter| filter.is_empty) {
            fields.refuse(
                "filter",
                Invalid::new("must name at least one filter of a list, such as type or status"),
            );
        }
        let request = action.zip(said).zip(filter).map(|((action, said), filter)| {
            let payload = to_raw_value(&Payload { action, filter: &said }).ok();
            Self { action, filter: filter.pairs, input: Input { payload, metadata: None }, fingerprint }
        });
        fields.finish(request).map_err(Problem::invalid_body)
    }
}

#[derive(serde::Serialize)]
struct Payload<'a> {
    action: BulkAction,
    filter: &'a Json,
}

/// The filters of a list, said as an object.
struct Filter {
    pairs: Vec<(String, String)>,
    query: JobQuery,
    is_empty: bool,
    errors: Vec<FieldError>,
}

impl Filter {
    fn parse(json: &str, owner: &Owner, now: Timestamp) -> Result<Self, Problem> {
        let mut fields = Fields::parse(json.as_bytes())?;
        let mut pairs = Vec::new();
        let mut errors = Vec::new();
        let said = fields.take_all();
        let is_empty = said.is_empty();
        for (name, value) in said {
            match word(Raw(&value)) {
                Ok(word) => pairs.push((name, word)),
                Err(invalid) => errors.push(FieldError::new(name, invalid)),
            }
        }
        errors.extend(fields.finish(Some(())).err().unwrap_or_default());
        let mut query = QueryString::new(pairs.clone());
        let asked = job_query(owner.clone(), &mut query, now);
        errors.extend(query.take_errors());
        Ok(Self { pairs, query: asked, is_empty, errors })
    }

    /// All that is wrong with it, also for this action.
    fn errors(&mut self, action: Option<BulkAction>) -> Vec<FieldError> {
        let mut errors = std::mem::take(&mut self.errors);
        if self.query.types.iter().any(is_reserved) {
            let message = "must be types of callers: jobs of the service itself are changed one by one";
            errors.push(FieldError::new("type", Invalid::new(message)));
        }
        if let Some(action) = action.filter(|action| action.wanted(&self.query.statuses).is_empty()) {
            let sources: Vec<_> = action.sources().iter().map(ToString::to_string).collect();
            let message = format!("must name a status that {action} can be done to: {}", sources.join(", "));
            errors.push(FieldError::new("status", Invalid(message)));
        }
        errors
    }
}

/// A value as a query would have it: a text, a number, or several texts with commas between.
fn word(raw: Raw<'_>) -> Result<String, Invalid> {
    let written = raw.0.get();
    let wrong = || Invalid::new("must be a string, a number, or an array of strings");
    match written.as_bytes().first() {
        Some(b'"') => serde_json::from_str(written).map_err(|_| wrong()),
        Some(b'[') => {
            let words: Vec<String> = serde_json::from_str(written).map_err(|_| wrong())?;
            if words.iter().any(|word| word.contains(',')) {
                return Err(Invalid::new("must have no commas within the strings of an array"));
            }
            Ok(words.join(","))
        }
        Some(b'-' | b'0'..=b'9') => Ok(written.to_owned()),
        Some(_) | None => Err(wrong()),
    }
}
