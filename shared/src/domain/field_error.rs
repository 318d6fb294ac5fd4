//! Why a field of a request is refused.

use serde::Serialize;

use super::Invalid;

/// Most characters of a field's name that are said back.
const MAX_FIELD_CHARS: usize = 64;
/// Most characters of what is wrong with a field, as that may say the value back.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name, as the caller wrote it.
    pub field: String,
    /// The error, and the right form.
    pub message: String,
}

impl FieldError {
    /// This field, for this reason.
    pub fn new(field: impl Into<String>, invalid: Invalid) -> Self {
        let field: String = field.into();
        let shortened = |text: String, max| match text.char_indices().nth(max) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        };
        Self { field: shortened(field, MAX_FIELD_CHARS), message: shortened(invalid.0, MAX_MESSAGE_CHARS) }
    }
}
