//! An HTTP client for tests.

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

/// A request before it is sent.
#[derive(Debug)]
pub struct Call {
    request: RequestBuilder,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Call {
    pub(crate) fn new(client: &Client, method: &str, url: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Self { request: client.request(method, url) }
    }

    /// With this header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value) }
    }

    /// With this JSON as its body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.body(body.into()) }
    }

    /// Sends the request.
    pub async fn send(self) -> Reply {
        let response = self.request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status, headers, text, json }
    }

    /// Sends the request, and leaves the body for the caller to read piece by piece.
    pub async fn open(self) -> Response {
        self.request.send().await.expect("an answer")
    }

    /// Sends the request, and expects this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> impl Future<Output = Reply> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.send().await;
            assert_eq!(reply.status, status, "{caller}: {}", reply.text);
            reply
        }
    }
}

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A field of the JSON body, by its path: `/jobs/0/job_id`.
    pub fn at(&self, path: &str) -> &Value {
        self.json.pointer(path).unwrap_or(&Value::Null)
    }

    /// The fields that a problem names, in order.
    pub fn wrong_fields(&self) -> Vec<String> {
        let errors = self.at("/errors").as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| Some(error.get("field")?.as_str()?.to_owned())).collect()
    }
}

/// A JSON string as text.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}
