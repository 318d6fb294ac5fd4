//! A list that is not answered, as a problem.

use super::{FieldError, Problem};
use crate::domain::Invalid;
use crate::lists::ListError;

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        let field = match error {
            ListError::Store(error) => return error.into(),
            ListError::DeepOffset => "offset",
            ListError::TooManyToSort => "sort_by",
            ListError::TooManyTypes(_) => "type",
        };
        Self::invalid_query(vec![FieldError::new(field, Invalid(error.to_string()))])
    }
}
