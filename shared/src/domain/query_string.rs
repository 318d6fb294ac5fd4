//! The query of a URL, read name by name; a name that is left over is refused.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{FieldError, Invalid};

/// All but the characters that RFC 3986 leaves unreserved.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The names and values of a query, decoded, until somebody has read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryString {
    left: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl QueryString {
    /// These names and values.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { left: pairs.into_iter().collect(), errors: Vec::new() }
    }

    /// Reads what [`QueryString::to_text`] wrote.
    pub fn of_text(text: &str) -> Self {
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self::new(pairs.map(|(name, value)| (decoded(name), decoded(value))))
    }

    /// The names and values that nobody has read yet, as they stand in a URL.
    pub fn to_text(&self) -> String {
        let encoded = |part: &str| utf8_percent_encode(part, RESERVED).to_string();
        let pairs = self.left.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The names and values that nobody has read yet.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.left
    }

    /// Takes the value of a name out as text; more than one is an error.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let (found, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.left).into_iter().partition(|(n, _)| n == name);
        self.left = left;
        if found.len() > 1 {
            self.refuse(
                name,
                Invalid::new("must be given once; join several values with commas where allowed"),
            );
        }
        found.into_iter().next().map(|(_, value)| value)
    }

    /// Takes the value of a name out and reads it.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let value = self.take(name)?;
        match read(&value) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.refuse(name, invalid);
                None
            }
        }
    }

    /// The same for a name that has an older twin: only one of the two may be given.
    pub fn either<T>(
        &mut self,
        name: &str,
        twin: &str,
        read: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let (first, second) = (self.optional(name, &read), self.optional(twin, &read));
        if first.is_some() && second.is_some() {
            self.refuse(twin, Invalid(format!("means the same as {name}; give one of the two")));
        }
        first.or(second)
    }

    /// Adds an error that only shows when several values are seen together.
    pub fn refuse(&mut self, name: &str, invalid: Invalid) {
        self.errors.push(FieldError::new(name, invalid));
    }

    /// Everything that was wrong, and what is left over. A route asks by `finish`, which `http` adds.
    pub fn take_errors(&mut self) -> Vec<FieldError> {
        for (name, _) in std::mem::take(&mut self.left) {
            self.refuse(&name, Invalid::new("is not known here"));
        }
        std::mem::take(&mut self.errors)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_query_survives_its_text(pairs in proptest::collection::vec((".*", ".*"), 0..5)) {
            let query = QueryString::new(pairs);
            prop_assert_eq!(QueryString::of_text(&query.to_text()), query);
        }
    }
}
