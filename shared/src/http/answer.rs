//! Answers: a status, headers and a text, which may leave packed or not at all.

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;

use super::packing::Coding;
use super::tags;

/// Most bytes of a body as JSON text, which is how it leaves a function: Lambda ends answers at 6 MB.
pub const MAX_ANSWER_BYTES: usize = 5_500_000;

/// The answer of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
    /// The body as it leaves, where it leaves packed.
    packed: Option<Vec<u8>>,
}

impl Answer {
    /// A value as JSON.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        // Every value that we answer with has text keys and finite numbers, so it always serialises.
        let body = serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned());
        Self { status, headers: Vec::new(), body, packed: None }.with("content-type", "application/json")
    }

    /// 200, a value as JSON.
    pub fn ok(value: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// 200, a text of this content type.
    pub fn text(content_type: &str, body: String) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body, packed: None }
            .with("content-type", content_type)
    }

    /// 204, and nothing else.
    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: String::new(), packed: None }
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

    /// The same; that it would be another for another value of this header of the request, it says.
    #[must_use]
    pub(super) fn varying_by(self, name: &str) -> Self {
        let varying = match self.header("vary") {
            Some(others) => format!("{others}, {name}"),
            None => name.to_owned(),
        };
        self.with("vary", varying)
    }

    /// A header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(present, _)| present == name);
        found.and_then(|(_, value)| value.to_str().ok())
    }

    /// Tags the answer to a request that only reads, so that the caller can ask whether it is still the same. Then it
    /// comes without its body.
    #[must_use]
    pub(super) fn tagged(mut self, request: &HeaderMap) -> Self {
        let may_be_kept = self.header("cache-control").is_none_or(|words| !words.contains("no-store"));
        if self.status != StatusCode::OK || !may_be_kept {
            return self;
        }
        let tag = tags::tag(self.body.as_bytes());
        if tags::is_known(request, &tag) {
            self.status = StatusCode::NOT_MODIFIED;
            self = self.without_body();
        }
        // A browser may keep it, and asks each time.
        self.with("etag", tag).with("cache-control", "private, no-cache")
    }

    /// Packs the body as the caller wants it, if that is worth it.
    #[must_use]
    pub(super) fn packed(mut self, request: &HeaderMap) -> Self {
        if self.body.is_empty() && self.status != StatusCode::NOT_MODIFIED {
            return self;
        }
        self = self.varying_by("accept-encoding");
        let Some(coding) = Coding::wanted(request) else { return self };
        self.packed = coding.pack(self.body.as_bytes());
        if self.packed.is_some() { self.with("content-encoding", coding.as_str()) } else { self }
    }

    /// The same without its body, as `HEAD` answers.
    #[must_use]
    pub(super) fn without_body(mut self) -> Self {
        self.body.clear();
        self.packed = None;
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// As `lambda_http` takes it.
    pub fn into_response(self) -> Response<Body> {
        let body = match self.packed {
            Some(packed) => Body::Binary(packed),
            None if self.body.is_empty() => Body::Empty,
            None => Body::Text(self.body),
        };
        let mut response = Response::new(body);
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
