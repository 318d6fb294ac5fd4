//! The methods of a path: which routes there are beside the one that a function serves.

use std::collections::BTreeSet;

use lambda_http::Request;
use lambda_http::http::Method;

use super::Answer;
use crate::lambda::RouteKey;

/// The methods of a path, as the header `Allow` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Methods(BTreeSet<&'static str>);

impl Methods {
    /// Those of the most particular routes that a path is one of. `None`: it is no route's path.
    pub(super) fn of_path(keys: impl Iterator<Item = RouteKey>, path: &str) -> Option<Self> {
        let found: Vec<RouteKey> = keys.filter(|key| key.has_path(path)).collect();
        // As API Gateway chooses: `/v1/jobs/claim` is no `/v1/jobs/{job_id}`.
        let words = |key: &RouteKey| key.path.split('/').filter(|segment| !segment.starts_with('{')).count();
        let most = found.iter().map(words).max()?;
        Self::new(found.iter().filter(|key| words(key) == most).map(|key| key.method))
    }

    /// These, with those that every path of such a method has. `None`: there are none.
    pub(super) fn new(methods: impl Iterator<Item = &'static str>) -> Option<Self> {
        let mut all: BTreeSet<&'static str> = methods.collect();
        if all.is_empty() {
            return None;
        }
        if all.contains("GET") {
            all.insert("HEAD");
        }
        all.insert("OPTIONS");
        Some(Self(all))
    }

    /// Whether one of them is this request's.
    pub(super) fn allow(&self, request: &Request) -> bool {
        self.0.contains(request.method().as_str())
    }

    /// As a header has them.
    pub(super) fn list(&self) -> String {
        self.0.iter().copied().collect::<Vec<_>>().join(", ")
    }

    /// The answer to `OPTIONS`.
    pub(super) fn answer(&self) -> Answer {
        Answer::no_content().with("allow", self.list())
    }
}

/// The method whose route serves a request: `HEAD` is a `GET` whose answer loses its body.
pub(super) fn served(method: &Method) -> &str {
    if method == Method::HEAD { "GET" } else { method.as_str() }
}

/// Whether a request only reads.
pub(super) fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_path_has_the_methods() {
        const KEYS: [RouteKey; 4] = [
            RouteKey::get("/v1/jobs/{job_id}"),
            RouteKey::patch("/v1/jobs/{job_id}"),
            RouteKey::post("/v1/jobs/claim"),
            RouteKey::get("/v1/jobs/count"),
        ];
        let of = |path: &str| Methods::of_path(KEYS.into_iter(), path).map(|methods| methods.list());
        assert_eq!(of("/v1/jobs/7").as_deref(), Some("GET, HEAD, OPTIONS, PATCH"));
        assert_eq!(of("/v1/jobs/claim").as_deref(), Some("OPTIONS, POST"));
        assert_eq!(of("/v1/jobs/count").as_deref(), Some("GET, HEAD, OPTIONS"));
        assert_eq!(of("/v1/jobs"), None);
    }
}
