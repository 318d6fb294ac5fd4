//! Labels: what jobs are told apart by, beside their type.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Invalid;

/// Most labels on a job.
const MAX_LABELS: usize = 16;
/// Most bytes of all of a job's labels: they are part of the head, which stays under 1 KB.
const MAX_BYTES: usize = 512;
/// Most characters of a label's name.
const MAX_NAME: usize = 64;

/// A job's labels: `team`, `model`, `provider`, `gpu_type`, and any others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of one label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All labels by name.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = Invalid;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if labels.len() > MAX_LABELS || bytes > MAX_BYTES {
            return Err(Invalid(format!(
                "must be at most {MAX_LABELS} labels of {MAX_BYTES} bytes together"
            )));
        }
        for (name, value) in &labels {
            let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
            let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !(first && rest && name.len() <= MAX_NAME) {
                return Err(Invalid(format!(
                    "label {name:?}: a name must be 1 to {MAX_NAME} lower-case letters, digits or '_', \
                     the first a letter"
                )));
            }
            if value.is_empty() || value.trim() != value || value.chars().any(char::is_control) {
                return Err(Invalid(format!(
                    "label {name:?}: a value must not be empty, hold control characters, or have blanks at its ends"
                )));
            }
        }
        Ok(Self(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[(&str, &str)], expect: bool) {
        let labels: BTreeMap<_, _> = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!(Labels::try_from(labels.clone()).is_ok(), expect, "{labels:?}");
    }

    #[test]
    fn labels_have_names_of_the_field_and_values_of_some_length() {
        check(&[], true);
        check(&[("team", "user-7"), ("gpu_type", "A100 80GB")], true);
        check(&[("Team", "x")], false);
        check(&[("", "x")], false);
        check(&[("team", "")], false);
        check(&[("team", " x")], false);
        check(&[("team", &"x".repeat(509))], false);
    }
}
