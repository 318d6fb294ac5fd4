//! The request of an export: the filters of a list, and the form of the file.

use super::{Problem, QueryString, job_query};
use crate::domain::{Invalid, JobQuery, Order, Owner, Timestamp};

/// A file of jobs, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Which jobs, and in which order.
    pub jobs: JobQuery,
    /// In which form.
    pub format: Format,
}

/// The form of a file of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table with a line of names (RFC 4180).
    #[default]
    Csv,
    /// One array.
    Json,
    /// One job a line.
    NdJson,
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::NdJson];

    /// The word in a query, and the ending of the file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::NdJson => "ndjson",
        }
    }

    /// The file's content type, in HTTP's words.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
        }
    }
}

impl TryFrom<&str> for Format {
    type Error = Invalid;

    fn try_from(word: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| Invalid::new("must be csv, json or ndjson"))
    }
}

impl Export {
    /// Reads the whole query. `now` tells which jobs are due.
    pub fn parse(owner: Owner, mut query: QueryString, now: Timestamp) -> Result<Self, Problem> {
        let jobs = job_query(owner, &mut query, now);
        let order = query.optional("sort_order", |text| match text {
            "desc" => Ok(Order::Desc),
            "asc" => Ok(Order::Asc),
            _ => Err(Invalid::new("must be asc or desc")),
        });
        let format = query.optional("format", |text| Format::try_from(text));
        let jobs = JobQuery { order: order.unwrap_or(Order::Desc), ..jobs };
        query.finish(Some(Self { jobs, format: format.unwrap_or_default() }))
    }
}
