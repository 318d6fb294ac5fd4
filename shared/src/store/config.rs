//! The settings of a function, read once from its environment variables.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::domain::{MAX_TTL_HOURS, MAX_TYPES_OF_OWNER};

/// All that a function is told by its environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The names of the tables.
    pub tables: Tables,
    /// `DEFAULT_TTL_HOURS`: how long a job is kept after its end when nobody says; absent: 24.
    pub default_ttl_hours: u16,
    /// `INDEX_SHARDS`: into how many parts each index is split, 1 to 64; may grow, never shrink; absent: 1.
    pub index_shards: u16,
    /// `WAITS_PER_KEY`: how many calls of one key may wait at once, 2 to 10,000; absent: 400.
    pub waits_per_key: u32,
    /// `TYPES_PER_OWNER`: how many types an owner may use where its key does not say, 1 to 10,000; absent: 500.
    pub types_per_owner: u32,
    /// `AWS_ENDPOINT_URL_DYNAMODB`: another DynamoDB than Amazon's; absent: Amazon's, found by the SDK.
    pub endpoint: Option<Endpoint>,
}

/// The tables' names; a function that is not given one must not use it, and says so when it tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `JOBS_TABLE`.
    pub jobs: String,
    /// `TALLIES_TABLE`.
    pub tallies: String,
    /// `SETTINGS_TABLE`.
    pub settings: String,
    /// `TASKS_TABLE`.
    pub tasks: String,
    /// `RECORDS_TABLE`.
    pub records: String,
    /// `USAGE_TABLE`.
    pub usage: String,
}

/// Another DynamoDB than Amazon's, with the credentials that it wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL.
    pub url: String,
    /// `AWS_REGION`; absent: `us-east-1`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`; absent: `local`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`; absent: `local`.
    pub secret_access_key: String,
}

/// A variable that does not say what it must.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} must be {expected}")]
pub struct ConfigError {
    name: &'static str,
    expected: String,
}

impl ConfigError {
    pub(crate) fn new(name: &'static str, expected: impl Into<String>) -> Self {
        Self { name, expected: expected.into() }
    }
}

impl Config {
    /// Reads the variables; a setting that they leave out takes its default.
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let text = |name: &str| vars.get(name).cloned().unwrap_or_default();
        let or = |name: &str, default: &str| vars.get(name).cloned().unwrap_or_else(|| default.to_owned());
        Ok(Self {
            tables: Tables {
                jobs: text("JOBS_TABLE"),
                tallies: text("TALLIES_TABLE"),
                settings: text("SETTINGS_TABLE"),
                tasks: text("TASKS_TABLE"),
                records: text("RECORDS_TABLE"),
                usage: text("USAGE_TABLE"),
            },
            default_ttl_hours: number(vars, "DEFAULT_TTL_HOURS", 24, 1..=MAX_TTL_HOURS)?,
            index_shards: number(vars, "INDEX_SHARDS", 1, 1..=64)?,
            waits_per_key: number(vars, "WAITS_PER_KEY", 400, 2..=10_000)?,
            types_per_owner: number(vars, "TYPES_PER_OWNER", 500, 1..=MAX_TYPES_OF_OWNER.into())?,
            endpoint: vars.get("AWS_ENDPOINT_URL_DYNAMODB").map(|url| Endpoint {
                url: url.clone(),
                region: or("AWS_REGION", "us-east-1"),
                access_key_id: or("AWS_ACCESS_KEY_ID", "local"),
                secret_access_key: or("AWS_SECRET_ACCESS_KEY", "local"),
            }),
        })
    }
}

fn number<N: FromStr + TryFrom<i64>>(
    vars: &BTreeMap<String, String>,
    name: &'static str,
    default: N,
    range: std::ops::RangeInclusive<i64>,
) -> Result<N, ConfigError> {
    let Some(text) = vars.get(name) else { return Ok(default) };
    let value = text.parse::<i64>().ok().filter(|value| range.contains(value));
    value.and_then(|value| N::try_from(value).ok()).ok_or_else(|| ConfigError {
        name,
        expected: format!("a whole number from {} to {}, not {text:?}", range.start(), range.end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_vars(&vars.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = config(&[("JOBS_TABLE", "j")]).unwrap();
        assert_eq!((config.default_ttl_hours, config.index_shards, config.endpoint), (24, 1, None));
        assert_eq!(config.tables.jobs, "j");
    }

    #[test]
    fn a_wrong_number_is_named() {
        for (name, value) in [
            ("INDEX_SHARDS", "0"),
            ("INDEX_SHARDS", "65"),
            ("DEFAULT_TTL_HOURS", "soon"),
            ("WAITS_PER_KEY", "1"),
            ("TYPES_PER_OWNER", "0"),
        ] {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
    }
}
