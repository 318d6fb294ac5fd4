//! The route of a request, by API Gateway's rules.

use std::collections::BTreeMap;

use crate::template::HttpApiRoute;

/// The routes, the most specific first.
#[derive(Clone, Debug)]
pub(crate) struct Routes<T> {
    routes: Vec<Route<T>>,
}

#[derive(Clone, Debug)]
struct Route<T> {
    key: String,
    /// None takes any method.
    method: Option<String>,
    /// None takes any path: the route `$default`.
    segments: Option<Vec<Segment>>,
    target: T,
}

/// In the order in which API Gateway prefers them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Segment {
    /// This text.
    Text(String),
    /// Any one segment: `{name}`.
    One(String),
    /// One segment or more, to the end: `{name+}`.
    Rest(String),
}

/// The route that takes a request.
#[derive(Debug)]
pub(crate) struct Found<'a, T> {
    pub(crate) target: &'a T,
    /// As the template writes it: `GET /v1/jobs/{job_id}`.
    pub(crate) key: &'a str,
    /// As the request has them: nothing is decoded.
    pub(crate) parameters: BTreeMap<&'a str, &'a str>,
}

impl<T> Routes<T> {
    /// Takes the template's routes; an error names two that no request could choose between.
    pub(crate) fn new(routes: impl IntoIterator<Item = (HttpApiRoute, T)>) -> Result<Self, String> {
        let mut sorted: Vec<_> =
            routes.into_iter().map(|(route, target)| Route::new(route, target)).collect();
        sorted.sort_by(|left, right| left.rank().cmp(&right.rank()));
        match sorted.windows(2).find(|pair| pair[0].rank() == pair[1].rank()) {
            Some(pair) => Err(format!("{} and {} are the same route", pair[0].key, pair[1].key)),
            None => Ok(Self { routes: sorted }),
        }
    }

    /// The route for a request.
    pub(crate) fn find<'a>(&'a self, method: &str, path: &'a str) -> Option<Found<'a, T>> {
        self.routes.iter().find_map(|route| {
            if route.method.as_deref().is_some_and(|own| own != method) {
                return None;
            }
            let parameters = match &route.segments {
                Some(segments) => take(segments, path)?,
                None => BTreeMap::new(),
            };
            Some(Found { target: &route.target, key: &route.key, parameters })
        })
    }
}

impl<T> Route<T> {
    fn new(route: HttpApiRoute, target: T) -> Self {
        let Some(own) = route.target else {
            return Self { key: "$default".to_owned(), method: None, segments: None, target };
        };
        let segments = own.path.trim_start_matches('/').split('/').map(Segment::of).collect();
        Self {
            key: format!("{} {}", own.method, own.path),
            method: (own.method != "ANY").then_some(own.method),
            segments: Some(segments),
            target,
        }
    }

    /// A route without path comes last, and of two on one path the one without method. A parameter's name decides
    /// nothing.
    fn rank(&self) -> (bool, Vec<(u8, &str)>, bool, &str) {
        let segments = self.segments.as_deref().unwrap_or_default().iter().map(|segment| match segment {
            Segment::Text(text) => (0, text.as_str()),
            Segment::One(_) => (1, ""),
            Segment::Rest(_) => (2, ""),
        });
        let method = self.method.as_deref().unwrap_or_default();
        (self.segments.is_none(), segments.collect(), self.method.is_none(), method)
    }
}

impl Segment {
    fn of(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Self::Rest(name.to_owned()),
                None => Self::One(name.to_owned()),
            },
            None => Self::Text(text.to_owned()),
        }
    }
}

/// Splits a path; `None` if it does not match.
fn take<'a>(segments: &'a [Segment], path: &'a str) -> Option<BTreeMap<&'a str, &'a str>> {
    let mut parameters = BTreeMap::new();
    let mut rest = Some(path.strip_prefix('/')?);
    for segment in segments {
        let left = rest?;
        let (first, after) = match left.split_once('/') {
            Some((first, after)) => (first, Some(after)),
            None => (left, None),
        };
        match segment {
            Segment::Text(text) if text == first => rest = after,
            Segment::One(name) if !first.is_empty() => {
                parameters.insert(name.as_str(), first);
                rest = after;
            }
            Segment::Rest(name) if !left.is_empty() => {
                parameters.insert(name.as_str(), left);
                rest = None;
            }
            Segment::Text(_) | Segment::One(_) | Segment::Rest(_) => return None,
        }
    }
    rest.is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::Routes;
    use crate::template::{HttpApiRoute, MethodAndPath};

    fn routes(keys: &[&'static str]) -> Result<Routes<&'static str>, String> {
        Routes::new(keys.iter().map(|key| {
            let target = key
                .split_once(' ')
                .map(|(method, path)| MethodAndPath { method: method.to_owned(), path: path.to_owned() });
            (HttpApiRoute { id: "Route".to_owned(), target }, *key)
        }))
    }

    fn found(routes: &Routes<&'static str>, method: &str, path: &str) -> Option<&'static str> {
        routes.find(method, path).map(|found| *found.target)
    }

    #[test]
    fn the_most_particular_route_wins() {
        let keys = [
            "$default",
            "ANY /v1/{rest+}",
            "GET /v1/jobs/{job_id}",
            "GET /v1/jobs",
            "ANY /v1/jobs/count",
            "GET /v1/jobs/count",
            "POST /v1/jobs/{job_id}/cancel",
        ];
        let routes = routes(&keys).unwrap();
        for (method, path, key) in [
            ("GET", "/v1/jobs", "GET /v1/jobs"),
            ("GET", "/v1/jobs/7", "GET /v1/jobs/{job_id}"),
            ("GET", "/v1/jobs/count", "GET /v1/jobs/count"),
            ("PUT", "/v1/jobs/count", "ANY /v1/jobs/count"),
            ("POST", "/v1/jobs/7/cancel", "POST /v1/jobs/{job_id}/cancel"),
            ("DELETE", "/v1/jobs/7", "ANY /v1/{rest+}"),
            ("GET", "/v1/jobs/", "ANY /v1/{rest+}"),
            ("GET", "/v1/", "$default"),
            ("GET", "/", "$default"),
        ] {
            assert_eq!(found(&routes, method, path), Some(key), "{method} {path}");
        }
    }

    #[test]
    fn parameters_are_as_the_request_has_them() {
        let routes = routes(&["GET /v1/jobs/{job_id}", "GET /files/{path+}"]).unwrap();
        let job = routes.find("GET", "/v1/jobs/job%2F1").unwrap();
        assert_eq!(job.parameters.into_iter().collect::<Vec<_>>(), [("job_id", "job%2F1")]);
        let file = routes.find("GET", "/files/a/b").unwrap();
        assert_eq!(file.parameters.into_iter().collect::<Vec<_>>(), [("path", "a/b")]);
    }

    #[test]
    fn what_has_no_route_has_none() {
        let routes = routes(&["GET /v1/jobs/{job_id}", "GET /v1/jobs"]).unwrap();
        for (method, path) in [
            ("HEAD", "/v1/jobs"),
            ("GET", "/v1/jobs/"),
            ("GET", "/v1/jobs/7/x"),
            ("GET", "/v1"),
            ("OPTIONS", "*"),
        ] {
            assert_eq!(found(&routes, method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn a_route_twice_is_refused() {
        let problem = routes(&["GET /v1/jobs/{a}", "GET /v1/jobs/{b}"]).unwrap_err();
        assert_eq!(problem, "GET /v1/jobs/{a} and GET /v1/jobs/{b} are the same route");
    }
}
