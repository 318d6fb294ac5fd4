//! Cross-origin use: the pages of which origins may call, and what they may see.
//!
//! The functions themselves do it, so that it is the same behind API Gateway, at Function URLs, and in the local stack.

use std::collections::BTreeMap;

use lambda_http::http::HeaderMap;
use lambda_http::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};

use super::Answer;
use super::methods::Methods;

/// The variable that lists the origins, by commas. `*` means all, and an empty text means none.
const VARIABLE: &str = "ALLOWED_ORIGINS";
/// For how many seconds a browser may remember what it may send: no browser remembers it longer.
const MAX_AGE_SECONDS: &str = "7200";
/// The headers that a page may send.
const REQUEST_HEADERS: &str = "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, Prefer, \
     traceparent, X-API-Key";
/// The headers of an answer that a page may see.
const EXPOSED_HEADERS: &str = "Allow, Content-Disposition, ETag, Link, Location, Preference-Applied, RateLimit, \
     RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id";

/// The origins whose pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cors {
    /// All.
    All,
    /// These; none, unless the deployment names some.
    Listed(Vec<String>),
}

impl Cors {
    /// As the deployment says.
    pub(super) fn of(vars: &BTreeMap<String, String>) -> Self {
        let text = vars.get(VARIABLE).map(|text| text.trim()).unwrap_or_default();
        if text == "*" {
            return Self::All;
        }
        let origins = text.split(',').map(|origin| origin.trim().trim_end_matches('/').to_ascii_lowercase());
        Self::Listed(origins.filter(|origin| !origin.is_empty()).collect())
    }

    /// The value of `Access-Control-Allow-Origin`, if the page that sent these headers may see the answer.
    fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let origin = headers.get(ORIGIN)?.to_str().ok()?;
        match self {
            Self::All => Some("*"),
            Self::Listed(origins) => {
                origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)).then_some(origin)
            }
        }
    }

    /// Lets the page that sent these headers see the answer, if it may. `methods`: the answer to `OPTIONS` tells a page
    /// what it may send.
    pub(super) fn on(&self, answer: Answer, headers: &HeaderMap, methods: Option<&Methods>) -> Answer {
        let answer = match self {
            // By no origin the answer differs.
            Self::All => answer,
            Self::Listed(origins) if origins.is_empty() => return answer,
            Self::Listed(_) => answer.varying_by("origin"),
        };
        let Some(origin) = self.allowed(headers) else { return answer };
        let answer = answer.with("access-control-allow-origin", origin);
        match methods {
            Some(methods) if headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) => answer
                .with("access-control-allow-methods", methods.list())
                .with("access-control-allow-headers", REQUEST_HEADERS)
                .with("access-control-max-age", MAX_AGE_SECONDS),
            Some(_) | None => answer.with("access-control-expose-headers", EXPOSED_HEADERS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_listed_by_commas() {
        let of = |text: &str| Cors::of(&BTreeMap::from([(VARIABLE.to_owned(), text.to_owned())]));
        assert_eq!(Cors::of(&BTreeMap::new()), Cors::Listed(Vec::new()));
        assert_eq!(of(""), Cors::Listed(Vec::new()));
        assert_eq!(of("*"), Cors::All);
        let two = ["https://a.example", "http://localhost:3000"].map(str::to_owned).to_vec();
        assert_eq!(of("https://A.example/, http://localhost:3000"), Cors::Listed(two));
    }
}
