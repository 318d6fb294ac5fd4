//! The end of a query: its value, or the problem that names all that is wrong with it.

use super::Problem;
use crate::domain::QueryString;

impl QueryString {
    /// The value, if nothing was wrong and nothing is left over.
    pub fn finish<T>(&mut self, value: Option<T>) -> Result<T, Problem> {
        let errors = self.take_errors();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            Some(_) | None => Err(Problem::invalid_query(errors)),
        }
    }
}
