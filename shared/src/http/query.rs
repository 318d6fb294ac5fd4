//! The query of a URL, read name by name; what is left over is refused.

use super::{FieldError, Problem};
use crate::domain::Invalid;

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

    /// The value, if nothing was wrong and nothing is left over.
    pub fn finish<T>(&mut self, value: Option<T>) -> Result<T, Problem> {
        let errors = self.take_errors();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            Some(_) | None => Err(Problem::invalid_query(errors)),
        }
    }

    /// Everything that was wrong, and what is left over: for filters that come elsewhere than in a URL.
    pub fn take_errors(&mut self) -> Vec<FieldError> {
        for (name, _) in std::mem::take(&mut self.left) {
            self.refuse(&name, Invalid::new("is not known here"));
        }
        std::mem::take(&mut self.errors)
    }
}
