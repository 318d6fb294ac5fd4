//! Labels: they tell jobs apart, beside their type.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Invalid, spelling};

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

/// Changes of labels by name: a new value, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelChanges {
    set: Labels,
    gone: BTreeSet<String>,
}

impl TryFrom<BTreeMap<String, Option<String>>> for LabelChanges {
    type Error = Invalid;

    /// Each new label must be one that a job may have.
    fn try_from(changes: BTreeMap<String, Option<String>>) -> Result<Self, Invalid> {
        let (mut set, mut gone) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in changes {
            match value {
                Some(value) => drop(set.insert(name, value)),
                None => drop(gone.insert(name)),
            }
        }
        Ok(Self { set: Labels::try_from(set)?, gone })
    }
}

impl Labels {
    /// The labels after some of them changed; refused: they would be more than may be.
    pub fn after(&self, changes: &LabelChanges) -> Result<Self, Invalid> {
        let mut labels = self.0.clone();
        labels.retain(|name, _| !changes.gone.contains(name));
        labels.extend(changes.set.0.clone());
        fit(&labels)
            .map_err(|Invalid(message)| Invalid(format!("{message}, with those that the job has")))?;
        Ok(Self(labels))
    }

    /// The labels as they were stored, spelled as they are there: a value goes on being counted under the same
    /// spelling.
    pub fn of_store(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        fit(&labels)?;
        Ok(Self(labels))
    }

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

    /// Values are kept in one spelling, so that a team is one team however its name was typed. Says all that is wrong.
    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        let spelled: BTreeMap<_, _> =
            labels.into_iter().map(|(name, value)| (name, spelling::tidied(&value))).collect();
        fit(&spelled)?;
        let wrong: Vec<String> = spelled.iter().filter_map(|(name, value)| wrong_with(name, value)).collect();
        if wrong.is_empty() { Ok(Self(spelled)) } else { Err(Invalid(wrong.join("; "))) }
    }
}

/// Whether there are no more labels than may be.
fn fit(labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if labels.len() > MAX_LABELS || bytes > MAX_BYTES {
        return Err(Invalid(format!("must be at most {MAX_LABELS} labels of {MAX_BYTES} bytes together")));
    }
    Ok(())
}

/// The error in a label, if there is one.
fn wrong_with(name: &str, value: &str) -> Option<String> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !(first && rest && name.len() <= MAX_NAME) {
        return Some(format!(
            "label {name:?}: a name must be 1 to {MAX_NAME} lower-case letters, digits or '_', the first a letter"
        ));
    }
    if value.is_empty() || value.chars().any(spelling::is_misleading) {
        return Some(format!(
            "label {name:?}: a value must not be empty, or hold control characters, line breaks and marks that turn \
             the direction"
        ));
    }
    None
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
        check(&[("team", " ")], false);
        check(&[("team", "\u{feff}")], false);
        check(&[("team", "a\tb")], false);
        check(&[("team", "a\u{202e}b")], false);
        check(&[("team", &"x".repeat(509))], false);
    }

    #[test]
    fn changes_of_labels_leave_the_others() {
        let map = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
            labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect()
        };
        let before = Labels::try_from(map(&[("model", "m"), ("team", "red")])).unwrap();
        let changes = [("team", Some("blue")), ("model", None), ("gpu_type", Some("A100")), ("gone", None)];
        let changes = changes.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        let changes = LabelChanges::try_from(BTreeMap::from(changes)).unwrap();
        assert_eq!(before.after(&changes).unwrap().0, map(&[("gpu_type", "A100"), ("team", "blue")]));
        let long = LabelChanges::try_from(BTreeMap::from([("b".to_owned(), Some("x".repeat(500)))])).unwrap();
        assert!(before.after(&long).is_err() && Labels::default().after(&long).is_ok());
        assert!(LabelChanges::try_from(BTreeMap::from([("A".to_owned(), Some("x".to_owned()))])).is_err());
    }

    #[test]
    fn a_value_has_one_spelling() {
        let labels = |value: &str| Labels::try_from(BTreeMap::from([("team".to_owned(), value.to_owned())]));
        for value in ["Équipe", "E\u{301}quipe", " Équipe\u{200b}\n", "\u{feff}E\u{301}quipe"] {
            assert_eq!(labels(value).unwrap().get("team"), Some("Équipe"), "{value:?}");
        }
        assert_ne!(labels("Blue"), labels("blue"));
        // Bytes are counted when it is spelled: three of `e` and its mark become two.
        assert!(labels(&"e\u{301}".repeat(254)).is_ok());
        let stored = BTreeMap::from([("team".to_owned(), "E\u{301}quipe\u{202e}".to_owned())]);
        assert_eq!(Labels::of_store(stored.clone()).unwrap().as_map(), &stored);
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let labels = [("A", "x"), ("model", ""), ("team", "ok")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let Invalid(message) = Labels::try_from(BTreeMap::from(labels)).unwrap_err();
        assert!(message.contains("\"A\"") && message.contains("\"model\""), "{message}");
    }
}
