//! A function's answer as the response that API Gateway makes of it.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::BoxError;

/// The format 2.0 of an answer. `multiValueHeaders` belongs to 1.0: API Gateway passes over it, and so does this.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Makes the response.
pub(super) fn response(answer: &RawValue) -> Result<Response, BoxError> {
    let Ok(answer) = serde_json::from_str::<Answer>(answer.get()) else {
        return inferred(answer);
    };
    let bytes = match (answer.body, answer.is_base64_encoded) {
        (None, _) => Vec::new(),
        (Some(text), false) => text.into_bytes(),
        (Some(text), true) => STANDARD.decode(text)?,
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(answer.status_code)?;
    for (name, value) in answer.headers.unwrap_or_default() {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        response.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    for cookie in answer.cookies.unwrap_or_default() {
        response.headers_mut().append(SET_COOKIE, HeaderValue::try_from(cookie)?);
    }
    Ok(response)
}

/// An answer without a status is taken for the body of a 200.
fn inferred(answer: &RawValue) -> Result<Response, BoxError> {
    let value: Value = serde_json::from_str(answer.get())?;
    if value.get("statusCode").is_some() {
        return Err("the answer has a statusCode, but is no answer of format 2.0".into());
    }
    let mut response = Response::new(Body::from(answer.get().to_owned()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
