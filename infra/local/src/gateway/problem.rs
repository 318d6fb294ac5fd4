//! The gateway's own answers: RFC 9457 problems, as the functions send them.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// Why a request does not get a function's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Problem {
    NoRoute,
    TooLarge,
    BrokenBody,
    Busy,
    FunctionFailed,
    TooSlow,
}

#[derive(Serialize)]
struct Document {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
}

impl Problem {
    fn status(self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::FunctionFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::NoRoute => "not_found",
            Self::TooLarge => "too_large",
            Self::BrokenBody => "bad_request",
            Self::FunctionFailed => "internal",
            Self::Busy | Self::TooSlow => "unavailable",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::NoRoute => "no route has this method and path",
            Self::TooLarge => {
                "the request is larger than 6 MB, which is as much as one call can carry: send less at a time"
            }
            Self::BrokenBody => "the body did not arrive whole",
            Self::FunctionFailed => "the request failed here; the x-request-id finds the reason in the log",
            Self::Busy => "too many requests are under way: try again",
            Self::TooSlow => "there was no answer in time: try again",
        }
    }

    pub(super) fn response(self, request_id: &str) -> Response {
        let status = self.status();
        let body = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.code(),
        };
        // Numbers and text only: it cannot fail to be written.
        let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Ok(request_id) = HeaderValue::from_str(request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), request_id);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
