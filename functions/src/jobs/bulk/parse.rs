//! The request, read from its body.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use jobledger::background::bulk::BulkJobs;
use jobledger::domain::{
    BulkAction, Fingerprint, Input, Invalid, JobId, JobQuery, Json, Owner, Timestamp, is_reserved,
};
use jobledger::http::{FieldError, Fields, Problem, QueryString, Raw, flag, job_id, job_query, object, text};
use serde_json::value::to_raw_value;

/// How many jobs a caller may name.
const IDS: RangeInclusive<usize> = 1..=1_000;

/// One change to many jobs.
pub(crate) struct Request {
    pub(crate) action: BulkAction,
    pub(crate) jobs: BulkJobs,
    /// Whether it only tells how many jobs there are.
    pub(crate) is_dry_run: bool,
    /// The request as the job keeps it.
    pub(crate) input: Input,
    pub(crate) fingerprint: Fingerprint,
}

impl Request {
    pub(crate) fn parse(body: &[u8], owner: &Owner, now: Timestamp) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let fingerprint = fields.fingerprint();
        let action: Option<BulkAction> = fields.required("action", text);
        let is_dry_run = fields.optional("dry_run", flag).unwrap_or_default();
        let jobs = match (fields.has("filter"), fields.has("job_ids")) {
            (_, false) => filter(&mut fields, action, owner, now)?,
            (false, true) => ids(&mut fields),
            (true, true) => {
                for (name, other) in [("filter", "job_ids"), ("job_ids", "filter")] {
                    fields.optional(name, |_| Err::<(), _>(Invalid(format!("cannot be mixed with {other}"))));
                }
                None
            }
        };
        let request = action.zip(jobs).map(|(action, jobs)| {
            let payload = to_raw_value(&Payload::new(action, &jobs)).ok();
            let input = Input { payload, metadata: None };
            Self { action, jobs: jobs.into_jobs(), is_dry_run, input, fingerprint }
        });
        fields.finish(request).map_err(Problem::invalid_body)
    }
}

/// The jobs, and how the caller said them.
enum Said {
    Filter(Json, Vec<(String, String)>),
    Ids(Vec<JobId>),
}

impl Said {
    fn into_jobs(self) -> BulkJobs {
        match self {
            Self::Filter(_, pairs) => BulkJobs::Filter(pairs),
            Self::Ids(ids) => BulkJobs::Ids(ids),
        }
    }
}

/// The filter, checked for the action.
fn filter(
    fields: &mut Fields,
    action: Option<BulkAction>,
    owner: &Owner,
    now: Timestamp,
) -> Result<Option<Said>, Problem> {
    let Some(said) = fields.required("filter", object) else { return Ok(None) };
    let mut filter = Filter::parse(said.get(), owner, now)?;
    for error in filter.errors(action) {
        fields.refuse(&format!("filter.{}", error.field), Invalid(error.message));
    }
    if filter.is_empty {
        let message = "must name at least one filter of a list, such as type or status";
        fields.refuse("filter", Invalid::new(message));
    }
    Ok(Some(Said::Filter(said, filter.pairs)))
}

/// The ids of the jobs, each once, where it first stands.
fn ids(fields: &mut Fields) -> Option<Said> {
    let mut ids = fields.each("job_ids", &IDS, job_id)?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Some(Said::Ids(ids))
}

/// The jobs, as the audit log tells them.
pub(crate) fn told(jobs: BulkJobs) -> BTreeMap<String, String> {
    match jobs {
        BulkJobs::Filter(pairs) => pairs.into_iter().collect(),
        BulkJobs::Ids(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            BTreeMap::from([("job_ids".to_owned(), ids.join(","))])
        }
    }
}

/// The request as the job keeps it.
#[derive(serde::Serialize)]
struct Payload<'a> {
    action: BulkAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_ids: Option<&'a [JobId]>,
}

impl<'a> Payload<'a> {
    fn new(action: BulkAction, jobs: &'a Said) -> Self {
        match jobs {
            Said::Filter(filter, _) => Self { action, filter: Some(filter), job_ids: None },
            Said::Ids(ids) => Self { action, filter: None, job_ids: Some(ids) },
        }
    }
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
