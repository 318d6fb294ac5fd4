//! A JSON object from outside, read field by field; a field that is left over is refused, and every wrong field is
//! named.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::object::Object;
use super::{Problem, Raw, canonical, decode::list};
use crate::domain::{FieldError, Fingerprint, Invalid};

/// The fields of an object, until somebody has read them.
#[derive(Debug)]
pub struct Fields {
    left: BTreeMap<String, Box<RawValue>>,
    /// By which older name the caller called a field.
    said: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Most characters of what is wrong with a text, as that may say the text back.
const MAX_SAID_CHARS: usize = 200;

/// Why a text is no object of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON, or not an object.
    #[error("must be a JSON object: {0}")]
    NotAnObject(String),
}

impl Fields {
    /// Reads a JSON object; a field that is `null` is the same as one that is left out. A byte-order mark before it, which
    /// some editors and shells write, is passed over.
    pub fn parse(json: &[u8]) -> Result<Self, BodyError> {
        let json = json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json);
        let Object { fields, twice } =
            serde_json::from_slice(json).map_err(|error| BodyError::not_an_object(&error))?;
        let mut found = Self { left: fields, said: BTreeMap::new(), errors: Vec::new() };
        for name in twice {
            found.refuse(&name, Invalid::new("is given twice"));
        }
        Ok(found)
    }

    /// The fingerprint of all fields that are left: the same for the same fields in any order, with any white space.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut text = String::new();
        for (name, value) in self.left.iter().filter(|(_, value)| value.get() != "null") {
            // A name is no JSON text of its own, but its debug form is as clear about where it ends.
            text.extend([&*format!("{name:?}"), ":"]);
            canonical::write(value, &mut text);
        }
        Fingerprint::of(text.as_bytes())
    }

    /// Takes a field out and reads it.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(Raw<'_>) -> Result<T, Invalid>) -> Option<T> {
        let value = self.left.remove(name)?;
        if value.get() == "null" {
            return None;
        }
        match read(Raw(&value)) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.refuse(name, invalid);
                None
            }
        }
    }

    /// The same where `null` says something else than nothing: that what was there shall go.
    pub fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Raw<'_>) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let is_null = self.left.get(name)?.get() == "null";
        let value = self.optional(name, read);
        if is_null { Some(None) } else { value.map(Some) }
    }

    /// Whether a field is there that nobody has read yet.
    pub fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Takes out a field that must be there, and reads it.
    pub fn required<T>(&mut self, name: &str, read: impl FnOnce(Raw<'_>) -> Result<T, Invalid>) -> Option<T> {
        if self.left.get(name).is_none_or(|value| value.get() == "null") {
            self.left.remove(name);
            self.refuse(name, Invalid::new("is needed"));
            return None;
        }
        self.optional(name, read)
    }

    /// Takes out all fields that are left and not `null`, as they were written: where any name may come.
    pub fn take_all(&mut self) -> Vec<(String, Box<RawValue>)> {
        let all = std::mem::take(&mut self.left);
        all.into_iter().filter(|(_, value)| value.get() != "null").collect()
    }

    /// Takes out a field that must be an array of so many values, and reads each; a wrong one is named by its place, from
    /// 0: `ids[3]`.
    pub fn each<T>(
        &mut self,
        name: &str,
        lengths: &RangeInclusive<usize>,
        read: impl Fn(Raw<'_>) -> Result<T, Invalid>,
    ) -> Option<Vec<T>> {
        let values = self.required(name, |raw| list(raw, lengths))?;
        let mut found = Vec::new();
        for (place, value) in values.iter().enumerate() {
            match read(Raw(value)) {
                Ok(value) => found.push(value),
                Err(invalid) => self.refuse(&format!("{name}[{place}]"), invalid),
            }
        }
        Some(found)
    }

    /// Takes out a field that is an array of so many objects, and reads the fields of each; a wrong one is named with its
    /// place, from 0: `stages[3].name`.
    pub fn objects<T>(
        &mut self,
        name: &str,
        lengths: &RangeInclusive<usize>,
        read: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let values = self.optional(name, |raw| list(raw, lengths))?;
        let mut found = Vec::new();
        for (place, value) in values.iter().enumerate() {
            let Ok(mut fields) = Self::parse(value.get().as_bytes()) else {
                self.refuse(&format!("{name}[{place}]"), Invalid::new("must be an object"));
                continue;
            };
            let value = read(&mut fields);
            match fields.finish(value) {
                Ok(value) => found.push(value),
                Err(errors) => {
                    for FieldError { field, message } in errors {
                        self.refuse(&format!("{name}[{place}].{field}"), Invalid(message));
                    }
                }
            }
        }
        Some(found)
    }

    /// Takes out a field that is an object, and reads its fields; a wrong one is named with it: `progress.current_task`.
    pub fn nested<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let parsed =
            |raw: Raw<'_>| Self::parse(raw.0.get().as_bytes()).map_err(|_| Invalid::new("must be an object"));
        let mut fields = self.optional(name, parsed)?;
        let value = read(&mut fields);
        match fields.finish(value) {
            Ok(value) => Some(value),
            Err(errors) => {
                for FieldError { field, message } in errors {
                    self.refuse(&format!("{name}.{field}"), Invalid(message));
                }
                None
            }
        }
    }

    /// Lets a field also go by an older name; both at once are refused.
    pub fn rename(&mut self, older: &str, name: &str) {
        let Some(value) = self.left.remove(older) else { return };
        if self.left.contains_key(name) {
            self.refuse(older, Invalid(format!("means the same as {name}; give one of the two")));
        } else {
            self.left.insert(name.to_owned(), value);
            self.said.insert(name.to_owned(), older.to_owned());
        }
    }

    /// Adds an error that only shows when several fields are seen together.
    pub fn refuse(&mut self, name: &str, invalid: Invalid) {
        let said = self.said.get(name).map_or(name, String::as_str);
        self.errors.push(FieldError::new(said, invalid));
    }

    /// Whether something is wrong with a field already.
    pub fn is_refused(&self, name: &str) -> bool {
        let said = self.said.get(name).map_or(name, String::as_str);
        self.errors.iter().any(|error| error.field == said)
    }

    /// The value, if nothing was wrong and nothing is left over.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        for name in std::mem::take(&mut self.left).into_keys() {
            self.refuse(&name, Invalid::new("is not known here"));
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(self.errors),
        }
    }
}

impl BodyError {
    fn not_an_object(error: &serde_json::Error) -> Self {
        Self::NotAnObject(error.to_string().chars().take(MAX_SAID_CHARS).collect())
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        Self::invalid_json(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{integer, text};

    fn errors(json: &str) -> Vec<String> {
        let mut fields = Fields::parse(json.as_bytes()).unwrap();
        fields.rename("tool", "type");
        let kind = fields.required("type", text::<crate::domain::TypeName>);
        let priority: Option<u8> = fields.optional("priority", |raw| integer(raw, 0..=10));
        let errors = fields.finish(kind.map(|kind| (kind, priority))).err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(errors(r#"{"type":"a"}"#), [""; 0]);
        assert_eq!(errors(r#"{"tool":"a","priority":null}"#), [""; 0]);
        assert_eq!(errors(r#"{"type":"a b","priority":11,"x":1,"y":2}"#), ["type", "priority", "x", "y"]);
        assert_eq!(errors(r#"{"type":"a","tool":"b"}"#), ["tool"]);
        assert_eq!(errors(r#"{"tool":"a b"}"#), ["tool"]);
        assert_eq!(errors(r#"{"type":"a","type":"b"}"#), ["type"]);
        assert_eq!(errors("{}"), ["type"]);
    }

    #[test]
    fn what_is_wrong_within_a_field_is_named_with_its_place() {
        let errors = |json: &str| {
            let mut fields = Fields::parse(json.as_bytes()).unwrap();
            let numbers = fields.each("n", &(1..=2), |raw| integer::<u8>(raw, 0..=9));
            let inner = fields.nested("o", |fields| fields.required("a", |raw| integer::<u8>(raw, 0..=9)));
            let errors = fields.finish(numbers.map(|numbers| (numbers, inner))).err().unwrap_or_default();
            errors.into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        for good in [r#"{"n":[1]}"#, r#"{"n":[1,2],"o":null}"#, r#"{"n":[1],"o":{"a":1}}"#] {
            assert_eq!(errors(good), [""; 0], "{good}");
        }
        for (bad, fields) in [
            ("{}", vec!["n"]),
            (r#"{"n":[]}"#, vec!["n"]),
            (r#"{"n":[1,2,3]}"#, vec!["n"]),
            (r#"{"n":1}"#, vec!["n"]),
            (r#"{"n":["1",10]}"#, vec!["n[0]", "n[1]"]),
            (r#"{"n":[1,null]}"#, vec!["n[1]"]),
            (r#"{"n":[1],"o":[]}"#, vec!["o"]),
            (r#"{"n":[1],"o":{}}"#, vec!["o.a"]),
            (r#"{"n":[1],"o":{"a":1,"a":2,"b":3}}"#, vec!["o.a", "o.b"]),
        ] {
            assert_eq!(errors(bad), fields, "{bad}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in
            ["", "[]", "1", "{", r#"{"a":}"#, "{\"a\":1}x", "\u{feff}", "\u{feff}\u{feff}{}", "{}\u{feff}"]
        {
            assert!(Fields::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(Fields::parse("\u{feff} {}".as_bytes()).is_ok());
    }
}
