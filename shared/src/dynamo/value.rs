//! Attribute values.

use aws_sdk_dynamodb::types::AttributeValue;

/// A text.
#[expect(clippy::needless_pass_by_value, reason = "takes ids, names and literals alike")]
pub(crate) fn s(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

/// A number.
#[expect(clippy::needless_pass_by_value, reason = "takes numbers and references to them alike")]
pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
