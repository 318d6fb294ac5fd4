//! Answers: a status, headers and a text.

use lambda_http::http::{HeaderName, HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;

/// Most bytes of a body as JSON text, which is how it leaves a function: Lambda ends answers at 6 MB.
pub const MAX_ANSWER_BYTES: usize = 5_500_000;

/// The answer of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
}

impl Answer {
    /// A value as JSON.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        // Every value that we answer with has text keys and finite numbers, so it always serialises.
        let body = serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned());
        Self { status, headers: Vec::new(), body }.with("content-type", "application/json")
    }

    /// 200, a value as JSON.
    pub fn ok(value: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// 200, a text of this content type.
    pub fn text(content_type: &str, body: String) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body }.with("content-type", content_type)
    }

    /// The same with this header; a value that no header can hold is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let name = HeaderName::from_static(name);
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.retain(|(present, _)| *present != name);
            self.headers.push((name, value));
        }
        self
    }

    /// Whether Lambda lets it pass: within [`MAX_ANSWER_BYTES`]. As JSON text, each quotation mark and backslash of the
    /// body is two bytes.
    pub fn fits(&self) -> bool {
        let escaped = self.body.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        self.body.len() + escaped <= MAX_ANSWER_BYTES
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// As `lambda_http` takes it.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::Text(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_as_it_leaves() {
        let text = |word: &str, bytes: usize| Answer::text("text/plain", word.repeat(bytes / word.len()));
        assert!(text("x", MAX_ANSWER_BYTES).fits());
        assert!(!text("x", MAX_ANSWER_BYTES + 1).fits());
        assert!(text("\"", MAX_ANSWER_BYTES / 2).fits());
        assert!(!text("\\", MAX_ANSWER_BYTES / 2 + 1).fits());
    }
}
